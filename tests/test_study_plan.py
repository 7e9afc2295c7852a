"""The plan of a comparison: its tasks, what is done, groups that share work, and what happens when workers die."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import convergent as cv
from convergent import study
from convergent._storage import UnreadableFileError
from convergent.study import CompareSettings, Plan, Study, Task, TaskGroup, plan_run
from convergent.study.executors import Ended, Watch
from convergent.study.job import Job, WorkerDied, run_group_elsewhere
from convergent.study.layer import Layer
from convergent.study.unfinished import PLAN
from tests.small_study import assert_same


def many_networks(n: int = 9) -> cv.Statistics:
    rng = np.random.default_rng(0)
    layer = {f"n{i}": rng.standard_normal((40, 5)) for i in range(n)}
    return cv.Statistics.from_layers({"one": layer, "two": layer})


def test_the_plan_is_what_compare_does(
    three_networks: cv.Statistics, expected_study: Study
) -> None:
    plan = study.plan(three_networks)
    assert [planned.task for planned in plan.tasks] == [r.task for r in expected_study.results]
    assert [planned.key for planned in plan.tasks] == [r.key for r in expected_study.results]
    assert repr(plan) == "Plan(61 tasks, 0 done)"


def test_what_is_there_is_done(three_networks: cv.Statistics, tmp_path: Path) -> None:
    study.compare(three_networks, ["cka", "activations"], out=tmp_path)
    plan = study.plan(three_networks, ["cka", "correlation"], out=tmp_path)
    assert {planned.task.measure for planned in plan.tasks if planned.is_done} == {"cka"}
    assert {planned.task.measure for planned in plan.to_do} == {"correlation"}
    other = study.plan(many_networks(3), ["cka"], out=tmp_path)
    assert len(other.to_do) == len(other.tasks)


@pytest.mark.parametrize("n_workers", [1, 2, 7])
def test_groups_hold_every_task_once_and_whole_bundles(n_workers: int) -> None:
    plan = study.plan(many_networks())
    groups = plan.groups(n_workers)
    grouped = Counter(planned for group in groups for planned in group.tasks)
    assert grouped == Counter(plan.to_do)
    for group in groups:
        tasks = [planned.task for planned in group.tasks]
        assert {task.layer for task in tasks} == {group.layer}
        for first, second in (("sparse_map", "unit_tree"), ("max_match", "simple_matches")):
            for task in tasks:
                if task.measure == first:
                    place = tasks.index(task)
                    assert tasks[place + 1] == Task(task.layer, second, task.networks)
        assert sum(task.measure == "indexes" for task in tasks) in (0, 36)


def test_groups_are_small_enough_to_balance_and_the_longest_come_first() -> None:
    plan = study.plan(many_networks(), ["unit_groups", "correlation"])
    groups = plan.groups(3)
    share = sum(planned.seconds for planned in plan.tasks) / 3
    assert all(group.seconds <= share / 8 + 0.051 for group in groups)
    assert groups[0].seconds > groups[-1].seconds
    assert len(plan.groups(1)) == 2


def test_a_group_of_pairs_is_of_few_networks() -> None:
    plan = Plan(study.plan(many_networks(16), ["unit_groups"]).tasks)
    groups = plan.groups(2)
    sizes = [
        (len(group.tasks), len({name for p in group.tasks for name in p.task.networks}))
        for group in groups
    ]
    assert max(n_pairs for n_pairs, _ in sizes) >= 12
    assert max(n_networks for _, n_networks in sizes) <= 12


def test_a_network_is_binned_once_and_only_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counting(*arguments: Any, **options: Any) -> cv.BinnedUnits:
        calls.append(1)
        return cv.bin_units(*arguments, **options)

    monkeypatch.setattr("convergent.study.layer.bin_units", counting)
    layer = Layer(many_networks(3).layers["one"], None, CompareSettings())
    for i, j in ((0, 1), (1, 0), (0, 1)):
        layer.binned(i), layer.binned(j)
    assert len(calls) == 2


def test_maps_and_matchers_are_those_of_the_pair() -> None:
    layer = Layer(many_networks(3).layers["one"], None, CompareSettings())
    first = layer.matcher(0, 1)
    assert layer.matcher(0, 1) is first
    assert layer.matcher(0, 2) is not first
    one = layer.sparse_map(0, 1)
    assert layer.sparse_map(0, 1) is one
    assert layer.sparse_map(1, 0) is not one


def test_threads_of_matrix_products_change_no_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    causes = rng.standard_normal((600, 40))
    networks = {
        name: causes @ rng.standard_normal((40, 150)) + rng.standard_normal((600, 150))
        for name in "ab"
    }
    statistics = cv.Statistics.from_arrays(networks)
    measures = ["cka", "indexes", "shared_response", "unit_groups", "sparse_map"]
    found = []
    for n in (1, 4):
        with threadpool_limits(limits=n, user_api="blas"):
            found.append(study.compare(statistics, measures, n_threads=n))
    assert_same(found[0], found[1], tmp_path)


class DyingWorkers:
    """Runs groups in this process, except that some tasks kill whoever runs them."""

    reads_folder = True

    def __init__(self, deaths: dict[Task, int]) -> None:
        self.deaths = deaths
        self.runs: Counter[Task] = Counter()
        self.closed = 0

    def n_workers(self) -> int:
        return 2

    def run(
        self, job: Job, groups: Sequence[TaskGroup], watch: Watch
    ) -> Generator[tuple[TaskGroup, Ended], None, None]:
        for group in groups:
            yield group, self._ended(job, group)

    def _ended(self, job: Job, group: TaskGroup) -> Ended:
        for place, planned in enumerate(group.tasks):
            self.runs[planned.task] += 1
            if self.deaths.get(planned.task, 0) > 0:
                self.deaths[planned.task] -= 1
                done = TaskGroup(group.layer, group.tasks[:place])
                if done.tasks:
                    run_group_elsewhere(job, done, lambda event, position: None)
                return WorkerDied("killed")
        from convergent.study.job import Outcome

        problems = run_group_elsewhere(job, group, lambda event, position: None)
        return [Outcome(problem=problem) for problem in problems]

    def close(self) -> None:
        self.closed += 1


POISON = Task("conv1", "correlation", ("a", "c"))


def test_a_task_whose_worker_died_is_run_again(
    three_networks: cv.Statistics, expected_study: Study, tmp_path: Path
) -> None:
    workers = DyingWorkers({POISON: 2})
    found = study.compare(three_networks, executor=workers, out=tmp_path / "out")
    assert_same(found, expected_study, tmp_path)
    assert workers.runs[POISON] == 3
    assert workers.closed == 1


def test_a_task_that_keeps_killing_is_reported_alone_and_tried_by_the_next_run(
    three_networks: cv.Statistics, expected_study: Study, tmp_path: Path
) -> None:
    workers = DyingWorkers({POISON: 99})
    out = tmp_path / "out"
    found = study.compare(three_networks, executor=workers, out=out)
    assert found.unfinished == (POISON,)
    (problem,) = found.problems
    assert "the worker died 3 times (killed)" in problem.reason
    assert workers.runs[POISON] == 3
    assert len(found.results) == len(expected_study.results) - 1
    loaded = Study.load(out)
    assert loaded.problems == found.problems
    assert loaded.unfinished == (POISON,)
    assert_same(study.compare(three_networks, out=out), expected_study, tmp_path)


def test_without_retries_the_whole_group_is_reported(
    three_networks: cv.Statistics, tmp_path: Path
) -> None:
    workers = DyingWorkers({POISON: 99})
    found = study.compare(
        three_networks, ["correlation"], executor=workers, n_retries=0, out=tmp_path
    )
    assert POISON in found.unfinished
    assert all("the worker died once" in problem.reason for problem in found.problems)
    assert len(found.results) + len(found.problems) == 6


def test_a_result_that_nobody_sees_is_an_error(
    three_networks: cv.Statistics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(DyingWorkers):
        def _ended(self, job: Job, group: TaskGroup) -> Ended:
            ended = super()._ended(job, group)
            for planned in group.tasks:
                assert job.folder is not None
                (job.folder / planned.task.file).unlink()
            return ended

    monkeypatch.setattr(plan_run, "SECONDS_TO_APPEAR", 0.0)
    with pytest.raises(RuntimeError, match="workers must see the same folder"):
        study.compare(three_networks, ["cka"], executor=Elsewhere({}), out=tmp_path)


def test_a_worker_that_sees_other_statistics_is_refused(
    three_networks: cv.Statistics, tmp_path: Path
) -> None:
    class Changed(DyingWorkers):
        def _ended(self, job: Job, group: TaskGroup) -> Ended:
            many_networks(3).save(job.statistics)  # type: ignore[arg-type]
            return super()._ended(job, group)

    other = cv.Statistics.from_arrays(
        {f"n{i}": np.random.default_rng(i).standard_normal((40, 5)) for i in range(3)}, layer="one"
    )
    with pytest.raises(RuntimeError, match="other statistics for a worker"):
        study.compare(other, ["cka"], executor=Changed({}), out=tmp_path)


def test_a_worker_of_another_version_is_refused(
    three_networks: cv.Statistics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Older(DyingWorkers):
        def _ended(self, job: Job, group: TaskGroup) -> Ended:
            monkeypatch.setattr("convergent.__version__", "0.0.1")
            return super()._ended(job, group)

    with pytest.raises(RuntimeError, match=r"a worker has convergent 0\.0\.1"):
        study.compare(three_networks, ["cka"], executor=Older({}), out=tmp_path)


def test_what_is_there_of_an_unfinished_comparison(
    three_networks: cv.Statistics, expected_study: Study, tmp_path: Path
) -> None:
    def stop(description: str, done: int, total: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    study.compare(three_networks, ["cka"], out=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        study.compare(three_networks, out=tmp_path, progress=stop)
    partial = Study.load(tmp_path)
    assert partial.layers == expected_study.layers
    assert len(partial.results) + len(partial.unfinished) == len(expected_study.results)
    assert 15 < len(partial.results) < 30
    # Results of other settings in the same places do not count.
    settings = CompareSettings(measures=["mutual_information", "cka"], n_bins=5)
    with pytest.raises(ZeroDivisionError):
        study.compare(
            three_networks,
            settings=settings,
            out=tmp_path,
            progress=lambda d, done, n: 1 // (done - 6),
        )
    partial = Study.load(tmp_path)
    assert {result.task.measure for result in partial.results} == {"cka"}
    assert not study.compare(three_networks, settings=settings, out=tmp_path).problems
    assert not (tmp_path / PLAN).exists()


@pytest.mark.parametrize("content", ["{", '{"format": "other"}', '{"format": "convergent.Plan/1"}'])
def test_a_damaged_plan_is_named_and_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / PLAN).write_text(content)
    with pytest.raises(UnreadableFileError, match=PLAN):
        Study.load(tmp_path)


def test_a_plan_cannot_name_files_outside(three_networks: cv.Statistics, tmp_path: Path) -> None:
    def stop(description: str, done: int, total: int) -> None:
        if (tmp_path / "study" / PLAN).exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.compare(three_networks, ["cka"], out=tmp_path / "study", progress=stop)
    path = tmp_path / "study" / PLAN
    path.write_text(path.read_text().replace('"measure": "cka"', '"measure": "../../../x"'))
    with pytest.raises(UnreadableFileError, match="outside"):
        Study.load(tmp_path / "study")


def test_bad_arguments(three_networks: cv.Statistics) -> None:
    with pytest.raises(ValueError, match="only one of n_workers, scheduler, executor may be given"):
        study.compare(three_networks, n_workers=2, scheduler="tcp://10.0.0.1:8786")
    with pytest.raises(ValueError, match="`n_workers` must be at least 1"):
        study.compare(three_networks, n_workers=0)
    with pytest.raises(ValueError, match="`n_retries` must be at least 0"):
        study.compare(three_networks, n_retries=-1)
    with pytest.raises(ValueError, match="`out` must be a folder that all workers see"):
        study.compare(three_networks, executor=DyingWorkers({}))


def test_statistics_may_be_named_by_their_folder(
    three_networks: cv.Statistics, expected_study: Study, tmp_path: Path
) -> None:
    three_networks.save(tmp_path / "statistics")
    assert_same(study.compare(tmp_path / "statistics"), expected_study, tmp_path)


def test_one_layer_of_statistics_is_read(three_networks: cv.Statistics, tmp_path: Path) -> None:
    three_networks.save(tmp_path)
    assert list(cv.Statistics.load(tmp_path, layers=["conv2"]).layers) == ["conv2"]
    with pytest.raises(ValueError, match="`layers` must be of conv1, conv2, got fc"):
        cv.Statistics.load(tmp_path, layers=["fc"])
