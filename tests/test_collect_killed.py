"""A collection that is killed at any moment ends, when run again, in the files of an undisturbed one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("captum")

from tests.kill_programs import report_of
from tests.test_killed_save import content

N_KILLS = int(os.environ.get("CONVERGENT_KILLS", "5"))

# Starting Python takes longer than collecting, so one process starts a copy of itself for each
# attempt. The copy announces each file that it is about to change. It is killed with SIGKILL at a
# drawn time of the whole run or, as files are written in little of that time, after a drawn change;
# oftener a late one, as the patches come last and are few.
# Each round begins with networks alone or with the files of another collection, which are to be
# replaced; later kills of a round find what the earlier ones left.
PROGRAM = """
import contextlib, io, json, os, select, shutil, signal, sys, time
import numpy as np
import torch
torch.set_num_threads(1)
from convergent import Statistics, cli, pipeline
from convergent.study import StudyFolder
from convergent.study_patches import read_patches

os.chdir(sys.argv[1])
n_kills = int(sys.argv[2])

def collect(name, *options):
    with contextlib.redirect_stdout(io.StringIO()):
        return cli.main(["collect", name, "--quiet", *options])

def started(name):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            def announce(event, arguments):
                is_written = event == "open" and "w" in str(arguments[1])
                if is_written or event in ("os.rename", "os.remove"):
                    os.write(writing, b"x")
            sys.addaudithook(announce)
            code = collect(name)
        finally:
            os._exit(code)
    os.close(writing)
    return child, reading

def watched(reading, seconds, n_changes):
    '''Return the changes seen until there are so many, time is up, or the child ends.'''
    end = None if seconds is None else time.perf_counter() + seconds
    seen = 0
    while seen < n_changes:
        left = None if end is None else max(0.0, end - time.perf_counter())
        if not select.select([reading], [], [], left)[0] or not os.read(reading, 1):
            break
        seen += 1
    return seen

def is_killed(name, seconds, n_changes):
    child, reading = started(name)
    watched(reading, seconds, n_changes)
    time.sleep(random.uniform(0.0, 0.001))  # as long as a small file is written
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    os.close(reading)  # not before: writing to a closed pipe is an error of its own
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False

def state(name):
    '''Return what a kill left, which must be refused or right.'''
    folder = StudyFolder(name)
    n_patches = sum(map(len, read_patches(folder).values()))
    if not Statistics.is_complete(folder.statistics):
        return "no statistics"
    assert Statistics.damaged(folder.statistics) == []
    return f"statistics and {n_patches} patches"

def begin(rounds):
    name = f"round-{len(rounds)}"
    shutil.copytree("other" if len(rounds) % 2 else "networks-alone", name)
    rounds.append(name)

pipeline.train("networks-alone", [0, 1], epochs=1)
for name in ("undisturbed", "other"):
    shutil.copytree("networks-alone", name)
assert collect("other", "--layers", "relu2", "relu3", "--top", "2") == 0
start = time.perf_counter()
child, reading = started("undisturbed")
n_changes = watched(reading, None, float("inf"))
assert os.waitpid(child, 0)[1] == 0
os.close(reading)
whole = time.perf_counter() - start
random = np.random.default_rng(2018)
rounds, left = [], []
begin(rounds)
while len(left) < n_kills:
    by_time = random.uniform(0.0, whole), float("inf")
    by_change = None, n_changes - int(n_changes * random.uniform() ** 3)
    is_hit = is_killed(rounds[-1], *(by_change if len(left) % 2 else by_time))
    if is_hit:
        left.append(state(rounds[-1]))
    if not is_hit or len(left) % 3 == 0:  # it came to its end first, or was killed often enough
        begin(rounds)
for name in rounds:
    assert collect(name) == 0
json.dump({"rounds": rounds, "left": left, "seconds": whole, "changes": n_changes}, sys.stdout)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kills_at_random_moments_change_no_byte(tmp_path: Path) -> None:
    found = report_of(PROGRAM, tmp_path, N_KILLS)
    print(found)
    assert len(found["left"]) == N_KILLS
    expected = content(tmp_path / "undisturbed")
    assert {"statistics/statistics.json", "patches/patches.json"} <= set(expected)
    assert "patches/relu1/seed-01.npz" in expected
    assert not [name for name in expected if name.endswith(".tmp")]
    for name in found["rounds"]:
        ours = content(tmp_path / name)
        assert set(ours) == set(expected)
        assert [file for file in ours if ours[file] != expected[file]] == []
