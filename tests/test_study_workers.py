"""Comparisons on local processes: the same numbers, deaths survived, an end at once when asked for."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convergent as cv
from convergent import study
from convergent._storage import UnreadableFileError
from convergent.cli import main
from convergent.progress import progress
from convergent.study import Study, StudyFolder
from tests.small_study import assert_same, small_statistics

psutil = pytest.importorskip("psutil")


def workers_of(process_id: int) -> list[Any]:
    """Return the worker processes that a process has started."""
    try:
        children = psutil.Process(process_id).children(recursive=True)
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


class Killer:
    """Kills worker processes while tasks are under way."""

    def __init__(self, times: int, after: int) -> None:
        self.left = times
        self.killed: set[int] = set()
        self.after = after

    def running(self, description: str, names: Sequence[str]) -> None:
        self.names = names

    def __call__(self, description: str, done: int, total: int) -> None:
        if self.left and self.names and done >= self.after:
            for worker in workers_of(os.getpid())[:1]:
                worker.send_signal(signal.SIGKILL)
                self.killed.add(worker.pid)
                self.left -= 1


def test_two_processes_give_the_same_numbers_though_one_is_killed(
    three_networks: cv.Statistics, expected_study: Study, tmp_path: Path
) -> None:
    killer = Killer(times=1, after=0)
    killer.names = []
    found = study.compare(three_networks, n_workers=2, progress=killer, out=tmp_path / "out")
    assert killer.killed
    assert_same(found, expected_study, tmp_path)
    assert_same(Study.load(tmp_path / "out"), expected_study, tmp_path)
    assert not workers_of(os.getpid())


def test_results_need_not_be_kept(three_networks: cv.Statistics, tmp_path: Path) -> None:
    measures = ["cka", "correlation"]
    found = study.compare(three_networks, measures, n_workers=1)
    assert_same(found, study.compare(three_networks, measures), tmp_path)


def test_tasks_whose_workers_always_die_are_problems_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code and the standard error say so, the tables hold the rest, and the next run does them."""
    from convergent.study import comparison
    from convergent.study.job import WorkerDied
    from convergent.study.local_processes import LocalProcesses

    class Dying(LocalProcesses):
        def run(self, job, groups, watch):  # type: ignore[no-untyped-def]
            for group in groups:
                if group.layer == "conv1":
                    yield group, WorkerDied("its process was killed")
            others = [group for group in groups if group.layer != "conv1"]
            if others:
                yield from super().run(job, others, watch)

    monkeypatch.setattr(comparison, "LocalProcesses", Dying)
    small_statistics().save(StudyFolder(tmp_path).statistics)
    arguments = ["compare", str(tmp_path), "--measures", "cka", "--workers", "1", "--quiet"]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.count("the worker died 3 times (its process was killed)") == 3
    assert "not computed: cka of a and b, layer conv1" in said
    assert (tmp_path / "summary.csv").read_text().count("conv2") == 3
    monkeypatch.undo()
    assert main(arguments[:-3]) == 0
    assert (tmp_path / "summary.csv").read_text().count("conv1") == 3


def test_what_cannot_be_computed_is_the_same_problem_anywhere(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((10, 4))
    statistics = cv.Statistics.from_arrays({"a": x, "b": x})
    measures = ["shared_response", "cka"]
    found = study.compare(statistics, measures, n_workers=1, out=tmp_path / "out")
    assert_same(found, study.compare(statistics, measures), tmp_path)
    assert len(found.problems) == 1
    assert not found.unfinished


def test_a_truncated_result_is_named_and_refused(
    three_networks: cv.Statistics, tmp_path: Path
) -> None:
    study.compare(three_networks, ["cka"], out=tmp_path)
    first, second = sorted(tmp_path.glob("*/cka/*.npz"))[:2]
    whole = first.read_bytes()
    first.write_bytes(whole[:-20])
    with pytest.raises(UnreadableFileError, match=first.name):
        study.compare(three_networks, ["cka"], n_workers=1, out=tmp_path)
    first.write_bytes(second.read_bytes())
    with pytest.raises(UnreadableFileError, match="remove it to go on"):
        study.compare(three_networks, ["cka"], n_workers=1, out=tmp_path)
    assert first.read_bytes() == second.read_bytes()


def test_a_file_that_turns_foreign_on_the_way_is_refused_by_the_worker(
    three_networks: cv.Statistics, tmp_path: Path
) -> None:
    task = study.plan(three_networks, ["cka"]).tasks[-1].task

    def spoil(description: str, done: int, total: int) -> None:
        if (tmp_path / "plan.json").exists():
            (tmp_path / task.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / task.file).write_bytes(b"something else")

    with pytest.raises(UnreadableFileError, match=r"b--c\.npz is truncated or no file"):
        study.compare(three_networks, ["cka"], n_workers=1, out=tmp_path, progress=spoil)


def test_an_unguarded_program_is_told_so(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np, convergent as cv\n"
        "from convergent import study\n"
        "x = np.random.default_rng(0).standard_normal((50, 4))\n"
        "study.compare(cv.Statistics.from_arrays({'a': x, 'b': x}), ['cka'], n_workers=1)\n"
    )
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert 'if __name__ == "__main__":' in done.stderr.splitlines()[-1]


def test_progress_names_what_is_under_way() -> None:
    lines = io.StringIO()
    with progress(stream=lines) as report:
        report.running("compare", ["one of a and b", "two", "three", "four"])  # type: ignore[attr-defined]
        report._last -= 10  # type: ignore[attr-defined]
        report("compare", 1, 9)
        report("compare", 9, 9)
    assert lines.getvalue() == "compare: 1/9 (one of a and b; two; three; 1 more)\ncompare: 9/9\n"


def slow_study(folder: Path) -> StudyFolder:
    """Write a study whose simple matches take a while beside quick measures."""
    random = np.random.default_rng(0)
    causes = random.standard_normal((2000, 120))
    networks = {
        name: causes @ random.standard_normal((120, 120))
        + 0.3 * random.standard_normal((2000, 120))
        for name in "abc"
    }
    cv.Statistics.from_arrays(networks).save(StudyFolder(folder).statistics)
    return StudyFolder(folder)


def test_an_interrupt_ends_the_command_and_keeps_what_is_finished(tmp_path: Path) -> None:
    folder = slow_study(tmp_path)
    study.compare(cv.Statistics.load(folder.statistics), ["cka"], out=folder.comparisons)
    measures = ["--measures", "simple_matches", "cka", "--orders", "4000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "convergent.cli", "compare", str(tmp_path), *measures, "--workers", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    with process:
        assert process.stderr is not None
        assert any("(simple_matches" in line for line in process.stderr)
        workers = workers_of(process.pid)
        asked = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        _, said = process.communicate(timeout=30)
    took = time.monotonic() - asked
    assert process.returncode == 130
    assert workers
    assert not psutil.wait_procs(workers, timeout=5)[1]
    assert "interrupted; run the same command again" in said
    assert "Traceback" not in said
    assert took < 10.0, "the search was waited for"
    partial = Study.load(folder.comparisons)
    assert {result.task.measure for result in partial.results} == {"cka"}
    assert len(partial.unfinished) == 3
