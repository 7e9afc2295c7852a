"""What a pass over the data kept of one layer, in memory and as a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _storage
from convergent.statistics.factor import Factor
from convergent.statistics.moments import Moments
from convergent.statistics.top_examples import TopExamples


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LayerStatistics:
    """What one layer of every network left behind, networks in the same order throughout.

    The positions view has channels as units and every image position as an example; the images view
    has every image as an example and its flattened units, at most ``max_units`` of them.
    """

    name: str
    """The layer's name."""
    networks: tuple[str, ...]
    """The networks' names."""
    widths: tuple[int, ...]
    """Units of each network in the positions view (in the images view where there is no other)."""
    moments: Moments | None
    """Joint moments of the positions view; None if that view was not collected."""
    factor: Factor | None
    """Joint triangular factor of the positions view; None if it was not collected."""
    rows: list[NDArray[np.float32]]
    """Paired sample of the positions view: float32 (n_rows, widths[i]) of each network."""
    images: list[NDArray[np.float32]]
    """The images view: float32 (n_images, n_image_units) of each network."""
    image_units: list[NDArray[np.int64]]
    """Which flattened units the columns of `images` are: ascending int64 of each network."""
    top: list[TopExamples] = field(default_factory=list)
    """The images that each unit of each network responds to most; empty if they were not kept."""

    def fingerprint(self) -> str:
        """Return a digest of what measures depend on: of everything but `top`."""
        arrays: list[NDArray[Any]] = [*self.rows, *self.images, *self.image_units]
        if self.moments is not None:
            arrays.append(self.moments.mean())
        if self.factor is not None:
            arrays.append(self.factor.triangle())
        return _storage.array_digest(repr((self.name, self.networks, self.widths)), arrays)

    def __repr__(self) -> str:
        kept = [
            f"moments of {self.moments.n_examples} examples" if self.moments else "",
            "factor" if self.factor else "",
            f"{len(self.rows[0])} rows" if self.rows else "",
            f"{len(self.images[0])} images" if self.images else "",
            "top examples" if self.top else "",
        ]
        return (
            f"LayerStatistics({self.name!r}, widths={list(self.widths)}, "
            f"{', '.join(part for part in kept if part)})"
        )


def save_layer(layer: LayerStatistics, folder: Path) -> None:
    """Write a layer's files into a folder, made if need be."""
    folder.mkdir(exist_ok=True)
    if layer.moments is not None:
        layer.moments.save(folder / "moments.npz")
    if layer.factor is not None:
        layer.factor.save(folder / "factor.npz")
    for kind in ("rows", "images", "image_units"):
        for i, array in enumerate(getattr(layer, kind)):
            _storage.write_array(folder / f"{kind}-{i:02d}.npy", array)
    for i, top in enumerate(layer.top):
        top.save(folder / f"top-{i:02d}.npz")


def load_layer(folder: Path, entry: dict[str, Any], networks: tuple[str, ...]) -> LayerStatistics:
    """Return the layer that a manifest's entry describes; its large arrays are memory-mapped."""
    widths = tuple(entry["widths"])
    moments = Moments.load(folder / "moments.npz") if entry["moments"] else None
    factor = Factor.load(folder / "factor.npz") if entry["factor"] else None
    for name, part in (("moments", moments), ("factor", factor)):
        if part is not None and tuple(part.widths) != widths:
            raise ValueError(
                f"{folder / name}.npz must have widths {list(widths)}, got {list(part.widths)}"
            )
    rows: list[NDArray[np.float32]] = []
    images: list[NDArray[np.float32]] = []
    image_units: list[NDArray[np.int64]] = []
    for i, width in enumerate(widths):
        if entry["rows"]:
            first = rows[0] if rows else None
            rows.append(_map_matrix(folder / f"rows-{i:02d}.npy", width, first))
        if entry["images"]:
            units = _load_units(folder / f"image_units-{i:02d}.npy")
            first = images[0] if images else None
            images.append(_map_matrix(folder / f"images-{i:02d}.npy", len(units), first))
            image_units.append(units)
    top = [TopExamples.load(folder / f"top-{i:02d}.npz") for i in _indices(entry, "top")]
    return LayerStatistics(
        entry["name"], networks, widths, moments, factor, rows, images, image_units, top
    )


def _indices(entry: dict[str, Any], kind: str) -> range:
    """Return the networks that a kind of file is there for; older manifests do not name it."""
    return range(len(entry["widths"]) if entry.get(kind, False) else 0)


def _load_units(path: Path) -> NDArray[np.int64]:
    units = np.array(_storage.map_array(path))
    if units.dtype != np.int64 or units.ndim != 1:
        raise ValueError(f"{path} must be int64 indices, got {units.dtype} of shape {units.shape}")
    return units


def _map_matrix(
    path: Path, n_columns: int, first: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    array = _storage.map_array(path)
    n_rows = array.shape[:1] if first is None else first.shape[:1]
    if array.dtype != np.float32 or array.shape != (*n_rows, n_columns):
        raise ValueError(
            f"{path} must be float32 of shape {(*n_rows, n_columns)}, "
            f"got {array.dtype} of shape {array.shape}"
        )
    return array
