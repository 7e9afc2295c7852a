"""CCA, SVCCA and PWCCA: the published sums, invariances, and every kind of degenerate unit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convergent as cv
from tests.drawn_networks import Array, pairs, rotation, spoil
from tests.reference import canonical as reference

SETTINGS = settings(max_examples=40, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
INDEXES: dict[str, Callable[[Any, Any], float]] = {
    "cca": cv.cca,
    "cca mean": lambda x, y: cv.cca(x, y, kind="mean"),
    "cca uncentred": lambda x, y: cv.cca(x, y, center=False),
    "svcca": cv.svcca,
    "svcca mean": lambda x, y: cv.svcca(x, y, kind="mean"),
    "svcca all": lambda x, y: cv.svcca(x, y, variance=1.0),
    "pwcca": cv.pwcca,
}


def test_published_numbers() -> None:
    rng = np.random.RandomState(1337)
    x = rng.randn(100, 10)
    y = rng.randn(100, 10) + x
    assert cv.cca(x, y) == pytest.approx(0.54540, abs=5e-6)
    assert cv.cca(x, y, center=False) == pytest.approx(0.54312, abs=5e-6)


@SETTINGS
@given(pair=pairs(), kind=st.sampled_from(["squared", "mean"]), center=st.booleans())
def test_cca_follows_the_twin(pair: tuple[Array, Array], kind: str, center: bool) -> None:
    x, y = pair
    literal = reference.cca(x.astype("f8"), y.astype("f8"), kind, center)
    assert cv.cca(x, y, kind=kind, center=center) == pytest.approx(literal, abs=1e-10)


@SETTINGS
@given(seed=SEEDS, center=st.booleans(), widths=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_cca_of_full_rank_is_the_eigenproblem(
    seed: int, center: bool, widths: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    x, y = (rng.standard_normal((40, width)) + 1.0 for width in widths)
    y[:, 0] += x[:, 0]
    correlations = reference.by_eigenproblem(x, y, center)
    assert cv.cca(x, y, center=center) == pytest.approx(np.mean(correlations**2), abs=1e-10)
    value = cv.cca(x, y, kind="mean", center=center)
    assert value == pytest.approx(np.mean(correlations), abs=1e-10)


@SETTINGS
@given(pair=pairs(), variance=st.floats(0.1, 0.999), kind=st.sampled_from(["squared", "mean"]))
def test_svcca_follows_the_twin(pair: tuple[Array, Array], variance: float, kind: str) -> None:
    x, y = pair
    literal = reference.svcca(x.astype("f8"), y.astype("f8"), variance, kind)
    assert cv.svcca(x, y, variance=variance, kind=kind) == pytest.approx(literal, abs=1e-9)


@SETTINGS
@given(pair=pairs())
def test_pwcca_follows_the_twin(pair: tuple[Array, Array]) -> None:
    x, y = pair
    literal = reference.pwcca(x.astype("f8"), y.astype("f8"))
    assert cv.pwcca(x, y) == pytest.approx(literal, abs=1e-9)


@SETTINGS
@given(pair=pairs(n_examples=(3, 12), widths=(4, 20)))
def test_fewer_examples_than_units(pair: tuple[Array, Array]) -> None:
    x, y = pair
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.FewExamplesWarning)
        for kind in ("squared", "mean"):
            literal = reference.cca(x.astype("f8"), y.astype("f8"), kind)
            assert cv.cca(x, y, kind=kind) == pytest.approx(literal, abs=1e-9)
        literal = reference.svcca(x.astype("f8"), y.astype("f8"), 0.6)
        assert cv.svcca(x, y, variance=0.6) == pytest.approx(literal, abs=1e-9)
        assert 0.0 <= cv.pwcca(x, y) <= 1.0


@pytest.mark.parametrize("index", INDEXES)
@SETTINGS
@given(
    seed=SEEDS,
    n_examples=st.sampled_from([4, 9, 60]),
    dtype=st.sampled_from(["f4", "f8"]),
    how=st.sampled_from(["", "dead", "constant", "duplicated", "all"]),
)
def test_one_with_itself(index: str, seed: int, n_examples: int, dtype: str, how: str) -> None:
    x = np.random.default_rng(seed).standard_normal((n_examples, 9))
    spoil(x, how)
    x[:, 5] = 0.1 if how == "constant" else x[:, 5]
    x[:, 6] = 1.1 * x[:, 7] if how == "duplicated" else x[:, 6]
    x = x.astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.FewExamplesWarning)
        assert INDEXES[index](x, x.copy()) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("condition", [1e3, 1e8, 1e13, 1e18])
def test_one_with_itself_whatever_the_condition(condition: float) -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((300, 12)) @ np.diag(np.geomspace(1.0, 1.0 / condition, 12))
    x = x @ rotation(rng, 12)
    for index in INDEXES.values():
        assert index(x, x.copy()) == pytest.approx(1.0, abs=1e-12)


@SETTINGS
@given(seed=SEEDS, scale=st.sampled_from([1.0, 1e-160, 1e160]))
def test_cca_is_blind_to_invertible_maps(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((50, 5)), rng.standard_normal((50, 4))
    y[:, 0] += x[:, 0]
    mapped = scale * (x @ (rng.standard_normal((5, 5)) + 3.0 * np.eye(5)))
    assert cv.cca(mapped + scale, y) == pytest.approx(cv.cca(x, y), abs=1e-9)
    assert cv.cca(y, x) == pytest.approx(cv.cca(x, y), abs=1e-12)
    assert cv.pwcca(y, mapped) == pytest.approx(cv.pwcca(y, x), abs=1e-9)


@SETTINGS
@given(seed=SEEDS)
def test_svcca_is_blind_to_rotation_and_scale(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((50, 5)), rng.standard_normal((50, 4))
    y[:, 0] += x[:, 0]
    base = cv.svcca(x, y, variance=0.7)
    turned = 1e-160 * (x @ rotation(rng, 5) + 1.0)
    assert cv.svcca(turned, y, variance=0.7) == pytest.approx(base, abs=1e-9)
    assert cv.svcca(y, x, variance=0.7) == pytest.approx(base, abs=1e-12)


def test_units_of_any_scale_count_in_cca() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((80, 4))
    y = x + rng.standard_normal((80, 4)) * [0.0, 0.1, 1.0, 3.0]
    scaled = y * [1.0, 1e-30, 1e30, 1e-200]
    assert cv.cca(x, scaled) == pytest.approx(cv.cca(x, y), abs=1e-12)


def test_pwcca_takes_the_weights_from_x() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((200, 4))
    y = np.column_stack([x[:, 0], rng.standard_normal((200, 3))])
    heavy, light = x * [100.0, 1.0, 1.0, 1.0], x * [0.01, 1.0, 1.0, 1.0]
    assert cv.pwcca(heavy, y) > 0.95
    assert cv.pwcca(light, y) < 0.4
    assert cv.pwcca(y, heavy) == pytest.approx(cv.pwcca(y, light), abs=1e-12)


@pytest.mark.parametrize("index", INDEXES)
def test_networks_without_variance(index: str) -> None:
    x = np.random.default_rng(1).standard_normal((9, 3))
    dead = np.full((9, 2), 0.0 if "uncentred" in index else 0.1)
    with pytest.warns(cv.DeadUnitWarning, match="`y` has 2 constant or dead units"):
        assert INDEXES[index](x, dead) == 0.0


@pytest.mark.parametrize(("n_units", "n_examples"), [(9, 10), (12, 10), (8, 10)])
def test_a_value_that_follows_from_counts_is_warned_of(n_units: int, n_examples: int) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((n_examples, n_units)), rng.standard_normal((n_examples, 2))
    if n_units < n_examples - 1:
        assert cv.cca(x, y) < 1.0 - 1e-6
        return
    with pytest.warns(cv.FewExamplesWarning, match="`x` spans all 9 dimensions"):
        assert cv.cca(x, y) == pytest.approx(1.0, abs=1e-12)
    with pytest.warns(cv.FewExamplesWarning, match="`x`, `y` span all 9 dimensions"):
        assert cv.cca(x, x[:, ::-1]) == pytest.approx(1.0, abs=1e-12)


def test_uncentred_units_can_span_one_dimension_more() -> None:
    x = np.random.default_rng(4).standard_normal((6, 5))
    assert cv.cca(x, x[:, :2], center=False) == pytest.approx(1.0, abs=1e-12)


def test_jitter_of_a_constant_is_no_direction() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((60, 3)), rng.standard_normal((60, 3))
    jitter = 1.0 + 2.0**-52 * rng.integers(-2, 3, (60, 1))
    assert cv.cca(np.hstack([x, jitter]), y) == pytest.approx(cv.cca(x, y), abs=1e-12)


X = np.arange(12.0).reshape(4, 3) ** 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: cv.cca(X, X, kind="median"),
            ValueError,
            "`kind` must be one of 'squared', 'mean'",
        ),
        (lambda: cv.cca(X, X, center=1), TypeError, "`center` must be True or False, got 1"),  # type: ignore[arg-type]
        (lambda: cv.svcca(X, X, variance=0.0), ValueError, r"`variance` must lie in \(0, 1\], got"),
        (lambda: cv.svcca(X, X, variance=1.1), ValueError, r"\(0, 1\], got 1.1"),
        (lambda: cv.svcca(X, X, variance="a"), TypeError, "`variance` must be a real number"),  # type: ignore[arg-type]
        (lambda: cv.svcca(X, X, kind=""), ValueError, "`kind` must be one of"),
        (lambda: cv.pwcca(X, X[:3]), ValueError, "as many examples as `x`, got 3 and 4"),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
