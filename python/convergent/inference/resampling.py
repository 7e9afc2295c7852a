"""Resamples: how often each value is drawn, and many calls of a statistic on any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent.inference.interval import Doubles
from convergent.progress import silent

CHUNK = 32
"""Calls of a statistic that share one stream of random numbers."""
_BLOCK = 1 << 20
_REMEMBERED = 16
"""Most values whose resamples are kept."""

Progress = Callable[[str, int, int], object]


def resample_counts(n: int, n_resamples: int, seed: int) -> Iterator[tuple[Doubles, Doubles]]:
    """Yield blocks of resamples: how often each of `n` values is drawn, and how probable the resample is.

    Where there are no more different resamples than `n_resamples` (for up to 7 values at 2,000), all of them are
    returned, and nothing depends on the seed.

    Yields
    ------
    counts : array of float64, shape (n_in_block, n)
        Each row sums to `n`.
    weights : array of float64, shape (n_in_block,)
    """
    if n <= _REMEMBERED and n * n_resamples <= _BLOCK:
        yield from _remembered_counts(n, n_resamples, seed)
    else:
        yield from _counts(n, n_resamples, seed)


@lru_cache(maxsize=8)
def _remembered_counts(n: int, n_resamples: int, seed: int) -> list[tuple[Doubles, Doubles]]:
    """Return the blocks for few values: a curve asks for the same ones at each of its points."""
    return list(_counts(n, n_resamples, seed))


def _counts(n: int, n_resamples: int, seed: int) -> Iterator[tuple[Doubles, Doubles]]:
    if comb(2 * n - 1, n) <= n_resamples:
        yield _every_resample(n)
        return
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // n)
    for start in range(0, n_resamples, step):
        rows = min(step, n_resamples - start)
        drawn = rng.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        yield counts.astype(np.float64), np.ones(rows)


def _every_resample(n: int) -> tuple[Doubles, Doubles]:
    """Return all ways to draw `n` of `n` values with replacement, and their probabilities."""
    from scipy.special import gammaln

    # n marks and n - 1 bars in a row: the bars part the marks into the counts.
    bars = np.array(list(combinations(range(2 * n - 1), n - 1)), dtype=np.intp)
    bars = bars.reshape(comb(2 * n - 1, n), n - 1)
    edges = np.pad(bars, ((0, 0), (1, 1)), constant_values=((0, 0), (-1, 2 * n - 1)))
    counts = (np.diff(edges, axis=1) - 1).astype(np.float64)
    return counts, np.exp(gammaln(n + 1) - gammaln(counts + 1).sum(axis=1) - n * np.log(n))


def each_resample(
    once: Callable[[int, np.random.Generator], Any],
    n_resamples: int,
    *,
    what: str,
    title: str,
    seed: int,
    n_threads: int | None,
    progress: Progress | None,
) -> Doubles:
    """Return what `once` gives for each of many random generators, the same for any number of threads.

    Parameters
    ----------
    once : callable
        Takes the number of a resample and its random generator, and returns the resample's statistic.
    what, title : str
        What a resample is called in messages, and all of them in progress.

    Raises
    ------
    ValueError
        If a statistic is no finite number, naming the first such resample.
    """
    starts = range(0, n_resamples, CHUNK)
    streams = np.random.SeedSequence(seed).spawn(len(starts))
    values = np.empty(n_resamples)
    stop = threading.Event()
    report = progress or silent

    def chunk(start: int, stream: np.random.SeedSequence) -> int:
        rng = np.random.default_rng(stream)
        end = min(start + CHUNK, n_resamples)
        for k in range(start, end):
            if stop.is_set():
                break
            values[k] = finite(once(k, rng), f"{what} {k}")
        return end

    report(title, 0, n_resamples)
    n_workers = min(_validate.thread_count(n_threads), len(starts))
    if n_workers == 1:
        for start, stream in zip(starts, streams):
            report(title, chunk(start, stream), n_resamples)
        return values
    pool = ThreadPoolExecutor(n_workers)
    try:
        # In order, so that the first resample that fails is named, whichever thread fails first.
        for task in [pool.submit(chunk, start, stream) for start, stream in zip(starts, streams)]:
            report(title, task.result(), n_resamples)
    finally:  # on Ctrl-C, too: nobody waits for calls that are under way, and none is begun
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
    return values


def finite(value: Any, what: str) -> float:
    """Return a statistic as a float; ValueError if it is none, or not finite."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`statistic` must return one number, got {type(value).__name__} for {what}"
        ) from error
    if not np.isfinite(number):
        raise ValueError(f"`statistic` must be finite, got {number} for {what}")
    return number


def check_statistic(statistic: Any) -> None:
    """Raise TypeError unless `statistic` can be called."""
    if not callable(statistic):
        raise TypeError(f"`statistic` must be callable, got {type(statistic).__name__}")


def resample_all(
    of_counts: Callable[[Doubles], Doubles], n: int, n_resamples: int, seed: int
) -> tuple[Doubles, Doubles]:
    """Return a vectorised statistic of every resample, and the resamples' weights; those without one left out.

    `of_counts` takes counts, shape (n_in_block, n), and returns statistics, NaN where a resample has none.
    """
    blocks = [
        (of_counts(counts), weights) for counts, weights in resample_counts(n, n_resamples, seed)
    ]
    values = np.concatenate([block for block, _ in blocks])
    weights = np.concatenate([block for _, block in blocks])
    some: NDArray[np.bool_] = ~np.isnan(values)
    return values[some], weights[some]
