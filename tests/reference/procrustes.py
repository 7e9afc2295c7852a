"""Procrustes distances by the best orthogonal map itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def aligned(x: Matrix, y: Matrix) -> tuple[Matrix, Matrix]:
    """Centre, pad the narrower network with zeros, and turn the second one onto the first."""
    width = max(x.shape[1], y.shape[1])
    x, y = (np.pad(m - m.mean(axis=0), ((0, 0), (0, width - m.shape[1]))) for m in (x, y))
    u, _, vt = np.linalg.svd(y.T @ x)
    return x, y @ u @ vt


def similarity(x: Matrix, y: Matrix) -> float:
    x, turned = aligned(x, y)
    return float(np.sum(x * turned) / (np.linalg.norm(x) * np.linalg.norm(turned)))


def euclidean(x: Matrix, y: Matrix) -> float:
    x, turned = aligned(x, y)
    return float(np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(x, turned))))


def angular(x: Matrix, y: Matrix) -> float:
    return float(np.arccos(np.clip(similarity(x, y), -1.0, 1.0)))
