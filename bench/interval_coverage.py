"""How often intervals hold the true value: ``python -m bench.interval_coverage [N_SIMULATIONS]``.

Prints the tables of docs/measures.md. 4,000 simulations take some minutes on one processor.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np

import convergent as cv
from tests.reference import interval_problems as problems

LEVELS = (0.95, 0.8)
METHODS = ("studentised", "t", "expanded", "percentile")


def main() -> None:
    """Print all tables."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000
    print("### Mean of independent values\n")
    _header("values", METHODS)
    for kind in problems.VALUES:
        for size in (3, 5, 10, 50):
            _row(f"{kind}, {size}", [_values(kind, size, method) for method in METHODS], n)
    print("\n### Median of independent values\n")
    _header("values", ("expanded", "percentile"))
    for kind in problems.VALUES[:1]:
        for size in (5, 10, 50):
            makers = [_median(size, method) for method in ("expanded", "percentile")]
            _row(f"{kind}, {size}", makers, n)
    print("\n### Mean over pairs of networks\n")
    _header("pairs", (*METHODS, "pairs, percentile"))
    for kind in problems.PAIRS:
        for size in (3, 4, 5, 10, 20):
            makers = [_pairs(kind, size, method) for method in METHODS]
            makers.append(_pairs(kind, size, "percentile", over="pairs"))
            _row(f"{kind}, {size} networks", makers, n)
    print("\n### Statistics over examples\n")
    columns = [(d, m) for d in ("copies", "halves") for m in ("expanded", "percentile")]
    _header("statistic", [f"{draw}, {method}" for draw, method in columns])
    for size in (20, 50, 200):
        for correlation in (0.0, 0.9):
            makers = [_correlation(size, correlation, *column) for column in columns]
            _row(f"correlation {correlation:g}, {size} examples", makers, n // 4)
    for name, statistic in (("RSA", rsa), ("CKA", cv.cka)):
        truth = float(statistic(*problems.two_networks(4_000, np.random.default_rng(1))))
        for size in (25, 60, 200):
            makers = [_network_statistic(size, statistic, truth, *column) for column in columns]
            _row(f"{name}, {size} examples", makers, n // 10)


Simulation = Callable[[int, float], tuple[cv.Interval, float]]
"""Takes a seed and a level, returns an interval and the true value."""


def _values(kind: str, size: int, method: str) -> Simulation:
    def once(seed: int, level: float) -> tuple[cv.Interval, float]:
        values, truth = problems.values(kind, size, np.random.default_rng([seed, size]))
        return cv.bootstrap_values(values, level=level, method=method, seed=seed), truth

    return once


def _median(size: int, method: str) -> Simulation:
    def once(seed: int, level: float) -> tuple[cv.Interval, float]:
        values = np.random.default_rng([seed, size]).standard_normal(size)
        interval = cv.bootstrap_values(
            values, statistic="median", level=level, method=method, seed=seed
        )
        return interval, 0.0

    return once


def _pairs(kind: str, size: int, method: str, over: str = "networks") -> Simulation:
    def once(seed: int, level: float) -> tuple[cv.Interval, float]:
        matrix, truth = problems.pairs(kind, size, np.random.default_rng([seed, size]))
        interval = cv.bootstrap_pairs(matrix, over=over, level=level, method=method, seed=seed)
        return interval, truth

    return once


def _correlation(size: int, correlation: float, draw: str, method: str) -> Simulation:
    def once(seed: int, level: float) -> tuple[cv.Interval, float]:
        x = problems.two_units(size, correlation, np.random.default_rng([seed, size]))
        interval = cv.bootstrap_examples(
            pearson, [x], draw=draw, method=method, level=level, n_resamples=500, seed=seed, n_threads=1
        )  # fmt: skip
        return interval, correlation

    return once


def _network_statistic(
    size: int, statistic: Callable[..., float], truth: float, draw: str, method: str
) -> Simulation:
    def once(seed: int, level: float) -> tuple[cv.Interval, float]:
        networks = problems.two_networks(size, np.random.default_rng([seed, size]))
        interval = cv.bootstrap_examples(
            statistic, networks, draw=draw, method=method, level=level, n_resamples=200, seed=seed, n_threads=1
        )  # fmt: skip
        return interval, truth

    return once


def pearson(x: np.ndarray) -> float:
    """Correlation of two units."""
    a, b = (x - x.mean(axis=0)).T
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def rsa(x: np.ndarray, y: np.ndarray) -> float:
    """Correlation of the two networks' RSMs."""
    return cv.rsm_agreement(cv.rsm(x), cv.rsm(y))


def _header(first: str, columns: Sequence[str]) -> None:
    print(f"| {first} | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")


def _row(title: str, simulations: Sequence[Simulation], n: int) -> None:
    cells = []
    for simulation in simulations:
        shares = []
        for level in LEVELS:
            found = [simulation(seed, level) for seed in range(n)]
            held = np.mean([interval.low <= truth <= interval.high for interval, truth in found])
            shares.append(f"{100 * held:.1f}")
        cells.append(" / ".join(shares))
    print(f"| {title} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
