"""``convergent simulate``: the simulation of Lu et al. (2018), Figure 2."""

from __future__ import annotations

import argparse
from typing import Any

from convergent.cli_arguments import BadArguments, count


def add_simulate(commands: Any) -> argparse.ArgumentParser:
    """Add the command."""
    from convergent.simulation.settings import ALGORITHMS, CONVENTIONS

    parser: argparse.ArgumentParser = commands.add_parser(
        "simulate",
        help="ask whether the shared response model finds transformations that are known",
        description="Train small networks on a toy task, transform copies of their hidden activations at random, and "
        "ask how well the shared response model aligns the copies again (Lu et al. 2018, Figure 2). Needs no data and "
        "no torch; a second run goes on from what is there.",
    )
    parser.add_argument("--out", default="simulation", metavar="DIR",
                        help="where to write (default: simulation)")  # fmt: skip
    parser.add_argument("--runs", type=count, default=50, metavar="N",
                        help="networks, each a run of its own (default: 50)")  # fmt: skip
    parser.add_argument("--copies", type=count, default=10, metavar="N",
                        help="copies of each network (default: 10)")  # fmt: skip
    parser.add_argument("--kind", choices=["orthogonal", "permutation", "both"], default="both",
                        help="transformations (default: both)")  # fmt: skip
    parser.add_argument("--noise", type=float, default=0.0, metavar="SD",
                        help="noise on the copies, in standard deviations of the activations (default: 0)")  # fmt: skip
    parser.add_argument("--features", type=count, metavar="K",
                        help="dimensions of the shared response (default: 50, the networks' units)")  # fmt: skip
    parser.add_argument("--convention", choices=CONVENTIONS, default=CONVENTIONS[0],
                        help="how to fit and compare: as the paper defines it, or as the authors' program does, "
                        "with ten iterations of the probabilistic model, Pearson similarities and Kendall's tau; "
                        "default: paper")  # fmt: skip
    parser.add_argument("--algorithm", choices=ALGORITHMS,
                        help="of the shared response model (default: the convention's)")  # fmt: skip
    parser.add_argument("--center", action="store_true", help="remove each unit's mean first")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--threads", type=count, metavar="N", help="default: all processors")
    parser.set_defaults(run=run_simulate)
    return parser


def run_simulate(options: argparse.Namespace) -> dict[str, Any]:
    """Run the simulations and write what they found."""
    from convergent.progress import progress
    from convergent.simulation.copies import KINDS
    from convergent.simulation.settings import SimulationSettings
    from convergent.simulation.xor import N_UNITS
    from convergent.simulation_files import simulate_to_files

    if options.features is not None and options.features > N_UNITS:
        raise BadArguments(f"--features must be at most {N_UNITS}, got {options.features}")
    kinds = KINDS if options.kind == "both" else (options.kind,)
    try:
        settings = [
            SimulationSettings.of(
                kind=kind,
                n_copies=options.copies,
                noise=options.noise,
                n_features=options.features,
                convention=options.convention,
                algorithm=options.algorithm,
                center=options.center,
                seed=options.seed,
            )
            for kind in kinds
        ]
    except ValueError as error:
        raise BadArguments(error) from error
    with progress(quiet=options.quiet) as report:
        return simulate_to_files(
            options.out, settings, options.runs, n_threads=options.threads, progress=report
        )
