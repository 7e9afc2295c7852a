"""`cv.assign` where matrices are large enough for lists of candidates: optimal whatever the costs."""

from __future__ import annotations

import re
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
from tests.reference.assignment_problems import KINDS, problem

Matrix = NDArray[Any]
LEAST_COLUMNS = 320  # kLeastForCandidates in assignment.cpp

PATIENT = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
shapes = st.integers(LEAST_COLUMNS, LEAST_COLUMNS + 80).flatmap(
    lambda long: st.sampled_from(
        [(long, long), (long - 1, long), (long, long - 40), (long * 2 // 3, long)]
    )
)


def assert_optimal(cost: Matrix, *, maximize: bool = False) -> None:
    """Assert that the duals prove the pairs optimal, and that SciPy finds the same total."""
    rows, columns, u, v = cv.assign(cost, maximize=maximize, return_duals=True)
    np.testing.assert_array_equal(cv.assign(cost, maximize=maximize)[1], columns)
    assert rows.size == np.unique(rows).size == np.unique(columns).size == min(cost.shape)
    sign = -1.0 if maximize else 1.0
    finite = np.abs(cost[np.isfinite(cost)].astype(np.float64)).max() or 1.0
    unit_cost, u, v = sign * cost.astype(np.float64) / finite, sign * u / finite, sign * v / finite
    tolerance = 1e-14 * max(cost.shape)
    slack = unit_cost - u[:, None] - v
    assert slack.min() >= -tolerance
    assert np.abs(slack[rows, columns]).max() <= tolerance
    if cost.shape[0] != cost.shape[1]:
        longer, paired = (v, columns) if cost.shape[0] < cost.shape[1] else (u, rows)
        assert longer.max() <= 0.0
        assert np.all(np.delete(longer, paired) == 0.0)
    total = float(unit_cost[rows, columns].sum())
    assert u.sum() + v.sum() == pytest.approx(total, abs=tolerance * max(cost.shape))
    theirs = float(unit_cost[linear_sum_assignment(unit_cost)].sum())
    assert total == pytest.approx(theirs, abs=tolerance * max(cost.shape))


def seen_as(cost: Matrix, layout: str) -> Matrix:
    """Return the same numbers, lying differently in memory."""
    if layout == "fortran":
        return np.asfortranarray(cost)
    if layout == "gaps":
        wide = np.full((cost.shape[0], 2 * cost.shape[1]), np.nan, dtype=cost.dtype)
        wide[:, ::2] = cost
        return wide[:, ::2]
    if layout == "rows apart":
        wide = np.full((cost.shape[0], cost.shape[1] + 5), np.nan, dtype=cost.dtype)
        wide[:, :-5] = cost
        return wide[:, :-5]
    return cost


@PATIENT
@given(
    kind=st.sampled_from(KINDS),
    shape=shapes,
    seed=st.integers(0, 2**32 - 1),
    maximize=st.booleans(),
    scale=st.sampled_from([1.0, -1.0, 1e300, 1e-300]),
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(["c", "fortran", "gaps", "rows apart"]),
)
def test_assign_is_optimal(
    kind: str,
    shape: tuple[int, int],
    seed: int,
    maximize: bool,
    scale: float,
    dtype: type,
    layout: str,
    level: str,
) -> None:
    cost = problem(kind, shape, np.random.default_rng(seed))
    if kind == "banded" or dtype is np.float32:  # +inf only forbids; float32 has no 1e300
        scale = 1.0
    cost = seen_as((scale * cost).astype(dtype), layout)
    assert_optimal(-cost if maximize else cost, maximize=maximize)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_costs(kind: str, level: str) -> None:
    for shape in ((500, 500), (450, 500), (500, 300)):
        assert_optimal(problem(kind, shape, np.random.default_rng(11)))


@pytest.mark.parametrize("seed", range(8))
def test_planted_assignment_is_found(seed: int, level: str) -> None:
    # Whole duals and slacks: sums are exact, and one entry a row has no slack.
    rng = np.random.default_rng(seed)
    n = 400
    order = rng.permutation(n)
    slack = rng.integers(1, 1 << rng.integers(1, 12), (n, n)).astype(np.float64)
    slack[np.arange(n), order] = 0.0
    spread = 10.0 ** rng.integers(0, 6)
    u, v = np.rint(rng.standard_normal((2, n)) * spread)
    _, columns, row_duals, column_duals = cv.assign(u[:, None] + v + slack, return_duals=True)
    np.testing.assert_array_equal(columns, order)
    assert row_duals.sum() + column_duals.sum() == u.sum() + v.sum()


@pytest.mark.parametrize("n_late", [1, 3])
@pytest.mark.parametrize("n_before", [30, 200, 360])
def test_a_row_whose_column_is_far_down_its_list(n_before: int, n_late: int, level: str) -> None:
    # Late rows find n_before columns cheaper than the one they must take; those belong to pairs of
    # rows that have nothing else. Equal costs keep the prices where they are, so that the lists of
    # the late rows have to grow.
    n = 400
    rng = np.random.default_rng(n_before)
    cost = 10.0 + rng.random((n, n + 1))
    for first in range(n_late, n - 1, 2):
        cost[first : first + 2, first : first + 2] = 0.0
    for late in range(n_late):
        cost[late, n_late : n_late + n_before] = 1e-3 * np.repeat(np.arange(n_before // 2), 2)
        cost[late, late] = 0.5
    rows, columns = rng.permutation(n), rng.permutation(n + 1)
    shuffled = cost[rows][:, columns]
    assert_optimal(shuffled)
    chosen = columns[cv.assign(shuffled)[1]]
    assert all(chosen[rows == late] == late for late in range(n_late))


@PATIENT
@given(
    kind=st.sampled_from(KINDS),
    shape=shapes,
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_every_cpu_level_gives_the_same_bits(
    kind: str, shape: tuple[int, int], seed: int, dtype: type
) -> None:
    cost: Matrix = problem(kind, shape, np.random.default_rng(seed)).astype(dtype)
    answers = [
        _core.load_level(name).assign(cost, False, True) for name in _core.supported_levels()
    ]
    for answer in answers[1:]:
        for ours, first in zip(answer[1:], answers[0][1:]):
            np.testing.assert_array_equal(ours, first)


@pytest.mark.parametrize("shape", [(400, 400), (350, 400), (400, 350)])
def test_constant_matrix_gives_the_identity(shape: tuple[int, int], level: str) -> None:
    for value in (0.0, -3.0, 1e300):
        for maximize in (False, True):
            columns = cv.assign(np.full(shape, value), maximize=maximize)[1]
            np.testing.assert_array_equal(columns, np.arange(min(shape)))


@pytest.mark.parametrize("shape", [(400, 400), (350, 400), (400, 350)])
def test_forbidden_pairs_that_leave_too_few(shape: tuple[int, int], level: str) -> None:
    rng = np.random.default_rng(2)
    cost: Matrix = rng.random(shape)
    wide = cost if shape[0] <= shape[1] else cost.T
    wide[10:20, 7:] = np.inf  # ten rows for seven columns
    with pytest.raises(ValueError, match=r"`cost` must allow \d+ pairs, got a matrix of shape"):
        cv.assign(cost)
    wide[10:13] = rng.random((3, wide.shape[1]))
    assert_optimal(cost)


def test_costs_about_the_largest_float(level: str) -> None:
    a, b = np.random.default_rng(5).uniform(-1.0, 1.0, (2, 400))
    cost = np.where(np.abs(np.subtract.outer(a, b)) < 1.0, np.subtract.outer(a, b) ** 3, -0.9)
    for part in (cost, cost[:350]):
        np.testing.assert_array_equal(
            cv.assign(np.ldexp(part, 1024))[1], cv.assign(np.ldexp(part, 900))[1]
        )


def test_lists_stay_small() -> None:
    """Even where many columns are equally cheap, lists take a fraction of the matrix."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the peak of one process is read from /proc, which only Linux has")
    program = """
import re, sys
from pathlib import Path
import numpy as np
import convergent as cv
from tests.reference.assignment_problems import problem
def peak_kib():
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
rng = np.random.default_rng(0)
kinds = ("few rows vary", "dead", "duplicates", "blocks", "whole", "distance")
costs = [problem(kind, (1500, 1500), rng) for kind in kinds]
cv.assign(costs[0][:50, :50], return_duals=True)
before = peak_kib()
for cost in costs:
    cv.assign(cost, return_duals=True)
print(peak_kib() - before, costs[0].nbytes // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True
    )
    numbers = re.findall(r"\d+", done.stdout)
    grown, size = (int(number) for number in numbers)
    assert grown < size // 3
