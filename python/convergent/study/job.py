"""What whoever runs a group of tasks is given, and what comes back."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import convergent
from convergent import _storage
from convergent.measures.ordered_work import one_blas_thread
from convergent.progress import silent
from convergent.statistics import Statistics
from convergent.study import task_run
from convergent.study.index_tasks import AllLayers
from convergent.study.layer import Layer
from convergent.study.planning import PlannedTask, TaskGroup
from convergent.study.result import ALL_LAYERS, TaskResult
from convergent.study.settings import CompareSettings
from convergent.study.study import Problem
from convergent.study.task_run import source_of, stored_result

Say = Callable[[str, int], object]
"""Called as say(event, position) by whoever runs a group: `BEGINS` or `ENDS` of a task, `WORKS` within one."""
BEGINS, ENDS, WORKS = "begins", "ends", "works"


@dataclass(frozen=True, slots=True)
class Job:
    """What all groups of a comparison have in common.

    `statistics` are a folder or URL for workers, which is opened there; `token` is another one in each comparison.
    """

    statistics: Statistics | str
    settings: CompareSettings
    folder: _storage.Place | None
    n_threads: int | None
    token: str
    version: str

    @classmethod
    def of(
        cls,
        statistics: Statistics | str,
        settings: CompareSettings,
        folder: _storage.Place | None,
        n_threads: int | None,
    ) -> Job:
        """Return a new job of this version of the package."""
        return cls(
            statistics, settings, folder, n_threads, uuid.uuid4().hex, convergent.__version__
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended: with a result (here or in its file), or with a problem."""

    result: TaskResult | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """Stands for the outcomes of a group whose worker ended before the group did."""

    reason: str


def run_group(job: Job, source: Layer | AllLayers, group: TaskGroup, say: Say) -> list[Outcome]:
    """Run the tasks of a group one after the other; what cannot be computed is an outcome, too.

    The bits of NumPy's matrix products depend on the number of threads, so that they have one.
    """
    outcomes = []
    with one_blas_thread():
        for position, planned in enumerate(group.tasks):
            say(BEGINS, position)
            outcomes.append(_outcome(job, source, planned))
            say(ENDS, position)
    return outcomes


def _outcome(job: Job, source: Layer | AllLayers, planned: PlannedTask) -> Outcome:
    try:
        result = task_run.run_task(source, planned.task, planned.key)
    except _storage.UnreadableFileError:
        raise
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        return Outcome(problem=Problem(planned.task, str(error)))
    if job.folder is not None:
        result.save(job.folder)
    return Outcome(result)


class _Held:
    """The layer that this process had last: the next group is often of the same."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._of: tuple[str, str] | None = None
        self._source: Layer | AllLayers | None = None
        self._say: Callable[[], object] = lambda: None

    def source(self, job: Job, group: TaskGroup, works: Callable[[], object]) -> Layer | AllLayers:
        self._say = works
        if self._source is None or self._of != (job.token, group.layer):
            self._source = None  # before the next is read
            self._source = _checked_source(job, group, self._progress)
            self._of = (job.token, group.layer)
        return self._source

    def _progress(self, description: str, done: int, total: int) -> None:
        self._say()


_held = _Held()


def run_group_elsewhere(job: Job, group: TaskGroup, say: Say) -> list[Problem | None]:
    """Run a group in a worker's process: read its layer, write each result into its file.

    One group at a time runs in a process, since kernels have threads of their own and warnings are the process's. Tasks
    whose results are there, because an earlier worker died after them, are not run again.
    """
    if job.version != convergent.__version__:
        raise RuntimeError(
            f"a worker has convergent {convergent.__version__}, the comparison {job.version}: install the same"
        )
    problems: list[Problem | None] = []
    with _held.lock, one_blas_thread():
        position = 0
        source = _held.source(job, group, lambda: say(WORKS, position))
        for position, planned in enumerate(group.tasks):
            say(BEGINS, position)
            if stored_result(job.folder, planned.task, planned.key) is None:
                problems.append(_outcome(job, source, planned).problem)
            else:
                problems.append(None)
            say(ENDS, position)
    return problems


def _checked_source(
    job: Job, group: TaskGroup, progress: Callable[[str, int, int], object] = silent
) -> Layer | AllLayers:
    """Return the layer of a group, read from the job's folder; RuntimeError if it is not what was planned."""
    layers = None if group.layer == ALL_LAYERS else [group.layer]
    statistics = job.statistics
    if not isinstance(statistics, Statistics):
        statistics = Statistics.load(statistics, layers=layers)
    source = source_of(statistics, group.layer, job.settings, job.n_threads, progress)
    planned = group.tasks[0]
    if source.key(planned.task) != planned.key:
        raise RuntimeError(
            f"{job.statistics} holds other statistics for a worker than for the comparison"
        )
    return source
