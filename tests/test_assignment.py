"""`cv.assign`: optimal by brute force, by SciPy and by its own duals, whatever the costs."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

import convergent as cv
from convergent import _core
from tests.reference import assignment as reference

Matrix = NDArray[Any]

PATIENT = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LAYOUTS = ("c", "fortran", "gaps", "backwards", "read-only", "unaligned", "swapped bytes")


def lay_out(matrix: Matrix, layout: str) -> Matrix:
    """Return the same numbers, lying differently in memory."""
    if layout == "fortran":
        return np.asfortranarray(matrix)
    if layout == "gaps":
        wide = np.full((2 * matrix.shape[0], 3 * matrix.shape[1]), np.nan, dtype=matrix.dtype)
        wide[::2, ::3] = matrix
        return wide[::2, ::3]
    if layout == "backwards":
        return matrix[::-1, ::-1].copy()[::-1, ::-1]
    if layout == "read-only":
        matrix = matrix.copy()
        matrix.flags.writeable = False
    if layout == "unaligned":
        raw = np.zeros(matrix.nbytes + 1, dtype=np.uint8)[1:]
        unaligned = raw.view(matrix.dtype).reshape(matrix.shape)
        unaligned[...] = matrix
        return unaligned
    if layout == "swapped bytes":
        return matrix.astype(matrix.dtype.newbyteorder())
    return matrix


@st.composite
def costs(draw: st.DrawFn, max_side: int, finite: bool = False) -> Matrix:
    """Draw costs with what real similarity matrices have, and worse: ties, copies, dead units."""
    shape = (draw(st.integers(1, max_side)), draw(st.integers(1, max_side)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["uniform", "normal", "whole", "product", "distance", "near"]))
    a, b = rng.random(shape[0]), rng.random(shape[1])
    matrix: Matrix
    if kind == "uniform":
        matrix = rng.random(shape)
    elif kind == "normal":
        matrix = rng.standard_normal(shape)
    elif kind == "whole":
        matrix = rng.integers(0, draw(st.integers(1, 4)), shape).astype(np.float64)
    elif kind == "product":
        matrix = np.outer(a, b)
    elif kind == "distance":
        matrix = np.abs(a[:, None] - b)
    else:
        matrix = 1.0 + np.spacing(1.0) * rng.integers(0, 8, shape)
    if draw(st.booleans()):  # duplicated units
        matrix = matrix[rng.integers(0, shape[0], shape[0])]
    if draw(st.booleans()):  # dead units
        matrix[:, rng.random(shape[1]) < 0.3] = 0.0
    matrix = matrix * draw(st.sampled_from([1.0, 1.0, -1.0, 1e300, 1e-300, 1e-318]))
    if not finite and draw(st.booleans()):
        matrix[rng.random(shape) < draw(st.sampled_from([0.1, 0.5, 0.8]))] = np.inf
    return matrix


def magnitude(cost: Matrix) -> float:
    finite = np.abs(cost[np.isfinite(cost)].astype(np.float64))
    return float(finite.max(initial=0.0)) or 1.0


def assert_optimal(cost: Matrix, answer: tuple[Matrix, ...], *, maximize: bool = False) -> None:
    """Assert that the pairs are pairs and that the duals prove them optimal."""
    rows, columns, u, v = answer
    n_pairs = min(cost.shape)
    assert rows.shape == columns.shape == (n_pairs,)
    assert rows.dtype == columns.dtype == np.intp
    assert u.dtype == v.dtype == np.float64
    assert (u.shape, v.shape) == ((cost.shape[0],), (cost.shape[1],))
    assert np.all(np.diff(rows) > 0)
    assert np.unique(columns).size == n_pairs
    scale = magnitude(cost) * (-1.0 if maximize else 1.0)
    unit_cost, u, v = cost.astype(np.float64) / scale, u / scale, v / scale
    tolerance = 1e-14 * max(cost.shape)
    infeasible, loose, wrong_sign = reference.certificate_gaps(unit_cost, rows, columns, u, v)
    assert infeasible <= tolerance
    assert loose <= tolerance
    assert wrong_sign == 0.0
    total = float(unit_cost[rows, columns].sum())
    assert u.sum() + v.sum() == pytest.approx(total, abs=tolerance * max(cost.shape))


@PATIENT
@given(cost=costs(6), maximize=st.booleans())
def test_assign_equals_brute_force(cost: Matrix, maximize: bool, level: str) -> None:
    scale = magnitude(cost)
    least = reference.least_total(cost / scale)
    signed = -cost if maximize else cost
    if math.isinf(least):
        with pytest.raises(ValueError, match=r"`cost` must allow \d+ pairs, got a matrix of shape"):
            cv.assign(signed, maximize=maximize)
        return
    answer = cv.assign(signed, maximize=maximize, return_duals=True)
    assert_optimal(signed, answer, maximize=maximize)
    total = float((cost / scale)[answer[0], answer[1]].sum())
    assert total == pytest.approx(least, abs=1e-14 * cost.size)


@PATIENT
@given(
    cost=costs(80),
    maximize=st.booleans(),
    layout=st.sampled_from(LAYOUTS),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_assign_equals_scipy(
    cost: Matrix, maximize: bool, layout: str, dtype: type, level: str
) -> None:
    if dtype is np.float32:
        cost = (cost / magnitude(cost)).astype(np.float32)
    cost = lay_out(-cost if maximize else cost, layout)
    before = cost.copy()
    try:
        scipy_rows, scipy_columns = linear_sum_assignment(cost, maximize=maximize)
    except ValueError:
        with pytest.raises(ValueError, match="`cost` must allow"):
            cv.assign(cost, maximize=maximize)
        return
    answer = cv.assign(cost, maximize=maximize, return_duals=True)
    assert_optimal(cost, answer, maximize=maximize)
    unit_cost = cost.astype(np.float64) / magnitude(cost)
    assert float(unit_cost[answer[0], answer[1]].sum()) == pytest.approx(
        float(unit_cost[scipy_rows, scipy_columns].sum()), abs=1e-13 * max(cost.shape)
    )
    np.testing.assert_array_equal(cost, before)


def adversaries(n: int) -> dict[str, Matrix]:
    rng = np.random.default_rng(7)
    a, b = rng.random(n), rng.random(n)
    return {
        "whole numbers": rng.integers(0, 4, (n, n)).astype(np.float64),
        "product": np.outer(a, b),
        "negative product": -np.outer(a, b),
        "distance": np.abs(a[:, None] - b),
        "sorted distance": np.abs(np.sort(a)[:, None] - np.sort(b)[::-1]),
        "multiplication table": np.outer(np.arange(1.0, n + 1), np.arange(1.0, n + 1)),
        "one bit apart": 1.0 + np.spacing(1.0) * rng.integers(0, 3, (n, n)),
        "copies": np.repeat(np.repeat(rng.random((n // 8, n // 8)), 8, axis=0), 8, axis=1),
        "wide": rng.random((n // 4, n)),
        "tall": rng.random((n, n // 2)),
        "banded": np.where(np.abs(np.subtract.outer(np.arange(n), np.arange(n))) < 9, 1.0, np.inf)
        + rng.random((n, n)),
    }


@pytest.mark.parametrize("name", adversaries(8))
def test_adversaries(name: str, level: str) -> None:
    cost = adversaries(200)[name]
    answer = cv.assign(cost, return_duals=True)
    assert_optimal(cost, answer)
    rows, columns = linear_sum_assignment(cost)
    assert cost[answer[0], answer[1]].sum() == pytest.approx(cost[rows, columns].sum(), rel=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (40, 40), (3, 70), (70, 3), (1, 9), (9, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("value", [0.0, 0.7, -3.0, 1e300])
def test_constant_matrix_gives_the_identity(
    shape: tuple[int, int], order: Any, value: float, level: str
) -> None:
    for maximize in (False, True):
        rows, columns = cv.assign(np.full(shape, value, order=order), maximize=maximize)
        np.testing.assert_array_equal(rows, np.arange(min(shape)))
        np.testing.assert_array_equal(columns, np.arange(min(shape)))


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)])
def test_empty_matrix_has_an_empty_answer(shape: tuple[int, int], level: str) -> None:
    for dtype in (np.float64, np.int32):
        rows, columns, u, v = cv.assign(np.empty(shape, dtype), return_duals=True)
        assert rows.size == columns.size == 0
        assert rows.dtype == columns.dtype == np.intp
        np.testing.assert_array_equal(u, np.zeros(shape[0]))
        np.testing.assert_array_equal(v, np.zeros(shape[1]))


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", ">i4"]
)
def test_other_dtypes(dtype: str, level: str) -> None:
    cost = np.random.default_rng(3).integers(0, 90, (40, 50)) > 60
    numbers = cost.astype(dtype) if dtype == "?" else (cost * 50 + 7).astype(dtype)
    answer = cv.assign(numbers, return_duals=True)
    assert_optimal(numbers, answer)
    rows, columns = linear_sum_assignment(numbers)
    assert numbers[answer[0], answer[1]].sum() == numbers[rows, columns].sum()


def test_broadcast_costs(level: str) -> None:
    for cost in (np.broadcast_to(np.arange(5.0), (3, 5)), np.broadcast_to(np.float32(2), (4, 4))):
        assert_optimal(cost, cv.assign(cost, return_duals=True))


def test_single_precision_is_summed_in_double(level: str) -> None:
    # In single precision 2^24 + 1 is 2^24, and both assignments would cost the same.
    cost = np.array([[2**24, 2**24], [1, 2]], dtype=np.float32)
    np.testing.assert_array_equal(cv.assign(cost)[1], [1, 0])


def test_sums_beyond_the_largest_float(level: str) -> None:
    a, b = np.random.default_rng(5).uniform(-1.0, 1.0, (2, 50))
    for cost in (np.outer(a, b), np.subtract.outer(a, b) / 2, np.sign(a)[:, None] - 1e-9 * b**2):
        cost[np.abs(cost) >= 1.0] = 0.5
        for shape in ((50, 50), (30, 50), (50, 30)):
            part = cost[: shape[0], : shape[1]]
            np.testing.assert_array_equal(
                cv.assign(np.ldexp(part, 1024))[1], cv.assign(np.ldexp(part, 900))[1]
            )


def test_one_allowed_column_a_row(level: str) -> None:
    order = np.random.default_rng(6).permutation(40)
    cost = np.full((40, 40), np.inf)
    cost[np.arange(40), order] = 3.0
    np.testing.assert_array_equal(cv.assign(cost)[1], order)
    cost[7] = cost[8]
    with pytest.raises(ValueError, match=r"40 pairs, got a matrix of shape \(40, 40\) whose 1560 "):
        cv.assign(cost)


@PATIENT
@given(cost=costs(70), dtype=st.sampled_from([np.float32, np.float64]))
def test_every_cpu_level_gives_the_same_bits(cost: Matrix, dtype: type) -> None:
    cost = (cost / magnitude(cost)).astype(dtype)
    answers = [
        _core.load_level(name).assign(cost, False, True) for name in _core.supported_levels()
    ]
    for answer in answers[1:]:
        assert answer[0] == answers[0][0]
        if answer[0] == "solved":
            for ours, first in zip(answer[1:], answers[0][1:]):
                np.testing.assert_array_equal(ours, first)


@pytest.mark.parametrize("position", [(0, 0), (33, 2), (69, 68), (69, 69), (5, 40)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_invalid_costs_are_named(
    position: tuple[int, int], dtype: type, order: Any, level: str
) -> None:
    i, j = position
    for value, maximize, wrong in (
        (np.nan, False, "-inf"),
        (-np.inf, False, "-inf"),
        (np.nan, True, r"\+inf"),
        (np.inf, True, r"\+inf"),
    ):
        cost: Matrix = np.ones((70, 71), dtype=dtype, order=order)
        cost[position] = value
        message = (
            rf"`cost` must not hold NaN or {wrong} \(only .inf, which forbids a pair\), got 1 such "
            rf"values, the first .*(nan|inf) at row {i}, column {j}$"
        )
        with pytest.raises(ValueError, match=message):
            cv.assign(cost, maximize=maximize)


@pytest.mark.parametrize(
    ("cost", "error", "message"),
    [
        (np.ones((2, 2)) + 1j, TypeError, "`cost` must be real, got complex values"),
        ([["a", "b"]], ValueError, "`cost` must be an array of numbers, got dtype"),
        (np.array([[None]]), ValueError, "`cost` must be an array of numbers, got dtype object"),
        ([[1.0], [1.0, 2.0]], ValueError, "`cost` must be an array of numbers"),
        (3.0, ValueError, r"`cost` must be two-dimensional, got shape \(\)"),
        ([1.0, 2.0], ValueError, r"`cost` must be two-dimensional, got shape \(2,\)"),
        (np.ones((2, 2, 2)), ValueError, r"`cost` must be two-dimensional, got shape \(2, 2, 2\)"),
        (
            np.broadcast_to(np.float32(0), (1, 2**31)),
            ValueError,
            r"`cost` must have fewer than 2\*\*31 rows and columns, got shape \(1, 2147483648\)",
        ),
    ],
)
def test_what_is_no_matrix_is_refused(cost: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cv.assign(cost)


def test_flags_are_bools() -> None:
    with pytest.raises(TypeError, match="`maximize` must be True or False, got 'yes'"):
        cv.assign([[1.0]], maximize="yes")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="`return_duals` must be True or False, got 1"):
        cv.assign([[1.0]], return_duals=1)  # type: ignore[call-overload]


def test_kernel_refuses_other_dtypes() -> None:
    integers: Any = np.ones((2, 2), dtype=np.int64)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.kernels.assign(integers, False, False)
    with pytest.raises(ValueError, match="cost must be two-dimensional"):
        _core.kernels.assign(np.ones(2), False, False)


def test_invalid_costs_are_counted(level: str) -> None:
    cost = np.ones((70, 71))
    cost[40:42, 5:] = np.nan
    cost[3, 3] = np.inf
    with pytest.raises(
        ValueError, match=r"got 132 such values, the first nan at row 40, column 5$"
    ):
        cv.assign(cost)


def run_python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_float_matrices_are_not_copied() -> None:
    program = """
import re
from pathlib import Path
import numpy as np
import convergent as cv
def peak_kib():
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
square = np.random.default_rng(0).random((1500, 1500))
cv.assign(square[:50, :50], return_duals=True)
before = peak_kib()
for cost in (square, square.T, square[:700], square[:700].T, square.T[:, 300:]):
    cv.assign(cost, return_duals=True)
    cv.assign(cost, maximize=True)
print(peak_kib() - before, square.nbytes // 1024)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("the peak of one process is read from /proc, which only Linux has")
    grown, size = (int(number) for number in run_python(program).split())
    assert grown < size // 3


def test_interrupt_ends_a_long_search() -> None:
    program = """
import os, signal, threading, time, traceback
import numpy as np
import convergent as cv
numbers = np.random.default_rng(0).random((2, 5000)).astype(np.float32)
cost = np.outer(*numbers)  # a minute's work
sent = []
def interrupt():
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
timer = threading.Timer(1.0, interrupt)
timer.start()
try:
    cv.assign(cost)
except KeyboardInterrupt as error:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    print(frame.name, time.monotonic() - sent[0])
"""
    frame, seconds = run_python(program).split()
    assert frame == "assign"
    assert float(seconds) < 5.0
