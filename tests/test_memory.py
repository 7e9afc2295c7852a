"""No kernel copies a large input more than once, whatever its memory order."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("resource")

PROGRAM = """
import resource, sys
from pathlib import Path
import numpy as np
import convergent as cv
import scipy.linalg.lapack, scipy.optimize

def peak():
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would begin with the peak of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

order = sys.argv[2]
random = np.random.default_rng(0)

def activations(n_examples, n_units):
    array = np.empty((n_examples, n_units), order=order)
    for unit in range(n_units):
        array[:, unit] = random.standard_normal(n_examples)
    return array

def shared_response(*networks):
    return cv.SharedResponseModel(4, max_iter=3, tol=0.0).fit(list(networks))

calls = {
    "assign": (1, lambda n: activations(n, n), cv.assign, 2400),
    "bin_units": (1, lambda n: activations(n, 32), cv.bin_units, 200_000),
    "mutual_information": (2, lambda n: activations(n, 16), cv.mutual_information, 200_000),
    "correlation": (2, lambda n: activations(n, 32), cv.correlation, 100_000),
    "max_match": (2, lambda n: activations(n, 32), lambda x, y: cv.max_match(x, y, 0.3), 100_000),
    "shared_response": (2, lambda n: activations(n, 32), shared_response, 100_000),
    "cka": (2, lambda n: activations(n, 32), cv.cka, 100_000),
    "cca": (2, lambda n: activations(n, 32), cv.cca, 100_000),
    "procrustes": (2, lambda n: activations(n, 32), cv.procrustes, 100_000),
    "rsa": (2, lambda n: activations(n, 2_000), cv.rsa, 4_000),
    "index_atlas": (3, lambda n: activations(n, 32), lambda *x: cv.index_atlas(list(x)), 100_000),
}
n_inputs, make, call, size = calls[sys.argv[1]]
call(*(make(64) for _ in range(n_inputs)))  # what is imported and allocated on the way
inputs = [make(size) for _ in range(n_inputs)]
before = peak()
result = call(*inputs)
print((peak() - before) / sum(array.nbytes for array in inputs))
"""


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "call",
    [
        "assign",
        "bin_units",
        "mutual_information",
        "correlation",
        "max_match",
        "shared_response",
        "cka",
        "cca",
        "procrustes",
        "rsa",
        "index_atlas",
    ],
)
def test_peak_memory_of_float64_input(call: str, order: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, call, order], capture_output=True, text=True, check=True
    )
    # The codes of `bin_units` are an eighth of the input; blocks and results are small.
    assert float(done.stdout) < 1.0, f"{call} took {done.stdout.strip()} times its input"
