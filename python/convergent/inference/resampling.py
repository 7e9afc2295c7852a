"""Many calls of a statistic, each with random numbers of its own, on any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent.progress import silent

CHUNK = 32
"""Calls that share one stream of random numbers."""

Progress = Callable[[str, int, int], object]


def each_resample(
    once: Callable[[np.random.Generator], Any],
    n_resamples: int,
    *,
    what: str,
    seed: int,
    n_threads: int | None,
    progress: Progress | None,
) -> NDArray[np.float64]:
    """Return what `once` gives for each of `n_resamples` random generators, whatever the number of threads.

    Parameters
    ----------
    once : callable
        Draws one resample and returns its statistic.
    what : str
        What a resample is called in messages.

    Raises
    ------
    ValueError
        If a statistic is no finite number, naming the resample.
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
                return 0
            values[k] = finite(once(rng), f"{what} {k}")
        return end - start

    done = 0
    report(what, done, n_resamples)
    workers = min(_validate.thread_count(n_threads), len(starts))
    if workers <= 1:
        for start, stream in zip(starts, streams):
            done += chunk(start, stream)
            report(what, done, n_resamples)
        return values
    with ThreadPoolExecutor(workers) as pool:
        tasks = [pool.submit(chunk, start, stream) for start, stream in zip(starts, streams)]
        try:
            for task in as_completed(tasks):
                done += task.result()
                report(what, done, n_resamples)
        except BaseException:  # Ctrl-C, too: no further call is begun
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
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


def checked_statistic(statistic: Any) -> Callable[..., Any]:
    """Return a callable."""
    if not callable(statistic):
        raise TypeError(f"`statistic` must be callable, got {type(statistic).__name__}")
    checked: Callable[..., Any] = statistic
    return checked
