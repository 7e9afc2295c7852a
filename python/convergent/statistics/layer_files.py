"""The files of one layer's statistics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _storage
from convergent.statistics.factor import Factor
from convergent.statistics.layer_statistics import LayerStatistics, SavedLayer
from convergent.statistics.moments import Moments
from convergent.statistics.top_examples import TopExamples

_MATRICES = ("rows", "images")
_FOLDER = r"[0-9]{3,}(-[A-Za-z0-9_.-]*)?"
_FILES = re.compile(
    rf"{_FOLDER}/((moments|factor|top-\d+)\.npz|(rows|images|image_units)-\d+\.npy"
    r"|(rows|images)-\d+\.zarr/(zarr\.json|c/\d+/0))"
)


def folder_name(index: int, layer: str) -> str:
    """Return a folder name that is safe and unique whatever the layer's name."""
    readable = re.sub(r"[^A-Za-z0-9_.]+", "-", layer)[:40].strip("-.")
    return f"{index:03d}-{readable}".rstrip("-")


def is_layer_file(path: str) -> bool:
    """Return whether a path below the statistics is one of those that layers are kept in."""
    return _FILES.fullmatch(path) is not None


def layer_entry(index: int, layer: LayerStatistics) -> dict[str, Any]:
    """Return what a manifest says of a layer."""
    return {
        "name": layer.name,
        "folder": folder_name(index, layer.name),
        "widths": list(layer.widths),
        "moments": layer.moments is not None,
        "factor": layer.factor is not None,
        "rows": bool(layer.rows),
        "images": bool(layer.images),
        "top": bool(layer.top),
        "n_rows": len(layer.rows[0]) if layer.rows else 0,
        "n_images": len(layer.images[0]) if layer.images else 0,
        "image_widths": [len(units) for units in layer.image_units],
        "fingerprint": layer.fingerprint(),
    }


def is_whole_entry(entry: Any, n_networks: int) -> bool:
    """Return whether a manifest says of a layer what loading reads, inside the folder."""
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("name"), str)
        and re.fullmatch(_FOLDER, str(entry.get("folder"))) is not None
        and isinstance(entry.get("widths"), list)
        and len(entry["widths"]) == n_networks
        and all(isinstance(width, int) for width in entry["widths"])
        and all(isinstance(entry.get(kind), bool) for kind in ("moments", "factor", *_MATRICES))
        and isinstance(entry.get("top", False), bool)  # older folders have none
    )


def is_whole_listed_entry(entry: dict[str, Any]) -> bool:
    """Return whether an entry has what only manifests that list their files have."""
    widths = entry.get("image_widths")
    return (
        all(isinstance(entry.get(name), int) for name in ("n_rows", "n_images"))
        and isinstance(entry.get("fingerprint"), str)
        and isinstance(widths, list)
        and len(widths) == (len(entry["widths"]) if entry["images"] else 0)
        and all(isinstance(width, int) for width in widths)
    )


def save_layer(layer: LayerStatistics, folder: _storage.ListedPlace) -> None:
    """Write a layer's files into a folder."""
    if layer.moments is not None:
        layer.moments.save(folder / "moments.npz")
    if layer.factor is not None:
        layer.factor.save(folder / "factor.npz")
    for kind in _MATRICES:
        for i, array in enumerate(getattr(layer, kind)):
            _storage.write_zarr(folder / f"{kind}-{i:02d}.zarr", array)
    for i, units in enumerate(layer.image_units):
        _storage.write_array(folder / f"image_units-{i:02d}.npy", units)
    for i, top in enumerate(layer.top):
        top.save(folder / f"top-{i:02d}.npz")


def load_layer(
    folder: _storage.ListedPlace | Path, entry: dict[str, Any], networks: tuple[str, ...]
) -> LayerStatistics:
    """Return the layer that a manifest's entry describes; its large arrays are memory-mapped.

    A path is the folder of an older manifest, which lists no files.
    """
    widths = tuple(entry["widths"])
    moments = Moments.load(folder / "moments.npz") if entry["moments"] else None
    factor = Factor.load(folder / "factor.npz") if entry["factor"] else None
    for name, part in (("moments", moments), ("factor", factor)):
        if part is not None and tuple(part.widths) != widths:
            raise ValueError(
                f"{folder / name}.npz must have widths {list(widths)}, got {list(part.widths)}"
            )
    of_images = range(len(widths) if entry["images"] else 0)
    units = [_load_units(folder / f"image_units-{i:02d}.npy") for i in of_images]
    top_names = [f"top-{i:02d}.npz" for i in range(len(widths) if entry.get("top") else 0)]
    return LayerStatistics(
        entry["name"],
        networks,
        widths,
        moments,
        factor,
        _load_matrices(folder, entry, "rows", list(widths)),
        _load_matrices(folder, entry, "images", [len(chosen) for chosen in units]),
        units,
        [TopExamples.load(folder / name) for name in top_names],
        None if isinstance(folder, Path) else SavedLayer(str(folder), entry["fingerprint"]),
    )


def _load_units(place: _storage.Place) -> NDArray[np.int64]:
    units = _storage.read_array(place)
    if units.dtype != np.int64 or units.ndim != 1:
        raise ValueError(f"{place} must be int64 indices, got {units.dtype} of shape {units.shape}")
    return units


def _load_matrices(
    folder: _storage.ListedPlace | Path, entry: dict[str, Any], kind: str, widths: list[int]
) -> Sequence[NDArray[np.float32]]:
    """Return the matrices of a kind, one a network; those behind a URL when they are used."""
    if not entry[kind]:
        return []
    if isinstance(folder, Path):
        return _mapped(folder, kind, widths)
    places = [folder / f"{kind}-{i:02d}.zarr" for i in range(len(widths))]
    stored = _storage.StoredArrays(places, [(entry[f"n_{kind}"], width) for width in widths])
    return list(stored) if isinstance(folder.at, Path) else stored


def _mapped(folder: Path, kind: str, widths: list[int]) -> list[NDArray[np.float32]]:
    arrays: list[NDArray[np.float32]] = []
    for i, width in enumerate(widths):
        path = folder / f"{kind}-{i:02d}.npy"
        array = _storage.map_array(path)
        shape = ((arrays or [array])[0].shape[0] if array.ndim else 0, width)
        if array.dtype != np.float32 or array.shape != shape:
            raise ValueError(
                f"{path} must be float32 of shape {shape}, got {array.dtype} of shape {array.shape}"
            )
        arrays.append(array)
    return arrays
