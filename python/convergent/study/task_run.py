"""One task from its statistics to its result, and results that are there."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from convergent import _storage
from convergent._warnings import ConvergenceWarning, DeadUnitWarning, FewExamplesWarning
from convergent.progress import silent
from convergent.statistics import Statistics
from convergent.study.index_tasks import AllLayers
from convergent.study.layer import Layer
from convergent.study.result import ALL_LAYERS, Task, TaskResult
from convergent.study.settings import CompareSettings
from convergent.study.tasks import ACROSS_TASKS, PAIR_TASKS, TOGETHER_TASKS


def source_of(
    statistics: Statistics,
    layer: str,
    settings: CompareSettings,
    n_threads: int | None = None,
    progress: Callable[[str, int, int], object] = silent,
) -> Layer | AllLayers:
    """Return what the tasks of a layer (or of all layers) are computed from."""
    if layer == ALL_LAYERS:
        return AllLayers(statistics, n_threads, progress)
    return Layer(statistics.layers[layer], statistics.labels, settings, n_threads, progress)


def run_task(source: Layer | AllLayers, task: Task, key: str) -> TaskResult:
    """Compute a task."""
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
    # Tables are the same whether a result was computed just now or read from its file.
    return TaskResult(task, key, {name: float(v) for name, v in scalars.items()}, arrays)


def stored_result(folder: _storage.Place | None, task: Task, key: str) -> TaskResult | None:
    """Return the result of a task that is there with the same key.

    Raises
    ------
    UnreadableFileError
        If a file in its place is truncated, or is of another task or kind.
    """
    if folder is None or not (folder / task.file).exists():
        return None
    result = TaskResult.load(folder / task.file)
    if result.task != task:
        raise _storage.UnreadableFileError(
            f"{folder / task.file} holds {result.task}, not {task}; remove it to go on"
        )
    return result if result.key == key else None
