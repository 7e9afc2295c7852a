"""Intervals of estimates whose spread is known from one influence a network (or value)."""

from __future__ import annotations

import numpy as np

from convergent.inference.interval import Doubles, Interval, quantiles, tails
from convergent.inference.resampling import resample_counts

POOLED = 0.1
"""Share of the data's own variance in that of a resample."""


def interval_of_influence(
    estimate: float,
    influence: Doubles,
    error: float,
    level: float,
    n_resamples: int,
    seed: int,
    method: str,
    resampled: str,
) -> Interval:
    """Return the interval that ``method="t"`` or ``"studentised"`` makes of influences and a standard error."""
    if method == "t":
        ends = student(estimate, error, len(influence), level)
        return Interval(estimate, *ends, level, 0, resampled)
    low, high, n_drawn = studentised(estimate, influence, error, level, n_resamples, seed)
    return Interval(estimate, low, high, level, n_drawn, resampled)


def student(estimate: float, error: float, n_independent: int, level: float) -> tuple[float, float]:
    """Return the ends of the t interval."""
    reach = error * _student_quantile(n_independent, level)
    return estimate - reach, estimate + reach


def studentised(
    estimate: float, influence: Doubles, error: float, level: float, n_resamples: int, seed: int
) -> tuple[float, float, int]:
    """Return the ends of the studentised bootstrap interval, and how many resamples it took.

    Resampled are the influences, so that the estimate itself need not be computed again: their mean over its own
    standard error gives the distribution of t, skewness included (Efron & Tibshirani 1993, Section 12.5). With few
    values, those drawn can be nearly alike and the standard error next to nothing; so a tenth of the variance of
    all influences counts in that of each resample. In return, the interval is never narrower than that of t.

    Parameters
    ----------
    estimate : float
    influence : array of float64, shape (n,)
        How far each value takes the estimate from what it would be without, times n - 1; they sum to 0.
    error : float
        Standard error of the estimate.
    """
    n = len(influence)
    influence = np.sort(influence)  # so that the order of networks does not matter
    pooled = np.sum(influence**2) / n
    ratios, weights = [], []
    for counts, weight in resample_counts(n, n_resamples, seed):
        mean = np.sum(counts * influence, axis=1) / n
        variance = np.maximum(np.sum(counts * influence**2, axis=1) / n - mean**2, 0.0)
        # both variances are of the mean, over n - 1 values that are free
        spread = np.sqrt(((1.0 - POOLED) * variance + POOLED * pooled) / (n - 1))
        ratios.append(mean / spread)
        weights.append(weight)
    ratio = np.concatenate(ratios)
    low, high = quantiles(ratio, np.concatenate(weights), *tails(level))
    wider = max(1.0, 2.0 * _student_quantile(n, level) / (high - low)) if high > low else 1.0
    return estimate - wider * high * error, estimate - wider * low * error, len(ratio)


def influence_error(influence: Doubles) -> float:
    """Return the standard error of an estimate from influences of independent values (the jackknife's)."""
    n = len(influence)
    return float(np.sqrt(np.sum(influence**2) / (n * (n - 1))))


def _student_quantile(n_independent: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(n_independent - 1, tails(level)[1]))
