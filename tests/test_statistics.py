"""What a pass over activations keeps, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent.statistics import StatisticsBuilder, builder
from tests.reference import moments as moments_reference
from tests.reference import row_sample as row_sample_reference
from tests.small_statistics import assert_equal, small_activations


@pytest.fixture
def arrays() -> dict[str, NDArray[Any]]:
    return small_activations()


@pytest.fixture
def images() -> dict[str, NDArray[np.float32]]:
    generator = np.random.default_rng(1)
    shapes = {"a": (30, 4, 5, 6), "b": (30, 3, 5, 6)}
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_from_arrays_keeps_what_the_definitions_say(arrays: dict[str, NDArray[Any]]) -> None:
    labels = np.arange(60) % 10
    statistics = cv.Statistics.from_arrays(arrays, labels=labels, n_rows=20, max_units=4, seed=5)
    assert statistics.networks == ("a", "b")
    np.testing.assert_array_equal(statistics.labels, labels)
    layer = statistics.layers["activations"]
    assert layer.widths == (5, 3)
    assert layer.moments is not None
    assert layer.factor is not None
    np.testing.assert_allclose(
        layer.moments.correlation(0, 1),
        moments_reference.correlation(arrays["a"], arrays["b"]),
        rtol=0,
        atol=1e-12,
    )
    joint = np.hstack([arrays["a"], arrays["b"]]).astype(np.float64)
    triangle = layer.factor.triangle()
    np.testing.assert_allclose(triangle.T @ triangle, joint.T @ joint, rtol=0, atol=1e-10)
    kept = row_sample_reference.kept_rows(20, 60, 5)
    for rows, array in zip(layer.rows, arrays.values()):
        np.testing.assert_array_equal(rows, array[kept])
    assert [units.tolist() for units in layer.image_units[1:]] == [[0, 1, 2]]
    assert len(layer.image_units[0]) == 4
    for view, units, array in zip(layer.images, layer.image_units, arrays.values()):
        assert view.dtype == np.float32
        np.testing.assert_array_equal(view, array[:, units])
    assert statistics.settings["seed"] == 5
    assert repr(statistics) == "Statistics(1 layer: activations; 2 networks: a, b)"


def test_images_become_positions_and_flattened_units(images: dict[str, NDArray[Any]]) -> None:
    layer = cv.Statistics.from_arrays(images, max_units=50, n_rows=10_000).layers["activations"]
    assert layer.widths == (4, 3)
    for i, array in enumerate(images.values()):
        positions = np.array(
            [
                [array[image, unit, row, column] for unit in range(array.shape[1])]
                for image in range(30)
                for row in range(5)
                for column in range(6)
            ]
        )
        np.testing.assert_array_equal(layer.rows[i], positions)
        assert layer.image_units[i].shape == (50,)
        assert (np.diff(layer.image_units[i]) > 0).all()
        flat = array.reshape(30, -1)
        np.testing.assert_array_equal(layer.images[i], flat[:, layer.image_units[i]])


@pytest.mark.parametrize("batch_size", [1, 7, 128])
def test_batch_size_changes_nothing(
    images: dict[str, NDArray[Any]], batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cv.Statistics.from_arrays(images, layer="x", n_rows=100, max_units=40)
    image_bytes = images["a"].nbytes // 30
    monkeypatch.setattr(builder, "_BATCH_BYTES", batch_size * image_bytes)
    assert_equal(cv.Statistics.from_arrays(images, layer="x", n_rows=100, max_units=40), whole)


def test_networks_of_the_same_width_keep_the_same_units(arrays: dict[str, NDArray[Any]]) -> None:
    x = arrays["a"]
    layer = cv.Statistics.from_arrays({"a": x, "b": -x}, max_units=3).layers["activations"]
    np.testing.assert_array_equal(layer.images[0], -layer.images[1])
    choices = {tuple(builder.choose_units(50, 5, seed)) for seed in range(20)}
    assert len(choices) == 20


def test_builder_keeps_layers_of_different_widths_and_counts() -> None:
    generator = np.random.default_rng(2)
    stream = StatisticsBuilder(["a", "b"], factor=False, seed=3)
    for size in (4, 1, 7):
        for layer, width in (("one", 3), ("two", 2)):
            x = generator.normal(size=(size, width))
            stream.update(layer, {"b": x[:, :1], "a": x}, {"a": x, "b": x[:, :1]})
    statistics = stream.finish(labels=["x"] * 12, settings={"source": "test"})
    assert [layer.widths for layer in statistics.layers.values()] == [(3, 1), (2, 1)]
    assert [layer.factor for layer in statistics.layers.values()] == [None, None]
    assert [len(layer.images[0]) for layer in statistics.layers.values()] == [12, 12]
    assert statistics.settings["source"] == "test"
    assert statistics.labels is not None
    assert statistics.labels.dtype.kind == "U"
    again = stream.finish(labels=["x"] * 12)
    assert_equal(statistics, again)


def test_views_can_be_left_out(arrays: dict[str, NDArray[Any]], tmp_path: Path) -> None:
    only_images = StatisticsBuilder(["a", "b"], views=["images"])
    only_images.update("x", images=arrays)
    layer = only_images.finish().layers["x"]
    assert (layer.moments, layer.factor, layer.rows) == (None, None, [])
    assert layer.widths == (5, 3)
    only_positions = StatisticsBuilder(["a", "b"], views=["positions"])
    only_positions.update("x", arrays)
    statistics = only_positions.finish()
    layer = statistics.layers["x"]
    assert (layer.images, layer.image_units) == ([], [])
    assert layer.moments is not None
    for number, kept in enumerate((only_images.finish(), statistics)):
        assert_equal(cv.Statistics.load(kept.save(tmp_path / str(number))), kept)


def test_from_arrays_refuses() -> None:
    good = np.ones((5, 2))
    cases: list[tuple[Any, type[Exception], str]] = [
        ([good, good], TypeError, "`arrays` must map networks' names to arrays, got list"),
        ({}, ValueError, "`networks` must be different names"),
        ({1: good}, TypeError, "`networks` must be names"),
        ({"a": good, "b": good[:4]}, ValueError, r"the same images in every network, got \[5, 4\]"),
        ({"a": good, "b": good * np.nan}, ValueError, r"positions\['b'\] of layer 'activations'"),
        ({"a": good, "b": good * np.inf}, ValueError, "must be finite"),
        ({"a": good, "b": good * 1j}, TypeError, "`arrays.'b'.` must be real, got complex values"),
        ({"a": good, "b": good.astype(object)}, ValueError, "must be an array of numbers"),
        ({"a": good, "b": good[0]}, ValueError, r"\(n_images, n_units\).*got shape \(2,\)"),
        ({"a": good, "b": np.float64(1.0)}, ValueError, r"got shape \(\)"),
        ({"a": good, "b": good[:0]}, ValueError, "not empty"),
    ]
    for arrays, error, message in cases:
        with pytest.raises(error, match=message):
            cv.Statistics.from_arrays(arrays)
    both = {"a": good, "b": good}
    for labels, message in (
        (np.arange(4), "`labels` must label 5 images, got 4"),
        (np.ones((5, 1)), "`labels` must be one-dimensional numbers or text"),
        (np.array([None] * 5), "`labels` must be one-dimensional numbers or text"),
    ):
        with pytest.raises(ValueError, match=message):
            cv.Statistics.from_arrays(both, labels=labels)
    for setting in ("n_rows", "max_units"):
        with pytest.raises(ValueError, match=f"`{setting}` must be at least 1, got 0"):
            cv.Statistics.from_arrays(both, **{setting: 0})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`seed` must be between 0"):
        cv.Statistics.from_arrays(both, seed=-1)


def test_builder_refuses(arrays: dict[str, NDArray[Any]]) -> None:
    stream = StatisticsBuilder(["a", "b"])
    with pytest.raises(ValueError, match="at least one batch, got none"):
        stream.finish()
    with pytest.raises(ValueError, match="`positions` of layer 'x' must be given for a, b, got a"):
        stream.update("x", {"a": arrays["a"]}, arrays)
    with pytest.raises(ValueError, match="`images` of layer 'x' must be given for a, b, got none"):
        stream.update("x", arrays)
    fewer = {"a": arrays["a"], "b": arrays["b"][:50]}
    with pytest.raises(ValueError, match=r"as many positions in layer 'x', got \[60, 50\]"):
        stream.update("x", fewer, arrays)
    with pytest.raises(ValueError, match=r"as many images in layer 'y', got \[60, 50\]"):
        stream.update("y", arrays, fewer)
    stream = StatisticsBuilder(["a", "b"], views=["images"])
    stream.update("x", images=arrays)
    stream.update("y", images={name: array[:9] for name, array in arrays.items()})
    with pytest.raises(ValueError, match="every layer must have seen the same images"):
        stream.finish()
    with pytest.raises(ValueError, match=r"layer 'y' must keep widths \[5, 3\], got \[4, 3\]"):
        stream.update("y", images={"a": arrays["a"][:, :4], "b": arrays["b"]})
    big = {"a": arrays["a"].astype(np.float64) * 1e300, "b": arrays["b"]}
    with pytest.raises(ValueError, match=r"images\[0\] of layer 'y'` must be finite"):
        stream.update("y", images=big)
    with pytest.raises(ValueError, match="`views` must be one of 'positions', 'images', got 'x'"):
        StatisticsBuilder(["a"], views=["x"])
    with pytest.raises(ValueError, match="`views` must be a list of"):
        StatisticsBuilder(["a"], views="images")
