"""Sparse maps of Li et al. (2016), Section 4, as the definitions read: one weight after the other, step by step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def correlations(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return corr(x, x) and corr(x, y), 0 for constant units."""
    return standardised(x).T @ standardised(x) / len(x), standardised(x).T @ standardised(y) / len(
        x
    )


def standardised(x: Floats) -> Floats:
    """Return units of mean 0 and variance 1; constant ones are 0."""
    constant = (x == x[0]).all(axis=0)
    centred = np.where(constant, 0.0, x - x.mean(axis=0))
    return centred / np.where(constant, 1.0, np.sqrt((centred**2).mean(axis=0)))


def objective(w: Floats, c_xx: Floats, c: Floats, alpha: float) -> float:
    """Half of the mean squared error of one target and its penalty."""
    return float(0.5 * (1 - 2 * w @ c + w @ c_xx @ w) + alpha * np.abs(w).sum())


def coordinate_descent(c_xx: Floats, c: Floats, alpha: float, tolerance: float = 1e-13) -> Floats:
    """Minimise over one weight after the other until none moves, or a thousand times."""
    w = np.zeros(len(c))
    for _ in range(1000):
        moved = 0.0
        for j in range(len(c)):
            if c_xx[j, j] == 0:
                continue
            pull = c[j] - c_xx[j] @ w + c_xx[j, j] * w[j]
            new = np.sign(pull) * max(abs(pull) - alpha, 0.0) / c_xx[j, j]
            moved = max(moved, abs(new - w[j]))
            w[j] = new
        if moved <= tolerance:
            break
    return w


def duality_gap(w: Floats, c_xx: Floats, c: Floats, alpha: float) -> float:
    """The objective less that of the residual, scaled to be feasible in the dual."""
    residual = c - c_xx @ w
    squares = 1 - 2 * w @ c + w @ c_xx @ w
    scale = min(1.0, alpha / max(np.abs(residual).max(), 1e-300))
    dual = scale * (1 - w @ c) - 0.5 * scale**2 * squares
    return objective(w, c_xx, c, alpha) - float(dual)


def paper_descent(c_xx: Floats, c_xy: Floats, penalty: float, start: Floats) -> Floats:
    """4,501 steps: rate .001 halved every 1,500, momentum .98, subgradient penalty * sign(W)."""
    w, velocity = start.copy(), np.zeros_like(start)
    for step in range(4501):
        rate = 0.001 * 0.5 ** (step // 1500)
        gradient = (w @ c_xx - c_xy.T) / c_xy.shape[1] + penalty * np.sign(w)
        velocity = 0.98 * velocity - rate * gradient
        w = w + velocity
    return w
