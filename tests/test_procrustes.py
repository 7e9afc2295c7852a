"""Procrustes similarity and distances: the best map itself, metric properties, distances that do not cancel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convergent as cv
from convergent.measures import procrustes as module
from convergent.measures.centred_rows import cross_products
from tests.drawn_networks import Array, pairs, rotation, spoil
from tests.reference import procrustes as reference

SETTINGS = settings(max_examples=40, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
TWINS = {
    "similarity": reference.similarity,
    "angular": reference.angular,
    "euclidean": reference.euclidean,
}
DISTANCES = ["angular", "euclidean"]


@pytest.mark.parametrize("kind", TWINS)
@SETTINGS
@given(pair=pairs(n_examples=(3, 40), widths=(1, 20)))
def test_follows_the_twin(kind: str, pair: tuple[Array, Array]) -> None:
    x, y = pair
    literal = TWINS[kind](x.astype("f8"), y.astype("f8"))
    # The arc cosine of the twin loses half of its digits near 1.
    tolerance = 1e-7 if kind == "angular" and literal < 0.01 else 1e-10
    assert cv.procrustes(x, y, kind=kind) == pytest.approx(literal, abs=tolerance, rel=1e-9)


@pytest.mark.parametrize("kind", TWINS)
@SETTINGS
@given(
    seed=SEEDS,
    n_examples=st.sampled_from([2, 4, 9, 60]),
    dtype=st.sampled_from(["f4", "f8"]),
    how=st.sampled_from(["", "dead", "constant", "duplicated", "all"]),
)
def test_the_same_activations(kind: str, seed: int, n_examples: int, dtype: str, how: str) -> None:
    x = np.random.default_rng(seed).standard_normal((n_examples, 9))
    spoil(x, how)
    x[:, 5] = 0.1 if how == "constant" else x[:, 5]
    x[:, 6] = 1.1 * x[:, 7] if how == "duplicated" else x[:, 6]
    x = x.astype(dtype)
    expected = 1.0 if kind == "similarity" else 0.0
    assert cv.procrustes(x, x.copy(), kind=kind) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("condition", [1e2, 1e5, 1e8, 1e12, 1e18])
@pytest.mark.parametrize("kind", DISTANCES)
def test_rotated_networks_are_at_no_distance(kind: str, condition: float) -> None:
    """Where strengths differ widely, the rotation of the weak directions is what X^T Y cannot show."""
    rng = np.random.default_rng(5)
    x = rotation(rng, 300)[:, :24] @ np.diag(np.geomspace(1.0, 1.0 / condition, 24))
    turned = np.pad(x, ((0, 0), (0, 3))) @ rotation(rng, 27)
    for first, second in ((x, turned), (turned, x)):
        assert cv.procrustes(first, second, kind=kind) < 2e-14


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9, 1e-12])
def test_small_distances_have_all_their_digits(size: float) -> None:
    """A change that no rotation can undo: along the network's own units, each by another share."""
    x = rotation(np.random.default_rng(6), 200)[:, :20]
    x -= x.mean(axis=0)
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    change = size * np.linspace(0.5, 1.0, 20)
    y = (u * (s + change)) @ vt
    found = cv.procrustes(x, y, kind="euclidean")
    assert found == pytest.approx(float(np.linalg.norm(change)), rel=1e-9, abs=1e-15)


@SETTINGS
@given(seed=SEEDS, spread=st.floats(0.02, 0.07))
def test_both_ways_to_a_distance_agree(seed: int, spread: float) -> None:
    """Similarities around .999, where the examples themselves begin to be compared."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((60, 5))
    shapes = [module.Shape(m) for m in (x, x + spread * rng.standard_normal(x.shape))]
    products = cross_products(shapes[0].reduced, shapes[1].reduced)
    for kind in DISTANCES:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "NEAR", 2.0)
            plain = module.shape_value(shapes[0], shapes[1], products, kind)
            patch.setattr(module, "NEAR", -1.0)
            turned = module.shape_value(shapes[0], shapes[1], products, kind)
        assert turned == pytest.approx(plain, rel=1e-10)


@pytest.mark.parametrize("kind", TWINS)
@SETTINGS
@given(seed=SEEDS, wide=st.booleans())
def test_rotation_reflection_and_shift_change_nothing(kind: str, seed: int, wide: bool) -> None:
    rng = np.random.default_rng(seed)
    width = 30 if wide else 5
    x, y = rng.standard_normal((20, width)), rng.standard_normal((20, 4))
    y[:, 0] += x[:, 0]
    base = cv.procrustes(x, y, kind=kind)
    turned = x @ rotation(rng, width) + 3.0
    assert cv.procrustes(turned, y, kind=kind) == pytest.approx(base, abs=1e-11)
    assert cv.procrustes(y, x, kind=kind) == pytest.approx(base, abs=1e-12)
    if kind != "euclidean":
        for scale in (1e-160, 1e160):
            assert cv.procrustes(scale * x, y, kind=kind) == pytest.approx(base, abs=1e-11)


@pytest.mark.parametrize("scale", [1e-160, 1e160])
def test_euclidean_distance_of_extreme_activations(scale: float) -> None:
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((2, 30, 4))
    expected = scale * reference.euclidean(x, y)
    found = cv.procrustes(scale * x, scale * y, kind="euclidean")
    assert found == pytest.approx(expected, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("kind", DISTANCES)
@SETTINGS
@given(seed=SEEDS, near=st.floats(1e-9, 1.0), widths=st.tuples(*[st.integers(1, 8)] * 3))
def test_triangle_inequality(
    kind: str, seed: int, near: float, widths: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((25, 8))
    a, b, c = (base[:, :w] + near * rng.standard_normal((25, w)) for w in widths)
    ab, bc, ac = (cv.procrustes(*pair, kind=kind) for pair in ((a, b), (b, c), (a, c)))
    slack = 1e-12 * (1.0 + ab + bc)
    assert ac <= ab + bc + slack
    assert ab <= ac + bc + slack
    assert bc <= ab + ac + slack


def test_units_that_are_zero_change_nothing() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((30, 4)), rng.standard_normal((30, 6))
    for kind in TWINS:
        padded = cv.procrustes(np.pad(x, ((0, 0), (0, 2))), y, kind=kind)
        assert padded == pytest.approx(cv.procrustes(x, y, kind=kind), abs=1e-13)


def test_wide_networks_are_reduced_to_the_examples() -> None:
    shape = module.Shape(np.random.default_rng(0).standard_normal((10, 50)))
    assert shape.reduced.width == 9
    assert shape.size == pytest.approx(float(np.linalg.norm(shape.reduced.rows(0, 10))))


def test_networks_without_variance() -> None:
    x = np.random.default_rng(1).standard_normal((9, 3))
    dead = np.full((9, 2), 0.1)
    norm = float(np.linalg.norm(x - x.mean(axis=0)))
    for kind, expected in (("similarity", 0.0), ("angular", np.pi / 2), ("euclidean", norm)):
        with pytest.warns(cv.DeadUnitWarning, match="`y` has 2 constant or dead units"):
            assert cv.procrustes(x, dead, kind=kind) == pytest.approx(expected)
    with pytest.warns(cv.DeadUnitWarning):
        assert cv.procrustes(dead, dead, kind="euclidean") == 0.0


def test_without_convergence_of_the_jacobi_rotations(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.linalg import lapack

    def fails(a: Array, **_: Any) -> tuple[Any, ...]:
        return None, None, None, None, None, 1

    monkeypatch.setattr(lapack, "dgejsv", fails)
    x = np.random.default_rng(9).standard_normal((30, 4))
    assert cv.procrustes(x, x[:, ::-1], kind="euclidean") < 1e-12


def test_a_norm_beyond_float64() -> None:
    x = 1e308 * np.random.default_rng(0).choice([-1.0, 1.0], (30, 4))
    assert cv.procrustes(x, x) == pytest.approx(1.0)
    with pytest.raises(
        ValueError, match=r"`y` must have a norm below 1\.8e308, got values up to 1e"
    ):
        cv.procrustes(x / 1e200, x, kind="euclidean")


def test_bad_kind() -> None:
    x = np.arange(12.0).reshape(4, 3)
    with pytest.raises(ValueError, match="`kind` must be one of 'similarity', 'angular', 'euclid"):
        cv.procrustes(x, x, kind="cosine")
