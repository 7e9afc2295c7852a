"""Intervals for a statistic over examples: the rows of all arrays are drawn together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent.inference.interval import (
    Interval,
    check_settings,
    interval_of_resamples,
    no_width,
)
from convergent.inference.resampling import Progress, check_statistic, each_resample, finite

DRAWS = ("copies", "halves")
METHODS = ("expanded", "percentile")

Indices = NDArray[np.intp]


def bootstrap_examples(
    statistic: Callable[..., float],
    arrays: Sequence[Any],
    *,
    groups: Any = None,
    draw: str = "copies",
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
    method: str = "expanded",
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Interval:
    """Return an interval for a statistic of arrays whose rows are examples, drawn independently.

    Parameters
    ----------
    statistic : callable
        Takes the arrays, one an argument, and returns a finite number. It may be called from several threads at once.
    arrays : sequence of array, shape (n_examples, ...)
        The same rows of all of them make a resample: activations, labels, ...
    groups : array, shape (n_examples,), optional
        Labels; as many examples of each label as there are (or half of them) make a resample.
    draw : {"copies", "halves"}
        "copies": as many examples as there are, with replacement. "halves": half of the examples, each once. Take
        "halves" for every statistic that **compares examples with each other** (RSMs, RSA, rank correlations of
        them), because there a copy meets itself with similarity 1; and for those that are biased with few examples,
        such as CKA and CCA, because a resample with copies is biased a second time.
    level : float in (0, 1)
        Confidence.
    n_resamples : int
        Resamples; more make the ends steadier.
    seed : int
        Of the resamples.
    method : {"expanded", "percentile"}
        "percentile": quantiles of the resamples. "expanded": quantiles further out, as few examples need, and
        corrected for bias.
    n_threads : int, optional
        Threads that call the statistic; all processors by default. The result does not depend on it.
    progress : callable, optional
        Called as ``progress(description, done, total)``.

    Returns
    -------
    Interval

    Raises
    ------
    TypeError
        If `statistic` cannot be called, or `arrays` is no list.
    ValueError
        If there is no array, or one with fewer than two examples, if numbers of examples differ, a setting is out of
        range, or the statistic returns no finite number (the message names the resample).

    Notes
    -----
    Calls the statistic ``n_resamples + 1`` times, on copies of the rows.

    A statistic of half of the examples strays from that of all as far as the latter strays from the truth: the
    variance of a mean of n / 2 out of n values about the mean of all is that of the mean of n values. No example
    is drawn twice, and what halving does to the statistic on average estimates its bias, which "expanded" takes off.

    How often the interval holds the true value, at a level of 95 %, in 500 simulations of the correlation (.9) of two
    units, and in 200 of RSA and CKA of two networks of 8 units:

    ==============================  ====  ====  ====
    examples                          20    50   200
    ==============================  ====  ====  ====
    correlation, copies             96.4  94.6  94.4
    correlation, copies, quantiles  92.6  93.4  94.0
    correlation, halves             94.8  95.0  94.4
    RSA, copies                     48.0  67.5  83.0
    RSA, halves                     98.0  96.0  95.0
    CKA, copies                     42.0  66.0  86.0
    CKA, halves                     85.0  91.5  92.5
    ==============================  ====  ====  ====

    (25, 60 and 200 examples for RSA and CKA.)

    Dead units are the statistic's affair: a unit can be constant within a resample though it is not over all examples.

    References
    ----------
    Efron (1987), "Better bootstrap confidence intervals". Hesterberg (2015), "What teachers should know about the
    bootstrap", Section 4.3. Shao & Wu (1989), "A general theory for jackknife variance estimation" (halves).

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((60, 4))
    >>> y = x + rng.standard_normal((60, 4))
    >>> cv.bootstrap_examples(lambda x, y: cv.correlation(x, y)[0, 0], [x, y], n_resamples=500)
    Interval(0.6133 [0.4536, 0.7284], 95 % over examples)
    >>> def rsa(x, y):
    ...     return cv.rsm_agreement(cv.rsm(x), cv.rsm(y))
    >>> cv.bootstrap_examples(rsa, [x, y], draw="halves", n_resamples=500)
    Interval(0.4507 [0.3085, 0.6028], 95 % over examples)
    """
    check_statistic(statistic)
    rows = _rows(arrays)
    members = _members(groups, len(rows[0]))
    _validate.choice(draw, "draw", DRAWS)
    level = check_settings(level, n_resamples, seed, method, METHODS)
    estimate = finite(statistic(*rows), "the examples as they are")
    choose = _with_copies if draw == "copies" else _halves

    def once(_: int, rng: np.random.Generator) -> float:
        drawn = choose(members, rng)
        return statistic(*(array[drawn] for array in rows))

    resamples = each_resample(
        once,
        n_resamples,
        what="resample",
        title="resamples",
        seed=seed,
        n_threads=n_threads,
        progress=progress,
    )
    if np.ptp(resamples) == 0.0 and resamples[0] == estimate:
        return no_width(estimate, level, "examples")
    if method == "expanded" and draw == "halves":
        resamples -= 2.0 * (resamples.mean() - estimate)
        method = "percentile"
    n_free = len(rows[0]) - len(members) + 1
    return interval_of_resamples(
        resamples, np.ones(n_resamples), estimate, n_free, level, method, "examples"
    )


def _with_copies(members: list[Indices], rng: np.random.Generator) -> Indices:
    return np.concatenate([of[rng.integers(0, of.size, of.size)] for of in members])


def _halves(members: list[Indices], rng: np.random.Generator) -> Indices:
    """Return half of each group, each example once; where the number is odd, a coin decides."""
    chosen = []
    for of in members:
        n = (of.size + int(rng.integers(0, 2))) // 2 if of.size % 2 else of.size // 2
        chosen.append(rng.permutation(of)[:n])
    return np.sort(np.concatenate(chosen))


def _members(groups: Any, n_examples: int) -> list[Indices]:
    """Return the examples of each group; one group of all where none are named."""
    if groups is None:
        return [np.arange(n_examples)]
    labels = np.asarray(groups)
    if labels.shape != (n_examples,):
        raise ValueError(
            f"`groups` must hold one label an example, shape ({n_examples},), got {labels.shape}"
        )
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
                f"`arrays[{i}]` must have as many examples as `arrays[0]`, got {len(array)} and "
                f"{len(rows[0])}"
            )
    return rows
