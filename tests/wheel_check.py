"""Checks an installed wheel in an environment with nothing but the base dependencies.

Usage: python wheel_check.py PATH_OF_THE_COMMAND
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MOST_SECONDS_TO_IMPORT = 0.3


def main(command: str) -> None:
    """Import, time the import, and compare two files."""
    for package in ("torch", "matplotlib", "jinja2", "pandas", "rich"):
        assert importlib.util.find_spec(package) is None, (
            f"{package} is here: not a base environment"
        )
    seconds = [_seconds_to_run("import convergent") for _ in range(5)]
    print(f"import convergent: median {statistics.median(seconds):.3f} s")
    assert min(seconds) < MOST_SECONDS_TO_IMPORT, seconds
    all_names = _seconds_to_run("import convergent as cv; [getattr(cv, n) for n in cv.__all__]")
    print(f"every public name: {all_names:.3f} s")
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(0)
        x = np.maximum(random.standard_normal((200, 20)), 0)
        np.save(Path(folder, "a.npy"), x)
        np.save(Path(folder, "b.npy"), x[:, ::-1])
        out = Path(folder, "out")
        subprocess.run(
            [command, "compare", "a.npy", "b.npy", "--out", str(out)], cwd=folder, check=True
        )
        table = (out / "summary.csv").read_text()
        assert "activations,correlation,mean_one_to_one,a,b,1.0" in table, table
        print(f"compare: {len(table.splitlines()) - 1} numbers")


def _seconds_to_run(code: str) -> float:
    light = "import sys; assert not {'torch', 'sklearn'} & set(sys.modules)"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"{code}; {light}"], check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(sys.argv[1])
