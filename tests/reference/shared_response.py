"""The deterministic shared response model, letter by letter, on the examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def objective(networks: Sequence[Matrix], weights: Sequence[Matrix], shared: Matrix) -> float:
    total = 0.0
    for x, w in zip(networks, weights):
        total += float(np.sum((x - shared @ w.T) ** 2))
    return total


def shared_response(networks: Sequence[Matrix], weights: Sequence[Matrix]) -> Matrix:
    shared = np.zeros((networks[0].shape[0], weights[0].shape[1]))
    for x, w in zip(networks, weights):
        shared = shared + x @ w
    return shared / len(networks)


def procrustes(a: Matrix) -> Matrix:
    u, _, vt = np.linalg.svd(a, full_matrices=False)
    result: Matrix = u @ vt
    return result


def fit(
    networks: Sequence[Matrix],
    start: Sequence[Matrix],
    n_iter: int,
    *,
    center: bool = True,
    diagonal: float = 0.0,
) -> tuple[list[Matrix], Matrix, list[float]]:
    """Return weights, shared response and the objective of the start and of every iteration."""
    data = [np.asarray(x, dtype=np.float64) for x in networks]
    if center:
        data = [x - x.mean(axis=0) for x in data]
    weights = [np.asarray(w, dtype=np.float64) for w in start]
    shared = shared_response(data, weights)
    history = [objective(data, weights, shared)]
    for _ in range(n_iter):
        for i, x in enumerate(data):
            a = x.T @ shared
            for j in range(a.shape[1]):
                a[j, j] += diagonal
            weights[i] = procrustes(a)
        shared = shared_response(data, weights)
        history.append(objective(data, weights, shared))
    return weights, shared, history
