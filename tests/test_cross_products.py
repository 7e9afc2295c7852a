"""The Gram matrix kernel, and the factor of a stream that is built on it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from convergent import _core
from convergent.statistics.cholesky import scaled_cholesky
from convergent.statistics.triangle_stream import TriangleStream

Matrix = NDArray[np.float64]


def laid_out(values: Matrix, layout: str) -> NDArray[Any]:
    """The same numbers in another precision or memory order."""
    if layout == "single":
        return values.astype(np.float32)
    if layout == "fortran":
        return np.asfortranarray(values)
    if layout == "strided":
        wide = np.zeros((2 * values.shape[0], 3 * values.shape[1]), dtype=np.float32)
        wide[::2, ::3] = values
        return wide[::2, ::3]
    if layout == "backwards":
        return np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1]
    return values


@given(
    n_examples=st.sampled_from([1, 31, 128, 300, 1025]),
    widths=st.lists(st.sampled_from([1, 3, 8, 65, 257]), min_size=1, max_size=3),
    layouts=st.lists(
        st.sampled_from(["plain", "single", "fortran", "strided", "backwards"]),
        min_size=3,
        max_size=3,
    ),
    centred=st.booleans(),
)
def test_equals_the_product_for_any_threads(
    n_examples: int, widths: list[int], layouts: list[str], centred: bool
) -> None:
    random = np.random.default_rng(n_examples)
    networks = [
        laid_out(random.integers(-8, 9, (n_examples, width)) / 4.0, layout)
        for width, layout in zip(widths, layouts)
    ]
    means = [random.integers(-4, 5, width) / 4.0 for width in widths] if centred else None
    units = np.concatenate([np.asarray(x, dtype=np.float64) for x in networks], axis=1)
    if means is not None:
        units = units - np.concatenate(means)
    original = _core.kernels
    try:
        for name in _core.supported_levels():
            _core.kernels = _core.load_level(name)
            for n_threads in (1, 3):
                products = _core.kernels.cross_products(networks, means, n_threads)
                np.testing.assert_array_equal(products, units.T @ units)  # these sums are exact
    finally:
        _core.kernels = original


@given(
    n_examples=st.sampled_from([1, 31, 128, 300, 1025]),
    widths=st.tuples(*[st.sampled_from([1, 3, 8, 65, 257])] * 2),
    layouts=st.tuples(
        *[st.sampled_from(["plain", "single", "fortran", "strided", "backwards"])] * 2
    ),
)
def test_products_between_and_in_place_are_scaled_and_centred(
    n_examples: int, widths: tuple[int, int], layouts: tuple[str, str]
) -> None:
    random = np.random.default_rng(n_examples)
    networks, lines, units = [], [], []
    for width, layout in zip(widths, layouts):
        x = laid_out(random.integers(-8, 9, (n_examples, width)) / 4.0, layout)
        three = np.stack(
            [2.0 ** random.integers(-3, 4, width), *random.integers(-4, 5, (2, width)) / 4.0]
        )
        networks.append(x)
        lines.append(three)
        units.append((np.asarray(x, dtype=np.float64) * three[0] - three[1]) - three[2])
    whole = np.concatenate(units, axis=1)
    original = _core.kernels
    try:
        for name in _core.supported_levels():
            _core.kernels = _core.load_level(name)
            for n_threads in (1, 3):
                kernels = _core.kernels
                products, *squares = kernels.products_between(
                    networks[0], networks[1], lines[0], lines[1], n_threads
                )
                np.testing.assert_array_equal(products, units[0].T @ units[1])
                for found, x in zip(squares, units):
                    np.testing.assert_array_equal(found, (x**2).sum(axis=0))
                started = np.asfortranarray(np.triu(np.ones((whole.shape[1],) * 2)))
                kernels.add_cross_products(networks, lines, started, n_threads)
                np.testing.assert_array_equal(np.triu(started), np.triu(whole.T @ whole + 1.0))
    finally:
        _core.kernels = original


@pytest.mark.parametrize(("n_x", "n_y"), [(300, 900), (900, 800), (1, 1000)])
def test_many_tiles_for_any_threads(level: str, n_x: int, n_y: int) -> None:
    random = np.random.default_rng(n_x)
    x, y = (random.integers(-8, 9, (300, n)).astype(np.float32) for n in (n_x, n_y))
    for n_threads in (1, 4):
        products, *_ = _core.kernels.products_between(x, y, None, None, n_threads)
        np.testing.assert_array_equal(products, x.T.astype(np.float64) @ y.astype(np.float64))


@pytest.mark.parametrize("layout", ["plain", "single", "fortran", "strided", "backwards"])
@pytest.mark.parametrize("n_examples", [1, 2, 15, 16, 511, 513, 40_000])
def test_unit_summary(level: str, layout: str, n_examples: int) -> None:
    random = np.random.default_rng(n_examples)
    values = random.standard_normal((n_examples, 7)).astype(np.float32).astype(np.float64)
    values[:, 1] += 1e4
    values[:, 2] = 0.1 if layout in ("plain", "fortran", "backwards") else 0.125
    values = (
        values.astype(np.float32).astype(np.float64) if layout in ("single", "strided") else values
    )
    x = laid_out(values, layout)
    results = [_core.kernels.unit_summary(x, None, n_threads) for n_threads in (1, 3)]
    for one, many in zip(*results):
        np.testing.assert_array_equal(one, many)
    low, high, mean, rest = results[0]
    np.testing.assert_array_equal(low, values.min(axis=0))
    np.testing.assert_array_equal(high, values.max(axis=0))
    for unit in range(7):
        given = [-mean[unit], -rest[unit]] * n_examples
        error = math.fsum([*values[:, unit], *given]) / n_examples
        assert abs(error) < 1e-14  # of the spread, which is 1, although the offset is 1e4
    assert (mean[2], rest[2]) == (values[0, 2], 0.0)
    halved = np.stack([np.full(7, 0.5), np.zeros(7), np.zeros(7)])
    for found, whole in zip(_core.kernels.unit_summary(x, halved, 2), results[0]):
        np.testing.assert_array_equal(found, 0.5 * whole)


def test_kernel_refuses(level: str) -> None:
    x = np.ones((4, 2))
    refused: Any = np.ones((4, 2), dtype=np.int64)
    with pytest.raises(ValueError, match="the same examples"):
        _core.kernels.cross_products([x, x[:3]], None, 1)
    with pytest.raises(TypeError, match="float32 or float64"):
        _core.kernels.cross_products([refused], None, 1)
    with pytest.raises(ValueError, match="as many as networks"):
        _core.kernels.cross_products([x], [np.zeros(2), np.zeros(2)], 1)
    with pytest.raises(ValueError, match="one value a unit, or three in rows"):
        _core.kernels.cross_products([x], [np.zeros((2, 2))], 1)
    with pytest.raises(ValueError, match="n_threads must be at least 1"):
        _core.kernels.cross_products([x], None, 0)
    with pytest.raises(ValueError, match="n_threads must be at least 1"):
        _core.kernels.add_cross_products([x], None, np.zeros((2, 2), order="F"), 0)
    with pytest.raises(ValueError, match="products must have one row and one column a unit"):
        _core.kernels.add_cross_products([x], None, np.zeros((2, 3), order="F"), 1)
    with pytest.raises(ValueError, match="products must be two-dimensional"):
        _core.kernels.add_cross_products([x], None, np.zeros(2), 1)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.kernels.add_cross_products([x], None, np.zeros((2, 2)), 1)  # would be a copy
    fixed = np.zeros((2, 2), order="F")
    fixed.setflags(write=False)
    with pytest.raises(ValueError, match="not writeable"):
        _core.kernels.add_cross_products([x], None, fixed, 1)
    with pytest.raises(ValueError, match="the same examples"):
        _core.kernels.products_between(x, x[:3], None, None, 1)
    with pytest.raises(ValueError, match="n_threads must be at least 1"):
        _core.kernels.products_between(x, x, None, None, 0)
    with pytest.raises(ValueError, match="n_threads must be at least 1"):
        _core.kernels.unit_summary(x, None, 0)
    with pytest.raises(ValueError, match="must have examples"):
        _core.kernels.unit_summary(x[:0], None, 1)


def test_triangles_fold_like_rows(level: str) -> None:
    random = np.random.default_rng(0)
    for n_columns in (1, 5, 32, 33, 70, 200):
        one, other = (np.triu(random.standard_normal((n_columns, n_columns))) for _ in range(2))
        folded = _core.kernels.fold_triangle(one, other)
        np.testing.assert_allclose(
            folded.T @ folded, one.T @ one + other.T @ other, rtol=0, atol=1e-11 * n_columns
        )
        assert np.array_equal(folded, np.triu(folded))
    with pytest.raises(ValueError, match="square and of the same size"):
        _core.kernels.fold_triangle(np.eye(3), np.eye(2))


@pytest.mark.parametrize("n_rows", [50, 79, 80, 333, 2000])
def test_rows_fold_in_parts_for_any_threads(level: str, n_rows: int) -> None:
    rows = np.random.default_rng(n_rows).standard_normal((n_rows, 20))
    before = np.triu(np.random.default_rng(1).standard_normal((20, 20)))
    one, many = (
        _core.kernels.fold_examples(before, [rows], None, None, n_threads) for n_threads in (1, 3)
    )
    np.testing.assert_array_equal(one, many)
    np.testing.assert_allclose(one.T @ one, before.T @ before + rows.T @ rows, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(one, np.triu(one))


def rows_of(kind: str, n_rows: int) -> Matrix:
    """Rows whose columns are well conditioned, dependent, dead at times, or of odd scale."""
    random = np.random.default_rng(2)
    rows = random.standard_normal((n_rows, 12))
    if kind == "dependent":
        rows[:, 7] = rows[:, 2] - rows[:, 3]
        rows[:, 9] = rows[:, 0] + 1e-7 * rows[:, 9]
    if kind == "at times":
        rows[: n_rows // 2, 4] = 0.0
        rows[n_rows // 3 :, 5] = rows[n_rows // 3 :, 6]
        rows[:, 11] = 0.0
    if kind == "tiny":  # its square is zero
        rows[:, 8] *= 1e-170
    if kind == "scaled":
        rows *= 10.0 ** np.array([-170, -150, -8, -3, 0, 0, 0, 3, 8, 100, 150, 160.0])
    return rows


@pytest.mark.parametrize("kind", ["plain", "dependent", "at times", "tiny", "scaled"])
def test_a_stream_is_as_good_as_householder_reflections(level: str, kind: str) -> None:
    rows = rows_of(kind, 30_000)
    scale = np.abs(rows).max(axis=0)
    scale[scale == 0] = 1.0
    expected = np.linalg.svd(rows / scale, compute_uv=False)
    for n_threads, splits in ((1, [30_000]), (2, [1, 4096, 8000, 17_903])):
        stream = TriangleStream(12, n_threads)
        for part in np.split(rows, np.cumsum(splits)[:-1]):
            stream.take([part[:, :5], part[:, 5:]])
        triangle = stream.triangle() / scale
        np.testing.assert_array_equal(triangle, np.triu(triangle))
        # Small ones too: what is left of a dependent column would be 1e-8 had it been squared.
        found = np.linalg.svd(triangle, compute_uv=False)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-12 * expected[0])
        gram = (rows / scale).T @ (rows / scale)
        np.testing.assert_allclose(triangle.T @ triangle, gram, rtol=0, atol=1e-11 * gram.max())
    again = TriangleStream(12, 2)
    again.take([rows])
    np.testing.assert_array_equal(again.triangle(), stream.triangle())


def test_a_well_conditioned_stream_is_added_up_and_another_one_is_not() -> None:
    for kind, added in (("plain", True), ("dependent", False)):
        stream = TriangleStream(12, 1)
        stream.take([rows_of(kind, 30_000)])
        assert (stream._gram is not None) == added
        assert (np.abs(stream._triangle).max() > 0) != added


def test_scaled_cholesky() -> None:
    random = np.random.default_rng(3)
    rows = random.standard_normal((50, 6)) * 10.0 ** np.arange(-100, 140, 40)
    rows[:, 3] = 0.0
    factor = scaled_cholesky(rows.T @ rows)
    assert factor is not None
    assert factor.is_safe
    assert factor.alive.tolist() == [True, True, True, False, True, True]
    triangle = factor.unscaled()
    scale = np.where(factor.norms > 0, factor.norms, 1.0)
    gram = (rows / scale).T @ (rows / scale)
    np.testing.assert_allclose((triangle / scale).T @ (triangle / scale), gram, atol=1e-14)
    inverse = np.linalg.inv(gram[np.ix_(factor.alive, factor.alive)])
    assert factor.inverse_norm == pytest.approx(np.abs(inverse).sum(axis=0).max(), rel=0.5)
    rows[:, 3] = rows[:, 4] + 1e-4 * rows[:, 5] / 1e40
    close = scaled_cholesky(rows.T @ rows)
    assert close is None or not close.is_safe
    for bad in (np.nan, np.inf, 1e-300, -1.0):
        assert scaled_cholesky(np.diag([1.0, bad])) is None


@pytest.mark.parametrize("n_units", [1, 64, 127, 128, 129, 300, 641])
def test_cholesky_of_any_size_for_any_threads(level: str, n_units: int) -> None:
    random = np.random.default_rng(n_units)
    rows = np.maximum(random.standard_normal((4 * n_units, n_units)), 0.0)
    rows *= 10.0 ** random.integers(-3, 4, n_units)
    gram = rows.T @ rows
    one, many = (scaled_cholesky(gram, n_threads) for n_threads in (1, 3))
    assert one is not None
    assert many is not None
    np.testing.assert_array_equal(one.triangle, many.triangle)
    np.testing.assert_array_equal(one.triangle, np.triu(one.triangle))
    expected = np.linalg.cholesky(gram / one.norms / one.norms[:, np.newaxis]).T
    np.testing.assert_allclose(one.triangle, expected, rtol=0, atol=1e-12)
    inverse = np.linalg.inv(expected.T @ expected)
    norm = np.abs(inverse).sum(axis=0).max()
    assert norm / 3 <= one.inverse_norm <= norm * (1 + 1e-9)
    others = random.standard_normal((4 * n_units, 70))
    others /= np.linalg.norm(others, axis=0)
    cross = np.asfortranarray((rows / one.norms).T @ others)
    for n_threads in (1, 3):
        found = _core.kernels.project_on_triangle(one.triangle, cross, n_threads)
        coefficients, residuals, weights = found
        np.testing.assert_allclose(coefficients, np.linalg.solve(expected.T, cross), atol=1e-10)
        np.testing.assert_allclose(residuals, 1 - (coefficients**2).sum(axis=0), atol=1e-12)
        on_units = np.linalg.norm(np.linalg.solve(expected, coefficients), axis=0)
        np.testing.assert_allclose(weights, on_units, rtol=1e-8)


def test_cholesky_kernels_refuse(level: str) -> None:
    with pytest.raises(ValueError, match="must be square"):
        _core.kernels.scaled_cholesky(np.ones((2, 3), order="F"), 1)
    with pytest.raises(ValueError, match="n_threads must be at least 1"):
        _core.kernels.scaled_cholesky(np.eye(2, order="F"), 0)
    with pytest.raises(ValueError, match="shapes that agree"):
        _core.kernels.project_on_triangle(np.eye(2, order="F"), np.ones((3, 4), order="F"), 1)


def test_merging_in_any_order_changes_no_decision() -> None:
    random = np.random.default_rng(4)
    causes = np.maximum(random.standard_normal((20_000, 40)), 0.0)
    x, y = (causes @ random.standard_normal((40, 30)) for _ in range(2))
    x += 0.2 * random.standard_normal(x.shape)
    y[:, 7] = y[:, 3]
    parts = [slice(0, 5000), slice(5000, 5100), slice(5100, 20_000)]
    factors = [cv.Factor([30, 30]).update([x[part], y[part]]) for part in parts]
    merged = [
        cv.Factor([30, 30]).merge(factors[a]).merge(factors[b]).merge(factors[c])
        for a, b, c in [(0, 1, 2), (2, 1, 0), (1, 2, 0)]
    ]
    epsilons = np.linspace(0.02, 0.98, 25)
    expected = cv.SubspaceMatcher(x, y).max_match(epsilons)
    for factor in merged:
        matcher = cv.SubspaceMatcher.from_factor(factor.triangle(), 30, n_examples=20_000)
        for match, other in zip(expected, matcher.max_match(epsilons)):
            assert match.x.tolist() == other.x.tolist()
            assert match.y.tolist() == other.y.tolist()
