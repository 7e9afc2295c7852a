"""Streaming moments beside a float64 matrix product of the same rows; correlation beside NumPy's."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import convergent as cv
from bench.harness import BLAS_REST, Row, Session

Matrix = NDArray[Any]
BATCH = 8_192
N_UNITS = 512
STREAM = "from bench.bench_moments import print_peak; print_peak({}, {!r})"


class Clock:
    """Sums up wall and processor time of the calls it is given."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0

    def time(self, call: Callable[[], Any]) -> Any:
        """Call, and add what it took; threads of a BLAS come to rest before."""
        time.sleep(BLAS_REST)
        wall, processor = time.perf_counter(), time.process_time()
        result = call()
        self.processor += time.process_time() - processor
        self.wall += time.perf_counter() - wall
        return result


def batches(n_examples: int) -> Iterator[list[Matrix]]:
    """Two networks' rectified mixtures of common causes, float32; each batch is generated anew."""
    rng = np.random.default_rng(0)
    mixing = [rng.standard_normal((64, N_UNITS), dtype=np.float32) / 8 for _ in range(2)]
    for start in range(0, n_examples, BATCH):
        n_rows = min(BATCH, n_examples - start)
        causes = rng.standard_normal((n_rows, 64), dtype=np.float32)
        noise = (rng.standard_normal((n_rows, N_UNITS), dtype=np.float32) for _ in mixing)
        yield [np.maximum(causes @ m + 0.5 * e, 0) for m, e in zip(mixing, noise)]


def stream(session: Session, n_examples: int) -> None:
    """Print what updating takes beside the two float64 products that NumPy has for the same rows."""
    moments = cv.Moments([N_UNITS, N_UNITS])
    clocks = {"Moments.update": Clock(), "NumPy, Z.T @ Z": Clock(), "NumPy, Z.T @ copy": Clock()}
    ours, symmetric, general = clocks.values()
    gram = np.zeros((2 * N_UNITS, 2 * N_UNITS))
    total = np.zeros(2 * N_UNITS)
    for batch in batches(n_examples):
        ours.time(partial(moments.update, batch))
        units = np.concatenate(batch, axis=1).astype(np.float64)
        total += units.sum(axis=0)
        # With itself NumPy computes one half and mirrors it (syrk); with another array, all (gemm).
        gram += symmetric.time(lambda: units.T @ units)
        other = units.copy()
        general.time(lambda: units.T @ other)
    ours.time(moments.mean)
    covariance = (gram - np.multiply.outer(total, total / n_examples)) / (n_examples - 1)
    np.testing.assert_allclose(moments.mean(), total / n_examples, rtol=1e-12)
    found = np.block([[moments.covariance(i, j) for j in range(2)] for i in range(2)])
    np.testing.assert_allclose(found, covariance, rtol=0, atol=1e-11)

    flops = n_examples * (2 * N_UNITS) ** 2
    title = f"moments, {n_examples:,} x ({N_UNITS} + {N_UNITS}) float32 in batches of {BATCH:,}"
    limit = f"n p^2 operations, one half of the symmetric product: {flops / 1e12:.2f} Tflop"
    print(f"\n{title}\n  limit: {limit}")
    session.limits.append({"race": title, "limit": limit})
    for name, clock in clocks.items():
        wall, ratio = clock.wall, clock.wall / ours.wall
        session.rows.append(Row(title, name, wall, wall, wall, 1, ratio))
        print(
            f"  {name:<18} wall {wall:>6.2f} s  x {ratio:.2f}   "
            f"processor {clock.processor:>6.2f} s  x {clock.processor / ours.processor:.2f}   "
            f"Gflop/s {flops / wall / 1e9:>6.1f} of n p^2, {2 * flops / wall / 1e9:>6.1f} of 2 n p^2",
            flush=True,
        )


def print_peak(n_examples: int, what: str) -> None:
    """Stream in this process, without anything else, and print its peak memory in MB."""
    moments = cv.Moments([N_UNITS, N_UNITS])
    for batch in batches(n_examples):
        if what == "moments":
            moments.update(batch)
    print(peak_bytes() / 1e6)


def peak_bytes() -> int:
    """Most memory that this process has held, not counting the one that started it."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would also know what the parent held
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory(n_examples: int) -> None:
    """Print the peak memory of processes that stream that many examples, and ten times as many."""
    peaks = {}
    for what in ("batches", "moments"):
        for length in (n_examples, 10 * n_examples):
            program = STREAM.format(length, what)
            done = subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, check=True
            )
            peaks[what, length] = float(done.stdout)
    short, long = (peaks["moments", length] for length in (n_examples, 10 * n_examples))
    assert long < 1.05 * short, f"peak memory grew from {short:.0f} to {long:.0f} MB"
    print("\npeak memory of a process", flush=True)
    for (what, length), peak in peaks.items():
        print(f"  {what:<10} {length:>9,} examples   {peak:.0f} MB", flush=True)


def correlations(session: Session, n_examples: int, n_units: int) -> None:
    """Correlations within one network and between two."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_examples, n_units), dtype=np.float32)
    y = x + rng.standard_normal(x.shape, dtype=np.float32)

    def check(ours: Matrix, theirs: Matrix) -> None:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)

    size = f"{n_units} units, {n_examples:,} examples, float32"
    session.race(
        f"correlation within a network, {size}",
        {"convergent": lambda: cv.correlation(x), "numpy.corrcoef": lambda: np.corrcoef(x.T)},
        check,
        limit=f"{n_examples * n_units**2 / 1e9:.1f} Gflop (n p^2)",
    )
    session.race(
        f"correlation between networks, {size} each",
        {
            "convergent": lambda: cv.correlation(x, y),
            "numpy.corrcoef": lambda: np.corrcoef(x.T, y.T)[:n_units, n_units:],
        },
        check,
        limit=f"{2 * n_examples * n_units**2 / 1e9:.1f} Gflop (2 n p q)",
    )


def run(session: Session) -> None:
    """Stream a million examples where minutes do not matter."""
    stream(session, 1_000_000 if session.long else 100_000)
    memory(100_000 if session.long else 20_000)
    correlations(session, 60_000, 256)
    correlations(session, 10_000, 1_024)
