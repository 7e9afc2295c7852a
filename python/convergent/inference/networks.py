"""Intervals for a statistic of several networks' activations: networks are left out, or resampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
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
from convergent.inference.resampling import Progress, check_statistic, each_resample, finite
from convergent.inference.studentised import influence_error, interval_of_influence

METHODS = ("studentised", "t", "percentile")


def bootstrap_networks(
    statistic: Callable[[list[Any]], float],
    networks: Sequence[Any],
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
    method: str = "studentised",
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Interval:
    """Return an interval for a statistic of several networks, taking networks as drawn independently.

    Parameters
    ----------
    statistic : callable
        Takes a list of networks' arrays, returns a finite number. It may be called from several threads at once.
    networks : list of array of float, shape (n_examples, n_units_i)
        One matrix a network, as the statistic takes them: activations, or RSMs.
    level : float in (0, 1)
        Confidence.
    n_resamples : int
        Resamples; more make the ends steadier.
    seed : int
        Of the resamples.
    method : {"studentised", "t", "percentile"}
        "studentised" and "t": each network is left out once, and what that does to the statistic is resampled, or
        gives the t interval; the statistic never sees a network twice. "percentile": networks are drawn with
        replacement, the statistic is computed of each resample, and its quantiles are the ends.
    n_threads : int, optional
        Threads that call the statistic; all processors by default. The result does not depend on it.
    progress : callable, optional
        Called as ``progress(description, done, total)``.

    Returns
    -------
    Interval
        With two networks `low` and `high` are the estimate: nothing can be said of the spread.

    Raises
    ------
    TypeError
        If `statistic` cannot be called, or `networks` is no list.
    ValueError
        If there are fewer than two networks, their examples differ, values are not finite, a setting is out of
        range, or the statistic returns no finite number (the message names the resample).

    Notes
    -----
    "studentised" and "t" call the statistic ``n_networks + 1`` times, "percentile" ``n_resamples + 1`` times.

    With "percentile", a network that is drawn twice is compared with itself. A mean over pairs, such as
    `consistency`, then counts pairs that agree perfectly, one of n of all, and the interval is too high and may not
    even hold the estimate. Resamples of a single network are drawn again. For means over pairs, `bootstrap_pairs`
    leaves the copies out and needs no calls; its docstring says how well such intervals hold.

    Dead units are the statistic's affair.

    References
    ----------
    Efron & Tibshirani (1993), "An Introduction to the Bootstrap", Sections 11.5 and 12.5.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> signal = rng.standard_normal((40, 5))
    >>> networks = [signal + rng.standard_normal((40, 5)) for _ in range(6)]
    >>> cv.bootstrap_networks(cv.consistency, networks)
    Interval(0.2323 [0.2029, 0.2569], 95 % over networks)
    """
    check_statistic(statistic)
    arrays: list[Any] = list(_validate.activation_list(networks, "networks"))
    level = check_settings(level, n_resamples, seed, method, METHODS)
    n = len(arrays)
    estimate = finite(statistic(list(arrays)), "the networks as they are")
    if n == 2:
        return no_width(estimate, level, "networks")
    calls = partial(each_resample, seed=seed, n_threads=n_threads, progress=progress)
    if method == "percentile":
        resamples = calls(
            lambda _, rng: statistic([arrays[i] for i in _some_networks(n, rng)]),
            n_resamples,
            what="resample",
            title="resamples",
        )
        return interval_of_resamples(
            resamples, np.ones(n_resamples), estimate, n, level, method, "networks"
        )
    without = calls(
        lambda k, _: statistic(arrays[:k] + arrays[k + 1 :]),
        n,
        what="all networks but",
        title="networks left out",
    )
    return interval_of_left_out(estimate, without, level, n_resamples, seed, method)


def interval_of_left_out(
    estimate: float,
    without: Doubles,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
    method: str = "studentised",
) -> Interval:
    """Return the interval of a statistic from what it is without each network, shape (n_networks,).

    For statistics that have a faster way to leave a network out than to be called again.
    """
    n = len(without)
    influence = (n - 1) * (without.mean() - without)
    error = influence_error(influence)
    if np.ptp(without) == 0.0:
        return no_width(estimate, level, "networks")
    return interval_of_influence(
        estimate, influence, error, level, n_resamples, seed, method, "networks"
    )


def _some_networks(n: int, rng: np.random.Generator) -> list[int]:
    """Return `n` networks drawn with replacement, at least two of them different."""
    while True:
        drawn: list[int] = rng.integers(0, n, n).tolist()
        if len(set(drawn)) > 1:
            return drawn
