"""Independence and stability of Theorem 14 by their definitions: every pair of sets, every subset."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np

from tests.reference.subspace import Decisions, Matrix, distances


def basis(units: Matrix, tolerance: float) -> Matrix:
    left, values, _ = np.linalg.svd(units, full_matrices=False)
    columns: Matrix = left[:, values > tolerance]
    return columns


def angle(one: Matrix, other: Matrix, tolerance: float) -> float:
    """The smallest angle between vectors of the spans of two sets of columns."""
    first, second = basis(one, tolerance), basis(other, tolerance)
    cosine = np.linalg.svd(first.T @ second, compute_uv=False).max()
    outside = second - first @ (first.T @ second)
    if second.shape[1] > outside.shape[0] - first.shape[1]:
        return 0.0  # spans of so many dimensions meet
    sine = np.linalg.svd(outside, compute_uv=False).min()
    return float(np.arctan2(sine, cosine))


def independence(units: Matrix, tolerance: float) -> float:
    """The largest theta for which units of norm 1 are theta-strongly linearly independent."""
    theta = np.pi / 2
    for sides in product([0, 1, 2], repeat=units.shape[1]):
        one = units[:, [i for i, side in enumerate(sides) if side == 1]]
        other = units[:, [i for i, side in enumerate(sides) if side == 2]]
        if one.size and other.size:
            theta = min(theta, angle(one, other, tolerance))
    return theta


def gaps(
    units: Matrix, spanning: Matrix, epsilon: float, tolerance: float, decisions: Decisions
) -> Matrix:
    """The smallest distance above epsilon of each unit of norm 1 from any subset, over epsilon."""
    smallest = np.full(units.shape[1], np.inf)
    for size in range(spanning.shape[1] + 1):
        for chosen in combinations(range(spanning.shape[1]), size):
            found = distances(units, spanning[:, list(chosen)], tolerance, decisions)
            decisions.note(float(np.abs(found - epsilon).min()))
            smallest = np.minimum(smallest, np.where(found > epsilon, found, np.inf))
    return smallest / epsilon
