"""Similarity matrices of examples, one pair of examples at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

Matrix = NDArray[np.float64]


def similarity(a: Matrix, b: Matrix, kind: str) -> float:
    """Cosine or correlation of two examples; 0 without direction."""
    if np.ptp(a) == 0.0 and (kind == "pearson" or a[0] == 0.0):
        return 0.0
    if np.ptp(b) == 0.0 and (kind == "pearson" or b[0] == 0.0):
        return 0.0
    if kind == "pearson":
        a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt(a @ a) / np.sqrt(b @ b))


def inter_rsm(x: Matrix, y: Matrix, kind: str) -> Matrix:
    result = np.empty((len(x), len(y)))
    for i in range(len(x)):
        for j in range(len(y)):
            result[i, j] = similarity(x[i], y[j], kind)
    return result


def inter_rsm_of_many(networks: Sequence[Matrix], kind: str, convention: str) -> Matrix:
    n = len(networks)
    matrices = []
    for i in range(n):
        if convention == "leave-one-out":
            others = np.mean([networks[j] for j in range(n) if j != i], axis=0)
            matrices.append(inter_rsm(networks[i], others, kind))
        else:
            matrices += [inter_rsm(networks[i], networks[j], kind) for j in range(n) if j != i]
    result: Matrix = np.mean(matrices, axis=0)
    return result


def agreement(a: Matrix, b: Matrix, method: str, entries: str) -> float:
    pairs = [
        (a[i, j], b[i, j])
        for i in range(len(a))
        for j in range(len(a))
        if entries == "all" or j < i
    ]
    first, second = np.array(pairs).T
    if method == "rank":
        return float(spearmanr(first, second).statistic)
    return float(np.corrcoef(first, second)[0, 1])


def kendall(a: Matrix, b: Matrix, entries: str) -> float:
    """Kendall's tau-b: pairs of entries in the same order less those in opposite order, ties set apart."""
    n = len(a)
    places = [(i, j) for i in range(n) for j in range(n) if entries == "all" or j < i]
    same = in_a = in_b = 0.0
    for p, q in combinations(places, 2):
        first, second = np.sign(a[p] - a[q]), np.sign(b[p] - b[q])
        same += first * second
        in_a += first * first
        in_b += second * second
    return float(same / np.sqrt(in_a * in_b))


def variance_explained(
    networks: Sequence[Matrix], weights: Sequence[Matrix], convention: str
) -> Matrix:
    result = []
    for i, (x, w) in enumerate(zip(networks, weights)):
        chosen = [j for j in range(len(networks)) if convention == "plain" or j != i]
        shared = np.mean([networks[j] @ weights[j] for j in chosen], axis=0)
        result.append(1.0 - np.mean((x - shared @ w.T) ** 2) / np.var(x))
    return np.array(result)


def consistency(networks: Sequence[Matrix], kind: str) -> float:
    matrices = [inter_rsm(x, x, kind) for x in networks]
    return float(
        np.mean([agreement(a, b, "linear", "lower") for a, b in combinations(matrices, 2)])
    )
