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
USUAL = ("uniform", "correlations", "noisy correlations")
LOW_RANK = ("a_i b_j", "|a_i - b_j|")
BANDWIDTH = 12e9  # bytes a second that one core of a common server reads from memory


def run(session: Session) -> None:
    """Race on what similarity matrices look like, and on what solvers stumble over."""
    peers = optional_peers()
    for n in (512, 1024, 2048, 4096):
        for name in USUAL:
            runs = session.runs if n < 4096 else min(session.runs, 3)
            race(session, f"assignment, {name}, n = {n}", usual_costs(name, n), peers, runs=runs)
    single = usual_costs("uniform", 2048).astype(np.float32)
    race(session, "assignment, uniform in single precision, n = 2048", single, peers, runs=3)
    for n in (1024, 2048):
        for name, costs in adversarial_costs(n).items():
            able = dict(peers)
            if name in LOW_RANK:
                if n > 1024 and not session.long:
                    print(f"  {name}, n = {n}, takes peers minutes: only in a long session")
                    continue
                if able.pop("lapjv", None):
                    print(f"  lapjv is left out of {name}: its row reduction takes half a minute")
            race(session, f"assignment, {name}, n = {n}", costs, able, runs=3)
    if session.long:
        race_large(session, peers)


def race_large(session: Session, peers: dict[str, Solver]) -> None:
    """Race on matrices of 2 GiB against the fastest peer, once: a peer takes a quarter minute."""
    n = 16384
    fastest = {"lapjv": peers["lapjv"]} if "lapjv" in peers else {"scipy": scipy_columns}
    for name in ("uniform", "correlations"):
        costs = usual_costs(name, n)
        race(session, f"assignment, {name}, n = {n}", costs, fastest, usual=False, warm_up=False)


def race(
    session: Session,
    title: str,
    costs: Costs,
    peers: dict[str, Solver],
    *,
    runs: int | None = None,
    usual: bool = True,
    warm_up: bool = True,
) -> None:
    """Race one problem; totals equal, and our duals prove them."""
    every = np.arange(costs.shape[0])

    def total(columns: NDArray[np.intp]) -> float:
        return float(costs[every, columns].sum(dtype=np.float64))

    def check(ours: NDArray[np.intp], theirs: NDArray[np.intp]) -> None:
        # Ours is proved least; lapjv compares with a tolerance and ends 3e-9 above on a_i b_j.
        excess = (total(theirs) - total(ours)) / max(1.0, abs(total(ours)))
        assert -1e-11 <= excess <= 1e-7, excess

    assert_certificate(costs)
    solvers: dict[str, Solver] = {
        "convergent": lambda matrix: cv.assign(matrix)[1],
        **({"scipy": scipy_columns} if usual else {}),
        **peers,
    }
    contenders = {name: partial(solver, costs) for name, solver in solvers.items()}
    dense_pass = costs.nbytes / BANDWIDTH * 1e3
    limit = f"{dense_pass:.2f} ms a dense pass ({BANDWIDTH / 1e9:.0f} GB/s); two where few rows are sure"
    session.race(title, contenders, check, runs=runs, warm_up=warm_up, limit=limit)


def assert_certificate(costs: Costs) -> None:
    """Assert that no assignment costs less: the duals are feasible and add up to the total."""
    rows, columns, u, v = cv.assign(costs, return_duals=True)
    tolerance = 1e-12 * costs.shape[0] * max(float(costs.max()), -float(costs.min()))
    for first in range(0, costs.shape[0], 256):
        part = slice(first, first + 256)
        assert (costs[part] - u[part, None] - v).min() >= -tolerance
    total = float(costs[rows, columns].sum(dtype=np.float64))
    assert abs(u.sum() + v.sum() - total) <= tolerance


def scipy_columns(costs: Costs) -> NDArray[np.intp]:
    """Return SciPy's columns."""
    return np.asarray(linear_sum_assignment(costs)[1], dtype=np.intp)


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


def usual_costs(name: str, n: int) -> Costs:
    """Return costs as they come: without structure, or negative correlations of two networks."""
    rng = np.random.default_rng(n)
    if name == "uniform":
        return rng.random((n, n))
    order = rng.permutation(n)
    if name == "noisy correlations":
        few = rng.standard_normal((200, n))
        return -pearson(few, 0.3 * few[:, order] + rng.standard_normal((200, n)))
    mixing = rng.standard_normal((64, n)) * (rng.random((64, n)) < 0.1)
    sources = rng.standard_normal((4000, 64))
    x = np.maximum(sources @ mixing + 0.6 * rng.standard_normal((4000, n)), 0.0)
    y = np.maximum(sources @ mixing[:, order] + 0.6 * rng.standard_normal((4000, n)), 0.0)
    return -pearson(x, y)


def adversarial_costs(n: int) -> dict[str, Costs]:
    """Return costs with ties, dead and duplicated units, or of which all rows want the same."""
    rng = np.random.default_rng(n)
    a, b = rng.random(n), rng.random(n)
    noisy = usual_costs("noisy correlations", n)
    dead = noisy.copy()
    dead[rng.random(n) < 0.3] = 0.0
    dead[:, rng.random(n) < 0.3] = 0.0
    wanted = rng.random((n, n))
    wanted[:, 0] -= 1.0
    return {
        "constant": np.full((n, n), 0.5),
        "whole numbers 0 to 3": rng.integers(0, 4, (n, n)).astype(np.float64),
        "one column wanted by all": wanted,
        "dead units": dead,
        "duplicated units": noisy[rng.integers(0, n // 4, n)][:, rng.integers(0, n // 4, n)],
        "blocks of equal units": np.repeat(np.repeat(wanted[::8, ::8], 8, axis=0), 8, axis=1),
        "a_i b_j": np.outer(a, b),
        "|a_i - b_j|": np.abs(a[:, None] - b),
    }


def pearson(x: Costs, y: Costs) -> Costs:
    """Return Pearson correlations of columns."""
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    return np.asarray(x.T @ y / x.shape[0])
