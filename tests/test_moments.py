"""Moments of a stream: what the definitions say, whatever the batches, the merges and the offsets."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from convergent import _core
from tests.reference import moments as reference


@st.composite
def paired_activations(draw: st.DrawFn) -> list[NDArray[Any]]:
    """Draw activations of two networks with dead, constant and duplicated units, in any layout."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_examples = draw(st.integers(2, 40))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    result = []
    for width in (draw(st.integers(1, 6)), draw(st.integers(1, 6))):
        scale = draw(st.sampled_from([1e-3, 1.0, 1e3]))
        array = scale * generator.normal(size=(n_examples, width)) + draw(st.integers(-9, 9))
        for unit in range(width):
            kind = draw(st.sampled_from(["plain", "rectified", "dead", "constant", "duplicate"]))
            if kind == "rectified":
                array[:, unit] = np.maximum(array[:, unit], 0.0)
            elif kind == "dead":
                array[:, unit] = 0.0
            elif kind == "constant":
                array[:, unit] = generator.normal()
            elif kind == "duplicate":
                array[:, unit] = array[:, 0]
        result.append(_laid_out(array.astype(dtype), draw(st.sampled_from("CFSR"))))
    return result


def _laid_out(array: NDArray[Any], layout: str) -> NDArray[Any]:
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "S":
        return np.repeat(np.repeat(array, 2, axis=0), 3, axis=1)[::2, ::3]
    if layout == "R":
        array.setflags(write=False)
    return array


def stream(arrays: list[NDArray[Any]], batch_size: int) -> cv.Moments:
    moments = cv.Moments([array.shape[1] for array in arrays])
    for start in range(0, len(arrays[0]), batch_size):
        moments.update([array[start : start + batch_size] for array in arrays])
    return moments


@given(arrays=paired_activations(), batch_size=st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_agrees_with_definition(arrays: list[NDArray[Any]], batch_size: int) -> None:
    moments = stream(arrays, batch_size)
    assert moments.n_examples == len(arrays[0])
    for i, x in enumerate(arrays):
        np.testing.assert_allclose(moments.mean(i), reference.mean(x), rtol=1e-12, atol=1e-12)
        for j, y in enumerate(arrays):
            scale = np.abs(x).max() * np.abs(y).max() + 1e-12
            covariance = reference.covariance(x, y)
            np.testing.assert_allclose(
                moments.covariance(i, j), covariance, rtol=1e-11, atol=1e-13 * scale
            )
            found = moments.correlation(i, j)
            np.testing.assert_allclose(found, reference.correlation(x, y), rtol=0, atol=1e-9)
            assert np.abs(found).max() <= 1.0


@given(arrays=paired_activations(), cut=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_merge_of_parts_is_the_whole(arrays: list[NDArray[Any]], cut: int) -> None:
    cut = min(cut, len(arrays[0]) - 1)
    whole = stream(arrays, 5)
    parts = [cv.Moments(whole.widths), cv.Moments(whole.widths)]
    if cut:
        parts[0].update([array[:cut] for array in arrays])
    parts[1].update([array[cut:] for array in arrays])
    before = parts[1].mean(0)
    merged = parts[0].merge(parts[1])
    assert merged is parts[0]
    assert merged.n_examples == whole.n_examples
    np.testing.assert_array_equal(parts[1].mean(0), before)
    np.testing.assert_allclose(merged.mean(), whole.mean(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        merged.covariance(0, 1), whole.covariance(0, 1), rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(merged.correlation(0, 1), whole.correlation(0, 1), rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_size_changes_nothing(dtype: type[np.floating[Any]]) -> None:
    generator = np.random.default_rng(1)
    # Two blocks of 4,096 rows and a rest.
    x = np.add(generator.normal(size=(9_000, 4)), [0.0, 10.0, 1e3, 1e5]).astype(dtype)
    y = np.maximum(generator.normal(size=(9_000, 3)) + x[:, :3], 0.0).astype(dtype)
    results = [stream([x, y], size) for size in (1, 7, 128, 9_000)]
    for result in results[1:]:
        np.testing.assert_array_equal(result.mean(), results[0].mean())
        np.testing.assert_array_equal(result.covariance(0, 1), results[0].covariance(0, 1))
        np.testing.assert_array_equal(result.correlation(0, 0), results[0].correlation(0, 0))
    exact = np.corrcoef(x.astype(np.float64).T, y.astype(np.float64).T)
    np.testing.assert_allclose(results[0].correlation(0, 1), exact[:4, 4:], rtol=0, atol=1e-10)


@given(
    cuts=st.lists(st.integers(1, 8_999), max_size=6),
    layout=st.sampled_from("CFSR"),
    n_threads=st.integers(1, 4),
)
@settings(max_examples=15, deadline=None)
def test_batches_layout_and_threads_change_no_bit(
    cuts: list[int], layout: str, n_threads: int
) -> None:
    arrays = [LONG[:, :5], LONG[:, 5:]]
    whole = cv.Moments([5, 2], n_threads=1).update(arrays)
    arrays = [_laid_out(array.copy(), layout) for array in arrays]
    found = cv.Moments([5, 2], n_threads=n_threads)
    for a, b in pairwise(sorted({0, len(LONG), *cuts})):
        found.update([array[a:b] for array in arrays])
    np.testing.assert_array_equal(found.mean(), whole.mean())
    for i, j in ((0, 0), (0, 1), (1, 1)):
        np.testing.assert_array_equal(found.cross_product(i, j), whole.cross_product(i, j))


LONG = np.random.default_rng(12).normal(size=(9_000, 7)).astype(np.float32) + np.float32(3.0)


@pytest.mark.parametrize("widths", [[300, 260], [900, 700, 1]])
def test_wide_layers_for_any_threads(level: str, widths: list[int]) -> None:
    generator = np.random.default_rng(13)
    arrays = [generator.normal(size=(2_500, width)).astype(np.float32) for width in widths]
    one, many = (cv.Moments(widths, n_threads=n).update(arrays) for n in (1, 3))
    exact = np.cov(np.concatenate(arrays, axis=1).astype(np.float64).T)
    starts = np.cumsum([0, *widths])
    for i, j in ((0, 0), (0, 1), (1, 1), (1, 0)):
        found = one.covariance(i, j)
        np.testing.assert_array_equal(found, many.covariance(i, j))
        expected = exact[starts[i] : starts[i + 1], starts[j] : starts[j + 1]]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(one.covariance(0, 0), one.covariance(0, 0).T)


def test_an_interrupted_update_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        unit_summary = staticmethod(_core.kernels.unit_summary)

        def add_cross_products(self, *_: Any) -> None:
            raise KeyboardInterrupt

    moments = cv.Moments([7])
    with monkeypatch.context() as patch:
        patch.setattr(_core, "kernels", Interrupted())
        with pytest.raises(KeyboardInterrupt):
            moments.update([LONG])
    for call in (
        moments.mean,
        lambda: moments.update([LONG]),
        lambda: cv.Moments([7]).merge(moments),
    ):
        with pytest.raises(RuntimeError, match="lack part of an update that was interrupted"):
            call()


def test_reading_in_between_changes_no_more_than_rounding() -> None:
    x = np.random.default_rng(2).normal(size=(500, 3)) + 100.0
    undisturbed = stream([x], 7)
    read = cv.Moments([3])
    for start in range(0, 500, 7):
        read.update([x[start : start + 7]]).mean()
    np.testing.assert_allclose(read.covariance(0, 0), undisturbed.covariance(0, 0), rtol=1e-11)
    np.testing.assert_allclose(read.mean(), undisturbed.mean(), rtol=1e-14)


def test_large_offset_changes_no_correlation() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=(20_000, 5))
    y = generator.normal(size=(20_000, 4)) + x[:, :4]
    plain, shifted = stream([x, y], 128), stream([x + 1e6, y + 1e6], 128)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        np.testing.assert_allclose(
            shifted.correlation(i, j), plain.correlation(i, j), rtol=0, atol=1e-9
        )


def test_large_offset_of_single_precision_is_as_exact_as_the_values() -> None:
    generator = np.random.default_rng(14)
    # Steps of float32 at 1e6 are 1/16: the units' own rounding, part of the values as given.
    x = (1e6 + 4.0 * generator.normal(size=(50_000, 5))).astype(np.float32)
    y = (x[:, :4] - 1e6 + generator.normal(size=(50_000, 4)) + 1e6).astype(np.float32)
    found, expected = stream([x, y], 4_000), reference.correlation(x[:, :2], y[:, :2])
    np.testing.assert_allclose(found.correlation(0, 1)[:2, :2], expected, rtol=0, atol=1e-12)


def test_offset_far_beyond_the_spread() -> None:
    """Ten digits of sixteen are the offset's; the other six must survive blocks and merges."""
    generator = np.random.default_rng(15)
    x = 1e6 + 1e-4 * generator.normal(size=(12_000, 3))
    x[:, 2] += x[:, 0] - 1e6
    expected = reference.correlation(x, x)
    streamed = stream([x], 1_000)
    merged = stream([x[:5_001]], 999).merge(stream([x[5_001:]], 999))
    for moments in (streamed, merged):
        np.testing.assert_allclose(moments.correlation(0, 0), expected, rtol=0, atol=1e-9)


def test_units_that_hardly_vary_correlate_exactly() -> None:
    """What rounding takes from a block's mean is not small beside a spread of some 30 roundings."""
    steps = np.random.default_rng(17).integers(0, 100, (6_000, 3)).astype(np.float64)
    moments = stream([1.0 + steps * np.finfo(np.float64).eps], 800)
    assert moments.dead_units(0).size == 0
    np.testing.assert_allclose(
        moments.correlation(0, 0), reference.correlation(steps, steps), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_drift_in_steps_does_not_cancel(dtype: type[np.floating[Any]]) -> None:
    """The mean of each block of examples is elsewhere, far beyond the spread within."""
    generator = np.random.default_rng(16)
    x = generator.normal(size=(30_000, 3)) + 1e4 * (np.arange(30_000) // 3_000)[:, np.newaxis]
    x = x.astype(dtype)
    x[:, 1] *= -1
    np.testing.assert_allclose(
        stream([x], 1_111).covariance(0, 0), reference.covariance(x, x), rtol=1e-13
    )


def test_merges_in_any_order_agree() -> None:
    parts = [stream([part], 500) for part in np.array_split(LONG.astype(np.float64) + 1e6, 5)]
    whole = stream([LONG.astype(np.float64) + 1e6], 9_000)
    for order in permutations(range(5)):
        merged = cv.Moments([7])
        for i in order:
            merged.merge(parts[i])
        np.testing.assert_allclose(merged.mean(), whole.mean(), rtol=1e-15)
        np.testing.assert_allclose(
            merged.correlation(0, 0), whole.correlation(0, 0), rtol=0, atol=1e-12
        )


def test_moments_of_products_computed_elsewhere() -> None:
    centred = LONG.astype(np.float64) - LONG.mean(axis=0, dtype=np.float64)
    whole = cv.Moments([5, 2]).update([LONG[:, :5], LONG[:, 5:]])
    products, mean = centred.T @ centred, LONG.mean(axis=0, dtype=np.float64)
    given_moments = cv.Moments.from_products([5, 2], 9_000, mean, np.triu(products))
    products[:], mean[:] = 0.0, 0.0
    for moments in (given_moments, given_moments.merge(cv.Moments([5, 2]))):
        assert moments.n_examples == 9_000
        np.testing.assert_allclose(moments.mean(), whole.mean(), rtol=1e-12)
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            np.testing.assert_allclose(
                moments.covariance(i, j), whole.covariance(i, j), rtol=0, atol=1e-13
            )


def test_stream_with_drifting_mean_does_not_cancel() -> None:
    generator = np.random.default_rng(4)
    x = generator.normal(size=(20_000, 2)) + np.linspace(-1e7, 1e7, 20_000)[:, np.newaxis]
    x[:, 1] = -x[:, 1]
    expected = np.cov(x.T)
    np.testing.assert_allclose(stream([x], 64).covariance(0, 0), expected, rtol=1e-12)


def test_dead_units_have_zero_correlation_and_spread() -> None:
    generator = np.random.default_rng(5)
    x = generator.normal(size=(10_000, 5)).astype(np.float32)
    x[:, 1] = 0.0
    x[:, 2] = 0.1
    x[:, 3] = 1e30
    moments = stream([x], 33)
    np.testing.assert_array_equal(moments.dead_units(0), [1, 2, 3])
    np.testing.assert_array_equal(moments.std(0)[1:4], 0.0)
    correlation = moments.correlation(0, 0)
    np.testing.assert_array_equal(correlation[1:4], 0.0)
    np.testing.assert_array_equal(correlation[:, 1:4], 0.0)
    np.testing.assert_allclose(correlation[[0, 4], [0, 4]], 1.0, rtol=0, atol=1e-14)


def test_units_that_vary_by_rounding_only_are_dead() -> None:
    x = np.full((1_000, 2), 1.0)
    x[::2, 0] += 2.0 * np.finfo(np.float64).eps
    x[::2, 1] += 1e-12
    moments = cv.Moments([2]).update([x])
    np.testing.assert_array_equal(moments.dead_units(0), [0])
    np.testing.assert_array_equal(moments.correlation(0, 0)[0], 0.0)


def test_dead_stays_dead_over_merges() -> None:
    x = np.full((700, 1), 0.1)
    moments = stream([x], 13)
    for _ in range(20):
        moments.merge(stream([x], 17))
    np.testing.assert_array_equal(moments.dead_units(0), [0])
    np.testing.assert_array_equal(moments.correlation(0, 0), [[0.0]])


def test_constant_unit_is_kept_exactly() -> None:
    x = np.random.default_rng(11).normal(size=(9_000, 2))
    x[:, 0] = 0.1
    moments = stream([x], 1_000)
    assert moments.mean(0)[0] == 0.1
    np.testing.assert_array_equal(moments.cross_product(0, 0)[0], 0.0)


def test_standard_deviation_and_means_of_all_networks() -> None:
    x = np.random.default_rng(6).normal(size=(50, 3))
    moments = cv.Moments([2, 1]).update([x[:, :2], x[:, 2:]])
    np.testing.assert_allclose(moments.std(), x.std(axis=0, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(moments.mean(), x.mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(moments.mean(1), moments.mean()[2:])


def test_covariance_of_networks_is_transposed_when_swapped() -> None:
    x = np.random.default_rng(7).normal(size=(50, 5))
    moments = cv.Moments([2, 3]).update([x[:, :2], x[:, 2:]])
    np.testing.assert_array_equal(moments.covariance(1, 0), moments.covariance(0, 1).T)
    np.testing.assert_array_equal(moments.correlation(1, 0), moments.correlation(0, 1).T)


def test_cross_product_with_and_without_centring() -> None:
    x = np.random.default_rng(8).normal(size=(50, 5)) + 3.0
    moments = cv.Moments([2, 3]).update([x[:, :2], x[:, 2:]])
    centred = x - x.mean(axis=0)
    np.testing.assert_allclose(
        moments.cross_product(1, 0), centred[:, 2:].T @ centred[:, :2], rtol=1e-10
    )
    np.testing.assert_allclose(
        moments.cross_product(0, 1, center=False), x[:, :2].T @ x[:, 2:], rtol=1e-12
    )


def test_results_are_not_views_of_the_state() -> None:
    moments = cv.Moments([2]).update([np.random.default_rng(9).normal(size=(10, 2))])
    for read in (moments.mean, moments.std):
        read(0)[:] = 7.0
        assert not (read(0) == 7.0).any()
    moments.cross_product(0, 0)[:] = 7.0
    assert not (moments.cross_product(0, 0) == 7.0).any()


def test_update_makes_no_float64_copy_of_a_large_batch() -> None:
    x = np.ones((400_000, 32), dtype=np.float32)
    x[::3] = 2.0
    moments = cv.Moments([32])
    tracemalloc.start()
    moments.update([x])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 3  # a float64 copy would be twice the array
