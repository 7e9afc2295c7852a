"""Compare the networks of collected statistics with every measure, keeping each result as it comes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np

from convergent import _storage
from convergent._warnings import ConvergenceWarning, DeadUnitWarning, FewExamplesWarning
from convergent.progress import silent
from convergent.statistics import LayerStatistics, Statistics
from convergent.study.index_tasks import AllLayers
from convergent.study.layer import Layer
from convergent.study.result import ALL_LAYERS, Task, TaskResult
from convergent.study.settings import CompareSettings
from convergent.study.study import LayerSummary, Problem, Study
from convergent.study.subspace_tasks import unsearched
from convergent.study.tasks import ACROSS_TASKS, PAIR_TASKS, TOGETHER_TASKS


def compare(
    statistics: Statistics,
    measures: Sequence[str] | None = None,
    *,
    settings: CompareSettings | None = None,
    out: _storage.AnyPlace | None = None,
    n_threads: int | None = None,
    progress: Callable[[str, int, int], object] = silent,
) -> Study:
    """Compare all networks of `statistics`, layer by layer and pair by pair.

    Parameters
    ----------
    statistics : Statistics
        What `nets.collect` or `Statistics.from_arrays` returned; at least two networks.
    measures : sequence of str, optional
        Shorthand for ``settings=CompareSettings(measures=measures)``.
    settings : CompareSettings, optional
        Default: every measure, as the papers set them.
    out : path or URL, optional
        Folder for the results. Each is written when it is ready; those that are there already and depend on the
        same statistics and settings are taken as they are, so that a killed comparison resumes.
    n_threads : int, optional
        Threads of the kernels; all processors by default. Results do not depend on it.
    progress : callable, optional
        Called as ``progress(description, done, total)``. If it raises, the comparison ends; what is finished is kept
        in `out`. If it returns False during a long search for simple matches, that search alone is given up.

    Returns
    -------
    Study
        All results, and the tasks that could not be done with the reason of each.

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
    settings = _resolve_settings(measures, settings)
    if len(statistics.networks) < 2:
        raise ValueError(
            f"`statistics` must hold at least 2 networks, got {len(statistics.networks)}"
        )
    folder = None if out is None else _storage.place(out)
    tasks = list(_plan(statistics, settings))
    results: list[TaskResult] = []
    problems: list[Problem] = []
    name: str | None = None
    for done, task in enumerate(tasks):
        progress("compare", done, len(tasks))
        if name != task.layer:
            name, source = task.layer, _source(statistics, task, settings, n_threads, progress)
        key = source.key(task)
        try:
            results.append(_stored(folder, task, key) or _run(source, task, key, folder))
            reasons = unsearched(results[-1], settings.max_matched)
            problems.extend(Problem(task, reason) for reason in reasons)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            if isinstance(error, _storage.UnreadableFileError):
                raise
            problems.append(Problem(task, str(error)))
    progress("compare", len(tasks), len(tasks))
    summaries = tuple(_layer_summary(layer) for layer in statistics.layers.values())
    study = Study(statistics.networks, summaries, settings, tuple(results), tuple(problems))
    if folder is not None:
        study.save_manifest(folder)
    return study


def _resolve_settings(
    measures: Sequence[str] | None, settings: CompareSettings | None
) -> CompareSettings:
    if measures is None:
        return settings or CompareSettings()
    if settings is not None:
        raise ValueError("`measures` and `settings` exclude each other, got both")
    if isinstance(measures, str):
        raise TypeError(f"`measures` must be a list of names, got the string {measures!r}")
    return CompareSettings(measures=measures)


def _plan(statistics: Statistics, settings: CompareSettings) -> Iterator[Task]:
    for layer, content in statistics.layers.items():
        for measure in settings.measures:
            if measure in PAIR_TASKS:
                for pair in combinations(content.networks, 2):
                    yield Task(layer, measure, pair)
            elif measure in TOGETHER_TASKS:
                yield Task(layer, measure, tuple(content.networks))
    for measure in settings.measures:
        if measure in ACROSS_TASKS:
            yield Task(ALL_LAYERS, measure, tuple(statistics.networks))


def _source(
    statistics: Statistics,
    task: Task,
    settings: CompareSettings,
    n_threads: int | None,
    progress: Callable[[str, int, int], object],
) -> Layer | AllLayers:
    """Return what the task is computed from."""
    if task.layer == ALL_LAYERS:
        return AllLayers(statistics, n_threads, progress)
    layer = statistics.layers[task.layer]
    return Layer(layer, statistics.labels, settings, n_threads, progress)


def _run(
    source: Layer | AllLayers, task: Task, key: str, folder: _storage.Place | None
) -> TaskResult:
    names = source.statistics.networks
    with warnings.catch_warnings():
        # Dead units are counted in the layer's summary, and convergence is a number of the result.
        warnings.simplefilter("ignore", DeadUnitWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FewExamplesWarning)
        if isinstance(source, AllLayers):
            scalars, arrays = ACROSS_TASKS[task.measure](source)
        elif task.measure in PAIR_TASKS:
            i, j = (names.index(name) for name in task.networks)
            scalars, arrays = PAIR_TASKS[task.measure](source, i, j)
        else:
            scalars, arrays = TOGETHER_TASKS[task.measure](source)
    result = TaskResult(task, key, scalars, arrays)
    if folder is not None:
        result.save(folder)
    return result


def _stored(folder: _storage.Place | None, task: Task, key: str) -> TaskResult | None:
    if folder is None or not (folder / task.file).exists():
        return None
    result = TaskResult.load(folder / task.file)
    if result.task != task:
        raise _storage.UnreadableFileError(
            f"{folder / task.file} holds {result.task}, not {task}; remove it to go on"
        )
    return result if result.key == key else None


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
