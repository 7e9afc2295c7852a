"""Runs a plan on an executor: again where workers died, until every task has a result or a problem."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from convergent import _storage
from convergent.study.executors import Ended, Executor, Watch
from convergent.study.job import Job, Outcome, WorkerDied
from convergent.study.planning import Plan, PlannedTask, TaskGroup
from convergent.study.result import TaskResult
from convergent.study.study import Problem
from convergent.study.subspace_tasks import unsearched
from convergent.study.task_run import stored_result

SECONDS_TO_APPEAR = 60.0
"""How long a file that another machine wrote may stay unseen here: network file systems remember what was not there."""


def run_plan(
    executor: Executor,
    job: Job,
    plan: Plan,
    n_retries: int,
    progress: Callable[[str, int, int], object],
) -> tuple[tuple[TaskResult, ...], tuple[Problem, ...]]:
    """Return all results and problems of a plan, in its order, whatever the order in which they came."""
    watch = Watch(plan, progress)
    watch.show()
    found: dict[int, TaskResult] = {}
    refused: dict[int, Problem] = {}
    places = {planned.task: place for place, planned in enumerate(plan.tasks)}
    for planned, outcome in _outcomes(executor, job, plan, n_retries, watch):
        place = places[planned.task]
        if outcome.problem is not None:
            refused[place] = outcome.problem
        else:
            found[place] = outcome.result or _written(job.folder, planned)
    problems: list[Problem] = []
    for place, planned in enumerate(plan.tasks):
        if place in refused:
            problems.append(refused[place])
            continue
        if place not in found:
            found[place] = _written(job.folder, planned)
        reasons = unsearched(found[place], job.settings.max_matched)
        problems.extend(Problem(planned.task, reason) for reason in reasons)
    progress("compare", len(plan.tasks), len(plan.tasks))
    return tuple(found[place] for place in sorted(found)), tuple(problems)


def _outcomes(
    executor: Executor, job: Job, plan: Plan, n_retries: int, watch: Watch
) -> Iterator[tuple[PlannedTask, Outcome]]:
    """Yield every task that was to do, with how it ended."""
    n_deaths: Counter[PlannedTask] = Counter()
    groups = plan.groups(executor.n_workers()) if plan.to_do else []
    while groups:
        again: list[TaskGroup] = []
        with closing(executor.run(job, groups, watch)) as ended_groups:
            for group, ended in ended_groups:
                watch.left(group)
                for planned, outcome in _of_tasks(job, group, ended, n_deaths, n_retries):
                    if outcome is None:
                        again.append(TaskGroup(group.layer, (planned,)))
                    else:
                        watch.ended(planned.task)
                        yield planned, outcome
        groups = again


def _of_tasks(
    job: Job, group: TaskGroup, ended: Ended, n_deaths: Counter[PlannedTask], n_retries: int
) -> Iterator[tuple[PlannedTask, Outcome | None]]:
    """Yield each task of a group with how it ended; None if it is to be run again, alone.

    Of a group whose worker died, nobody knows which task killed it; alone, each answers for itself.
    """
    if not isinstance(ended, WorkerDied):
        yield from zip(group.tasks, ended)
        return
    for planned in group.tasks:
        result = stored_result(job.folder, planned.task, planned.key)
        n_deaths[planned] += result is None
        if result is not None:
            yield planned, Outcome(result)
        elif n_deaths[planned] <= n_retries:
            yield planned, None
        else:
            times = "once" if n_deaths[planned] == 1 else f"{n_deaths[planned]} times"
            reason = f"the worker died {times} ({ended.reason}); comparing again tries it again"
            yield planned, Outcome(problem=Problem(planned.task, reason, unfinished=True))


def _written(folder: _storage.Place | None, planned: PlannedTask) -> TaskResult:
    """Return the result that a worker has written."""
    assert folder is not None
    path = folder / planned.task.file
    deadline = time.monotonic() + SECONDS_TO_APPEAR
    while (result := stored_result(folder, planned.task, planned.key)) is None:
        if time.monotonic() >= deadline:
            raise RuntimeError(
                f"a worker has written {path}, but it is not there: workers must see the same folder"
            )
        time.sleep(min(1.0, SECONDS_TO_APPEAR))
        if isinstance(path, Path) and path.parent.is_dir():
            os.listdir(path.parent)  # which makes a network file system look again
    return result
