"""Statistics whose saving is killed without warning are refused or right, and saved whole by the next run."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import convergent as cv
from convergent import _core, _storage

N_KILLS = int(os.environ.get("CONVERGENT_KILLS", "7"))

# Two contents take turns, so that a kill comes in the middle of replacing one by the other.
PROGRAM = """
import sys, numpy as np, convergent as cv
x = np.random.default_rng(0).normal(size=(3000, 40)).astype(np.float32)
one = cv.Statistics.from_arrays({"a": x, "b": -x}, labels=np.arange(3000) % 3, n_top=2)
two = cv.Statistics.from_arrays({"a": 2 * x, "b": x}, n_top=2, layer="other")
if sys.argv[2] == "once":
    one.save(sys.argv[1])
else:
    print("ready", flush=True)
    while True:
        one.save(sys.argv[1])
        two.save(sys.argv[1])
"""


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_a_killed_save_is_refused_or_right_and_can_be_repeated(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "whole"), "once"], check=True)
    whole = content(tmp_path / "whole")
    expected = cv.Statistics.load(tmp_path / "whole")
    random = np.random.default_rng(0)
    folder = tmp_path / "cut"
    outcomes: list[str] = []
    while len(outcomes) < N_KILLS or "refused" not in outcomes:
        assert len(outcomes) < 20 * N_KILLS, "no kill came in the middle of a save"
        command = [sys.executable, "-c", PROGRAM, str(folder), "on and on"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(random.uniform(0.0, 0.2))
            process.send_signal(signal.SIGKILL)
        try:
            found = cv.Statistics.load(folder)
        except FileNotFoundError:
            assert not cv.Statistics.is_complete(folder)
            outcomes.append("refused")
        else:
            assert cv.Statistics.damaged(folder) == []
            for layer in found.layers.values():
                layer.fingerprint()
            outcomes.append("whole")
    expected.save(folder)
    assert content(folder) == whole  # no file of the other content, and none that is temporary
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    expected.save(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_manifest_says_what_it_was_made_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).normal(size=(50, 4))
    statistics = cv.Statistics.from_arrays({"a": x, "b": x}, seed=3)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__version__="9.9"))
    found = _storage.read_json(statistics.save(tmp_path / "arrays") / "statistics.json")
    assert found["settings"]["seed"] == 3
    assert found["versions"] == {
        "python": platform.python_version(),
        "kernels": _core.level,
        **{name: version(name) for name in ("convergent", "numpy", "scipy", "scikit-learn")},
    }
    statistics.settings["source"] = "networks"
    found = _storage.read_json(statistics.save(tmp_path / "networks") / "statistics.json")
    assert found["versions"]["torch"] == "9.9"


def test_the_same_statistics_are_written_anew_where_a_file_is_damaged(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    statistics = cv.Statistics.from_arrays({"a": x, "b": x}, labels=np.arange(50))
    folder = statistics.save(tmp_path)
    before = content(folder)
    for name in before:
        path = folder / name
        path.write_bytes(b"x" + path.read_bytes()[1:])
        statistics.save(folder)
        assert content(folder) == before
    written = _storage.read_json(folder / "statistics.json")
    written["versions"]["numpy"] = "1.24"
    (folder / "statistics.json").write_text("{}")
    _storage.write_json(folder / "statistics.json", written)
    statistics.save(folder)  # the same content, whichever version wrote it
    assert _storage.read_json(folder / "statistics.json")["versions"]["numpy"] == "1.24"
