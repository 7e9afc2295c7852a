"""Intervals for the mean over pairs of networks, whose values are not independent of each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent.inference.interval import Doubles, Interval, level_of, percentile, student
from convergent.inference.values import acceleration

METHODS = ("t", "percentile")
OVER = ("networks", "pairs")


def bootstrap_pairs(
    matrix: Any,
    *,
    over: str = "networks",
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
    method: str | None = None,
) -> Interval:
    """Return an interval for the mean over pairs of networks.

    Parameters
    ----------
    matrix : array of float, shape (n_networks, n_networks)
        Symmetric; entry ``[i, j]`` is the value of networks i and j, NaN where it was not computed. The diagonal is
        ignored.
    over : {"networks", "pairs"}
        "networks": networks are independent, pairs of the same network are not. "pairs": every pair is taken as
        independent, as in the papers, which claims too much.
    level : float in (0, 1)
    n_resamples : int
    seed : int
    method : {"t", "percentile"}, optional

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If `matrix` is not square, not symmetric, infinite off the diagonal, or has no pair.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> a = np.array([0.1, 0.0, -0.1, 0.05, -0.05])
    >>> interval = cv.bootstrap_pairs(0.8 + a + a[:, None])
    >>> interval.low < 0.8 < interval.high
    True
    """
    values, valid = _pair_matrix(matrix)
    _validate.choice(over, "over", OVER)
    level = level_of(level)
    _validate.integer(n_resamples, "n_resamples", low=2)
    _validate.integer(seed, "seed", low=0)
    method = _validate.choice(method or "t", "method", METHODS)
    below = np.tril(valid, -1)
    pairs = values[below]
    estimate = float(pairs.mean())
    if np.ptp(pairs) == 0.0:
        return Interval(float(pairs[0]), float(pairs[0]), float(pairs[0]), level, 0, over)
    n_independent = len(values) if over == "networks" else pairs.size
    if method == "t":
        influence = _influence(values, valid, estimate, over)
        error = float(np.sqrt(np.sum(influence**2) * (n_independent - 1) / n_independent))
        low, high = student(estimate, error, acceleration(influence), n_independent - 1, level)
        return Interval(estimate, low, high, level, 0, over)
    rng = np.random.default_rng(seed)
    if over == "pairs":
        drawn = rng.multinomial(pairs.size, np.full(pairs.size, 1.0 / pairs.size), n_resamples)
        resamples: Doubles = drawn @ pairs / pairs.size
    else:
        resamples = _over_networks(values, valid, n_resamples, rng)
    low, high = percentile(resamples, level)
    return Interval(estimate, low, high, level, n_resamples, over)


def _over_networks(
    values: Doubles, valid: NDArray[np.bool_], n_resamples: int, rng: np.random.Generator
) -> Doubles:
    """Return the mean over pairs of different networks in each resample; such without a pair are drawn again."""
    n = len(values)
    counted = valid.astype(np.float64)
    resamples = np.empty(n_resamples)
    missing = np.arange(n_resamples)
    while missing.size:
        drawn = rng.multinomial(n, np.full(n, 1.0 / n), missing.size).astype(np.float64)
        weight = np.sum((drawn @ counted) * drawn, axis=1)
        total = np.sum((drawn @ values) * drawn, axis=1)
        some = weight > 0.0
        resamples[missing[some]] = total[some] / weight[some]
        missing = missing[~some]
    return resamples


def _influence(values: Doubles, valid: NDArray[np.bool_], estimate: float, over: str) -> Doubles:
    """Return how far leaving out each network (or pair) takes the mean down."""
    if over == "pairs":
        pairs = values[np.tril(valid, -1)]
        return (pairs - estimate) / max(pairs.size - 1, 1)
    n_left = valid.sum() - 2 * valid.sum(axis=1)
    left = values.sum() - 2 * values.sum(axis=1)
    some = n_left > 0
    without = np.divide(left, n_left, out=np.full(len(values), estimate), where=some)
    influence: Doubles = without.mean() - without
    return influence


def _pair_matrix(matrix: Any) -> tuple[Doubles, NDArray[np.bool_]]:
    """Return the values of pairs (0 where there is none), and where there are some."""
    array = _validate.numbers(matrix, "matrix")
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
        raise ValueError(
            f"`matrix` must be (n_networks, n_networks) of at least two networks, got shape {array.shape}"
        )
    values = array.astype(np.float64)
    np.fill_diagonal(values, np.nan)
    if np.isinf(values).any():
        raise ValueError(
            "`matrix` must hold numbers, or NaN for pairs that were not computed, got infinity"
        )
    if not np.allclose(values, values.T, rtol=1e-9, atol=1e-12, equal_nan=True):
        raise ValueError(
            "`matrix` must be symmetric, got values that differ from their mirror images"
        )
    valid = ~np.isnan(values)
    if not valid.any():
        raise ValueError("`matrix` must hold the value of at least one pair, got none")
    return np.where(valid, values, 0.0), valid
