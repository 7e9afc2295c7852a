"""The simulation of Lu et al. (2018), Figure 2: docs/gallery_shared_simulation.md.

``python -m bench.gallery_simulation [--work DIR] [--figures DIR] [--runs N] [--threads N]``. Networks are trained here;
reference networks are compared, too, where $CONVERGENT_SHARED/golden has their hidden activations. Runs are
kept in the work folder: a second call only draws, and one that was stopped goes on.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

import convergent as cv
from convergent.report import figures

ROOT = Path(__file__).resolve().parents[1]
DPI = 110
KINDS = ("orthogonal", "permutation")
NOISES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
NOISE_RUNS = 20
FEATURES = (2, 3, 5, 10, 20)
WAYS: dict[str, dict[str, Any]] = {
    "as defined": {},
    "as defined, means removed": {"center": True},
    "Pearson similarities": {"rsm_kind": "pearson"},
    "authors' program, deterministic": {"convention": "authors", "algorithm": "deterministic"},
    "authors' program": {"convention": "authors"},
    "authors' program, cosine similarities": {"convention": "authors", "rsm_kind": "cosine"},
}
QUANTITIES = ("linear_shared", "rank_shared", "linear_native", "rank_native")


def golden_activations() -> list[tuple[Any, Any]] | None:
    """Return train and test activations of the reference networks, or None where they are not."""
    shared = Path(os.environ.get("CONVERGENT_SHARED", ROOT / ".." / "shared"))
    path = shared / "golden" / "srm_xor_hidden.npz"
    if not path.exists():
        return None
    with np.load(path) as arrays:
        pairs = zip(arrays["train"].astype(float), arrays["test"].astype(float))
        return [(train.T, test.T) for train, test in pairs]


class Simulations:
    """Simulations of one length, each in a folder of its own."""

    def __init__(self, work: Path, n_runs: int, n_threads: int) -> None:
        self._work, self._n_runs, self._n_threads = work, n_runs, n_threads
        self._golden = golden_activations()

    @property
    def sources(self) -> list[str]:
        """Where activations come from: networks trained here, and before."""
        return ["ours", "reference"] if self._golden is not None else ["ours"]

    def of(self, source: str, n_runs: int | None = None, **settings: Any) -> cv.Simulation:
        """Run a simulation, or read what is there of it."""
        n_runs = min(n_runs or self._n_runs, self._n_runs)
        name = "-".join(f"{key}={value}" for key, value in sorted(settings.items()))
        return cv.simulate(
            n_runs,
            activations=self._golden if source == "reference" else None,
            out=self._work / source / name,
            n_threads=self._n_threads,
            **settings,
        )


def print_row(name: str, found: cv.Simulation) -> None:
    """Print means and intervals of one simulation."""
    cells = []
    for quantity in QUANTITIES:
        interval = found.interval(quantity)
        cells.append(f"{interval.estimate:.3f} ({interval.low:.3f} to {interval.high:.3f})")
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def print_tables(simulations: Simulations) -> None:
    """Print the page's tables."""
    print("| | shared, linear | shared, rank | native, linear | native, rank |")
    for kind in KINDS:
        for source in simulations.sources:
            for name, settings in WAYS.items():
                print_row(
                    f"{kind}, {source}, {name}", simulations.of(source, kind=kind, **settings)
                )
    for kind in KINDS:
        for k in FEATURES:
            print_row(f"{kind}, {k} features", simulations.of("ours", kind=kind, n_features=k))
        for noise in NOISES:
            found = simulations.of("ours", NOISE_RUNS, kind=kind, noise=noise)
            print_row(f"{kind}, noise {noise:g}", found)


def print_remedy(n_runs: int) -> None:
    """Print what the authors' program finds once it removes the means that its fit has removed."""
    for kind in KINDS:
        found = [_remedied(cv.xor_activations(seed), kind, seed) for seed in range(n_runs)]
        for name, values in zip(("pearson", "cosine"), np.mean(found, axis=0)):
            linear, rank = values
            print(f"{kind}, authors' program, means removed, {name}: {linear:.4f}, {rank:.4f}")


def _remedied(network: cv.XorActivations, kind: str, seed: int) -> list[tuple[float, float]]:
    both = np.concatenate([network.train, network.test])
    copies = cv.rotated_copies(both, kind=kind, seed=seed)
    aligned = [copy[: len(network.train)] for copy in copies]
    model = cv.SharedResponseModel(
        both.shape[1], algorithm="probabilistic", convention="brainiak", start="random",
        max_iter=10, tol=0.0, seed=seed,
    ).fit(aligned)  # fmt: skip
    test = [copy[len(x) :] - x.mean(axis=0) for copy, x in zip(copies, aligned)]
    shared = [x @ weights for x, weights in zip(test, model.weights_)]
    found = []
    for kind_of_rsm in ("pearson", "cosine"):
        within = np.mean([cv.rsm(x, kind_of_rsm) for x in test], axis=0)
        between = cv.inter_rsm(shared, kind=kind_of_rsm, convention="leave-one-out")
        linear, rank = (
            cv.rsm_agreement(between, within, method=method, entries="all")
            for method in ("linear", "kendall")
        )
        found.append((linear, rank))
    return found


def draw(simulations: Simulations, folder: Path) -> None:
    """Draw the page's figures."""
    both = [simulations.of("ours", kind=kind) for kind in KINDS]
    noisy = [
        simulations.of("ours", NOISE_RUNS, kind=kind, noise=noise)
        for kind in KINDS
        for noise in NOISES
    ]
    drawn = {
        "agreement": figures.simulation_bars(both),
        "rsms_orthogonal": figures.simulation_rsms(both[0]),
        "rsms_permutation": figures.simulation_rsms(both[1]),
        "noise": figures.simulation_noise(noisy),
    }
    if "reference" in simulations.sources:
        theirs = [simulations.of("reference", kind=kind, convention="authors") for kind in KINDS]
        drawn["authors"] = figures.simulation_bars(theirs)
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        path = folder / f"simulation_{name}.png"
        figure.savefig(path, dpi=DPI)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Simulate, print the tables, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "gallery" / "simulation")
    parser.add_argument("--figures", type=Path, default=ROOT / "docs" / "gallery")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    simulations = Simulations(arguments.work, arguments.runs, arguments.threads)
    start = time.perf_counter()
    accuracy = simulations.of("ours", kind=KINDS[0]).test_accuracy
    if accuracy is not None:
        print(f"test accuracy {accuracy.mean():.4f}, lowest {accuracy.min():.3f}")
    print_tables(simulations)
    print_remedy(min(arguments.runs, NOISE_RUNS))
    draw(simulations, arguments.figures)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
