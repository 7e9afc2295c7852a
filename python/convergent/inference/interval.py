"""An interval of confidence, and how one is made of resamples and of what leaving one out does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the interval that holds the true value with a stated confidence.

    Attributes
    ----------
    estimate : float
        The statistic of the data as they are.
    low, high : float
        Ends of the interval.
    level : float
        Its confidence, in (0, 1).
    n_resamples : int
        How many resamples it was made of; 0 where none was drawn.
    resampled : {"values", "networks", "pairs", "examples"}
        What was taken as independent.

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


def level_of(value: Any) -> float:
    """Return a level of confidence in (0, 1)."""
    level = _validate.real(value, "level")
    if not 0.0 < level < 1.0:
        raise ValueError(f"`level` must lie in (0, 1), got {level}")
    return level


def student(
    estimate: float, error: float, skew: float, freedom: float, level: float
) -> tuple[float, float]:
    """Return the ends of the t interval, corrected for skewness (Johnson 1978; Hesterberg 2015, Section 5.4).

    `skew` is the acceleration of the jackknife, the skewness of the influences over 6 sqrt(n).
    """
    from scipy.special import stdtrit

    if error == 0.0:
        return estimate, estimate
    t = float(stdtrit(freedom, 0.5 + 0.5 * level))
    shift = skew * (1.0 + 2.0 * t * t)
    return estimate + error * (shift - t), estimate + error * (shift + t)


def percentile(resamples: Doubles, level: float) -> tuple[float, float]:
    """Return the quantiles of the resamples that leave out half of ``1 - level`` on either side."""
    low, high = np.quantile(resamples, [0.5 - 0.5 * level, 0.5 + 0.5 * level])
    return float(low), float(high)
