from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from tests.reference import sparse_map as twin

Array = NDArray[np.float64]
PENALTIES = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]


def draw_pair(seed: int, n_examples: int, n_x: int, n_y: int) -> tuple[Array, Array]:
    """Draw rectified networks that see the same causes, with dead, constant and repeated units."""
    generator = np.random.default_rng(seed)
    causes = generator.standard_normal((n_examples, int(generator.integers(1, 6))))
    networks = []
    for n_units in (n_x, n_y):
        noise = generator.choice([0.0, 0.1, 0.5])
        units = causes @ generator.standard_normal((causes.shape[1], n_units))
        units += noise * generator.standard_normal(units.shape)
        kinds = generator.integers(0, 9, n_units)
        units[:, kinds > 2] = np.maximum(units[:, kinds > 2], 0)
        units[:, kinds == 3] = 0
        units[:, kinds == 4] = 0.1
        units[:, kinds == 5] = units[:, :1]
        units[:, kinds == 6] = -2 * units[:, :1] + 1
        networks.append(units)
    return networks[0], networks[1]


def quiet_path(x: Any, y: Any, penalties: Any, **arguments: Any) -> list[cv.SparseMap]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.DeadUnitWarning)
        return cv.sparse_map_path(x, y, penalties, **arguments)


@pytest.mark.usefixtures("level")
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 10**6),
    n_examples=st.integers(2, 40),
    n_x=st.integers(1, 15),
    n_y=st.integers(1, 5),
    dtype=st.sampled_from([np.float32, np.float64]),
    penalty=st.floats(-5, 0).map(lambda power: 10.0**power),
)
def test_agrees_with_the_definition(
    seed: int, n_examples: int, n_x: int, n_y: int, dtype: type, penalty: float
) -> None:
    x, y = draw_pair(seed, n_examples, n_x, n_y)
    x, y = x.astype(dtype), y.astype(dtype)
    found = quiet_path(x, y, [penalty])[0]
    c_xx, c_xy = twin.correlations(x.astype(np.float64), y.astype(np.float64))
    dead = (y == y[0]).all(axis=0)
    alpha = n_y * penalty
    assert found.weights.shape == (n_y, n_x)
    assert found.duality_gap <= 1e-8
    for i in range(n_y):
        w, c = found.weights[i], c_xy[:, i]
        slow = twin.coordinate_descent(c_xx, c, alpha)
        best = twin.objective(slow, c_xx, c, alpha)
        assert twin.objective(w, c_xx, c, alpha) <= best + 1e-9
        assert twin.duality_gap(w, c_xx, c, alpha) <= 1e-8
        half_error = 0.0 if dead[i] else 0.5 * (1 - 2 * w @ c + w @ c_xx @ w)
        assert found.loss_of_unit[i] == pytest.approx(half_error, abs=1e-9)
        assert_stationary(w, c - c_xx @ w, alpha)
        active = np.flatnonzero(w)
        assert found.n_nonzero[i] == active.size
        within = c_xx[np.ix_(active, active)]
        assert active.size == 0 or np.linalg.eigvalsh(within)[0] > 0
    assert found.loss == pytest.approx(found.loss_of_unit.mean())
    assert not found.weights[:, ~c_xx.any(axis=0)].any()


def assert_stationary(w: Array, gradient: Array, alpha: float) -> None:
    """The Karush-Kuhn-Tucker conditions, which hold at the optimum and nowhere else."""
    active = w != 0
    np.testing.assert_allclose(gradient[active], alpha * np.sign(w[active]), rtol=0, atol=1e-9)
    assert (np.abs(gradient[~active]) <= alpha + 1e-9).all()


@pytest.mark.usefixtures("level")
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 10**6),
    n_examples=st.integers(2, 40),
    n_x=st.integers(1, 15),
    n_y=st.integers(1, 5),
)
def test_no_penalty_is_least_squares_of_least_norm(
    seed: int, n_examples: int, n_x: int, n_y: int
) -> None:
    x, y = draw_pair(seed, n_examples, n_x, n_y)
    found = quiet_path(x, y, [0.0])[0]
    xs, ys = twin.standardised(x), twin.standardised(y)
    expected, *_ = np.linalg.lstsq(xs, ys, rcond=1e-6)
    np.testing.assert_allclose(found.weights, expected.T, rtol=0, atol=1e-6)
    errors = 0.5 * ((ys - xs @ expected) ** 2).mean(axis=0)  # 0 for dead targets
    np.testing.assert_allclose(found.loss_of_unit, errors, rtol=0, atol=1e-9)
    assert found.duality_gap <= 1e-8
    assert not found.weights[:, ~xs.any(axis=0)].any()


def realistic(n_units: int, n_examples: int) -> tuple[Array, Array]:
    generator = np.random.default_rng(n_units)
    causes = generator.standard_normal((n_examples, n_units // 4))
    made = []
    for _ in range(2):
        units = causes @ generator.standard_normal((n_units // 4, n_units))
        units = np.maximum(units + generator.standard_normal(units.shape), 0)
        units[:, 3], units[:, 7] = units[:, 2], 0.0
        made.append(units)
    return made[0], made[1]


@pytest.mark.parametrize("n_examples", [2000, 40])
def test_path_is_that_of_single_maps_in_any_order_and_any_number_of_threads(
    n_examples: int,
) -> None:
    x, y = realistic(60, n_examples)
    penalties = [1e-2, 0.0, 1e-4, 0.9, 1e-3, 1e-4]
    path = quiet_path(x, y, penalties, n_threads=1)
    other_way = quiet_path(x, y, np.array(penalties[::-1]), n_threads=3)[::-1]
    for penalty, found, other in zip(penalties, path, other_way):
        single = quiet_path(x, y, [penalty], n_threads=2)[0]
        assert found.penalty == other.penalty == single.penalty == penalty
        np.testing.assert_array_equal(found.weights, other.weights)
        np.testing.assert_array_equal(found.weights, single.weights)
        assert found.loss == single.loss
        assert found.duality_gap <= 1e-8
    falling = [path[i].loss for i in (3, 0, 4, 2, 1)]
    assert falling == sorted(falling, reverse=True)


def test_predictors_of_a_nearly_singular_layer() -> None:
    """Units that differ by a ten-thousandth: descent would take millions of passes."""
    generator = np.random.default_rng(3)
    base = generator.standard_normal((500, 10))
    x = np.hstack([base, base + 1e-4 * generator.standard_normal(base.shape)])
    y = base @ generator.standard_normal((10, 6)) + (x[:, :6] - x[:, 10:16]) * 2e3
    for found in cv.sparse_map_path(x, y, [1e-6, 1e-5, 1e-4]):
        assert found.duality_gap <= 1e-8
    c_xx, c_xy = twin.correlations(x, y)
    weights = cv.sparse_map(x, y, 1e-6).weights
    for w, c in zip(weights, c_xy.T):
        assert_stationary(w, c - c_xx @ w, 6e-6)


def test_more_than_a_panel_of_active_predictors() -> None:
    """The factor of many predictors is made in panels of 256."""
    generator = np.random.default_rng(4)
    x = generator.standard_normal((3000, 600))
    y = x @ generator.standard_normal((600, 2))
    c_xx, c_xy = twin.correlations(x, y)
    found = cv.sparse_map(c_xx, c_xy, 1e-6, given="correlations")
    assert found.n_nonzero.min() > 512
    assert found.duality_gap <= 1e-12
    for w, c in zip(found.weights, c_xy.T):
        assert_stationary(w, c - c_xx @ w, 2e-6)


def test_the_reference_solver_finds_the_same() -> None:
    from sklearn.linear_model import Lasso

    x, y = realistic(40, 1000)
    xs, ys = twin.standardised(x), twin.standardised(y)
    for found in quiet_path(x, y, PENALTIES):
        for i in (0, 5):
            lasso = Lasso(alpha=40 * found.penalty, fit_intercept=False, tol=1e-12, max_iter=10**6)
            w = lasso.fit(xs, ys[:, i]).coef_
            # Of duplicated units the weights may be divided differently, so predictions are compared.
            np.testing.assert_allclose(xs @ found.weights[i], xs @ w, rtol=0, atol=1e-4)


def test_identical_networks_are_mapped_one_to_one() -> None:
    x = np.random.default_rng(0).standard_normal((400, 12))
    order = np.random.default_rng(1).permutation(12)
    found = cv.sparse_map(x, x[:, order], 1e-2)
    alpha = 0.12
    expected = np.zeros((12, 12))
    expected[np.arange(12), order] = 1 - alpha
    np.testing.assert_allclose(found.weights, expected, atol=2e-2)
    assert found.mean_predictors == pytest.approx(1.0, abs=0.3)
    units, weights = found.predictors(4, limit=1)
    assert units.tolist() == [order[4]]
    assert weights[0] == found.weights[4, order[4]]


def test_predictors_are_sorted_by_size() -> None:
    x = np.random.default_rng(0).standard_normal((4000, 5))
    y = np.column_stack([x @ [0.3, -0.9, 0.0, 0.5, 0.0], x[:, 2], np.ones(4000)])
    with pytest.warns(cv.DeadUnitWarning, match=r"`y` has 1 constant or dead units \(2\): nothing"):
        found = cv.sparse_map(x, y, 0.05)
    assert found.n_nonzero.tolist() == [3, 1, 0]
    units, weights = found.predictors(0)
    assert units.tolist() == [1, 3, 0]
    assert (np.diff(np.abs(weights)) <= 0).all()
    assert weights[0] < 0
    assert found.predictors(0, limit=2)[0].tolist() == [1, 3]
    assert found.predictors(0, limit=0)[0].size == 0
    assert found.predictors(2)[0].size == 0
    assert repr(found).startswith("SparseMap(5 units to 3, penalty 0.05, lasso: loss ")


def test_dead_units_have_no_part() -> None:
    x, y = realistic(24, 300)
    with pytest.warns(cv.DeadUnitWarning) as caught:
        found = cv.sparse_map(x, y, 1e-4)
    assert [str(w.message)[:3] for w in caught] == ["`x`", "`y`"]
    assert all(w.filename == __file__ for w in caught)
    assert not found.weights[:, 7].any()
    assert not found.weights[7].any()
    assert found.loss_of_unit[7] == 0.0
    assert found.loss == found.loss_of_unit.sum() / 24
    alive_x, alive_y = np.delete(x, 7, axis=1), np.delete(y, 7, axis=1)
    # The penalty of a target is n_y times the one given, and the dead target counts in n_y.
    without = cv.sparse_map(alive_x, alive_y, 1e-4 * 24 / 23)
    np.testing.assert_allclose(
        np.delete(found.loss_of_unit, 7), without.loss_of_unit, rtol=0, atol=1e-10
    )


def test_all_dead_predictors_explain_nothing() -> None:
    y = np.random.default_rng(0).standard_normal((10, 2))
    for convention in ("lasso", "paper"):
        with pytest.warns(cv.DeadUnitWarning, match="`x` has 3 .*: they predict nothing"):
            found = cv.sparse_map_path(np.ones((10, 3)), y, [0.0, 0.1], convention)
        for one in found:
            assert not one.weights.any()
            assert one.loss == 0.5


def test_activations_and_correlations_give_the_same() -> None:
    x, y = realistic(30, 500)
    moments = cv.Moments([30, 30]).update([x, y])
    c_xx, c_xy = moments.correlation(0, 0), moments.correlation(0, 1)
    with pytest.warns(cv.DeadUnitWarning):
        from_given = cv.sparse_map(c_xx, c_xy, 1e-3, given="correlations")
    found = quiet_path(x, y, [1e-3])[0]
    np.testing.assert_allclose(from_given.weights, found.weights, rtol=0, atol=1e-9)
    assert from_given.loss_of_unit == pytest.approx(found.loss_of_unit, abs=1e-12)
    half = quiet_path(
        c_xx.astype(np.float32), c_xy.astype(np.float32), [1e-3], given="correlations"
    )
    np.testing.assert_allclose(half[0].loss_of_unit, found.loss_of_unit, rtol=0, atol=1e-5)
