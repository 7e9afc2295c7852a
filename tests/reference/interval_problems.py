"""Simulated cases whose true value is known, to see how often an interval holds it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

VALUES = ("normal", "exponential", "share")
PAIRS = ("networks", "both", "pairs", "skewed", "product")
_SHARE = 8.0 / 9.0
_SPREAD_OF_PRODUCTS = (8.0, 2.0)


def values(kind: str, n: int, rng: np.random.Generator) -> tuple[Matrix, float]:
    """Return independent values and their true mean.

    "normal": the usual; "exponential": skewness 2; "share": most near 1, some much less (beta of 8 and 1).
    """
    if kind == "normal":
        return rng.standard_normal(n), 0.0
    if kind == "exponential":
        return rng.exponential(size=n), 1.0
    return rng.beta(8.0, 1.0, n), _SHARE


def pairs(kind: str, n: int, rng: np.random.Generator) -> tuple[Matrix, float]:
    """Return values of pairs of networks and their true mean.

    The value of a pair is a_i + a_j + e_ij; standard deviations of a and e are 1 and 0 ("networks"), 1 and 1
    ("both"), 0 and 1 ("pairs"), or 1 and .3 with effects that are now and then much lower ("skewed"). "product":
    q_i q_j + e_ij, as correlations of noisy copies of one pattern behave.
    """
    e = np.tril(rng.standard_normal((n, n)), -1)
    e = e + e.T
    a = rng.standard_normal(n)
    if kind == "product":
        q = np.sqrt(rng.beta(*_SPREAD_OF_PRODUCTS, n))
        return q * q[:, None] + 0.02 * e, _mean_root_beta(*_SPREAD_OF_PRODUCTS) ** 2
    if kind == "skewed":
        a, e = 1.0 - rng.exponential(size=n), 0.3 * e
    elif kind == "networks":
        e = 0.0 * e
    elif kind == "pairs":
        a = 0.0 * a
    return a + a[:, None] + e, 0.0


def _mean_root_beta(a: float, b: float) -> float:
    from scipy.special import gammaln

    return float(np.exp(gammaln(a + 0.5) + gammaln(a + b) - gammaln(a) - gammaln(a + b + 0.5)))


def two_units(n: int, correlation: float, rng: np.random.Generator) -> Matrix:
    """Return normal activations of two units, shape (n, 2)."""
    x, noise = rng.standard_normal((2, n))
    return np.column_stack([x, correlation * x + np.sqrt(1.0 - correlation**2) * noise])


def two_networks(n: int, rng: np.random.Generator) -> tuple[Matrix, Matrix]:
    """Return rectified activations of two networks of 8 units that share a signal, up to a rotation."""
    signal = rng.standard_normal((n, 8)) * np.linspace(1.5, 0.5, 8)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0]
    x = signal + 0.5 * rng.standard_normal((n, 8))
    y = signal @ turn + 0.8 * rng.standard_normal((n, 8))
    return np.maximum(x, 0.0), np.maximum(y, 0.0)


def share_held(intervals: list[Any], truth: float) -> float:
    """Return the share of the intervals that hold the true value."""
    return float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))
