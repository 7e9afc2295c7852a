from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from tests.reference import correlation as twin

Array = NDArray[np.float64]


def draw_units(seed: int, n_examples: int, n_units: int, offset: float = 0.0) -> Array:
    """Draw activations with constant and duplicated units among them."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n_examples, n_units)) + offset
    kinds = generator.integers(0, 4, n_units)
    x[:, kinds == 0] = 0.1
    x[:, kinds == 1] = x[:, :1]
    return x


def quietly(x: Array, y: Array | None = None) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.DeadUnitWarning)
        return cv.correlation(x, y)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    n_examples=st.integers(2, 30),
    n_x=st.integers(1, 6),
    n_y=st.integers(1, 6),
    offset=st.sampled_from([0.0, 1e6, -1e3]),
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(["C", "F", "strided", "readonly"]),
)
def test_agrees_with_the_definition(
    seed: int, n_examples: int, n_x: int, n_y: int, offset: float, dtype: type, layout: str
) -> None:
    x: Array = draw_units(seed, n_examples, n_x, offset).astype(dtype)
    y: Array = draw_units(seed + 1, n_examples, n_y).astype(dtype)
    if layout == "F":
        x = np.asfortranarray(x)
    elif layout == "strided":
        x = np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3]
    elif layout == "readonly":
        x.setflags(write=False)
    result = quietly(x, y)
    assert result.shape == (n_x, n_y)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, twin.correlation(x, y), rtol=0, atol=1e-9)
    np.testing.assert_allclose(quietly(x), twin.correlation(x, x), rtol=0, atol=1e-9)


def test_within_one_network_is_symmetric_with_a_diagonal_of_exactly_one() -> None:
    x = np.random.default_rng(0).standard_normal((500, 40)) ** 3
    x[:, 5] = x[:, 4] * 3 + 1
    result = cv.correlation(x)
    assert (np.diagonal(result) == 1).all()
    assert (result == result.T).all()
    assert np.abs(result).max() == 1
    np.testing.assert_allclose(result, np.corrcoef(x.T), rtol=0, atol=1e-13)
    np.testing.assert_allclose(result, cv.correlation(x, x.copy()), rtol=0, atol=1e-13)


def test_many_blocks_of_rows_agree_with_numpy() -> None:
    generator = np.random.default_rng(1)
    x = generator.standard_normal((5000, 700)).astype(np.float32)
    y = (x[:, :30] + generator.standard_normal((5000, 30))).astype(np.float32)
    expected = np.corrcoef(x.T.astype(np.float64), y.T.astype(np.float64))
    np.testing.assert_allclose(cv.correlation(x, y), expected[:700, 700:], rtol=0, atol=1e-13)
    np.testing.assert_allclose(cv.correlation(x), expected[:700, :700], rtol=0, atol=1e-13)


def test_a_large_offset_changes_nothing() -> None:
    generator = np.random.default_rng(2)
    x = generator.standard_normal((20000, 6))
    y = x @ generator.standard_normal((6, 5)) + generator.standard_normal((20000, 5))
    plain = cv.correlation(x, y)
    assert np.abs(cv.correlation(x + 1e6, y + 1e6) - plain).max() < 1e-6
    assert np.abs(cv.correlation(x + 1e6) - cv.correlation(x)).max() < 1e-6


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e200, 1e308])
def test_any_scale_of_a_unit(scale: float) -> None:
    x = np.random.default_rng(3).integers(-8, 9, (50, 4)) / 8.0
    scaled = x * scale
    expected = twin.correlation(scaled, scaled)
    np.testing.assert_allclose(cv.correlation(scaled), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cv.correlation(scaled, x), twin.correlation(scaled, x), atol=1e-12)


def test_constant_units_are_dead_and_hardly_varying_ones_are_not() -> None:
    n = 10007
    generator = np.random.default_rng(4)
    x = np.empty((n, 5), dtype=np.float32)
    x[:, 0] = 0.1
    x[:, 1] = 1e8
    x[:, 2] = 0
    x[:, 3] = generator.standard_normal(n)
    x[:, 4] = -x[:, 3]
    with pytest.warns(cv.DeadUnitWarning, match=r"`x` has 3 constant or dead units \(0, 1, 2\)"):
        result = cv.correlation(x)
    assert (result[:3] == 0).all()
    assert (result[:, :3] == 0).all()
    assert result[3, 3] == 1
    assert result[3, 4] == pytest.approx(-1, abs=1e-12)

    wave = generator.standard_normal(n)
    alive = np.column_stack([1e6 + 1e-3 * wave, wave])
    assert cv.correlation(alive)[0, 1] == pytest.approx(1, abs=1e-6)
    assert cv.correlation(alive, alive.copy())[0, 1] == pytest.approx(1, abs=1e-6)


def test_units_that_vary_in_their_last_bits_correlate_exactly() -> None:
    """Their mean lies between two neighbouring float64, so that what rounding takes from it counts."""
    steps = np.random.default_rng(7).integers(0, 4, (2_000, 3)).astype(np.float64)
    x = 1.0 + steps * np.finfo(np.float64).eps
    expected = twin.correlation(steps, steps)
    np.testing.assert_allclose(cv.correlation(x), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cv.correlation(x, steps), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cv.correlation(steps, x), expected, rtol=0, atol=1e-12)


def test_one_unit_of_an_odd_scale_among_others() -> None:
    x = np.random.default_rng(8).standard_normal((3_000, 4))
    x[:, 3] += x[:, 0]
    expected = np.corrcoef(x.T)
    x[:, 0] *= 1e-200
    x[:, 2] *= -1e300
    x[:, 3] -= 1e3
    expected *= np.outer([1, 1, -1, 1], [1, 1, -1, 1])
    for found in (cv.correlation(x), cv.correlation(x, np.asfortranarray(x))):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


def test_result_is_in_c_order_and_ones_own() -> None:
    x = np.random.default_rng(9).standard_normal((50, 3))
    for found in (cv.correlation(x), cv.correlation(x, x[:, :2].copy())):
        assert found.flags.c_contiguous
        assert found.flags.writeable


def test_each_array_is_warned_of_once() -> None:
    x = np.random.default_rng(5).standard_normal((20, 3))
    y = x.copy()
    x[:, 0] = 7
    y[:, 1] = 0
    with pytest.warns(cv.DeadUnitWarning) as caught:
        result = cv.correlation(x, y)
    assert len(caught) == 2
    assert "`x` has 1" in str(caught[0].message)
    assert "`y` has 1" in str(caught[1].message)
    assert all(warning.filename == __file__ for warning in caught)
    assert (result[0] == 0).all()
    assert (result[:, 1] == 0).all()
    with pytest.warns(cv.DeadUnitWarning) as caught:
        cv.correlation(x, x)
    assert len(caught) == 1


def test_two_examples_correlate_by_sign() -> None:
    x = np.array([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_array_equal(cv.correlation(x), [[1, -1], [-1, 1]])


X = np.arange(12.0).reshape(4, 3) ** 2


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (np.where(X == 4, np.nan, X), None, ValueError, "`x` must be finite, got 1 NaN"),
        (X, np.where(X == 4, np.inf, X), ValueError, "`y` must be finite, got 1 NaN"),
        (X, X[:3], ValueError, "`y` must have as many examples as `x`, got 3 and 4"),
        (X[:1], None, ValueError, "`x` must have at least 2 examples, got 1"),
        (X[:0], None, ValueError, "`x` must not be empty"),
        (X[:, :0], None, ValueError, "`x` must not be empty"),
        (X[0], None, ValueError, "`x` must be two-dimensional"),
        (np.float64(3), None, ValueError, "`x` must be two-dimensional"),
        (X + 1j, None, TypeError, "`x` must be real"),
        (X, X + 1j, TypeError, "`y` must be real"),
        (X.astype(object), None, ValueError, "`x` must be an array of numbers"),
        (X.astype(str), None, ValueError, "`x` must be an array of numbers"),
    ],
)
def test_refuses(x: Array, y: Array | None, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cv.correlation(x, y)
