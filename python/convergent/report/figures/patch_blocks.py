"""Blocks of image patches: what a unit sees, small enough for many of them to share a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from convergent.report.figures.style import FAINT, INK, shortened

if TYPE_CHECKING:
    from convergent.statistics.patches import UnitPatches

Content = Literal["pixels", "deconvolutions"]

BLOCK = 0.56
"""Side of a block in inches."""
PITCH = 0.63
"""From one block to the next, in inches."""
LINE = BLOCK + 0.04
"""From one block to the one below it, in inches."""
MOST_PATCHES = 9
NOTHING = 0.93
"""Grey level of a place without a patch."""

_PIXELS_OF_FIGURE = 200_000  # as noise, still below a megabyte
_LARGEST_SIDE = 48
_SMALLEST_SIDE = 8
_SHOWN_SHARE = 0.99


class Board:
    """A figure measured in inches from its upper left corner, on which blocks, words and lines are placed.

    Parameters
    ----------
    width, height : float
        Of the figure, in inches.
    n_blocks : int
        Blocks to come: the more there are, the fewer pixels each gets, so that a page stays small.
    """

    def __init__(self, width: float, height: float, n_blocks: int) -> None:
        self.figure = Figure(figsize=(width, height))
        self.figure.set_layout_engine("none")
        self.figure.suppressComposite = True  # keep each block's own pixels in a vector figure
        self.axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self.axes.set_axis_off()
        self.axes.set(xlim=(0.0, width), ylim=(height, 0.0), autoscale_on=False)
        self._side = largest_side(n_blocks)

    def block(
        self, patches: UnitPatches, unit: int, x: float, y: float, content: Content = "pixels"
    ) -> None:
        """Draw a unit's block with its upper left corner at (x, y)."""
        draw_block(self.axes, patches, unit, x, y, BLOCK, content=content, side=self._side)

    def stack(
        self, patches: UnitPatches, unit: int, x: float, y: float, contents: Sequence[Content]
    ) -> None:
        """Draw a unit's blocks below each other, the upper left corner of the first at (x, y)."""
        for row, content in enumerate(contents):
            self.block(patches, unit, x, y + row * LINE, content)

    def words(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 7.5,
        ha: str = "center",
        va: str = "center",
        colour: str = INK,
        weight: str = "normal",
    ) -> None:
        """Write `text` at (x, y)."""
        self.axes.text(x, y, text, size=size, ha=ha, va=va, color=colour, weight=weight)

    def name(self, y: float, name: str) -> None:
        """Write a network's name at the left edge, beside a block that begins at height y."""
        self.words(0.08, y + BLOCK / 2, shortened(name, 15), 8.5, ha="left", weight="bold")


def shared_contents(*patches: UnitPatches) -> list[Content]:
    """Return what all networks' blocks can show: patches, and deconvolutions where all have them."""
    both = all(of_network.deconvolutions is not None for of_network in patches)
    return ["pixels", "deconvolutions"] if both else ["pixels"]


def nothing_to_show(message: str) -> Figure:
    """Return a small figure that says why there is no picture."""
    board = Board(4.6, 0.7, 1)
    board.words(2.3, 0.35, message, 9.0)
    return board.figure


def patch_grid(
    axes: Axes,
    patches: UnitPatches,
    unit: int,
    *,
    deconvolutions: bool = False,
    n_shown: int = MOST_PATCHES,
) -> list[AxesImage]:
    """Fill `axes` with the patches that activate a unit most, the strongest at the upper left.

    Parameters
    ----------
    axes : matplotlib axes
        Its limits are set, its frame is hidden.
    patches : UnitPatches
        Grey-level where it has one channel, colours where it has three; the mean of other numbers of channels.
    unit : int
        A unit of the network; need not be among ``patches.units``.
    deconvolutions : bool
        Draw beside them the deconvolutions, where there are any: mid grey is 0, black and white the 99th percentile
        of the block's absolute values above 0, and beyond.
    n_shown : int
        Patches at most, in a square of rows and columns.

    Returns
    -------
    list of matplotlib images
        The patches and, if asked for and known, the deconvolutions; none for a unit without patches.
    """
    contents: list[Content] = ["pixels"]
    if deconvolutions and patches.deconvolutions is not None:
        contents.append("deconvolutions")
    axes.set(
        xlim=(0.0, 1.06 * len(contents) - 0.06), ylim=(1.0, 0.0), aspect=1.0, autoscale_on=False
    )
    axes.set_axis_off()
    images = [
        draw_block(axes, patches, unit, 1.06 * place, 0.0, 1.0, content=content, n_shown=n_shown)
        for place, content in enumerate(contents)
    ]
    return [image for image in images if image is not None]


def draw_block(
    axes: Axes,
    patches: UnitPatches,
    unit: int,
    x: float,
    y: float,
    size: float,
    *,
    content: Content = "pixels",
    side: int = _LARGEST_SIDE,
    n_shown: int = MOST_PATCHES,
) -> AxesImage | None:
    """Draw one block into the square of `size` at (x, y) of axes whose y points down; an empty frame if unknown."""
    tiles = tiles_of(patches, unit, content, n_shown, side)
    if tiles is None:
        frame = Rectangle((x, y), size, size, fill=False, edgecolor=FAINT, linewidth=0.6)
        axes.add_patch(frame)
        axes.text(x + size / 2, y + size / 2, "–", ha="center", va="center", color=FAINT)
        return None
    picture, n_columns = mosaic(tiles)
    height, width = (size * length / max(picture.shape[:2]) for length in picture.shape[:2])
    left, top = x + (size - width) / 2, y + (size - height) / 2
    image = axes.imshow(
        picture,
        extent=(left, left + width, top + height, top),
        aspect=axes.get_aspect(),
        interpolation="none",
    )
    image.set_gid(f"{content} of {patches.network}, unit {unit}")
    steps = np.arange(1, n_columns) / n_columns
    lines = [[(left + s * width, top), (left + s * width, top + height)] for s in steps]
    lines += [[(left, top + s * height), (left + width, top + s * height)] for s in steps]
    axes.add_collection(LineCollection(lines, colors="white", linewidths=0.5), autolim=False)
    return image


def largest_side(n_blocks: int) -> int:
    """Return the most pixels of a patch's side when `n_blocks` share a figure."""
    fitting = math.isqrt(_PIXELS_OF_FIGURE // (MOST_PATCHES * max(n_blocks, 1)))
    return min(max(fitting, _SMALLEST_SIDE), _LARGEST_SIDE)


def has_pictures(patches: UnitPatches) -> NDArray[np.int64]:
    """Return the units that have at least one patch and are not dead (dead: every value is 0)."""
    known = _known(patches)
    alive = (known & (patches.values != 0.0)).any(axis=1)
    return np.asarray(patches.units[alive], dtype=np.int64)


def tiles_of(
    patches: UnitPatches,
    unit: int,
    content: Content = "pixels",
    n_shown: int = MOST_PATCHES,
    side: int = _LARGEST_SIDE,
) -> NDArray[np.float64] | None:
    """Return a unit's patches as colours (n, height, width, 3) in [0, 1], strongest first; None if it has none.

    Missing patches are NaN. Patches of more than `side` pixels are shrunk.
    """
    places = np.flatnonzero(patches.units == unit)
    source = patches.pixels if content == "pixels" else patches.deconvolutions
    if source is None or not places.size:
        return None
    known = _known(patches)[places[0]][:n_shown]
    if not known.any():
        return None
    tiles = np.array(source[places[0]][:n_shown], dtype=np.float64)
    tiles[~known] = np.nan
    tiles = shrunk(tiles, side)
    if content == "deconvolutions":
        tiles = around_grey(tiles)
    if tiles.shape[-1] != 3:
        tiles = np.repeat(tiles.mean(axis=-1, keepdims=True), 3, axis=-1)
    return np.clip(tiles, 0.0, 1.0)


def around_grey(signed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return signed values as grey levels: 0 is mid grey, what exceeds 99 % of the sizes above 0 black or white."""
    sizes = np.abs(signed[signed != 0.0])
    sizes = sizes[np.isfinite(sizes)]
    scale = float(np.quantile(sizes, _SHOWN_SHARE)) if sizes.size else 1.0
    return 0.5 + 0.5 * np.clip(signed / scale, -1.0, 1.0)


def shrunk(tiles: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return tiles whose longer side has at most `side` pixels, each the mean of the area that it covers."""
    height, width = tiles.shape[1:3]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return tiles
    down = _area_means(height, max(round(height * scale), 1))
    across = _area_means(width, max(round(width * scale), 1))
    means: NDArray[np.float64] = np.einsum("ai,nijc,bj->nabc", down, tiles, across, optimize=True)
    return means


def _area_means(n_pixels: int, n_means: int) -> NDArray[np.float64]:
    edges = np.arange(n_means + 1) * n_pixels / n_means
    pixels = np.arange(n_pixels)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = np.clip(overlap, 0.0, None)
    means: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return means


def mosaic(tiles: NDArray[np.float64]) -> tuple[NDArray[np.uint8], int]:
    """Return the tiles side by side, row by row, in a square of places, and how many places it is wide."""
    n_columns = math.isqrt(len(tiles) - 1) + 1
    n, height, width, n_colours = tiles.shape
    places = np.full((n_columns**2, height, width, n_colours), NOTHING)
    places[:n] = np.where(np.isnan(tiles), NOTHING, tiles)
    grid = places.reshape(n_columns, n_columns, height, width, n_colours)
    picture = grid.transpose(0, 2, 1, 3, 4).reshape(n_columns * height, n_columns * width, -1)
    return np.round(255.0 * picture).astype(np.uint8), n_columns


def blocks_drawn(figure: Figure) -> list[AxesImage]:
    """Return the pictures of blocks on a figure, in the order in which they were drawn."""
    return [image for axes in figure.axes for image in axes.images if image.get_gid()]


def smooth(figure: Figure) -> Figure:
    """Let the blocks be resampled smoothly, for a figure that becomes a PNG of few pixels."""
    for image in blocks_drawn(figure):
        image.set_interpolation("antialiased")
    return figure


def _known(patches: UnitPatches) -> NDArray[np.bool_]:
    """Return which places hold a patch: those that name an image and have a finite value."""
    return np.asarray(np.isfinite(patches.values) & (patches.images >= 0))


def with_pictures(units: Sequence[int] | NDArray[np.int64], patches: UnitPatches) -> list[int]:
    """Return those of `units` that have pictures, in the order given."""
    present = set(has_pictures(patches).tolist())
    return [int(unit) for unit in units if int(unit) in present]
