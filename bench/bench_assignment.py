"""Exact assignment: against SciPy, lapjv and lapx."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

import convergent as cv
from bench.harness import Session

Costs = NDArray[Any]
Solver = Callable[[Costs], NDArray[np.intp]]
BANDWIDTH = 12e9  # bytes a second that one core of a common server reads from memory


def run(session: Session) -> None:
    """Race on what similarity matrices look like, and on what solvers stumble over."""
    peers = optional_peers()
    for n in (512, 1024, 2048):
        for name, costs in usual_costs(n).items():
            race(session, f"assignment, {name}, n = {n}", costs, peers)
    for name, costs in adversarial_costs(1024).items():
        if name == "|a_i - b_j|" and peers.pop("lapjv", None):
            print(f"  lapjv is left out of {name}: its row reduction takes half a minute")
        race(session, f"assignment, {name}, n = 1024", costs, peers, runs=3)


def race(
    session: Session, title: str, costs: Costs, peers: dict[str, Solver], runs: int | None = None
) -> None:
    """Race one problem; totals equal, and our duals prove them."""
    every = np.arange(costs.shape[0])

    def total(columns: NDArray[np.intp]) -> float:
        return float(costs[every, columns].sum())

    def check(ours: NDArray[np.intp], theirs: NDArray[np.intp]) -> None:
        # Ours is proved least; lapjv compares with a tolerance and ends 3e-9 above on a_i b_j.
        excess = (total(theirs) - total(ours)) / max(1.0, abs(total(ours)))
        assert -1e-11 <= excess <= 1e-7, excess

    assert_certificate(costs)
    solvers: dict[str, Solver] = {
        "convergent": lambda matrix: cv.assign(matrix)[1],
        "scipy": lambda matrix: linear_sum_assignment(matrix)[1],
        **peers,
    }
    contenders = {name: partial(solver, costs) for name, solver in solvers.items()}
    dense_pass = costs.nbytes / BANDWIDTH * 1e3
    limit = f"{dense_pass:.2f} ms a dense pass ({BANDWIDTH / 1e9:.0f} GB/s); two at least"
    session.race(title, contenders, check, runs=runs, limit=limit)


def assert_certificate(costs: Costs) -> None:
    """Assert that no assignment costs less: the duals are feasible and add up to the total."""
    rows, columns, u, v = cv.assign(costs, return_duals=True)
    tolerance = 1e-12 * costs.shape[0] * float(np.abs(costs).max())
    assert (costs - u[:, None] - v).min() >= -tolerance
    assert abs(u.sum() + v.sum() - costs[rows, columns].sum()) <= tolerance


def optional_peers() -> dict[str, Solver]:
    """Return the peers that are installed."""
    readers: dict[str, tuple[str, str, int]] = {
        "lapjv": ("lapjv", "lapjv", 0),
        "lapx": ("lap", "lapjv", 1),
    }
    peers: dict[str, Solver] = {}
    for name, (module_name, function, position) in readers.items():
        try:
            solver = getattr(importlib.import_module(module_name), function)
        except ImportError:
            print(f"  {name} is not installed: left out")
            continue
        peers[name] = partial(columns_of_peer, solver, position)
    return peers


def columns_of_peer(
    solver: Callable[[Costs], Any], position: int, costs: Costs
) -> NDArray[np.intp]:
    """Return the columns out of a peer's answer."""
    return np.asarray(solver(costs)[position], dtype=np.intp)


def usual_costs(n: int) -> dict[str, Costs]:
    """Return costs as they come: without structure, and negative correlations of two networks."""
    rng = np.random.default_rng(n)
    mixing = rng.standard_normal((64, n)) * (rng.random((64, n)) < 0.1)
    sources = rng.standard_normal((4000, 64))
    order = rng.permutation(n)
    x = np.maximum(sources @ mixing + 0.6 * rng.standard_normal((4000, n)), 0.0)
    y = np.maximum(sources @ mixing[:, order] + 0.6 * rng.standard_normal((4000, n)), 0.0)
    few = rng.standard_normal((200, n))
    noisy = 0.3 * few[:, order] + rng.standard_normal((200, n))
    return {
        "uniform": rng.random((n, n)),
        "correlations": -pearson(x, y),
        "noisy correlations": -pearson(few, noisy),
    }


def adversarial_costs(n: int) -> dict[str, Costs]:
    """Return costs with ties, and of low rank, in which all rows want the same columns."""
    rng = np.random.default_rng(n)
    a, b = rng.random(n), rng.random(n)
    return {
        "constant": np.full((n, n), 0.5),
        "whole numbers 0 to 3": rng.integers(0, 4, (n, n)).astype(np.float64),
        "a_i b_j": np.outer(a, b),
        "|a_i - b_j|": np.abs(a[:, None] - b),
    }


def pearson(x: Costs, y: Costs) -> Costs:
    """Return Pearson correlations of columns."""
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    return np.asarray(x.T @ y / x.shape[0])
