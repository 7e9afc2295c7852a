"""The tree of units by definition: every average computed anew, the largest merged."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[Any]
Merge = tuple[frozenset[int], frozenset[int], float]


def block_matrix(weights: Matrix) -> Matrix:
    """Return [[I, W], [W^T, I]]."""
    n_rows, n_columns = weights.shape
    blocks = np.zeros((n_rows + n_columns, n_rows + n_columns))
    for i in range(n_rows + n_columns):
        blocks[i, i] = 1.0
    for i in range(n_rows):
        for j in range(n_columns):
            blocks[i, n_rows + j] = blocks[n_rows + j, i] = weights[i, j]
    return blocks


def average(blocks: Matrix, first: frozenset[int], second: frozenset[int]) -> float:
    """Return the mean entry between two sets of units."""
    total = 0.0
    for i in first:
        for j in second:
            total += float(blocks[i, j])
    return total / (len(first) * len(second))


def merges(weights: Matrix) -> list[Merge]:
    """Return what the greedy algorithm of Section 4 merges, step by step; ties: the first pair."""
    blocks = block_matrix(weights)
    clusters = [frozenset([i]) for i in range(blocks.shape[0])]
    done: list[Merge] = []
    while len(clusters) > 1:
        best = (-np.inf, 0, 1)
        for a in range(len(clusters)):
            for b in range(a + 1, len(clusters)):
                value = average(blocks, clusters[a], clusters[b])
                if value > best[0]:
                    best = (value, a, b)
        value, a, b = best
        done.append((clusters[a], clusters[b], value))
        rest = [cluster for k, cluster in enumerate(clusters) if k not in (a, b)]
        clusters = [*rest, clusters[a] | clusters[b]]
    return done


def clusters_of(linkage: Matrix) -> list[Merge]:
    """Return the merges of a linkage in SciPy's format as sets of leaves, with the distance."""
    n_leaves = linkage.shape[0] + 1
    clusters = [frozenset([i]) for i in range(n_leaves)]
    done: list[Merge] = []
    for a, b, distance, _ in linkage:
        first, second = clusters[int(a)], clusters[int(b)]
        done.append((first, second, float(distance)))
        clusters.append(first | second)
    return done


def joined_share(weights: Matrix, found: list[Merge]) -> float:
    """Return the share of the merges of two leaves whose leaves are of different networks."""
    n_pairs, n_joined = 0, 0
    for first, second, _ in found:
        if len(first) == len(second) == 1:
            n_pairs += 1
            n_joined += (min(first) < weights.shape[0]) != (min(second) < weights.shape[0])
    return n_joined / n_pairs
