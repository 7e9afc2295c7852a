"""Intervals for a statistic of several networks' activations: networks are resampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from convergent import _validate
from convergent.inference.interval import Interval, level_of, percentile
from convergent.inference.resampling import Progress, checked_statistic, each_resample, finite


def bootstrap_networks(
    statistic: Callable[[list[Any]], float],
    networks: Sequence[Any],
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Interval:
    """Return an interval for a statistic of several networks.

    Parameters
    ----------
    statistic : callable
        Takes a list of networks' arrays, returns a number.
    networks : list of array of float, shape (n_examples, n_units_i)
    level : float in (0, 1)
    n_resamples : int
    seed : int
    n_threads : int, optional
    progress : callable, optional

    Returns
    -------
    Interval

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((9, 4))
    >>> cv.bootstrap_networks(cv.consistency, [x, x, x], n_resamples=20).low
    1.0
    """
    checked_statistic(statistic)
    arrays = _validate.activation_list(networks, "networks")
    level = level_of(level)
    _validate.integer(n_resamples, "n_resamples", low=2)
    _validate.integer(seed, "seed", low=0)
    n = len(arrays)
    estimate = finite(statistic(list(arrays)), "the networks as they are")

    def once(rng: np.random.Generator) -> float:
        drawn = rng.integers(0, n, n)
        while np.ptp(drawn) == 0:
            drawn = rng.integers(0, n, n)
        return statistic([arrays[i] for i in drawn])

    resamples = each_resample(
        once, n_resamples, what="resample", seed=seed, n_threads=n_threads, progress=progress
    )
    low, high = percentile(resamples, level)
    return Interval(estimate, low, high, level, n_resamples, "networks")
