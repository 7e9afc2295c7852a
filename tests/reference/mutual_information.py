"""Mutual information of Li et al. (2016), Section 3.2, as the definitions read."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def percentile(values: list[float], level: float) -> float:
    """Interpolate linearly between order statistics; `level` in [0, 1]."""
    ordered = sorted(values)
    index = (len(ordered) - 1) * level
    if index >= len(ordered) - 1:
        return ordered[-1]
    below = math.floor(index)
    a, b, t = ordered[below], ordered[below + 1], index - below
    return b - (b - a) * (1 - t) if t >= 0.5 else a + (b - a) * t


def paper_edges(values: list[float], n_bins: int) -> list[float]:
    """The end of the special bin, and the percentiles above it."""
    percentiles = [percentile(values, k / n_bins) for k in range(1, n_bins)]
    return sorted({1e-6, *(p for p in percentiles if p > 1e-6)})


def authors_edges(values: list[float], n_bins: int) -> list[float]:
    """All percentiles of the authors' levels but the last, which is the maximum."""
    zeros = sum(v < 1e-6 for v in values) / len(values)
    first = zeros * 100.1 if zeros * 100.1 <= 100 else zeros * 100
    step = (100 - first) / (n_bins - 1)
    return sorted({percentile(values, (k * step + first) / 100) for k in range(n_bins - 1)})


def bin_unit(unit: Floats, n_bins: int, convention: str) -> tuple[list[int], list[float]]:
    """Return the code of each example, and the edges."""
    values = [float(v) for v in unit]
    if convention == "paper":
        edges = paper_edges(values, n_bins)
        return [sum(edge < v for edge in edges) for v in values], edges
    edges = authors_edges(values, n_bins)
    return [sum(edge <= v for edge in edges) for v in values], edges


def from_codes(a: list[int], b: list[int]) -> float:
    """Sum p(a, b) ln(p(a, b) / (p(a) p(b))) over the cells of the joint histogram."""
    n = len(a)
    joint: dict[tuple[int, int], int] = {}
    for pair in zip(a, b):
        joint[pair] = joint.get(pair, 0) + 1
    nats = 0.0
    for (i, j), count in joint.items():
        nats += count / n * math.log(count / n / (a.count(i) / n * (b.count(j) / n)))
    return nats


def entropy(a: list[int]) -> float:
    """- sum p ln p."""
    return -sum(a.count(i) / len(a) * math.log(a.count(i) / len(a)) for i in set(a))


def miller_madow(a: list[int], b: list[int]) -> float:
    """H(a) + H(b) - H(a, b), each entropy with its correction (bins in use - 1) / (2 n)."""
    n, pairs = len(a), len(set(zip(a, b)))
    correction = (len(set(a)) - 1) + (len(set(b)) - 1) - (pairs - 1)
    return from_codes(a, b) + correction / (2 * n)


def mutual_information(x: Floats, y: Floats, n_bins: int, convention: str) -> Floats:
    """Bin every unit, then take every pair."""
    x_codes = [bin_unit(unit, n_bins, convention)[0] for unit in x.T]
    y_codes = [bin_unit(unit, n_bins, convention)[0] for unit in y.T]
    return np.array([[from_codes(a, b) for b in y_codes] for a in x_codes])
