"""The images that units respond to most."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from convergent.statistics import StatisticsBuilder, TopExamples, top_examples
from tests.reference import top_examples as reference


def assert_same(
    top: TopExamples, expected: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
) -> None:
    arrays: tuple[NDArray[Any], ...] = (top.values, top.images, top.positions)
    for found, wanted in zip(arrays, expected, strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


@st.composite
def activation_maps(draw: st.DrawFn) -> NDArray[Any]:
    """Maps of few different values, so that ties are many; some units dead, some duplicated."""
    shape = draw(
        st.tuples(st.integers(1, 25), st.integers(1, 5), st.integers(1, 3), st.integers(1, 4))
    )
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_values = draw(st.sampled_from([1, 2, 4, 1000]))
    maps = generator.integers(-1, n_values, size=shape).astype(
        draw(st.sampled_from(["float32", "float64", "int8" if n_values < 100 else "int32"]))
    )
    maps[:, 0] = draw(st.sampled_from([0, 1]))
    if draw(st.booleans()):
        maps = maps[:, :, 0, 0]
    return np.asfortranarray(maps) if draw(st.booleans()) else maps


@given(activation_maps(), st.integers(1, 12), st.lists(st.integers(0, 25), max_size=4))
def test_agrees_with_sorting_everything_for_any_batches(
    maps: NDArray[Any], n_top: int, cuts: list[int]
) -> None:
    top = TopExamples(maps.shape[1], n_top)
    for batch in np.split(maps, sorted(cut for cut in cuts if cut < len(maps))):
        if len(batch):
            top.update(batch)
    assert top.n_images == len(maps)
    assert_same(top, reference.top_examples(maps, n_top))


@given(activation_maps(), st.integers(1, 12), st.integers(0, 25), st.integers(0, 25))
def test_parts_are_merged_in_any_order(
    maps: NDArray[Any], n_top: int, first: int, second: int
) -> None:
    start, end = sorted((min(first, len(maps)), min(second, len(maps))))
    parts = []
    for part in (slice(0, start), slice(start, end), slice(end, None)):
        top = TopExamples(maps.shape[1], n_top, first_image=part.start)
        parts.append(top.update(maps[part]) if len(maps[part]) else top)
    merged = parts[2].merge(parts[0]).merge(parts[1])
    assert_same(merged, reference.top_examples(maps, n_top))
    assert_same(merged.update(maps), reference.top_examples(np.concatenate([maps, maps]), n_top))


@pytest.mark.parametrize("size", [(700, 6, 2, 2), (40, 6, 8, 9)])
def test_chunks_of_a_large_batch_agree_with_small_batches(
    size: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    maps = np.random.default_rng(0).integers(0, 50, size=size)
    whole = TopExamples(6).update(maps)
    assert_same(whole, reference.top_examples(maps, 9))
    monkeypatch.setattr(top_examples, "_CHUNK", 3)
    assert_same(TopExamples(6).update(maps), reference.top_examples(maps, 9))


def one_nan(shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = np.ones(shape)
    array[1, 1, -1, -1] = np.nan
    return array


def test_nan_in_a_large_map_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got 1 NaN .* in unit 1"):
        TopExamples(3).update(one_nan((2, 3, 8, 9)))


def test_each_image_counts_once() -> None:
    maps = np.zeros((3, 1, 2, 2))
    maps[1, 0] = [[7.0, 9.0], [8.0, 6.0]]
    maps[2, 0, 1, 0] = 5.0
    top = TopExamples(1, 3).update(maps)
    assert top.images.tolist() == [[1, 2, 0]]
    assert top.values.tolist() == [[9.0, 5.0, 0.0]]
    assert top.positions.tolist() == [[[0, 1], [1, 0], [0, 0]]]
    assert top.map_shape == (2, 2)


def test_a_dead_unit_keeps_the_first_images() -> None:
    top = TopExamples(1, 3)
    for _ in range(4):
        top.update(np.zeros((2, 1)))
    assert top.images.tolist() == [[0, 1, 2]]
    assert top.positions.tolist() == [[[0, 0]] * 3]


def test_fewer_images_than_asked_for() -> None:
    top = TopExamples(2, 9).update(np.array([[1.0, 2.0], [3.0, 0.0]]))
    assert top.values.tolist() == [[3.0, 1.0], [2.0, 0.0]]
    assert TopExamples(2, 9).values.shape == (2, 0)


def test_results_are_copies() -> None:
    top = TopExamples(1, 1).update(np.array([[1.0]]))
    top.values[:] = 5.0
    top.images[:] = 5
    assert top.values.tolist() == [[1.0]]
    assert top.images.tolist() == [[0]]


def test_doubles_that_are_one_float_tie() -> None:
    top = TopExamples(1, 1).update(np.array([[1.0], [1.0 + 1e-12]]))
    assert top.images.tolist() == [[0]]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((2, 4)), "must have 3 units, got shape"),
        (np.zeros((2, 3)), r"must keep maps of shape \(4, 5\), got \(\)"),
        (np.zeros((2, 3, 4)), "must be .n_images, n_units. or"),
        (np.zeros((0, 3, 4, 5)), "not empty"),
        (np.full((2, 3, 4, 5), np.nan), "`activations` must be finite"),
        (one_nan((2, 3, 4, 5)), "`activations` must be finite, got 1 NaN .* in unit 1"),
        (np.full((2, 3, 4, 5), np.inf), "`activations` must be finite"),
        (np.full((2, 3, 4, 5), 1e300), "`activations` must be finite"),
        ("text", "must be an array of numbers"),
    ],
)
def test_bad_batches_are_refused_and_leave_it_unchanged(batch: Any, message: str) -> None:
    maps = np.random.default_rng(0).normal(size=(4, 3, 4, 5))
    top = TopExamples(3, 2).update(maps)
    with pytest.raises(ValueError, match=message):
        top.update(batch)
    assert_same(top, reference.top_examples(maps, 2))


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="`n_units` must be at least 1, got 0"):
        TopExamples(0)
    with pytest.raises(ValueError, match="`n_top` must be at least 1, got 0"):
        TopExamples(1, 0)
    with pytest.raises(ValueError, match="`first_image` must be at least 0, got -1"):
        TopExamples(1, first_image=-1)


def test_what_cannot_be_merged() -> None:
    top = TopExamples(2, 2).update(np.zeros((3, 2)))
    with pytest.raises(TypeError, match="`other` must be a TopExamples, got list"):
        top.merge([])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must have `n_units` 2, got 3"):
        top.merge(TopExamples(3, 2))
    with pytest.raises(ValueError, match="must have `n_top` 2, got 4"):
        top.merge(TopExamples(2, 4))
    maps = TopExamples(2, 2, first_image=9).update(np.zeros((3, 2, 1, 1)))
    with pytest.raises(ValueError, match=r"must have `map_shape` \(\), got \(1, 1\)"):
        top.merge(maps)
    again = TopExamples(2, 2, first_image=2).update(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="must have seen other images, got image 2 twice"):
        top.merge(again)


def test_saved_and_loaded(tmp_path: Path) -> None:
    maps = np.random.default_rng(0).normal(size=(8, 3, 4, 5))
    top = TopExamples(3, 2, first_image=1).update(maps[1:5])
    loaded = TopExamples.load(top.save(tmp_path / "top.npz"))
    assert repr(loaded) == "TopExamples(n_units=3, n_top=2 of 4 images)"
    assert loaded.map_shape == (4, 5)
    loaded.update(maps[5:]).merge(TopExamples(3, 2).update(maps[:1]))
    assert_same(loaded, reference.top_examples(maps, 2))
    path = tmp_path / "top.npz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"top\.npz is truncated"):
        TopExamples.load(path)
    np.savez(path, format="convergent.TopExamples/1", numbers=np.array([3, 2, 5]))
    with pytest.raises(ValueError, match=r"top\.npz must hold convergent\.TopExamples/1"):
        TopExamples.load(path)


def test_statistics_keep_them_and_results_do_not_depend_on_it(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    arrays = {"a": generator.normal(size=(20, 3, 2, 2)), "b": generator.normal(size=(20, 4, 2, 2))}
    statistics = cv.Statistics.from_arrays(arrays, n_top=5)
    layer = statistics.layers["activations"]
    for top, array in zip(layer.top, arrays.values(), strict=True):
        assert_same(top, reference.top_examples(array, 5))
    assert "top examples" in repr(layer)
    without = cv.Statistics.from_arrays(arrays).layers["activations"]
    assert without.top == []
    assert without.fingerprint() == layer.fingerprint()
    loaded = cv.Statistics.load(statistics.save(tmp_path / "with")).layers["activations"]
    for top, array in zip(loaded.top, arrays.values(), strict=True):
        assert_same(top, reference.top_examples(array, 5))


def test_folders_of_before_still_load(tmp_path: Path) -> None:
    arrays = {"a": np.random.default_rng(0).normal(size=(20, 3))}
    folder = cv.Statistics.from_arrays(arrays).save(tmp_path / "old")
    manifest = folder / "statistics.json"
    text = manifest.read_text()
    assert '"top": false' in text
    manifest.write_text(text.replace(',\n   "top": false', ""))
    assert '"top": false' not in manifest.read_text()
    assert cv.Statistics.load(folder).layers["activations"].top == []


def test_builder_needs_images_for_them() -> None:
    x = np.random.default_rng(0).normal(size=(6, 3))
    builder = StatisticsBuilder(["a"], views=["positions"], n_top=2)
    with pytest.raises(ValueError, match="`images` of layer 'relu' must be given for a, got none"):
        builder.update("relu", {"a": x})
    builder = StatisticsBuilder(["a"], views=["positions"], n_top=2)
    builder.update("relu", {"a": x}, {"a": x})
    layer = builder.finish().layers["relu"]
    assert layer.images == []
    assert_same(layer.top[0], reference.top_examples(x, 2))
    with pytest.raises(ValueError, match="`n_top` must be at least 0, got -1"):
        StatisticsBuilder(["a"], n_top=-1)
