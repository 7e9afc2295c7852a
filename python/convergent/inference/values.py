"""Intervals for independent values: simulation runs, or one number a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent.inference.interval import Doubles, Interval, level_of, percentile, student

METHODS = ("t", "percentile")
STATISTICS = ("mean", "median")
_BLOCK = 1 << 20


def bootstrap_values(
    values: Any,
    *,
    statistic: str = "mean",
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
    method: str | None = None,
) -> Interval:
    """Return an interval for the mean or the median of independent values.

    Parameters
    ----------
    values : array of float, shape (n_values,)
        One number a simulation run, a network, ...; finite.
    statistic : {"mean", "median"}
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
        If `values` is empty, not one-dimensional or not finite.

    Examples
    --------
    >>> import convergent as cv
    >>> cv.bootstrap_values([0.91, 0.93, 0.92, 0.9, 0.94])
    Interval(0.92 [0.9004, 0.9396], 95 % over values)
    """
    array = one_per_network(values, "values")
    _validate.choice(statistic, "statistic", STATISTICS)
    level = level_of(level)
    _validate.integer(n_resamples, "n_resamples", low=2)
    _validate.integer(seed, "seed", low=0)
    method = _validate.choice(method or "t", "method", METHODS)
    estimate = float(np.mean(array) if statistic == "mean" else np.median(array))
    if np.ptp(array) == 0.0:
        return Interval(float(array[0]), float(array[0]), float(array[0]), level, 0, "values")
    if method == "t" and statistic == "mean":
        influence = array - estimate
        error = float(np.sqrt(np.sum(influence**2) / array.size / (array.size - 1)))
        low, high = student(estimate, error, acceleration(influence), array.size - 1, level)
        return Interval(estimate, low, high, level, 0, "values")
    resamples = np.concatenate(list(_resampled(array, statistic, n_resamples, seed)))
    low, high = percentile(resamples, level)
    return Interval(estimate, low, high, level, n_resamples, "values")


def acceleration(influence: Doubles) -> float:
    """Return a sixth of the skewness of the mean's distribution (Efron 1987)."""
    spread = float(np.sum(influence**2)) ** 1.5
    return float(np.sum(influence**3)) / (6.0 * spread) if spread > 0.0 else 0.0


def _resampled(array: Doubles, statistic: str, n_resamples: int, seed: int) -> Iterator[Doubles]:
    """Yield the statistics of resamples, block by block."""
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // array.size)
    for start in range(0, n_resamples, step):
        n = min(step, n_resamples - start)
        drawn: NDArray[np.float64] = array[rng.integers(0, array.size, (n, array.size))]
        yield drawn.mean(axis=1) if statistic == "mean" else np.median(drawn, axis=1)


def one_per_network(values: Any, name: str) -> Doubles:
    """Return finite float64 values, at least one."""
    array = _validate.numbers(values, name)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"`{name}` must be one-dimensional and not empty, got shape {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise ValueError(
            f"`{name}` must be finite, got {bad.size} NaN or infinite values, the first at {bad[0]}"
        )
    return array.astype(np.float64)
