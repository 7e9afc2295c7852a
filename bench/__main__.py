"""Run every benchmark: ``python -m bench [NAME ...] [--runs N] [--long] [--out FILE]``."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

from bench.harness import Session, machine

HERE = Path(__file__).parent


def main() -> None:
    """Run the benchmarks named on the command line, or all."""
    names = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(names)}")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each contender")
    parser.add_argument("--long", action="store_true", help="also the sizes that take minutes")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "latest.json")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(names))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(names)}")

    print(json.dumps(machine(), indent=1))
    session = Session(runs=arguments.runs, long=arguments.long)
    for name in arguments.names or names:
        importlib.import_module(f"bench.bench_{name}").run(session)
    session.save(arguments.out)
    print(f"\nwritten to {arguments.out}")


if __name__ == "__main__":
    main()
