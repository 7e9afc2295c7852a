"""Where the groups of a comparison run: here, or wherever `local_processes` and `dask_cluster` take them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from convergent.study.job import BEGINS, ENDS, Job, Outcome, WorkerDied, run_group
from convergent.study.planning import Plan, TaskGroup
from convergent.study.result import Task
from convergent.study.task_run import source_of

Ended = list[Outcome] | WorkerDied


class Executor(Protocol):
    """Runs groups of tasks. `compare` says what a group is, what is run again, and what becomes of results."""

    reads_folder: bool
    """Whether the statistics must lie in a folder, because others read them."""

    def n_workers(self) -> int:
        """Return how many groups can run at the same time."""

    def run(
        self, job: Job, groups: Sequence[TaskGroup], watch: Watch
    ) -> Generator[tuple[TaskGroup, Ended], None, None]:
        """Yield each group when it has ended; closing the iterator stops those that have not.

        Any exception but those of single tasks is raised.
        """

    def close(self) -> None:
        """Give back what was taken for the run."""


class Watch:
    """Follows the tasks that run and shows them."""

    def __init__(self, plan: Plan, progress: Callable[[str, int, int], object]) -> None:
        self._total = len(plan.tasks)
        self._ended = {planned.task for planned in plan.tasks if planned.is_done}
        self._running: dict[Task, None] = {}
        self._progress = progress
        self._show_running = getattr(progress, "running", None)

    def event(self, group: TaskGroup, event: str, position: int) -> None:
        """Take note of what the one who runs a group says."""
        task = group.tasks[position].task
        if event == BEGINS:
            if task not in self._ended:
                self._running[task] = None
        elif event == ENDS:
            self._running.pop(task, None)
            self._ended.add(task)

    def left(self, group: TaskGroup) -> None:
        """Take note that nobody works at the group any more."""
        for planned in group.tasks:
            self._running.pop(planned.task, None)

    def ended(self, task: Task) -> None:
        """Take note that a task has a result or a problem."""
        self._ended.add(task)

    def show(self) -> None:
        """Show how many tasks have ended, and which are running."""
        if self._show_running is not None:
            self._show_running("compare", [str(task) for task in self._running])
        self._progress("compare", len(self._ended), self._total)


class Serial:
    """Runs everything in this process, layer by layer."""

    reads_folder = False

    def __init__(self, progress: Callable[[str, int, int], object]) -> None:
        self._progress = progress

    def n_workers(self) -> int:
        """Return 1."""
        return 1

    def run(
        self, job: Job, groups: Sequence[TaskGroup], watch: Watch
    ) -> Generator[tuple[TaskGroup, Ended], None, None]:
        """Yield each group when it has ended."""
        assert not isinstance(job.statistics, str)
        for group in groups:
            source = source_of(
                job.statistics, group.layer, job.settings, job.n_threads, self._progress
            )

            def say(event: str, position: int, group: TaskGroup = group) -> None:
                watch.event(group, event, position)
                watch.show()

            yield group, run_group(job, source, group, say)

    def close(self) -> None:
        """Do nothing."""
