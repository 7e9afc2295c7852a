"""The shared response model beside the obvious NumPy forms."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

import convergent as cv
from bench.harness import Session

Matrix = NDArray[np.float64]

N_NETWORKS, N_EXAMPLES = 10, 5000


def draw_networks(n_units: int, seed: int = 0) -> list[Matrix]:
    """Networks that share forty directions of falling variance, with noise, means and a ReLU."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((N_EXAMPLES, 40)) / np.sqrt(np.arange(1, 41))
    return [
        np.maximum(
            shared @ rng.standard_normal((40, n_units))
            + 0.7 * rng.standard_normal((N_EXAMPLES, n_units)),
            0.0,
        )
        for _ in range(N_NETWORKS)
    ]


def numpy_srm(networks: list[Matrix], start: list[Matrix], n_iter: int) -> float:
    """The loop that one writes first: examples, np.linalg.svd; returns the objective."""
    data = [x - x.mean(axis=0) for x in networks]
    weights = list(start)
    for _ in range(n_iter):
        shared = np.mean([x @ w for x, w in zip(data, weights)], axis=0)
        for i, x in enumerate(data):
            u, _, vt = np.linalg.svd(x.T @ shared, full_matrices=False)
            weights[i] = u @ vt
    shared = np.mean([x @ w for x, w in zip(data, weights)], axis=0)
    return float(sum(np.sum((x - shared @ w.T) ** 2) for x, w in zip(data, weights)))


def numpy_until(networks: list[Matrix], start: list[Matrix], tol: float, most: int) -> float:
    """The same loop, run until the objective changes by less than tol twice running."""
    data = [x - x.mean(axis=0) for x in networks]
    total = sum(float(np.vdot(x, x)) for x in data)
    weights, before, quiet = list(start), np.inf, 0
    objective = before
    for _ in range(most):
        shared = np.mean([x @ w for x, w in zip(data, weights)], axis=0)
        objective = total - len(data) * float(np.vdot(shared, shared))
        quiet = quiet + 1 if abs(before - objective) <= tol * objective else 0
        if quiet == 2:
            break
        before = objective
        for i, x in enumerate(data):
            u, _, vt = np.linalg.svd(x.T @ shared, full_matrices=False)
            weights[i] = u @ vt
    return objective


def close(tolerance: float) -> Any:
    """Return a check that two numbers agree."""

    def check(ours: float, theirs: float) -> None:
        np.testing.assert_allclose(ours, theirs, rtol=tolerance)

    return check


def fit(networks: list[Matrix], k: int, **parameters: Any) -> float:
    """Return our objective."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.ConvergenceWarning)
        return cv.SharedResponseModel(k, **parameters).fit(networks).objective_


def race_same_start(session: Session, n_units: int, k: int, n_iter: int) -> None:
    """Race the plain alternation from the same start, and the objective that it reaches."""
    networks, rng = draw_networks(n_units), np.random.default_rng(1)
    start = [np.linalg.qr(rng.standard_normal((n_units, k)))[0] for _ in networks]
    same: dict[str, Any] = {"max_iter": n_iter, "tol": 0.0, "start": start, "extrapolate": False}
    flops = 4.0 * N_EXAMPLES * n_units * k * N_NETWORKS * n_iter / 1e9
    session.race(
        f"shared response, same start, {n_iter} plain iterations: {size_of(n_units, k)}",
        {
            "convergent": lambda: fit(networks, k, **same),
            "convergent, 1 thread": lambda: fit(networks, k, n_threads=1, **same),
            "NumPy, np.linalg.svd": lambda: numpy_srm(networks, start, n_iter),
        },
        close(1e-9),
        runs=min(session.runs, 3),
        limit=f"{flops:.0f} Gflop in matrix products on the examples",
    )


def race_to_tolerance(session: Session, n_units: int, k: int) -> None:
    """Race our defaults and the field's random start, each until it stops."""
    networks, rng = draw_networks(n_units), np.random.default_rng(1)
    start = [np.linalg.qr(rng.standard_normal((n_units, k)))[0] for _ in networks]
    session.race(
        f"shared response, until tol = 1e-6: {size_of(n_units, k)}",
        {
            "convergent": lambda: fit(networks, k, max_iter=300),
            "NumPy, random start": lambda: numpy_until(networks, start, 1e-6, 300),
        },
        close(1e-4),
        runs=min(session.runs, 3),
        limit="as above, per iteration; the answers agree to the stopping rule",
    )


def size_of(n_units: int, k: int) -> str:
    """Name the size of a problem."""
    return f"{N_NETWORKS} networks x {n_units} units x {N_EXAMPLES} examples, k = {k}"


def run(session: Session) -> None:
    """Run the races."""
    for n_units, k, n_iter in ((200, 20, 30), (200, 50, 30), (200, 200, 30), (512, 50, 5)):
        race_same_start(session, n_units, k, n_iter)
    for k in (20, 50):
        race_to_tolerance(session, 200, k)
