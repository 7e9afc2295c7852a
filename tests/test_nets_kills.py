"""Trainings killed at any moment end, when run again, in the bits of an undisturbed one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.kill_programs import report_of
from tests.test_nets_training import metrics, weights

N_KILLS = int(os.environ.get("CONVERGENT_KILLS", "7"))

# Starting Python takes longer than the training, so one process starts a copy of itself for each
# attempt and kills that with SIGKILL after a time that a seed draws.
PROGRAM = """
import json, os, select, signal, sys, time
import numpy as np
import torch
torch.set_num_threads(1)
from convergent import nets
from tests.test_nets_training import noisy_network, small_digits

out, n_kills = sys.argv[1], int(sys.argv[2])
data = small_digits()

def train(name):
    nets.train(noisy_network, data, seeds=[0, 1], out=os.path.join(out, name), epochs=8,
               checkpoints=(0, 1, 3, 5), batch_size=50, augmentation="crop")

def killed_after(seconds, name):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        train(name)
        os._exit(0)
    os.close(writing)
    select.select([reading], [], [], seconds)  # the pipe is closed when the child ends
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])

train("undisturbed")
start = time.perf_counter()
train("round-0")
whole = time.perf_counter() - start
random = np.random.default_rng(2018)
n, rounds = 0, ["round-0", "round-1"]
while n < n_kills:
    if killed_after(random.uniform(0.0, 0.3 * whole), rounds[-1]):
        n += 1
    else:  # it came to its end first
        rounds.append(f"round-{len(rounds)}")
for name in rounds:
    train(name)
json.dump({"rounds": rounds, "kills": n}, sys.stdout)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    found = report_of(PROGRAM, tmp_path, N_KILLS)
    assert found["kills"] == N_KILLS
    for name in found["rounds"]:
        for seed in ("seed-00", "seed-01"):
            ours, theirs = tmp_path / name / seed, tmp_path / "undisturbed" / seed
            assert list(weights(ours)) == [0, 1, 3, 5, 8]
            assert weights(ours) == weights(theirs)
            assert metrics(ours) == metrics(theirs)
            files = {entry.name for entry in theirs.iterdir()}
            assert {entry.name for entry in ours.iterdir()} == files
            for file in ("resume.safetensors", "recipe.json"):
                assert (ours / file).read_bytes() == (theirs / file).read_bytes()
