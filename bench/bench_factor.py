"""Streaming factor: examples in batches, at what rate, in how much memory; and layers of 4,096 units."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import convergent as cv
from bench.harness import Session

Batch = list[NDArray[np.float32]]
BATCH = 20_000
EPSILONS = [0.15, 0.2, 0.25, 0.3, 0.5]


def batches(n_batches: int, n_units: int) -> Iterator[Batch]:
    """Rectified mixtures of common causes with noise, float32; two batches over and over."""
    rng = np.random.default_rng(0)
    mixing = [rng.standard_normal((256, n_units), dtype=np.float32) / 16 for _ in range(2)]
    made = []
    for _ in range(min(2, n_batches)):
        causes = rng.standard_normal((BATCH, 256), dtype=np.float32)
        noise = [rng.standard_normal((BATCH, n_units), dtype=np.float32) for _ in mixing]
        made.append([np.maximum(causes @ m + 0.5 * e, 0) for m, e in zip(mixing, noise)])
    for i in range(n_batches):
        yield made[i % len(made)]


def gemm_rate() -> float:
    """Operations a second of NumPy's float64 matrix product."""
    a = np.random.default_rng(0).standard_normal((1024, 4096))
    b = a.copy()
    times = []
    for _ in range(7):
        start = time.perf_counter()
        a @ b.T
        times.append(time.perf_counter() - start)
    return 2 * 1024**2 * 4096 / float(np.median(times))


def peak_bytes() -> int:
    """Most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def stream(n_examples: int, n_units: int) -> None:
    """Print the rate of the factor beside that of a matrix product, and what memory did."""
    factor = cv.Factor([n_units, n_units])
    seconds, peaks = 0.0, []
    gram: Any = 0.0
    for batch in batches(n_examples // BATCH, n_units):
        start = time.perf_counter()
        factor.update(batch)
        seconds += time.perf_counter() - start
        peaks.append(peak_bytes())
    start = time.perf_counter()
    triangle = factor.triangle()
    seconds += time.perf_counter() - start
    for batch in batches(2, n_units):
        units = np.concatenate(batch, axis=1).astype(np.float64)
        gram = gram + units.T @ units
    expected = gram * (n_examples / (2 * BATCH))
    np.testing.assert_allclose(triangle.T @ triangle, expected, rtol=1e-10)
    width = 2 * n_units
    rate, gemm = n_examples * width**2 / seconds, gemm_rate()
    print(
        f"\nFactor, {n_examples:,} x ({n_units} + {n_units}) float32 in batches of {BATCH:,}\n"
        f"  limit: n p^2 operations at the rate of a matrix product\n"
        f"  {seconds:.2f} s, {rate / 1e9:.1f} Gflop/s; NumPy's float64 product {gemm / 1e9:.1f} "
        f"(x {rate / gemm:.2f}); peak memory {peaks[1] / 1e6:.0f} MB after 2 batches, "
        f"{peaks[-1] / 1e6:.0f} MB after {len(peaks)}",
        flush=True,
    )


def wide(n_examples: int, n_units: int) -> None:
    """Print time and memory of maximum matches and levels of wide layers."""
    rng = np.random.default_rng(0)

    def network(mixing: NDArray[np.float32]) -> NDArray[np.float32]:
        units = np.empty((n_examples, n_units), dtype=np.float32)
        for start in range(0, n_examples, 5000):
            rows = slice(start, start + 5000)
            noise = rng.standard_normal(units[rows].shape, dtype=np.float32)
            units[rows] = np.maximum(causes[rows] @ mixing + 0.5 * noise, 0)
        return units

    causes = rng.standard_normal((n_examples, n_units // 4), dtype=np.float32)
    mixing = rng.standard_normal((n_units // 4, n_units), dtype=np.float32) / 32
    x, y = network(mixing), network(mixing)
    y *= np.linspace(0.05, 0.6, n_units, dtype=np.float32)
    y += x[:, rng.permutation(n_units)]
    before = peak_bytes()
    times = [time.perf_counter()]
    matcher = cv.SubspaceMatcher(x, y)
    times.append(time.perf_counter())
    matches = matcher.max_match(EPSILONS)
    times.append(time.perf_counter())
    levels = matcher.levels()
    times.append(time.perf_counter())
    shares = [match.similarity for match in matches]
    np.testing.assert_array_equal(levels.similarity(EPSILONS), shares)
    factoring, matching, peeling = np.diff(times)
    operations = n_examples * (2 * n_units) ** 2
    print(
        f"\nmaximum match, {n_examples:,} x ({n_units:,} + {n_units:,}) float32\n"
        f"  limit: {operations / 1e12:.2f} Tflop (n p^2), {gemm_rate() / 1e9:.0f} Gflop/s\n"
        f"  factoring {factoring:.1f} s ({operations / factoring / 1e9:.0f} Gflop/s), five epsilons "
        f"{matching:.2f} s, levels {peeling:.1f} s; similarities "
        f"{', '.join(f'{share:.3f}' for share in shares)}; "
        f"{(peak_bytes() - before) / 1e9:.2f} GB beside {(x.nbytes + y.nbytes) / 1e9:.2f} GB of input",
        flush=True,
    )


def run(session: Session) -> None:
    """Stream examples; wide layers only where minutes do not matter."""
    stream(1_000_000 if session.long else 200_000, 512)
    wide(10_000, 1_024)
    if session.long:
        wide(50_000, 4_096)
