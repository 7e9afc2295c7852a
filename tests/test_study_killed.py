"""A comparison that is killed without warning, at any moment, goes on and ends with the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from convergent import pipeline
from convergent.study import Study, StudyFolder
from convergent.study.unfinished import PLAN
from tests.small_study import assert_same, small_statistics

psutil = pytest.importorskip("psutil")

N_KILLS = int(os.environ.get("CONVERGENT_KILLS", "6"))


def kill_when(folder: StudyFolder, n_results: int, delay: float, n_workers: int) -> int:
    """Compare in another process, and kill it some time after so many results are there; return how many it left."""
    where = [] if n_workers == 0 else ["--workers", str(n_workers)]
    command = ["compare", str(folder.root), "--quiet", *where]
    process = subprocess.Popen([sys.executable, "-m", "convergent.cli", *command])
    deadline = time.monotonic() + 60
    while process.poll() is None and len(list(folder.comparisons.glob("*/*/*.npz"))) < n_results:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(delay)
    workers = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive, "workers outlive the comparison"
    return len(list(folder.comparisons.glob("*/*/*.npz")))


@pytest.mark.parametrize("number", range(N_KILLS))
def test_a_killed_comparison_goes_on(number: int, expected_study: Study, tmp_path: Path) -> None:
    random = np.random.default_rng(number)
    n_results = 0 if number == 0 else int(random.integers(1, 46))
    delay = float(random.uniform(0.0, 0.05))
    folder = StudyFolder(tmp_path)
    small_statistics().save(folder.statistics)
    left = kill_when(folder, n_results, delay, n_workers=(2, 0)[number % 2])
    assert left < 61 or number > 0
    if (folder.comparisons / PLAN).exists():
        partial = Study.load(folder.comparisons)
        assert len(partial.results) + len(partial.unfinished) == 61
        assert abs(len(partial.results) - left) <= 1
        if number == 1:
            pytest.importorskip("matplotlib")
            pytest.importorskip("jinja2")
            pipeline.report(folder.root)
            page = folder.report.read_text()
            assert f"<b>{len(partial.unfinished)} tasks</b>: not computed yet" in page
    pipeline.compare(folder.root)
    assert_same(Study.load(folder.comparisons), expected_study, tmp_path)
    assert folder.summary.read_bytes() == (tmp_path / "expected.csv").read_bytes()
    assert not (folder.comparisons / PLAN).exists()
