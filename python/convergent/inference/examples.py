"""Intervals for a statistic over examples: the rows of all arrays are drawn together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent.inference.interval import Interval, level_of, percentile
from convergent.inference.resampling import Progress, checked_statistic, each_resample, finite


def bootstrap_examples(
    statistic: Callable[..., float],
    arrays: Sequence[Any],
    *,
    groups: Any = None,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Interval:
    """Return an interval for a statistic of arrays whose rows are examples.

    Parameters
    ----------
    statistic : callable
        Takes the arrays, one an argument, and returns a number.
    arrays : sequence of array, shape (n_examples, ...)
    groups : array, shape (n_examples,), optional
        Labels; examples are drawn within each label.
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
    >>> x = np.random.default_rng(0).standard_normal((30, 2))
    >>> r = lambda x: np.corrcoef(x.T)[0, 1]
    >>> interval = cv.bootstrap_examples(r, [x], n_resamples=200)
    >>> interval.low < interval.estimate < interval.high
    True
    """
    checked_statistic(statistic)
    rows = _rows(arrays)
    n = len(rows[0])
    members = _members(groups, n)
    level = level_of(level)
    _validate.integer(n_resamples, "n_resamples", low=2)
    _validate.integer(seed, "seed", low=0)
    estimate = finite(statistic(*rows), "the examples as they are")

    def once(rng: np.random.Generator) -> float:
        drawn = np.concatenate([of[rng.integers(0, of.size, of.size)] for of in members])
        return statistic(*(array[drawn] for array in rows))

    resamples = each_resample(
        once, n_resamples, what="resample", seed=seed, n_threads=n_threads, progress=progress
    )
    low, high = percentile(resamples, level)
    return Interval(estimate, low, high, level, n_resamples, "examples")


def _members(groups: Any, n_examples: int) -> list[NDArray[np.intp]]:
    """Return the examples of each group; one group of all where none are named."""
    if groups is None:
        return [np.arange(n_examples)]
    labels = np.asarray(groups)
    if labels.shape != (n_examples,):
        raise ValueError(f"`groups` must have shape ({n_examples},), got {labels.shape}")
    _, group = np.unique(labels, return_inverse=True)
    return [np.flatnonzero(group == k) for k in range(group.max() + 1)]


def _rows(arrays: Any) -> list[NDArray[Any]]:
    """Return the arrays; ValueError unless all have the same number of examples, at least two."""
    if not isinstance(arrays, (list, tuple)):
        raise TypeError(f"`arrays` must be a list of arrays, got {type(arrays).__name__}")
    if not arrays:
        raise ValueError("`arrays` must hold at least one array, got none")
    rows = [np.asarray(array) for array in arrays]
    for i, array in enumerate(rows):
        if array.ndim == 0 or len(array) < 2:
            raise ValueError(
                f"`arrays[{i}]` must have at least two examples, got shape {array.shape}"
            )
        if len(array) != len(rows[0]):
            raise ValueError(
                f"`arrays[{i}]` must have as many examples as `arrays[0]`, got {len(array)} and {len(rows[0])}"
            )
    return rows
