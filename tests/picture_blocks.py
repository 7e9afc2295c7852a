"""Patches for tests of figures, and how to read from a figure which of them it shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

import convergent as cv
from convergent.report import figures
from convergent.report.figures.patch_blocks import blocks_drawn
from convergent.statistics import UnitPatches
from convergent.study import Task, TaskResult

MID_GREY, PLACEHOLDER = 128, 237


def patches_of(
    network: str,
    n_units: int,
    *,
    shape: tuple[int, ...] = (9, 8, 8, 3),
    units: list[int] | None = None,
    deconvolutions: bool = False,
    seed: int = 0,
) -> UnitPatches:
    """Patches of noise: every tile differs from every other."""
    random = np.random.default_rng([seed, *network.encode()])
    shown = np.arange(n_units) if units is None else np.array(units, dtype=np.int64)
    pixels = random.random((len(shown), *shape), dtype=np.float32)
    values = np.sort(random.random((len(shown), shape[0]), dtype=np.float32), axis=1)[:, ::-1] + 1.0
    places = np.zeros((len(shown), shape[0]), dtype=np.int64)
    return UnitPatches(
        network=network,
        layer="conv1",
        units=shown,
        pixels=pixels,
        values=values,
        images=places,
        boxes=np.zeros((*places.shape, 4), dtype=np.int64),
        deconvolutions=pixels - np.float32(0.5) if deconvolutions else None,
    )


def expected_picture(pixels: NDArray[Any], n_columns: int = 3) -> NDArray[np.uint8]:
    """Put tiles side by side, row by row, with loops."""
    n, height, width, n_channels = pixels.shape
    picture = np.full((n_columns * height, n_columns * width, 3), PLACEHOLDER, dtype=np.uint8)
    for k in range(n):
        row, column = divmod(k, n_columns)
        for channel in range(3):
            tile = pixels[k, :, :, channel if n_channels == 3 else 0].astype(np.float64)
            picture[
                row * height : (row + 1) * height, column * width : (column + 1) * width, channel
            ] = np.round(255 * tile)
    return picture


def picture(image: AxesImage) -> NDArray[np.uint8]:
    return np.asarray(image.get_array())


def alone(patches: UnitPatches, unit: int, **options: Any) -> list[AxesImage]:
    return figures.patch_grid(Figure().add_subplot(), patches, unit, **options)


def blocks_by_row(figure: Figure) -> list[list[AxesImage]]:
    """Blocks from top to bottom, each row from left to right."""
    rows: dict[float, list[AxesImage]] = {}
    for image in blocks_drawn(figure):
        rows.setdefault(round(image.get_extent()[3], 6), []).append(image)
    return [sorted(rows[top], key=lambda image: image.get_extent()[0]) for top in sorted(rows)]


def assert_shows(blocks: list[AxesImage], patches: UnitPatches, units: list[int]) -> None:
    """The blocks are those of `units`, in this order, pixel by pixel."""
    assert len(blocks) == len(units)
    for image, unit in zip(blocks, units):
        (place,) = np.flatnonzero(patches.units == unit)
        np.testing.assert_array_equal(picture(image), expected_picture(patches.pixels[place]))
        assert image.get_gid() == f"pixels of {patches.network}, unit {unit}"


def words(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def words_in_line(figure: Figure, like: str) -> list[str]:
    """Words that begin with `like`, from left to right and from top to bottom."""
    found = [t for axes in figure.axes for t in axes.texts if t.get_text().startswith(like)]
    found.sort(key=lambda text: (text.get_position()[1], text.get_position()[0]))
    return [text.get_text() for text in found]


def result_of(measure: str, **arrays: Any) -> TaskResult:
    found = {name: np.asarray(values) for name, values in arrays.items()}
    return TaskResult(Task("conv1", measure, ("first", "second")), "key", {}, found)


def activations(**means: Any) -> TaskResult:
    arrays = {f"mean_{i}": np.asarray(mean) for i, mean in enumerate(means.values())}
    return TaskResult(Task("conv1", "activations", tuple(means)), "key", {}, arrays)


def matched(similarity: NDArray[np.float64], measure: str = "correlation") -> TaskResult:
    semi, one = cv.match_units(similarity, "semi"), cv.match_units(similarity)
    return result_of(
        measure, similarity=similarity, semi_y=semi.y, one_to_one_x=one.x, one_to_one_y=one.y
    )
