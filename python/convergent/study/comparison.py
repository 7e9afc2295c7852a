"""Compare the networks of collected statistics with every measure, keeping each result as it comes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from convergent import _storage, _validate
from convergent.progress import silent
from convergent.statistics import LayerStatistics, Statistics
from convergent.study.dask_cluster import DaskCluster
from convergent.study.executors import Executor, Serial
from convergent.study.job import Job
from convergent.study.local_processes import LocalProcesses
from convergent.study.plan_run import run_plan
from convergent.study.planning import planned_tasks, resolved_settings
from convergent.study.settings import CompareSettings
from convergent.study.study import LayerSummary, Study
from convergent.study.unfinished import remove_plan, write_plan

STATISTICS = ".statistics"
"""Folder of statistics below the results, where those that are compared lie in no folder of their own."""


def compare(
    statistics: Statistics | _storage.AnyPlace,
    measures: Sequence[str] | None = None,
    *,
    settings: CompareSettings | None = None,
    out: _storage.AnyPlace | None = None,
    n_threads: int | None = None,
    n_workers: int | None = None,
    scheduler: str | None = None,
    executor: Executor | None = None,
    n_retries: int = 2,
    progress: Callable[[str, int, int], object] = silent,
) -> Study:
    """Compare all networks of `statistics`, layer by layer and pair by pair.

    Parameters
    ----------
    statistics : Statistics, or path of the folder where they are saved
        What `nets.collect` or `Statistics.from_arrays` returned; at least two networks.
    measures : sequence of str, optional
        Shorthand for ``settings=CompareSettings(measures=measures)``.
    settings : CompareSettings, optional
        Default: every measure, as the papers set them.
    out : path or URL, optional
        Folder for the results. Each is written when it is ready; those that are there already and depend on the
        same statistics and settings are taken as they are, so that a killed comparison resumes. Until it has ended,
        `Study.load` returns what is there.
    n_threads : int, optional
        Threads of the kernels; all processors by default. Local workers divide them. Results do not depend on it.
    n_workers : int, optional
        Compare on so many processes of this machine.
    scheduler : str, optional
        Compare on the workers of the Dask cluster whose scheduler has this address, such as
        ``"tcp://10.0.0.1:8786"``. `out` must be a folder that they see.
    executor : LocalProcesses, DaskCluster, or another that does what they do; optional
        What `n_workers` and `scheduler` are short for. Without any, everything runs in this process.
    n_retries : int
        How often tasks whose worker died are run again, each by itself.
    progress : callable, optional
        Called as ``progress(description, done, total)``. If it raises, the comparison ends; what is finished is kept
        in `out`. If it returns False during a long search for simple matches in this process, that search alone is
        given up. If it has a method `running`, that is called with a description and the names of the tasks under way.

    Returns
    -------
    Study
        All results, and the tasks that could not be done with the reason of each. Results and their order are the
        same wherever they were computed.

    Raises
    ------
    ValueError
        If there are fewer than two networks, if more than one of `n_workers`, `scheduler` and `executor` is given,
        or a Dask cluster without `out`.
    UnreadableFileError
        If a result in `out` is truncated, or another file has its place.
    RuntimeError
        If workers cannot be had: nothing answers at `scheduler`, or local processes end before they begin.

    Notes
    -----
    Workers read the statistics from their folder; those in memory are first saved below `out`, as ``.statistics``.
    A worker takes a group of tasks that share work (`plan`), and one that dies concerns its own group only.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> from convergent import study
    >>> x = np.random.default_rng(0).standard_normal((50, 4))
    >>> same = study.compare(cv.Statistics.from_arrays({"a": x, "b": x[:, ::-1]}), ["correlation"])
    >>> same.value("activations", "correlation", "mean_one_to_one")
    1.0
    """
    settings = resolved_settings(measures, settings)
    _validate.integer(n_retries, "n_retries", low=0)
    executor = _executor(n_workers, scheduler, executor, progress)
    place = None if isinstance(statistics, Statistics) else statistics
    if not isinstance(statistics, Statistics):
        statistics = Statistics.load(statistics)
    if len(statistics.networks) < 2:
        raise ValueError(
            f"`statistics` must hold at least 2 networks, got {len(statistics.networks)}"
        )
    folder = None if out is None else _absolute(out)
    summaries = tuple(_layer_summary(layer) for layer in statistics.layers.values())
    plan = planned_tasks(statistics, settings, folder, progress)
    with ExitStack() as stack:
        stack.callback(executor.close)
        kept = folder
        if executor.reads_folder and plan.to_do:
            kept = folder or _temporary(executor, stack)
        if folder is not None and plan.to_do:
            write_plan(folder, plan, statistics.networks, summaries, settings)
        shared = _shared(statistics, place, kept) if executor.reads_folder and kept else statistics
        job = Job.of(shared, settings, kept, n_threads)
        results, problems = run_plan(executor, job, plan, n_retries, progress)
    study = Study(statistics.networks, summaries, settings, results, problems)
    if folder is not None:
        study.save_manifest(folder)
        remove_plan(folder)
    return study


def _executor(
    n_workers: int | None,
    scheduler: str | None,
    executor: Executor | None,
    progress: Callable[[str, int, int], object],
) -> Executor:
    """Return the executor that the arguments ask for."""
    given = {"n_workers": n_workers, "scheduler": scheduler, "executor": executor}
    named = [f"`{name}`" for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise ValueError(f"only one of {', '.join(given)} may be given, got {' and '.join(named)}")
    if n_workers is not None:
        return LocalProcesses(n_workers)
    if scheduler is not None:
        return DaskCluster(scheduler)
    return executor or Serial(progress)


def _temporary(executor: Executor, stack: ExitStack) -> _storage.Place:
    """Return a folder for a comparison whose results are not kept."""
    if not isinstance(executor, LocalProcesses):
        raise ValueError("`out` must be a folder that all workers see, got None")
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="convergent-")))


def _shared(statistics: Statistics, place: _storage.AnyPlace | None, folder: _storage.Place) -> str:
    """Return the folder or URL of the statistics for others to read; save them below `folder` if they have none."""
    if place is not None:
        return str(_absolute(place))
    saved = folder / STATISTICS
    if not _holds(saved, statistics):
        statistics.save(saved)
    return str(saved)


def _absolute(where: _storage.AnyPlace) -> _storage.Place:
    """Return a place that means the same in every process."""
    place = _storage.place(where)
    return place.absolute() if isinstance(place, Path) else place


def _holds(folder: _storage.Place, statistics: Statistics) -> bool:
    """Return whether a folder holds the same statistics."""
    if not Statistics.is_complete(folder):
        return False
    try:
        found = Statistics.load(folder)
    except (OSError, ValueError):  # an older one, cut short or changed: it is written anew
        return False
    return _content(found) == _content(statistics)


def _content(statistics: Statistics) -> list[str]:
    labels = statistics.labels
    of_labels = "" if labels is None else repr(labels.tolist())
    return [*(layer.fingerprint() for layer in statistics.layers.values()), of_labels]


def _layer_summary(layer: LayerStatistics) -> LayerSummary:
    moments = layer.moments
    n_networks = len(layer.networks)
    dead = [0 if moments is None else len(moments.dead_units(i)) for i in range(n_networks)]
    return LayerSummary(
        layer.name,
        tuple(layer.widths),
        tuple(dead),
        0 if moments is None else moments.n_examples,
        layer.n_images,
    )
