"""Comparisons on a Dask cluster: a scheduler and workers that were started from the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import convergent as cv
from convergent import study
from convergent._storage import UnreadableFileError
from convergent.cli import main
from convergent.study import DaskCluster, Study, StudyFolder
from convergent.study.dask_cluster import _ended
from convergent.study.job import WorkerDied
from tests.small_study import assert_same

if TYPE_CHECKING:
    from distributed import Client

pytest.importorskip("distributed", reason="distributed is not installed")

OPTIONS = ["--host", "127.0.0.1", "--no-dashboard"]


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self.processes = [self._start("scheduler", "--port", "0")]
        self.workers: list[subprocess.Popen[bytes]] = []

    def _start(self, role: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", role, *OPTIONS, *options]
        with (self._folder / f"{role}.log").open("ab") as log:
            return subprocess.Popen(
                [*command, "--scheduler-file", str(self._file)],
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )

    def add_worker(self) -> None:
        options = ["--nthreads", "1", "--no-nanny", "--local-directory", str(self._folder)]
        self.workers.append(self._start("worker", *options))
        self.processes.append(self.workers[-1])

    @property
    def address(self) -> str:
        import json

        deadline = time.monotonic() + 60
        while True:
            try:
                return str(json.loads(self._file.read_text())["address"])
            except (FileNotFoundError, ValueError):
                assert time.monotonic() < deadline
                assert self.processes[0].poll() is None
                time.sleep(0.02)

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        found.add_worker()
        found.add_worker()
        yield found
    finally:
        found.stop()


class KillOne:
    """Kills a worker of the cluster when it has begun some tasks."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.has_killed = False
        self.names: set[str] = set()

    def running(self, description: str, names: Sequence[str]) -> None:
        self.names.update(names)

    def __call__(self, description: str, done: int, total: int) -> None:
        if not self.has_killed and 3 <= done < total:
            self.cluster.workers.pop(0).kill()
            self.has_killed = True


def test_a_cluster_gives_the_same_numbers_though_a_worker_is_killed(
    cluster: Cluster, three_networks: cv.Statistics, expected_study: Study, tmp_path: Path
) -> None:
    killer = KillOne(cluster)
    found = study.compare(
        three_networks, scheduler=cluster.address, progress=killer, out=tmp_path / "out"
    )
    cluster.add_worker()
    assert killer.has_killed
    assert any("of a and b, layer conv" in name for name in killer.names)
    assert_same(found, expected_study, tmp_path)
    assert_same(Study.load(tmp_path / "out"), expected_study, tmp_path)


class KillAll:
    """Ends all workers when some outcomes that are not collected are with them, and starts two others."""

    def __init__(self, cluster: Cluster, client: Client) -> None:
        self._cluster = cluster
        self._client = client
        self.n_lost = 0

    def __call__(self, description: str, done: int, total: int) -> None:
        if self.n_lost == 0 and done > 0:
            self._wait_for("finished", 3)  # one of them may be collected
            while self._cluster.workers:
                self._cluster.workers.pop().kill()
            self.n_lost = self._wait_for("lost", 2)
            self._cluster.add_worker()
            self._cluster.add_worker()

    def _wait_for(self, status: str, n: int) -> int:
        deadline = time.monotonic() + 60
        while True:
            statuses = [state.status for state in self._client.futures.values()]
            if (found := statuses.count(status)) >= n:
                return found
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_outcomes_that_are_lost_with_all_workers_come_again(
    cluster: Cluster, three_networks: cv.Statistics, expected_study: Study, tmp_path: Path
) -> None:
    from distributed import Client

    with Client(cluster.address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        killer = KillAll(cluster, client)
        found = study.compare(
            three_networks, executor=DaskCluster(client), progress=killer, out=tmp_path / "out"
        )
    assert killer.n_lost > 0
    assert_same(found, expected_study, tmp_path)


def test_the_command_compares_on_a_cluster(
    cluster: Cluster, three_networks: cv.Statistics, tmp_path: Path
) -> None:
    three_networks.save(StudyFolder(tmp_path).statistics)
    options = ["--measures", "cka", "correlation", "--scheduler", cluster.address, "--quiet"]
    assert main(["compare", str(tmp_path), *options]) == 0
    found = Study.load(StudyFolder(tmp_path).comparisons)
    assert_same(found, study.compare(three_networks, ["cka", "correlation"]), tmp_path)


def test_a_client_that_is_given_stays_open(
    cluster: Cluster, three_networks: cv.Statistics, tmp_path: Path
) -> None:
    from distributed import Client

    with Client(cluster.address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        executor = DaskCluster(client)
        found = study.compare(three_networks, ["cka"], executor=executor, out=tmp_path / "out")
        assert client.status == "running"
    assert_same(found, study.compare(three_networks, ["cka"]), tmp_path)


def test_what_cannot_be_computed_is_the_same_problem(cluster: Cluster, tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((10, 4))
    few = cv.Statistics.from_arrays({"a": x, "b": x})
    measures = ["shared_response", "cka"]
    found = study.compare(few, measures, scheduler=cluster.address, out=tmp_path / "out")
    assert len(found.problems) == 1
    assert_same(found, study.compare(few, measures), tmp_path)


def test_truncated_and_foreign_results_are_refused(
    cluster: Cluster, three_networks: cv.Statistics, tmp_path: Path
) -> None:
    study.compare(three_networks, ["cka"], out=tmp_path)
    first, second = sorted(tmp_path.glob("*/cka/*.npz"))[:2]
    first.write_bytes(first.read_bytes()[:-20])
    with pytest.raises(UnreadableFileError, match=first.name):
        study.compare(three_networks, ["cka"], scheduler=cluster.address, out=tmp_path)
    first.write_bytes(second.read_bytes())
    with pytest.raises(UnreadableFileError, match="remove it to go on"):
        study.compare(three_networks, ["cka"], scheduler=cluster.address, out=tmp_path)


def test_an_error_of_a_worker_ends_the_comparison(
    cluster: Cluster, three_networks: cv.Statistics, tmp_path: Path
) -> None:
    task = study.plan(three_networks, ["cka"]).tasks[-1].task

    def spoil(description: str, done: int, total: int) -> None:
        if (tmp_path / "plan.json").exists():
            (tmp_path / task.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / task.file).write_bytes(b"something else")

    with pytest.raises(UnreadableFileError, match=r"b--c\.npz is truncated or no file"):
        study.compare(
            three_networks, ["cka"], scheduler=cluster.address, out=tmp_path, progress=spoil
        )


def test_an_interrupt_cancels_what_has_not_begun(
    cluster: Cluster, three_networks: cv.Statistics, tmp_path: Path
) -> None:
    def stop(description: str, done: int, total: int) -> None:
        if 3 <= done < total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.compare(three_networks, scheduler=cluster.address, out=tmp_path, progress=stop)
    partial = Study.load(tmp_path)
    assert len(partial.results) >= 1
    assert partial.unfinished


def test_a_group_that_dask_gave_up_counts_as_a_death() -> None:
    from distributed.scheduler import KilledWorker

    class GivenUp:
        status = "error"

        def exception(self) -> Exception:
            return KilledWorker("key", None, 3)  # type: ignore[arg-type]

    assert isinstance(_ended(GivenUp()), WorkerDied)


def test_a_group_that_the_scheduler_cancelled_is_an_error() -> None:
    class Cancelled:
        status = "cancelled"

    with pytest.raises(RuntimeError, match="gave up a group of tasks, or is gone"):
        _ended(Cancelled())


def test_a_scheduler_that_is_not_there(three_networks: cv.Statistics, tmp_path: Path) -> None:
    cluster = DaskCluster("tcp://127.0.0.1:9", seconds_to_connect=0.5)
    with pytest.raises(RuntimeError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        study.compare(three_networks, ["cka"], executor=cluster, out=tmp_path)


def test_a_scheduler_without_workers(three_networks: cv.Statistics, tmp_path: Path) -> None:
    alone = Cluster(tmp_path)
    try:
        cluster = DaskCluster(alone.address, seconds_to_connect=0.5)
        with pytest.raises(RuntimeError, match="has no workers"):
            study.compare(three_networks, ["cka"], executor=cluster, out=tmp_path / "out")
    finally:
        alone.stop()


def test_results_on_a_cluster_need_a_folder(three_networks: cv.Statistics) -> None:
    with pytest.raises(ValueError, match="`out` must be a folder that all workers see"):
        study.compare(three_networks, ["cka"], scheduler="tcp://127.0.0.1:9")


def test_without_distributed_the_error_says_what_to_install(
    three_networks: cv.Statistics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match="needs distributed"):
        study.compare(three_networks, ["cka"], scheduler="tcp://127.0.0.1:9", out=tmp_path)


def test_importing_the_studies_imports_no_dask() -> None:
    code = "import sys, convergent.study; assert not {'dask', 'distributed'} & set(sys.modules)"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DASK")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
