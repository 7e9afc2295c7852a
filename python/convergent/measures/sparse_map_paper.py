"""The gradient descent by which Li et al. (2016) found their sparse maps, on expected gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _core, _validate
from convergent.measures.sparse_map_input import MapProblem

Matrix = NDArray[np.float64]

RATE = 0.001
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


def paper_descent(problem: MapProblem, penalty: float, start: Matrix, n_threads: int) -> Matrix:
    """Return the weights after the paper's 4,501 steps; rows are targets."""
    return _core.kernels.paper_descent(problem.c_xx, problem.c_yx, penalty, start, n_threads)


def refuse_divergence(problem: MapProblem) -> None:
    """Raise ValueError if the descent is unstable: rate * curvature >= 2 (1 + momentum)."""
    n_targets = problem.c_yx.shape[0]
    bound = 2.0 * (1.0 + MOMENTUM) / RATE
    row_sums = np.abs(problem.c_xx).sum(axis=1)
    if row_sums.max() < bound * n_targets:  # no eigenvalue is larger
        return
    from scipy.sparse.linalg import eigsh

    found = eigsh(problem.c_xx, k=1, v0=row_sums, return_eigenvectors=False)
    if found[0] >= bound * n_targets:
        raise ValueError(
            "`convention` must be 'lasso' here: the paper's descent diverges where c_xx has an "
            f"eigenvalue above {bound:.0f} for each target, got {found[0]:.6g} for {n_targets}"
        )
