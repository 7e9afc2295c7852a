"""Pearson correlation from its definition, with exact sums."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


def pearson(a: list[float], b: list[float]) -> float:
    """Return the correlation of two units, 0 if one of them is constant; rational arithmetic."""
    n = len(a)
    exact_a, exact_b = [Fraction(v) for v in a], [Fraction(v) for v in b]
    mean_a, mean_b = sum(exact_a) / n, sum(exact_b) / n
    co = sum(((p - mean_a) * (q - mean_b) for p, q in zip(exact_a, exact_b)), Fraction(0))
    square_a = sum(((p - mean_a) ** 2 for p in exact_a), Fraction(0))
    square_b = sum(((q - mean_b) ** 2 for q in exact_b), Fraction(0))
    if square_a == 0 or square_b == 0:
        return 0.0
    # co^2 / (a b) is a ratio near 1 whatever the scale of the units.
    return math.sqrt(co * co / (square_a * square_b)) * (1 if co > 0 else -1)


def correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate every pair of units."""
    return np.array(
        [[pearson([float(v) for v in a], [float(v) for v in b]) for b in y.T] for a in x.T]
    )
