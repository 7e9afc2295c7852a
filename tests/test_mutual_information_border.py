"""What mutual information refuses, and how it is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

import convergent as cv
from convergent import _core

X = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(
    ("x", "y", "arguments", "error", "message"),
    [
        (np.where(X == 4, np.nan, X), X, {}, ValueError, "`x` must be finite, got 1 NaN"),
        (X, np.where(X == 4, np.inf, X), {}, ValueError, "`y` must be finite, got 1 NaN"),
        (X, X[:3], {}, ValueError, "`y` must have as many examples as `x`, got 3 and 4"),
        (X[:1], X[:1], {}, ValueError, "`x` must have at least 2 examples, got 1"),
        (X[:0], X, {}, ValueError, "`x` must not be empty"),
        (X[:, :0], X, {}, ValueError, "`x` must not be empty"),
        (X[0], X, {}, ValueError, "`x` must be two-dimensional"),
        (np.float64(3), X, {}, ValueError, "`x` must be two-dimensional"),
        (X + 1j, X, {}, TypeError, "`x` must be real"),
        (X.astype(object), X, {}, ValueError, "`x` must be an array of numbers"),
        (X.astype(str), X, {}, ValueError, "`x` must be an array of numbers"),
        (X, X, {"n_bins": 1}, ValueError, "`n_bins` must be between 2 and 255, got 1"),
        (X, X, {"n_bins": 256}, ValueError, "`n_bins` must be between 2 and 255, got 256"),
        (X, X, {"n_bins": 20.0}, TypeError, "`n_bins` must be a whole number, got 20.0"),
        (X, X, {"convention": "scott"}, ValueError, "`convention` must be one of 'paper', 'auth"),
        (X, X, {"bias": "jackknife"}, ValueError, "`bias` must be one of 'miller-madow'"),
        (X, X, {"n_threads": 0}, ValueError, "`n_threads` must be at least 1, got 0"),
        (cv.bin_units(X), X[:3], {}, ValueError, "`y` must have as many examples as `x`"),
        (
            cv.bin_units(X, n_bins=9),
            X,
            {},
            ValueError,
            "`y` must be binned with the same `n_bins` as `x`, got 20 and 9",
        ),
        (
            cv.bin_units(X),
            cv.bin_units(X, convention="authors"),
            {},
            ValueError,
            "`y` must be binned with the same `convention` as `x`, got 'authors' and 'paper'",
        ),
    ],
)
def test_refuses(
    x: Any, y: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cv.mutual_information(x, y, **arguments)


def test_bin_units_refuses() -> None:
    with pytest.raises(ValueError, match="`x` must be finite"):
        cv.bin_units(np.where(X == 4, np.nan, X))
    with pytest.raises(ValueError, match="`n_bins` must be between 2 and 255"):
        cv.bin_units(X, n_bins=256)


@pytest.mark.usefixtures("level")
def test_kernels_check_their_preconditions() -> None:
    codes = np.array([[0, 1, 2], [2, 1, 0]], dtype=np.uint8)
    kernel = _core.kernels.mutual_information
    assert kernel(codes, codes, 3, 3, False, 1).shape == (2, 2)
    with pytest.raises(ValueError, match="bin codes must be smaller than the number of bins"):
        kernel(codes, codes, 3, 2, False, 2)
    with pytest.raises(ValueError, match="must have the same examples"):
        kernel(codes, codes[:, :2].copy(), 3, 3, False, 1)
    with pytest.raises(ValueError, match="number of codes must be between 1 and 256"):
        kernel(codes, codes, 3, 257, False, 1)
    with pytest.raises(ValueError, match="number of examples"):
        kernel(codes[:, :0].copy(), codes[:, :0].copy(), 3, 3, False, 1)
    with pytest.raises(ValueError, match="codes must have two dimensions"):
        kernel(codes[0], codes, 3, 3, False, 1)
    with pytest.raises(ValueError, match="n_threads must be positive"):
        kernel(codes, codes, 3, 3, False, 0)
    with pytest.raises(TypeError):
        kernel(codes.astype(np.int64), codes, 3, 3, False, 1)
    with pytest.raises(ValueError, match="bins must fit 8-bit codes"):
        _core.kernels.bin_units(X, 256, False, 1)
    with pytest.raises(ValueError, match="must be positive"):
        _core.kernels.bin_units(X, 0, False, 1)
    with pytest.raises(ValueError, match="x must have two dimensions"):
        _core.kernels.bin_units(X[0], 20, False, 1)
    with pytest.raises(TypeError):
        _core.kernels.bin_units(X.astype(np.int32), 20, False, 1)  # type: ignore[arg-type]


LONG_CALLS = {
    "mutual_information": "_core.kernels.mutual_information(codes, codes, 21, 21, False, 2)",
    "bin_units": "_core.kernels.bin_units(values, 20, False, 1)",
}


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("call", LONG_CALLS)
def test_interrupt_is_answered(call: str) -> None:
    # Undisturbed, either call takes well over ten seconds on any processor.
    program = f"""
import threading
import numpy as np
from numpy.lib.stride_tricks import as_strided
from convergent import _core
generator = np.random.default_rng(0)
codes = generator.integers(0, 21, (2000, 60000), dtype=np.uint8)
values = as_strided(generator.random(60000), shape=(60000, 40000), strides=(8, 0))
try:
    threading.Timer(0.3, lambda: print("running", flush=True)).start()
    {LONG_CALLS[call]}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        out, _ = process.communicate(timeout=60)
        assert out == "interrupted\n"
        assert process.returncode == 0
        assert time.monotonic() - start < 8
    finally:
        process.kill()
