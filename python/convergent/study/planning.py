"""What a comparison has to do: its tasks, which are done already, and groups of them that share work."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, groupby

from convergent import _storage
from convergent.progress import silent
from convergent.statistics import Statistics
from convergent.study.costs import seconds_of
from convergent.study.index_tasks import AllLayers
from convergent.study.layer import Layer
from convergent.study.result import ALL_LAYERS, Task
from convergent.study.settings import CompareSettings
from convergent.study.task_run import source_of, stored_result
from convergent.study.tasks import ACROSS_TASKS, PAIR_TASKS, TOGETHER_TASKS

_GROUPS_A_WORKER = 8
_LEAST_SECONDS = 0.02
_TILE = 4
"""Pairs come in squares of so many networks a side, so that a group of pairs is of few networks."""

_FAMILIES = {"unit_tree": "sparse_map", "simple_matches": "max_match"}
"""Measures that share a pair's work with another one: they follow it at once."""
_WHOLE = ("indexes",)
"""Measures whose pairs are computed together."""


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task, the key of all that its result depends on, about how long it takes, and whether it is there.

    Examples
    --------
    >>> from convergent.study import PlannedTask, Task
    >>> PlannedTask(Task("conv1", "cka", ("a", "b")), "5f2e", 0.3, False)
    PlannedTask(cka of a and b, layer conv1: about 0.3 s)
    """

    task: Task
    key: str
    seconds: float
    is_done: bool

    def __repr__(self) -> str:
        state = "done" if self.is_done else f"about {self.seconds:.2g} s"
        return f"PlannedTask({self.task}: {state})"


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """Tasks of one layer that one worker does in their order, sharing what they have in common."""

    layer: str
    tasks: tuple[PlannedTask, ...]

    @property
    def seconds(self) -> float:
        """About how long the group takes on one processor core."""
        return sum(planned.seconds for planned in self.tasks)

    def __repr__(self) -> str:
        where = "all layers" if self.layer == ALL_LAYERS else f"layer {self.layer}"
        return f"TaskGroup({len(self.tasks)} tasks of {where}, about {self.seconds:.2g} s)"


@dataclass(frozen=True)
class Plan:
    """The tasks of a comparison, in the order of its results.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> from convergent import _storage, study
    >>> x = np.random.default_rng(0).standard_normal((50, 4))
    >>> plan = study.plan(cv.Statistics.from_arrays({"a": x, "b": x, "c": x}), ["cka", "activations"])
    >>> plan
    Plan(4 tasks, 0 done)
    >>> print(plan.tasks[0].task)
    cka of a and b, layer activations
    >>> [len(group.tasks) for group in plan.groups(n_workers=1)]
    [4]
    """

    tasks: tuple[PlannedTask, ...] = field(repr=False)

    def __repr__(self) -> str:
        return f"Plan({len(self.tasks)} tasks, {len(self.tasks) - len(self.to_do)} done)"

    @cached_property
    def to_do(self) -> tuple[PlannedTask, ...]:
        """The tasks whose results are not there."""
        return tuple(planned for planned in self.tasks if not planned.is_done)

    def groups(self, n_workers: int) -> list[TaskGroup]:
        """Return the tasks that are to do in groups.

        A group is of one layer, and tasks that share work are in one group as far as its length allows. One worker
        takes a group a layer; for several, a group is at most about an eighth of a worker's share, unless its tasks
        share all their work. The longest come first; of groups about as long, those of a layer follow each other,
        so that a worker often goes on with the layer that it has.
        """
        share = sum(planned.seconds for planned in self.to_do) / n_workers
        most = math.inf if n_workers == 1 else max(share / _GROUPS_A_WORKER, _LEAST_SECONDS)
        groups = []
        for layer, tasks in groupby(self.to_do, key=lambda planned: planned.task.layer):
            groups += [TaskGroup(layer, part) for part in _parts(list(tasks), most)]
        if n_workers > 1:
            groups.sort(key=lambda group: -math.frexp(group.seconds)[1])
        return groups


def plan(
    statistics: Statistics,
    measures: Sequence[str] | None = None,
    *,
    settings: CompareSettings | None = None,
    out: _storage.AnyPlace | None = None,
) -> Plan:
    """Return what `compare` would do with the same arguments.

    Parameters
    ----------
    statistics : Statistics
    measures : sequence of str, optional
        Shorthand for ``settings=CompareSettings(measures=measures)``.
    settings : CompareSettings, optional
        Default: every measure, as the papers set them.
    out : path, optional
        Folder of results; those of the same statistics and settings count as done.

    Returns
    -------
    Plan

    Raises
    ------
    UnreadableFileError
        If a result in `out` is truncated, or another file has its place.

    Notes
    -----
    Reads the statistics once, since results depend on their content, and every result that is there.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import convergent as cv
    >>> from convergent import study
    >>> x = np.random.default_rng(0).standard_normal((50, 4))
    >>> statistics = cv.Statistics.from_arrays({"a": x, "b": x[:, ::-1]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = study.compare(statistics, ["cka"], out=folder)
    ...     study.plan(statistics, ["cka", "correlation"], out=folder)
    Plan(2 tasks, 1 done)
    """
    folder = None if out is None else _storage.place(out)
    return planned_tasks(statistics, resolved_settings(measures, settings), folder)


def planned_tasks(
    statistics: Statistics,
    settings: CompareSettings,
    folder: _storage.Place | None,
    progress: Callable[[str, int, int], object] = silent,
) -> Plan:
    """Return the plan of a comparison."""
    tasks = list(_tasks(statistics, settings))
    planned: list[PlannedTask] = []
    source: Layer | AllLayers | None = None
    for task in tasks:
        if source is None or task.layer != planned[-1].task.layer:
            source = source_of(statistics, task.layer, settings)
            progress("compare", 0, len(tasks))
        key = source.key(task)
        is_done = stored_result(folder, task, key) is not None
        planned.append(PlannedTask(task, key, seconds_of(task, statistics, settings), is_done))
    return Plan(tuple(planned))


def resolved_settings(
    measures: Sequence[str] | None, settings: CompareSettings | None
) -> CompareSettings:
    """Return the settings that `measures` is short for, or `settings`, or the defaults."""
    if measures is None:
        return settings or CompareSettings()
    if settings is not None:
        raise ValueError("`measures` and `settings` exclude each other, got both")
    if isinstance(measures, str):
        raise TypeError(f"`measures` must be a list of names, got the string {measures!r}")
    return CompareSettings(measures=measures)


def _tasks(statistics: Statistics, settings: CompareSettings) -> Iterator[Task]:
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


def _parts(tasks: list[PlannedTask], most: float) -> Iterator[tuple[PlannedTask, ...]]:
    """Yield the tasks of a layer in parts of up to so many seconds; bundles are not divided."""
    part: list[PlannedTask] = []
    seconds = 0.0
    for bundle in _bundles(tasks):
        added = sum(planned.seconds for planned in bundle)
        if part and seconds + added > most:
            yield tuple(part)
            part, seconds = [], 0.0
        part += bundle
        seconds += added
    if part:
        yield tuple(part)


def _bundles(tasks: list[PlannedTask]) -> list[list[PlannedTask]]:
    """Return the tasks that share all their work together, neighbours sharing some of it."""
    networks = list(dict.fromkeys(name for planned in tasks for name in planned.task.networks))
    place = {name: k for k, name in enumerate(sorted(networks))}
    families = list(dict.fromkeys(_family(planned.task) for planned in tasks))

    def position(planned: PlannedTask) -> tuple[int, ...]:
        task = planned.task
        family = families.index(_family(task))
        if len(task.networks) != 2 or task.measure in _WHOLE:
            return (family,)
        i, j = (place[name] for name in task.networks)
        return (family, i // _TILE, j // _TILE, i, j)

    ordered = sorted(tasks, key=position)
    return [list(bundle) for _, bundle in groupby(ordered, key=position)]


def _family(task: Task) -> str:
    return _FAMILIES.get(task.measure, task.measure)
