"""Intervals for independent values: simulation runs, or one number a network."""

from __future__ import annotations

from typing import Any

import numpy as np

from convergent import _validate
from convergent.inference.interval import (
    Doubles,
    Interval,
    check_settings,
    interval_of_resamples,
    no_width,
)
from convergent.inference.resampling import resample_all
from convergent.inference.studentised import influence_error, interval_of_influence

METHODS = ("studentised", "t", "expanded", "percentile")
STATISTICS = ("mean", "median")


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
        One finite number a network, a simulation run, ...
    statistic : {"mean", "median"}
    level : float in (0, 1)
        Confidence.
    n_resamples : int
        Resamples; more make the ends steadier. Up to 7 values need no more than 1,716, and are resampled exactly.
    seed : int
        Of the resamples.
    method : {"studentised", "t", "expanded", "percentile"}, optional
        Default: "studentised" for the mean, "expanded" for the median. "studentised": the distribution of t is that
        of the resamples, so that skewness counts. "t": the textbook interval. "percentile": quantiles of the
        resamples, as papers draw them; too narrow for few values. "expanded": quantiles further out, as few values
        need, and corrected for bias; never outside of the values.

    Returns
    -------
    Interval
        `low` and `high` are the estimate for one value, and for values that are all the same.

    Raises
    ------
    TypeError
        If `values` are complex, or a setting is of another kind.
    ValueError
        If `values` is empty, not one-dimensional or not finite, a setting is out of range, or `method` is
        "studentised" or "t" for the median.

    Notes
    -----
    How often the interval holds the true mean, in 2,000 simulations, at a level of 95 %:

    ==============================  ====  ====  ====  ====
    values                             3     5    10    50
    ==============================  ====  ====  ====  ====
    normal, studentised             95.8  94.8  94.6  95.6
    normal, percentile              74.4  83.0  90.3  94.3
    exponential, studentised        89.8  91.4  92.7  93.8
    exponential, t                  88.1  89.0  89.3  93.0
    exponential, percentile         69.3  79.5  85.8  92.6
    ==============================  ====  ====  ====  ====

    Few values say little about how skewed their distribution is: the exponential one has a skewness of 2.
    "studentised" takes a tenth of each resample's variance from all values, so that values which are nearly alike,
    but for one, do not give an interval without bounds; and it is never narrower than "t". Costs n_resamples times
    n_values operations and blocks of 8 MiB.

    References
    ----------
    Efron & Tibshirani (1993), "An Introduction to the Bootstrap", Section 12.5 (studentised). Hesterberg (2015), "What
    teachers should know about the bootstrap", The American Statistician 69, Section 4.3 (expanded).

    Examples
    --------
    >>> import convergent as cv
    >>> cv.bootstrap_values([0.91, 0.93, 0.92, 0.9, 0.94])
    Interval(0.92 [0.8998, 0.9402], 95 % over values)
    >>> cv.bootstrap_values([0.91, 0.93, 0.92, 0.9, 0.94], method="percentile")
    Interval(0.92 [0.908, 0.932], 95 % over values)
    """
    array = finite_values(values, "values")
    _validate.choice(statistic, "statistic", STATISTICS)
    method = method or ("studentised" if statistic == "mean" else "expanded")
    level = check_settings(level, n_resamples, seed, method, METHODS)
    if statistic == "median" and method in ("studentised", "t"):
        raise ValueError(
            f"`method` must be 'expanded' or 'percentile' for the median, got {method!r}"
        )
    if np.ptp(array) == 0.0:
        return no_width(float(array[0]), level, "values")
    return interval_of_values(array, statistic, level, n_resamples, seed, method, "values")


def interval_of_values(
    array: Doubles,
    statistic: str,
    level: float,
    n_resamples: int,
    seed: int,
    method: str,
    resampled: str,
) -> Interval:
    """Return the interval for values that are not all alike."""
    estimate = float(np.mean(array) if statistic == "mean" else np.median(array))
    if method in ("studentised", "t"):
        influence = array - estimate
        error = influence_error(influence)
        return interval_of_influence(
            estimate, influence, error, level, n_resamples, seed, method, resampled
        )
    ordered = np.sort(array)
    of_counts = _mean if statistic == "mean" else _median
    resamples, weights = resample_all(
        lambda counts: of_counts(ordered, counts), array.size, n_resamples, seed
    )
    return interval_of_resamples(resamples, weights, estimate, array.size, level, method, resampled)


def _mean(ordered: Doubles, counts: Doubles) -> Doubles:
    mean: Doubles = np.sum(counts * ordered, axis=1) / ordered.size
    return mean


def _median(ordered: Doubles, counts: Doubles) -> Doubles:
    """Return the median of each resample: the value, or the mean of two, at which half of the counts is reached."""
    n = ordered.size
    reached = np.cumsum(counts, axis=1)
    below = np.count_nonzero(reached < (n + 1) // 2, axis=1)
    above = np.count_nonzero(reached < n // 2 + 1, axis=1)
    median: Doubles = 0.5 * (ordered[below] + ordered[above])
    return median


def finite_values(values: Any, name: str) -> Doubles:
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
