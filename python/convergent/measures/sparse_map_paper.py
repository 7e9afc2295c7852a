"""The gradient descent by which Li et al. (2016) found their sparse maps, on expected gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from convergent import _validate
from convergent.measures.sparse_map_input import MapProblem

Matrix = NDArray[np.float64]

N_STEPS = 4501
RATE = 0.001
HALVED_EVERY = 1500
MOMENTUM = 0.98
START_DEVIATION = 0.01
SIGNIFICANT = 3e-5


def paper_start(problem: MapProblem, start: Any, seed: int) -> Matrix:
    """Return the weights to start from, 0 for dead units: `start`, or random ones of the right scale."""
    n_y, n_x = problem.c_yx.shape
    alive = np.outer(~problem.dead_y, ~problem.dead_x)
    if start is not None:
        weights = _validate.matrix(start, "start").astype(np.float64)
        if weights.shape != (n_y, n_x):
            raise ValueError(
                f"`start` must have shape (n_y, n_x) = {(n_y, n_x)}, got {weights.shape}"
            )
        return np.where(alive, weights, 0.0)
    drawn = np.random.default_rng(seed).normal(0.0, START_DEVIATION, (n_y, n_x))
    weights = np.where(alive, drawn, 0.0)
    output = float(np.einsum("ij,ij->", weights @ problem.c_xx, weights))
    n_targets = np.count_nonzero(~problem.dead_y)
    return weights * np.sqrt(n_targets / output) if output > 0.0 else weights


def paper_descent(problem: MapProblem, penalty: float, start: Matrix) -> Matrix:
    """Return the weights after the paper's 4,501 steps; rows are targets."""
    n_targets = problem.c_yx.shape[0]
    refuse_divergence(problem)
    weights, velocity = start.copy(), np.zeros_like(start)
    gradient, signs = np.empty_like(start), np.empty_like(start)
    for step in range(N_STEPS):
        np.matmul(weights, problem.c_xx, out=gradient)
        gradient -= problem.c_yx
        gradient /= n_targets
        gradient += np.multiply(np.sign(weights, out=signs), penalty, out=signs)
        gradient *= RATE * 0.5 ** (step // HALVED_EVERY)
        velocity *= MOMENTUM
        velocity -= gradient
        weights += velocity
    return weights


def refuse_divergence(problem: MapProblem) -> None:
    """Raise ValueError if the descent is unstable: rate * curvature >= 2 (1 + momentum)."""
    n_targets, n_x = problem.c_yx.shape
    if RATE * n_x < 2.0 * (1.0 + MOMENTUM) * n_targets:
        return
    last = n_x - 1
    steepest = scipy.linalg.eigvalsh(problem.c_xx, subset_by_index=(last, last))[0]
    if RATE * steepest >= 2.0 * (1.0 + MOMENTUM) * n_targets:
        raise ValueError(
            "`convention` must be 'lasso' here: the paper's descent diverges where c_xx has an "
            f"eigenvalue above {2.0 * (1.0 + MOMENTUM) / RATE:.0f} for each target, got "
            f"{steepest:.6g} for {n_targets} targets"
        )
