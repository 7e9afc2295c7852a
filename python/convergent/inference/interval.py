"""An interval of confidence, and its ends in a set of resamples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, and an interval that holds the true value with a stated confidence.

    Attributes
    ----------
    estimate : float
        The statistic of the data as they are.
    low, high : float
        Ends of the interval. Both are the estimate where nothing can be said about its spread: for one value, for
        two networks, and for values that are all alike.
    level : float
        Confidence, in (0, 1).
    n_resamples : int
        Resamples that it was made of; 0 where none was needed.
    resampled : {"values", "networks", "pairs", "examples"}
        What was taken as drawn independently.

    Examples
    --------
    >>> import convergent as cv
    >>> interval = cv.bootstrap_values([0.5, 0.5, 0.5])
    >>> interval.low, interval.estimate, interval.high
    (0.5, 0.5, 0.5)
    """

    estimate: float
    low: float
    high: float
    level: float
    n_resamples: int
    resampled: str

    def __repr__(self) -> str:
        return (
            f"Interval({self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}], "
            f"{100 * self.level:g} % over {self.resampled})"
        )

    def within(self, low: float, high: float) -> Interval:
        """Return the interval without what lies outside of [low, high], where no true value can be."""
        return replace(
            self,
            low=min(max(self.low, low), self.estimate),
            high=max(min(self.high, high), self.estimate),
        )


def no_width(estimate: float, level: float, resampled: str) -> Interval:
    """Return the interval of an estimate whose spread is not known, or none."""
    return Interval(estimate, estimate, estimate, level, 0, resampled)


def check_settings(
    level: Any, n_resamples: Any, seed: Any, method: Any, methods: Sequence[str]
) -> float:
    """Return the level of confidence; ValueError or TypeError unless all settings are such."""
    number = _validate.real(level, "level")
    if not 0.0 < number < 1.0:
        raise ValueError(f"`level` must lie in (0, 1), got {number}")
    _validate.integer(n_resamples, "n_resamples", low=2)
    _validate.integer(seed, "seed", low=0)
    _validate.choice(method, "method", methods)
    return number


def quantiles(values: Doubles, weights: Doubles, low: float, high: float) -> tuple[float, float]:
    """Return the values that leave out a share of `low` at most below, and of ``1 - high`` at most above.

    values, weights : shape (n_resamples,)
        Resamples and how probable each is; the weights need not add up to 1.
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    rounding = 1e-12 * reached[-1]
    first = np.searchsorted(reached, low * reached[-1] + rounding, side="right")
    last = np.searchsorted(reached, high * reached[-1] - rounding, side="left")
    n = len(values) - 1
    return float(values[order[min(first, n)]]), float(values[order[min(last, n)]])


def tails(level: float) -> tuple[float, float]:
    """Return the shares below both ends of an interval that leaves out as much on either side."""
    return 0.5 - 0.5 * level, 0.5 + 0.5 * level


def interval_of_resamples(
    resamples: Doubles,
    weights: Doubles,
    estimate: float,
    n_independent: int,
    level: float,
    method: str,
    resampled: str,
) -> Interval:
    """Return the interval between two quantiles of resamples: "percentile", or "expanded" for few values."""
    ends = tails(level)
    if method == "expanded":
        ends = expanded_tails(resamples, weights, estimate, n_independent, level)
    low, high = quantiles(resamples, weights, *ends)
    return Interval(estimate, low, high, level, len(resamples), resampled)


def expanded_tails(
    resamples: Doubles, weights: Doubles, estimate: float, n_independent: int, level: float
) -> tuple[float, float]:
    """Return the tails for few independent values, corrected for the median bias of the resamples.

    The quantiles of resamples are too narrow by sqrt((n - 1) / n), and they are normal ones where those of t are
    due (Hesterberg 2015, Section 4.3). The correction of bias is that of Efron (1987).
    """
    from scipy.special import ndtr, ndtri, stdtrit

    n = n_independent
    reach = np.sqrt(n / (n - 1)) * stdtrit(n - 1, 0.5 + 0.5 * level)
    rounding = 1e-12 * max(float(np.abs(resamples).max()), abs(estimate))
    below = weights[resamples < estimate - rounding].sum()
    above = weights[resamples > estimate + rounding].sum()
    # Where all resamples lie on one side, as if half a resample lay on the other.
    least = 0.5 / len(resamples)
    share = 0.5 + 0.5 * (below - above) / weights.sum()
    shift = 2.0 * ndtri(np.clip(share, least, 1.0 - least))
    return float(ndtr(shift - reach)), float(ndtr(shift + reach))
