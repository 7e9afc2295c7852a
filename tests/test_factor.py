from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from convergent import _core
from convergent.statistics.factor import Factor

Matrix = NDArray[np.float64]


def draw(seed: int, n_examples: int, widths: list[int]) -> list[Matrix]:
    """Activations with a mean, one dead and one duplicated unit where there is room for them."""
    rng = np.random.default_rng(seed)
    networks = [rng.standard_normal((n_examples, width)) + 2.0 for width in widths]
    networks[0][:, -1] = 0.0
    networks[-1][:, 0] = networks[0][:, 0]
    return networks


def gram(networks: list[Matrix], center: bool = False) -> Matrix:
    columns = np.hstack([np.asarray(network, dtype=np.float64) for network in networks])
    if center:
        columns = columns - columns.mean(axis=0)
    product: Matrix = columns.T @ columns
    return product


def assert_gram(factor: Factor, networks: list[Matrix], chosen: list[int] | None = None) -> None:
    part = networks if chosen is None else [networks[i] for i in chosen]
    for center in (False, True):
        triangle = factor.triangle(chosen, center=center)
        expected = gram(part, center)
        p = sum(network.shape[1] for network in part)
        assert triangle.shape == (p, p)
        assert triangle.dtype == np.float64
        assert np.array_equal(triangle, np.triu(triangle))
        assert (np.diag(triangle) >= 0).all()
        scale = np.abs(gram(part)).max()
        np.testing.assert_allclose(triangle.T @ triangle, expected, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize(("n_examples", "widths"), [(1000, [7, 5, 3]), (4, [7, 5]), (1, [2, 2])])
def test_gram(n_examples: int, widths: list[int]) -> None:
    networks = draw(0, n_examples, widths)
    factor = Factor(widths).update(networks)
    assert factor.n_examples == n_examples
    assert factor.widths == tuple(widths)
    assert_gram(factor, networks)
    assert_gram(factor, networks, [1])
    assert_gram(factor, networks, [1, 0])
    assert_gram(factor, networks, [0, 0])


@given(
    seed=st.integers(0, 1000),
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 599), max_size=6),
    single=st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_any_batches_and_merge_order(
    seed: int, widths: list[int], cuts: list[int], single: bool
) -> None:
    networks = draw(seed, 600, widths)
    if single:
        networks = [network.astype(np.float32) for network in networks]
    whole = Factor(widths).update(networks)
    edges = sorted({0, 600, *cuts})
    batches = [[network[a:b] for network in networks] for a, b in pairwise(edges)]
    streamed = Factor(widths)
    for batch in batches:
        assert streamed.update(batch) is streamed
    np.testing.assert_array_equal(streamed.triangle(), whole.triangle())

    merged = Factor(widths)
    for batch in reversed(batches):
        assert merged.merge(Factor(widths).update(batch)) is merged
    assert merged.n_examples == 600
    for center in (False, True):
        a, b = whole.triangle(center=center), merged.triangle(center=center)
        np.testing.assert_allclose(b.T @ b, a.T @ a, rtol=1e-10, atol=1e-10)
    assert_gram(merged, networks)


def test_centred_triangle_does_not_cancel() -> None:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((5000, 3))
    networks = [noise + 1e6]
    triangle = Factor([3]).update(networks).triangle(center=True)
    exact = noise - noise.mean(axis=0)
    np.testing.assert_allclose(triangle.T @ triangle, exact.T @ exact, rtol=1e-7, atol=1e-3)


def test_digits_beyond_the_gram_matrix_survive() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((4000, 2))
    y = x[:, :1] + 1e-10 * x[:, 1:]
    distance = 1e-10 * abs(np.linalg.qr(x)[1][1, 1])
    triangle = Factor([1, 1]).update([x[:, :1], y]).triangle()
    np.testing.assert_allclose(triangle[1, 1], distance, rtol=1e-4)
    assert Factor([2, 1]).update([x, y]).triangle()[2, 2] < 1e-12


def test_memory_orders_and_dtypes() -> None:
    networks = draw(3, 500, [4, 3])
    expected = Factor([4, 3]).update(networks).triangle()
    strided = np.zeros((1000, 8))
    strided[::2, ::2] = networks[0]
    read_only = np.asfortranarray(networks[1])
    read_only.flags.writeable = False
    same = Factor([4, 3]).update([strided[::2, ::2], read_only]).triangle()
    np.testing.assert_array_equal(same, expected)
    assert np.array_equal(strided[::2, ::2], networks[0])

    integers = [np.arange(40).reshape(20, 2) % 7, np.arange(20).reshape(20, 1) % 3]
    converted = [matrix.astype(np.float64) for matrix in integers]
    assert_gram(Factor([2, 1]).update(integers), converted)


def test_dead_and_constant_units() -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((700, 3))
    x[:, 1] = 0.0
    x[:, 2] = 5.0
    factor = Factor([3]).update([x])
    assert (factor.triangle()[:, 1] == 0).all()
    assert np.abs(factor.triangle(center=True)[:, 1]).max() == 0
    assert np.linalg.norm(factor.triangle(center=True)[:, 2]) < 1e-12 * np.linalg.norm(x[:, 2])


def test_merge_leaves_the_other_as_it_is() -> None:
    networks = draw(5, 300, [3, 2])
    one = Factor([3, 2]).update([network[:100] for network in networks])
    other = Factor([3, 2]).update([network[100:] for network in networks])
    one.merge(other)
    assert other.n_examples == 200
    assert_gram(other, [network[100:] for network in networks])
    assert_gram(one, networks)
    one.merge(one)
    assert one.n_examples == 600
    assert_gram(one, [np.vstack([network, network]) for network in networks])
    assert_gram(one.merge(Factor([3, 2])), [np.vstack([network] * 2) for network in networks])


def test_save_and_load(tmp_path: Path) -> None:
    networks = draw(6, 300, [3, 2])
    factor = Factor([3, 2]).update(networks)
    path = tmp_path / "layer"
    factor.save(path)
    factor.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["layer"]
    loaded = Factor.load(path)
    assert loaded.widths == (3, 2)
    assert loaded.n_examples == 300
    np.testing.assert_array_equal(loaded.triangle(), factor.triangle())
    more = draw(7, 50, [3, 2])
    np.testing.assert_array_equal(loaded.update(more).triangle(), factor.update(more).triangle())


def test_pickle() -> None:
    factor = Factor([3, 2]).update(draw(6, 300, [3, 2]))
    copy = pickle.loads(pickle.dumps(factor))
    np.testing.assert_array_equal(copy.triangle(), factor.triangle())
    assert repr(copy) == "Factor(widths=[3, 2], n_examples=300)"


def test_from_triangle() -> None:
    networks = draw(6, 300, [3, 2])
    rows = np.hstack([np.ones((300, 1)), *networks])
    triangle = np.linalg.qr(rows)[1]
    factor = Factor.from_triangle([3, 2], triangle, 300)
    triangle[:] = 0.0  # the factor has its own
    assert factor.n_examples == 300
    assert_gram(factor, networks)
    more = draw(7, 50, [3, 2])
    both = [np.vstack(pair) for pair in zip(networks, more)]
    assert_gram(factor.update(more), both)


@pytest.mark.parametrize(
    ("triangle", "n_examples", "error", "message"),
    [
        (np.eye(2), 5, ValueError, r"must have shape \(3, 3\) for widths \[2\] .* got \(2, 2\)"),
        (np.ones((3, 3)), 5, ValueError, "`triangle` must be zero below its diagonal, got other"),
        (np.full((3, 3), np.inf), 5, ValueError, "`triangle` must be finite, got 9 NaN or inf"),
        (np.eye(3) * 1j, 5, TypeError, "`triangle` must be real, got complex"),
        (np.eye(3), 0, ValueError, "`n_examples` must be at least 1, got 0"),
        (np.eye(3), 2.0, TypeError, "`n_examples` must be a whole number, got 2.0"),
    ],
)
def test_bad_triangle(triangle: Any, n_examples: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Factor.from_triangle([2], triangle, n_examples)


def test_load_refuses_other_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Factor.load(tmp_path / "missing")
    text = tmp_path / "text"
    text.write_text("not an archive")
    other = tmp_path / "other.npz"
    np.savez(other, a=np.zeros(3))
    array = tmp_path / "array.npy"
    np.save(array, np.zeros(3))
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    cut = tmp_path / "cut"
    Factor([2]).update([np.ones((3, 2))]).save(cut)
    cut.write_bytes(cut.read_bytes()[:200])
    for path in (text, other, array, empty, cut):
        with pytest.raises(ValueError, match="`path` must hold a saved Factor"):
            Factor.load(path)
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, factor_widths=np.array([2]), n_examples=3, triangle=np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"the triangle has shape \(2, 2\) for widths \[2\]"):
        Factor.load(wrong)


@pytest.mark.parametrize(
    ("widths", "error", "message"),
    [
        (3, TypeError, "`widths` must be a sequence of whole numbers, got int"),
        ("33", TypeError, "`widths` must be a sequence of whole numbers, got str"),
        ([], ValueError, "`widths` must name at least one network, got none"),
        ([2, 0], ValueError, r"`widths\[1\]` must be at least 1, got 0"),
        ([2.5], TypeError, r"`widths\[0\]` must be a whole number, got 2.5"),
    ],
)
def test_bad_widths(widths: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Factor(widths)


GOOD = np.ones((5, 2))


@pytest.mark.parametrize(
    ("activations", "error", "message"),
    [
        (GOOD, ValueError, "`activations` must be a list of matrices"),
        (None, TypeError, "`activations` must be a list of matrices, got NoneType"),
        ([], ValueError, "`activations` must hold at least 1 networks, got 0"),
        ([GOOD], ValueError, "`activations` must hold 2 networks, got 1"),
        ([GOOD, GOOD], ValueError, r"`activations\[1\]` must have 3 units, got 2"),
        ([GOOD, np.ones((4, 3))], ValueError, "as many examples as `activations.0.`, got 4 and 5"),
        ([GOOD, np.ones(5)], ValueError, "must be two-dimensional"),
        ([GOOD, np.ones(())], ValueError, "must be two-dimensional"),
        ([GOOD[:0], np.ones((0, 3))], ValueError, r"`activations\[0\]` must not be empty"),
        ([GOOD * np.nan, np.ones((5, 3))], ValueError, "must be finite, got 10 NaN"),
        ([GOOD * 1j, np.ones((5, 3))], TypeError, "must be real, got complex"),
        ([np.full((5, 2), "a"), np.ones((5, 3))], ValueError, "must be an array of numbers"),
        ([GOOD.astype(object), np.ones((5, 3))], ValueError, "must be an array of numbers"),
    ],
)
def test_bad_activations(activations: Any, error: type[Exception], message: str) -> None:
    factor = Factor([2, 3])
    with pytest.raises(error, match=message):
        factor.update(activations)
    assert factor.n_examples == 0


def test_bad_merge() -> None:
    with pytest.raises(TypeError, match="`other` must be a Factor, got int"):
        Factor([2]).merge(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`other` must have widths \[2\], got \[3\]"):
        Factor([2]).merge(Factor([3]))


@pytest.mark.parametrize(
    ("networks", "error", "message"),
    [
        (0, TypeError, "`networks` must be a sequence of whole numbers, got int"),
        ("0", TypeError, "`networks` must be a sequence of whole numbers, got str"),
        ((), ValueError, "`networks` must name at least one network, got none"),
        ((0, 2), ValueError, r"`networks\[1\]` must be between 0 and 1, got 2"),
        ((-1,), ValueError, r"`networks\[0\]` must be between 0 and 1, got -1"),
    ],
)
def test_bad_networks(networks: Any, error: type[Exception], message: str) -> None:
    factor = Factor([2, 1]).update([GOOD, GOOD[:, :1]])
    with pytest.raises(error, match=message):
        factor.triangle(networks)


def test_no_examples_yet() -> None:
    with pytest.raises(ValueError, match="the factor must have taken in examples, got none"):
        Factor([2]).triangle()


@pytest.mark.parametrize(("n_rows", "n_columns"), [(1, 1), (3, 5), (64, 32), (65, 33), (200, 70)])
def test_kernel_folds_rows(level: str, n_rows: int, n_columns: int) -> None:
    rng = np.random.default_rng(8)
    before = np.triu(rng.standard_normal((n_columns, n_columns)))
    rows = rng.standard_normal((n_rows, n_columns))
    rows[:, n_columns // 2] = 0.0
    kept = before.copy(), rows.copy()
    after = _core.kernels.fold_examples(before, [rows], None, None, 1)
    expected = np.linalg.qr(np.vstack([before, rows]))[1]
    np.testing.assert_allclose(np.abs(after), np.abs(expected), rtol=0, atol=1e-13 * n_columns)
    assert np.array_equal(after, np.triu(after))
    np.testing.assert_array_equal(before, kept[0])
    np.testing.assert_array_equal(rows, kept[1])


def test_kernel_at_any_scale(level: str) -> None:
    rows = np.random.default_rng(9).standard_normal((40, 6))
    scales = np.array([1e-300, 1e-160, 1e-20, 1.0, 1e160, 1e300])
    plain = _core.kernels.fold_examples(np.zeros((6, 6)), [rows], None, None, 1)
    scaled = _core.kernels.fold_examples(np.zeros((6, 6)), [rows * scales], None, None, 1)
    np.testing.assert_allclose(scaled / scales, plain, rtol=1e-11, atol=1e-13)


def test_kernel_refuses(level: str) -> None:
    square, rows = np.zeros((3, 3)), np.zeros((2, 3))
    for triangle, others in [(square[:2], rows), (square, rows[:, :2].copy())]:
        with pytest.raises(ValueError, match="must be square and as wide as the examples"):
            _core.kernels.fold_examples(triangle, [others], None, None, 1)
    with pytest.raises(ValueError, match="networks must be two-dimensional"):
        _core.kernels.fold_examples(square, [rows[0]], None, None, 1)
    single: Any = square.astype(np.float32)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.kernels.fold_examples(single, [rows], None, None, 1)
    for order in ([0, 1], [0, 1, 1], [0, 1, 3]):
        with pytest.raises(ValueError, match="must be a permutation of the columns"):
            _core.kernels.fold_examples(square, [rows], None, np.array(order), 1)
    with pytest.raises(ValueError, match="n_threads must be at least 1"):
        _core.kernels.fold_examples(square, [rows], None, None, 0)


def test_kernel_reads_networks_where_they_lie(level: str) -> None:
    random = np.random.default_rng(10)
    x = np.asfortranarray(random.standard_normal((300, 20)).astype(np.float32))
    y = random.standard_normal((600, 15))[::2]
    order = random.permutation(35)
    means = [random.standard_normal(20), random.standard_normal(15)]
    one = _core.kernels.fold_examples(np.zeros((35, 35)), [x, y], means, order, 2)
    columns = np.hstack([x - means[0], y - means[1]])[:, order]
    np.testing.assert_allclose(one.T @ one, columns.T @ columns, rtol=0, atol=1e-10)
