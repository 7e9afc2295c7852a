"""Working memory stays with the process for the next fit: little of it, and nothing of its values."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import convergent as cv

N_UNITS = 1000  # of two networks, whose fits read copies of the examples

PROGRAM = f"""
from pathlib import Path
import numpy as np
import convergent as cv

def resident():
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024

rng = np.random.default_rng(0)

def fit(n_examples):
    networks = [rng.random((n_examples, {N_UNITS}), dtype=np.float32) for _ in range(2)]
    cv.SharedResponseModel(3, max_iter=1, tol=0.0).fit(networks)

fit(1000)  # what is imported and allocated on the way
before = resident()
for n_examples in (6000, 13000, 28000, 6500, 13500):  # copies of 46 to 215 MiB, none of use for the next
    fit(n_examples)
print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_fits_of_many_sizes_leave_no_more_than_a_bound() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 256 + 40


def test_what_was_fitted_before_changes_no_bit() -> None:
    rng = np.random.default_rng(1)
    first, second = (
        [rng.standard_normal((2100, N_UNITS)) * size for _ in range(2)] for size in (1.0, 1e3)
    )
    model = cv.SharedResponseModel(3, max_iter=2, tol=0.0)
    expected = [np.array(w) for w in model.fit(first).weights_]
    model.fit(second)
    for ours, theirs in zip(model.fit(first).weights_, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_fits_in_several_threads_share_no_memory() -> None:
    rng = np.random.default_rng(2)
    problems = [[rng.standard_normal((2100, N_UNITS)) for _ in range(2)] for _ in range(3)]

    def fit(networks: list[np.ndarray]) -> np.ndarray:
        model = cv.SharedResponseModel(3, max_iter=2, tol=0.0, n_threads=1)
        return np.array(model.fit(networks).weights_[0])

    alone = [fit(networks) for networks in problems]
    with ThreadPoolExecutor(3) as threads:
        for ours, theirs in zip(threads.map(fit, problems * 2), alone * 2, strict=True):
            np.testing.assert_array_equal(ours, theirs)
