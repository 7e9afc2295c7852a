"""Spectral groups of units by definition: loops, the whole Laplacian at once, every partition tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[Any]


def edge_weights(c_xx: Matrix, c_xy: Matrix, c_yy: Matrix, threshold: float) -> Matrix:
    """Return the weights between the units of both networks: correlations above the threshold."""
    n_x, n_y = c_xy.shape
    weights = np.zeros((n_x + n_y, n_x + n_y))
    for p in range(n_x + n_y):
        for q in range(n_x + n_y):
            if p < n_x and q < n_x:
                value = c_xx[p, q]
            elif p < n_x:
                value = c_xy[p, q - n_x]
            elif q < n_x:
                value = c_xy[q, p - n_x]
            else:
                value = c_yy[p - n_x, q - n_x]
            if p != q and value > threshold:
                weights[p, q] = value
    return weights


def laplacian(weights: Matrix) -> Matrix:
    """Return D - W."""
    result = -weights
    for p in range(weights.shape[0]):
        result[p, p] = sum(weights[p, q] for q in range(weights.shape[0]) if q != p)
    return result


def components(weights: Matrix) -> list[list[int]]:
    """Return the connected sets of units, single ones included, by their lowest unit."""
    left, found = set(range(weights.shape[0])), []
    while left:
        reached = [min(left)]
        for p in reached:
            reached += [
                q for q in range(weights.shape[0]) if weights[p, q] > 0 and q not in reached
            ]
        found.append(sorted(reached))
        left -= set(reached)
    return found


def gap_count(eigenvalues: Matrix, parts: list[list[int]]) -> int:
    """Return the k with the largest step from the k-th to the next eigenvalue."""
    n_units, n_components = len(eigenvalues), len(parts)
    first = n_components
    if any(len(part) > n_units / 2 for part in parts):
        first += 1
    last = min(max(n_units // 2, n_components), n_units - 1)
    steps = {k: float(eigenvalues[k] - eigenvalues[k - 1]) for k in range(first, last + 1)}
    if max(steps.values(), default=0.0) < 1e-9:
        return n_components
    return min(k for k, step in steps.items() if step > max(steps.values()) - 1e-9)


def embedding_products(weights: Matrix, n_groups: int) -> Matrix:
    """Return the inner products of the units' rows of the leading eigenvectors, ties included."""
    values, vectors = np.linalg.eigh(laplacian(weights))
    n_columns = sum(1 for value in values if value <= values[n_groups - 1] + 1e-8)
    return np.asarray(vectors[:, :n_columns] @ vectors[:, :n_columns].T)


def cost(products: Matrix, groups: list[list[int]]) -> float:
    """Return the k-means objective: squared distances from the means, from inner products."""
    total = 0.0
    for members in groups:
        total += sum(float(products[p, p]) for p in members)
        total -= sum(float(products[p, q]) for p in members for q in members) / len(members)
    return total


def partitions(n_units: int, n_groups: int) -> Iterator[list[list[int]]]:
    """Yield every way to divide the units into so many groups."""

    def extend(groups: list[list[int]], unit: int) -> Iterator[list[list[int]]]:
        if unit == n_units:
            if len(groups) == n_groups:
                yield groups
            return
        for k in range(len(groups)):
            yield from extend([[*g, unit] if i == k else g for i, g in enumerate(groups)], unit + 1)
        if len(groups) < n_groups:
            yield from extend([*groups, [unit]], unit + 1)

    return extend([], 0)


def means(
    c_xx: Matrix, c_xy: Matrix, c_yy: Matrix, x: list[int], y: list[int]
) -> tuple[float, float]:
    """Return the similarity between the networks and within them of Section S.3.5."""
    between = sum(float(c_xy[p, q]) for p in x for q in y) / max(len(x) * len(y), 1)
    within = []
    if x:
        within.append(sum(float(c_xx[p, q]) for p in x for q in x) / len(x) ** 2)
    if y:
        within.append(sum(float(c_yy[p, q]) for p in y for q in y) / len(y) ** 2)
    return between, sum(within) / len(within)
