"""Matchings of units, by definition: every permutation tried, every row and column searched."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

from numpy.typing import NDArray

Matrix = NDArray[Any]


def least_total(cost: Matrix) -> float:
    """Return the least sum over all ways to pair the shorter side; +inf if none is allowed."""
    if cost.shape[0] > cost.shape[1]:
        cost = cost.T
    n_rows, n_columns = cost.shape
    best = math.inf
    for columns in permutations(range(n_columns), n_rows):
        total = math.fsum(float(cost[i, columns[i]]) for i in range(n_rows))
        best = min(best, total)
    return best


def semi_match(similarity: Matrix) -> list[tuple[int, int]]:
    """Return for each row the first column of its greatest entry."""
    pairs = []
    for i in range(similarity.shape[0]):
        best = 0
        for j in range(similarity.shape[1]):
            if similarity[i, j] > similarity[i, best]:
                best = j
        pairs.append((i, best))
    return pairs


def mutual_match(similarity: Matrix) -> list[tuple[int, int]]:
    """Return the pairs of which each is the first greatest of the other."""
    best_rows = {(i, j) for j, i in semi_match(similarity.T)}
    return [pair for pair in semi_match(similarity) if pair in best_rows]


def certificate_gaps(
    cost: Matrix, rows: Matrix, columns: Matrix, u: Matrix, v: Matrix
) -> tuple[float, float, float]:
    """Return by how much the duals of a minimisation fail to be feasible, tight, of right sign."""
    infeasible, loose, wrong_sign = 0.0, 0.0, 0.0
    for i in range(cost.shape[0]):
        for j in range(cost.shape[1]):
            infeasible = max(infeasible, float(u[i] + v[j] - cost[i, j]))
    for i, j in zip(rows, columns):
        loose = max(loose, abs(float(u[i] + v[j] - cost[i, j])))
    if cost.shape[0] != cost.shape[1]:
        wide = cost.shape[0] < cost.shape[1]
        duals, paired = (v, set(columns.tolist())) if wide else (u, set(rows.tolist()))
        for k in range(duals.shape[0]):
            wrong = float(duals[k]) if k in paired else abs(float(duals[k]))
            wrong_sign = max(wrong_sign, wrong)
    return infeasible, loose, wrong_sign
