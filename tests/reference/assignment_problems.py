"""Costs that solvers of the assignment problem stumble over, and costs as they usually come."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[Any]

KINDS = (
    "uniform",
    "correlations",
    "noise",
    "dead",
    "duplicates",
    "blocks",
    "whole",
    "constant",
    "few rows vary",
    "one column for all",
    "few columns for all",
    "regular",
    "product",
    "distance",
    "one bit apart",
    "banded",
)


def pearson(x: Matrix, y: Matrix) -> Matrix:
    """Correlations of columns; zero where one is constant."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    norms = np.outer(np.linalg.norm(x, axis=0), np.linalg.norm(y, axis=0))
    correlations: Matrix = np.zeros(norms.shape)
    np.divide(x.T @ y, norms, out=correlations, where=norms > 0)
    return correlations


def networks(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Matrix:
    """Negative correlations of the units of two networks."""
    n = max(shape)
    x = rng.standard_normal((150, n))
    strength = 1.0 if kind == "correlations" else 0.3
    y = strength * x[:, rng.permutation(n)] + rng.standard_normal((150, n))
    if kind == "dead":
        x[:, rng.random(n) < 0.3] = 0.0
        y[:, rng.random(n) < 0.2] = 0.0
    if kind == "duplicates":
        x, y = x[:, rng.integers(0, n // 4, n)], y[:, rng.integers(0, n // 3, n)]
    return -pearson(x[:, : shape[0]], y[:, : shape[1]])


def low_rank(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Matrix:
    """Rows that all order the columns alike, or nearly."""
    a, b = rng.random(shape[0]), rng.random(shape[1])
    return np.outer(a, b) if kind == "product" else np.abs(a[:, None] - b)


def crowded(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Matrix:
    """Costs at which many columns are equally cheap, or the same ones for all rows."""
    cost: Matrix = rng.random(shape)
    if kind == "blocks":
        cost = cost[np.arange(shape[0]) // 8][:, np.arange(shape[1]) // 8]
    elif kind == "whole":
        cost = rng.integers(0, 4, shape).astype(np.float64)
    elif kind == "constant":
        cost = np.full(shape, 0.5)
    elif kind == "few rows vary":
        cost = np.where(rng.random((shape[0], 1)) < 0.7, 0.5, cost)
    elif kind == "one column for all":
        cost[:, rng.integers(shape[1])] -= 1.0
    elif kind == "few columns for all":
        cost[:, rng.random(shape[1]) < 0.1] -= 1.0
    elif kind == "regular":
        cost[:, 3::32] *= 0.01
    elif kind == "one bit apart":
        cost = 1.0 + np.spacing(1.0) * rng.integers(0, 3, shape)
    elif kind == "banded":
        away = np.abs(np.subtract.outer(np.arange(shape[0]), np.arange(shape[1])))
        cost = np.where(away < 40 + abs(shape[0] - shape[1]), cost, np.inf)
    return cost


def problem(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Matrix:
    """Return float64 costs of one of the KINDS."""
    if kind in ("correlations", "noise", "dead", "duplicates"):
        return networks(kind, shape, rng)
    if kind in ("product", "distance"):
        return low_rank(kind, shape, rng)
    return crowded(kind, shape, rng)
