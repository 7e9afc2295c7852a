"""The command line: ``convergent --help``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from convergent.cli_arguments import (
    BadArguments,
    add_data,
    add_workers,
    count,
    count_or_none,
)
from convergent.cli_info import add_info
from convergent.cli_simulate import add_simulate
from convergent.cli_train import add_train

EXIT_FAILED = 1
EXIT_BAD_ARGUMENTS = 2
EXIT_INTERRUPTED = 130

_EPILOG = """\
examples:
  convergent demo                                   train four small networks, compare them, write a report
  convergent compare a.npy b.npy --out result       compare two arrays of activations (examples x units)
  convergent train --dataset cifar10 --model vgg11_bn --data DIR --seeds 0:5
                                                    five larger networks, into study-cifar10-vgg11_bn
  convergent train --out study --seeds 0:5          the demo's study, step by step
  convergent collect study
  convergent compare study --workers 4              on four processes; --scheduler ADDRESS: on a Dask cluster
  convergent trajectory study
  convergent report study
  convergent simulate                               does the shared response model find known rotations?
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for bad arguments, 1 if it failed or left tasks undone."""
    options = _parser().parse_args(arguments)
    try:
        result = options.run(options)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BadArguments as error:
        print(f"convergent {options.command}: {error}", file=sys.stderr)
        return EXIT_BAD_ARGUMENTS
    except (ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError) as error:
        if os.environ.get("CONVERGENT_TRACEBACK"):
            traceback.print_exc()
        print(f"convergent {options.command}: {error}", file=sys.stderr)
        return EXIT_FAILED
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        _print_result(result)
    return EXIT_FAILED if result.get("unfinished") else 0


def _print_result(result: dict[str, Any]) -> None:
    lines = dict(_lines(result))
    width = max((len(name) for name in lines), default=0)
    for name, text in lines.items():
        print(f"{name:<{width}}  {text}")


def _lines(result: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield names and texts; those of results within results have the outer name first."""
    for name, value in result.items():
        if not isinstance(value, dict):
            yield above + name, ", ".join(map(str, value)) if isinstance(value, list) else value
        elif set(value) == {"mean", "low", "high"}:
            yield above + name, "{mean:.3f} [{low:.3f}, {high:.3f}]".format(**value)
        else:
            yield from _lines(value, f"{above}{name} ")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="convergent",
        description="Do networks trained from different seeds learn the same thing, and where?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    stages = (add_train, _add_collect, _add_compare, _add_trajectory, _add_report)
    for add in (_add_demo, *stages, add_simulate, add_info):
        command = add(commands)
        command.add_argument("--json", action="store_true", help="print the result as JSON")
        command.add_argument("--quiet", action="store_true", help="show no progress")
    return parser


def _add_demo(commands: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo",
        help="train small networks on real digits, compare them, write a report",
        description="Train small ConvNets from several seeds on scikit-learn's 1,797 handwritten digits, compare "
        "them with every measure, and write report.html, summary.csv and intervals.csv. A second run goes on from what "
        "is there.",
    )
    parser.add_argument("--out", default="demo", metavar="DIR", help="study folder (default: demo)")
    parser.add_argument(
        "--seeds", type=count, default=4, metavar="N", help="number of networks (default: 4)"
    )
    _add_training_options(parser)
    add_workers(parser)
    parser.set_defaults(run=run_demo)
    return parser


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--epochs", type=count, default=12, metavar="N", help="default: 12")


def _add_collect(commands: Any) -> argparse.ArgumentParser:
    from convergent.study.folder import DEFAULT_TOP

    parser: argparse.ArgumentParser = commands.add_parser(
        "collect",
        help="collect activation statistics of a study's networks",
        description="Run the study's test images through all of its networks once and keep what the measures need.",
    )
    parser.add_argument("study", metavar="DIR", help="study folder with trained networks")
    parser.add_argument(
        "--layers",
        nargs="+",
        metavar="NAME",
        help="layers by name or pattern (default: after each ReLU)",
    )
    add_data(parser)
    parser.add_argument("--device", default="cpu", help="default: cpu")
    parser.add_argument("--top", type=count_or_none, default=DEFAULT_TOP, metavar="N",
                        help="image patches to keep of each unit, 0 for none (default: %(default)s)")  # fmt: skip
    parser.set_defaults(run=run_collect)
    return parser


def _add_compare(commands: Any) -> argparse.ArgumentParser:
    from convergent.measures.matching_similarity import CONVENTIONS
    from convergent.study.settings import EPSILONS, MEASURES, PENALTIES, CompareSettings

    parser: argparse.ArgumentParser = commands.add_parser(
        "compare",
        help="compare the networks of a study, or arrays of activations",
        description="Compare networks with every measure: those of a study folder, or activations from .npy files "
        "(examples x units) or .npz files (one array a layer, the same names in each file; an array 'labels' holds "
        "the examples' classes).",
    )
    parser.add_argument("inputs", nargs="+", metavar="DIR|FILE", help="one study folder, or files")
    parser.add_argument("--out", metavar="DIR", help="where to write; required for files")
    parser.add_argument("--measures", nargs="+", choices=MEASURES, default=list(MEASURES), metavar="NAME",
                        help=f"of: {', '.join(MEASURES)} (default: all)")  # fmt: skip
    parser.add_argument("--epsilons", nargs="+", type=float, default=list(EPSILONS), metavar="E",
                        help="relative residuals of the maximum match and of the simple matches")  # fmt: skip
    parser.add_argument("--convention", choices=CONVENTIONS, default=CONVENTIONS[0],
                        help="examples of the maximum match: all, or draws of positions (default: all)")  # fmt: skip
    parser.add_argument("--orders", type=count, default=CompareSettings().n_orders, metavar="N",
                        help="random orders in which simple matches are searched (default: %(default)s)")  # fmt: skip
    parser.add_argument("--penalties", nargs="+", type=float, default=list(PENALTIES), metavar="P",
                        help="L1 penalties of the sparse maps (default: 0, 1e-5 to 1e-1)")  # fmt: skip
    parser.add_argument("--penalty", type=float, default=CompareSettings().penalty, metavar="P",
                        help="L1 penalty of the maps that trees and figures show (default: %(default).4g)")  # fmt: skip
    parser.add_argument("--groups", type=count, metavar="K",
                        help="groups of units to begin with (default: from the eigenvalues)")  # fmt: skip
    parser.add_argument("--features", type=count, default=50, metavar="K",
                        help="dimensions of the shared response (default: 50)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--threads", type=count, metavar="N",
                        help="default: all processors; workers divide them")  # fmt: skip
    add_workers(parser)
    parser.set_defaults(run=run_compare)
    return parser


def _add_trajectory(commands: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        "trajectory",
        help="compare a study's networks at each checkpoint of their training",
        description="At each epoch with a checkpoint, ask how well one shared space makes the networks agree on what "
        "they have learnt at the end. Needs collected statistics; takes the settings of the comparison. Resumes.",
    )
    parser.add_argument("study", metavar="DIR", help="study folder with networks and statistics")
    add_data(parser)
    parser.add_argument("--device", default="cpu", help="default: cpu")
    parser.add_argument("--threads", type=count, metavar="N", help="default: all processors")
    parser.set_defaults(run=run_trajectory)
    return parser


def _add_report(commands: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        "report",
        help="write a study's report.html, summary.csv and intervals.csv",
        description="Write report.html, summary.csv and intervals.csv from a study's results.",
    )
    parser.add_argument("study", metavar="DIR", help="study folder with results")
    parser.set_defaults(run=run_report)
    return parser


# The stages are imported when they run: `convergent info` needs neither torch nor matplotlib.


def run_demo(options: argparse.Namespace) -> dict[str, Any]:
    """Train, collect, compare, follow the training and report on the embedded digits."""
    from convergent import pipeline

    if options.seeds < 2:
        raise BadArguments(
            f"--seeds must be at least 2 to have something to compare, got {options.seeds}"
        )
    with _progress(options) as progress:
        seeds = range(options.seeds)
        pipeline.train(options.out, seeds, epochs=options.epochs, progress=progress)
        pipeline.collect(options.out, seeds=seeds, progress=progress)
        compared = pipeline.compare(
            options.out, n_workers=options.workers, scheduler=options.scheduler, progress=progress
        )
        pipeline.trajectory(options.out, progress=progress)
        return {**pipeline.report(options.out), **_lost(compared)}


def _lost(compared: dict[str, Any]) -> dict[str, Any]:
    return {"unfinished": compared["unfinished"]} if compared["unfinished"] else {}


def run_collect(options: argparse.Namespace) -> dict[str, Any]:
    """Collect a study's statistics."""
    from convergent import pipeline

    with _progress(options) as progress:
        return pipeline.collect(
            options.study,
            layers=options.layers,
            data=options.data,
            device=options.device,
            n_top=options.top,
            progress=progress,
        )


def run_compare(options: argparse.Namespace) -> dict[str, Any]:
    """Compare a study's networks, or arrays."""
    from convergent import pipeline
    from convergent._storage import Location, place

    settings = _compare_settings(options)
    inputs = [place(path) for path in options.inputs]
    folders = [path for path in inputs if isinstance(path, Location) or path.is_dir()]
    with _progress(options) as progress:
        if folders:
            if len(inputs) > 1:
                raise BadArguments("give one study folder or several files, not both")
            if options.out is not None:
                raise BadArguments("--out goes with files; a study's results stay in its folder")
            return pipeline.compare(
                inputs[0],
                settings=settings,
                n_threads=options.threads,
                n_workers=options.workers,
                scheduler=options.scheduler,
                progress=progress,
            )
        if len(inputs) < 2:
            raise BadArguments(f"give a study folder or at least two files, got {inputs[0]}")
        if options.out is None:
            raise BadArguments("--out DIR is required to compare files")
        return pipeline.compare_files(
            options.inputs,
            options.out,
            settings=settings,
            n_threads=options.threads,
            n_workers=options.workers,
            scheduler=options.scheduler,
            progress=progress,
        )


def _compare_settings(options: argparse.Namespace) -> Any:
    from convergent.study.settings import CompareSettings

    try:
        return CompareSettings(
            measures=options.measures,
            epsilons=options.epsilons,
            convention=options.convention,
            n_orders=options.orders,
            penalties=options.penalties,
            penalty=options.penalty,
            n_groups=options.groups,
            n_features=options.features,
            seed=options.seed,
        )
    except ValueError as error:
        raise BadArguments(error) from error


def run_trajectory(options: argparse.Namespace) -> dict[str, Any]:
    """Compare a study's networks during their training."""
    from convergent import pipeline

    with _progress(options) as progress:
        return pipeline.trajectory(
            options.study,
            data=options.data,
            device=options.device,
            n_threads=options.threads,
            progress=progress,
        )


def run_report(options: argparse.Namespace) -> dict[str, Any]:
    """Write a study's page and table."""
    from convergent import pipeline

    return pipeline.report(options.study)


def _progress(options: argparse.Namespace) -> Any:
    from convergent.progress import progress

    return progress(quiet=options.quiet)


if __name__ == "__main__":
    sys.exit(main())
