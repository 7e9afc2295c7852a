"""The published descent of sparse maps, what sparse maps refuse, correlations of no data, interrupts."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import _core
from tests.reference import sparse_map as twin

Array = NDArray[np.float64]
X = np.random.default_rng(0).standard_normal((30, 4))
Y = np.random.default_rng(1).standard_normal((30, 3)) + X[:, :3]
C_XX, C_XY = twin.correlations(X, Y)


def changed(matrix: Array, *places: tuple[int, int, float]) -> Array:
    result = matrix.copy()
    for i, j, value in places:
        result[i, j] = value
    return result


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("penalty", [0.0, 1e-3, 0.1])
def test_published_descent_is_that_of_the_definition(penalty: float) -> None:
    start = np.random.default_rng(2).normal(0, 0.3, (3, 4))
    found = cv.sparse_map(X, Y, penalty, "paper", start=start)
    expected = twin.paper_descent(C_XX, C_XY, penalty, start)
    np.testing.assert_allclose(found.weights, expected, rtol=0, atol=1e-9)
    assert found.n_nonzero.tolist() == (np.abs(expected) > 3e-5).sum(axis=1).tolist()
    assert found.convention == "paper"
    assert found.predictors(1)[0].size == found.n_nonzero[1]


def test_published_descent_has_a_start_of_the_targets_norm() -> None:
    from convergent.measures.sparse_map_input import map_problem
    from convergent.measures.sparse_map_paper import paper_start

    x, y = np.column_stack([X, np.ones(30)]), np.column_stack([Y, np.zeros(30)])
    problem = map_problem(x, y, "activations")
    start = paper_start(problem, None, seed=3)
    assert not start[:, 4].any()
    assert not start[3].any()
    predictions = twin.standardised(x) @ start.T
    assert (predictions**2).mean(axis=0).sum() == pytest.approx(3.0)
    again = cv.sparse_map(X, Y, 0.01, "paper", seed=3)
    np.testing.assert_array_equal(again.weights, cv.sparse_map(X, Y, 0.01, "paper", seed=3).weights)
    assert (again.weights != cv.sparse_map(X, Y, 0.01, "paper", seed=4).weights).any()


def test_published_descent_is_the_same_with_any_number_of_threads() -> None:
    generator = np.random.default_rng(5)
    x, y = generator.standard_normal((200, 20)), generator.standard_normal((200, 70))
    one = cv.sparse_map(x, y, 1e-3, "paper", n_threads=1)
    three = cv.sparse_map(x, y, 1e-3, "paper", n_threads=3)
    np.testing.assert_array_equal(one.weights, three.weights)


def test_published_descent_refuses_to_diverge() -> None:
    x = np.repeat(X[:, :1], 4000, axis=1)
    with pytest.raises(ValueError, match="diverges where c_xx has an eigenvalue above 3960"):
        cv.sparse_map(x, Y[:, :1], 0.0, "paper")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (C_XX[:3], C_XY, r"`x` must be square with given='correlations'.*got shape \(3, 4\)"),
        (C_XX, C_XY.T, r"`y` must have a row for each unit of x.*\(3, 4\) and \(4, 4\)"),
        (changed(C_XX, (0, 1, 0.9)), C_XY, r"`x` must be symmetric.*got 0.9 at \(0, 1\) and"),
        (changed(C_XX, (2, 2, 0.7)), C_XY, "`x` must have a diagonal of 1.*got 0.7 for unit 2"),
        (changed(C_XX, (2, 2, 0.0)), C_XY, "`x` must have no correlation of a dead unit.*unit 2"),
        (changed(C_XX, (0, 1, -1.5), (1, 0, -1.5)), C_XY, r"`x` must lie in \[-1, 1\].*got -1.5"),
        (C_XX, changed(C_XY, (3, 2, 1.01)), r"`y` must lie in \[-1, 1\].*got 1.01 at \(3, 2\)"),
        (changed(C_XX, (1, 1, np.nan)), C_XY, "`x` must be finite"),
        (C_XX, C_XY[:, :0], "`y` must be a non-empty matrix"),
    ],
)
def test_correlations_are_checked(x: Array, y: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cv.sparse_map(x, y, 0.1, given="correlations")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"penalty": -0.1}, ValueError, "`penalty` must be at least 0, got -0.1"),
        ({"penalty": np.nan}, ValueError, "`penalty` must be finite, got nan"),
        ({"penalty": "1"}, TypeError, "`penalty` must be a real number, got '1'"),
        ({"convention": "authors"}, ValueError, "`convention` must be one of 'lasso', 'paper'"),
        ({"given": "moments"}, ValueError, "`given` must be one of 'activations', 'correlations'"),
        ({"seed": -1}, ValueError, "`seed` must be at least 0, got -1"),
        ({"n_threads": 0}, ValueError, "`n_threads` must be at least 1, got 0"),
        ({"start": np.ones((3, 4))}, ValueError, "`start` must be None unless"),
        (
            {"start": np.ones((4, 3)), "convention": "paper"},
            ValueError,
            r"`start` must have shape \(n_y, n_x\) = \(3, 4\), got \(4, 3\)",
        ),
    ],
)
def test_arguments_are_checked(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cv.sparse_map(X, Y, **{"penalty": 0.1, **arguments})


@pytest.mark.parametrize(
    ("penalties", "error", "message"),
    [
        ([], ValueError, r"`penalties` must be a non-empty sequence of numbers, got shape \(0,\)"),
        (0.1, TypeError, "`penalties` must be a sequence of numbers, got float"),
        ("0.1", TypeError, "`penalties` must be a sequence of numbers, got str"),
        ([[0.1]], ValueError, r"`penalties` must be a non-empty sequence.*got shape \(1, 1\)"),
        ([0.1, -1.0], ValueError, r"`penalties\[1\]` must be at least 0, got -1"),
    ],
)
def test_penalties_are_checked(penalties: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cv.sparse_map_path(X, Y, penalties)


def test_units_of_predictors_are_checked() -> None:
    found = cv.sparse_map(X, Y, 0.1)
    with pytest.raises(ValueError, match="`unit` must be between 0 and 2, got 3"):
        found.predictors(3)
    with pytest.raises(ValueError, match="`limit` must be at least 0, got -1"):
        found.predictors(0, limit=-1)


def test_results_are_frozen_and_pickled() -> None:
    found = cv.sparse_map(X, Y, 0.01)
    with pytest.raises(AttributeError):
        found.loss = 0.0  # type: ignore[misc]
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.weights, found.weights)


@pytest.mark.parametrize("penalty", [1.0, 1e300])
def test_large_penalties_leave_nothing(penalty: float) -> None:
    found = cv.sparse_map(X, Y, penalty)
    assert not found.weights.any()
    assert found.loss == 0.5
    assert found.duality_gap == 0.0


def test_tiny_penalties_are_least_squares() -> None:
    found, least_squares = cv.sparse_map_path(X, Y, [1e-12, 0.0])
    np.testing.assert_allclose(found.weights, least_squares.weights, rtol=0, atol=1e-10)
    with pytest.warns(cv.ConvergenceWarning, match="too small for double precision"):
        found = cv.sparse_map(X, Y, 1e-300)
    np.testing.assert_allclose(found.weights, least_squares.weights, rtol=0, atol=1e-10)


@pytest.mark.usefixtures("level")
def test_correlations_of_no_data_end_with_a_warning() -> None:
    """Random symmetric matrices are indefinite: the objective may fall for ever."""
    generator = np.random.default_rng(0)
    warned = 0
    for _ in range(20):
        c_xx = generator.uniform(-1, 1, (30, 30))
        c_xx = (c_xx + c_xx.T) / 2
        np.fill_diagonal(c_xx, 1.0)
        c_xy = generator.uniform(-1, 1, (30, 2))
        with pytest.warns(cv.ConvergenceWarning, match="has a duality gap of .*above 1e-08"):
            path = cv.sparse_map_path(c_xx, c_xy, [0.01, 0.2, 0.0], given="correlations")
        for found in path:
            assert np.isfinite(found.weights).all()
            # No descent from 0 goes further where losses are not negative.
            assert found.penalty * np.abs(found.weights).sum(axis=1).max() <= 0.26
            warned += found.duality_gap > 1e-8
        assert path[2].duality_gap == np.inf
    assert warned >= 40


def test_rounded_correlations_are_solved() -> None:
    """Eight bits make c_xx indefinite; where enough is penalised there is an optimum all the same."""
    generator = np.random.default_rng(1)
    causes = generator.standard_normal((1000, 5))
    units = causes @ generator.standard_normal((5, 60)) + 0.05 * generator.standard_normal(
        (1000, 60)
    )
    rounded = np.round(cv.correlation(units) * 127) / 127
    c_xx, c_xy = rounded[:40, :40], rounded[:40, 40:]
    assert np.linalg.eigvalsh(c_xx)[0] < -1e-3
    found = cv.sparse_map(c_xx, c_xy, 1e-2, given="correlations")
    assert found.duality_gap <= 1e-8
    for w, c in zip(found.weights, c_xy.T):
        assert (
            twin.objective(w, c_xx, c, 0.2)
            <= twin.objective(twin.coordinate_descent(c_xx, c, 0.2), c_xx, c, 0.2) + 1e-9
        )


def test_bindings_recheck() -> None:
    kernels, ones = _core.kernels, np.ones(1)
    with pytest.raises(ValueError, match="c_xx must be square and c_xy have its rows"):
        kernels.sparse_map(np.ones((3, 3)), np.ones((2, 4)), ones, 1)
    with pytest.raises(ValueError, match="alphas must be positive"):
        kernels.sparse_map(np.ones((3, 3)), np.ones((2, 3)), 0 * ones, 1)
    with pytest.raises(ValueError, match="two dimensions"):
        kernels.sparse_map(ones, np.ones((2, 3)), ones, 1)
    with pytest.raises(ValueError, match="c_xy and the weights have its rows"):
        kernels.paper_descent(np.eye(3), np.ones((2, 3)), 0.1, np.ones((2, 4)), 1)
    for call in (
        lambda: kernels.sparse_map(np.eye(3), np.ones((2, 3)), ones, 0),
        lambda: kernels.paper_descent(np.eye(3), np.ones((2, 3)), 0.1, np.ones((2, 3)), 0),
    ):
        with pytest.raises(ValueError, match="n_threads must be at least 1"):
            call()


LONG_CALLS = {
    "lasso": "_core.kernels.sparse_map(c_xx, c_yx, np.full(1, 1e-3), 2)",
    "paper": "_core.kernels.paper_descent(c_xx, c_yx, 1e-3, c_yx, 2)",
}


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
@pytest.mark.parametrize("call", LONG_CALLS)
def test_interrupt_is_answered(call: str) -> None:
    # Undisturbed, either call takes well over ten seconds on any processor.
    program = f"""
import threading
import numpy as np
from convergent import _core
generator = np.random.default_rng(0)
units = generator.standard_normal((2200, 4000))
units /= np.sqrt((units**2).sum(axis=0))
c = units.T @ units
c_xx, c_yx = np.ascontiguousarray(c[:2000, :2000]), np.ascontiguousarray(c[2000:, :2000])
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
