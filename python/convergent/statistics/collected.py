"""What a pass over the data kept of every layer, in memory and as a folder."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _storage
from convergent.statistics.layer_statistics import LayerStatistics, load_layer, save_layer

FORMAT = "convergent.Statistics/1"
MANIFEST = "statistics.json"
_LABELS = "labels.npy"
_LABEL_KINDS = "biufU"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Statistics:
    """What one pass over the data kept: the source of every measure.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> x = np.random.default_rng(0).normal(size=(100, 5))
    >>> statistics = cv.Statistics.from_arrays({"a": x, "b": 2.0 * x[:, :3]})
    >>> statistics
    Statistics(1 layer: activations; 2 networks: a, b)
    >>> layer = statistics.layers["activations"]
    >>> layer.widths, [rows.shape for rows in layer.rows]
    ((5, 3), [(100, 5), (100, 3)])
    """

    layers: dict[str, LayerStatistics]
    """The layers by name, in the order in which they were asked for."""
    networks: tuple[str, ...]
    """The networks' names."""
    labels: NDArray[Any] | None
    """Label of each image (numbers or text), or None."""
    settings: dict[str, Any] = field(default_factory=dict)
    """How the pass was made: plain JSON values."""

    def __repr__(self) -> str:
        return (
            f"Statistics({_counted(list(self.layers), 'layer')}; "
            f"{_counted(list(self.networks), 'network')})"
        )

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, Any],
        *,
        labels: Any = None,
        layer: str = "activations",
        factor: bool = True,
        n_rows: int = 60_000,
        max_units: int = 1_000,
        seed: int = 0,
        n_top: int = 0,
    ) -> Statistics:
        """Return the statistics of activations that are at hand; no torch is needed.

        Parameters
        ----------
        arrays : mapping from network to array of float
            Shape (n_images, n_units) or (n_images, n_channels, h, w): activations of the same
            images in every network; float32 or float64, read only, not copied as a whole.
        labels : array, shape (n_images,), or None
            Numbers or text.
        layer : str
            Name to give the layer.
        factor : bool
            Whether to compute the joint triangular factor, which subspace matches need.
        n_rows : int
            Rows of the positions view to sample.
        max_units : int
            Largest number of flattened units to keep in the images view.
        seed : int
            For the sample and the choice of units.
        n_top : int
            How many images that each unit responds to most are kept.

        Raises
        ------
        TypeError
            If `arrays` is no mapping, or holds complex values.
        ValueError
            If shapes do not fit, or a value is NaN or infinite.
        """
        if not isinstance(arrays, Mapping):
            raise TypeError(
                f"`arrays` must map networks' names to arrays, got {type(arrays).__name__}"
            )
        return cls.from_layers(
            {layer: arrays},
            labels=labels,
            factor=factor,
            n_rows=n_rows,
            max_units=max_units,
            seed=seed,
            n_top=n_top,
        )

    @classmethod
    def from_layers(
        cls, layers: Mapping[str, Mapping[str, Any]], *, labels: Any = None, **options: Any
    ) -> Statistics:
        """Return the statistics of several layers that are at hand.

        Parameters
        ----------
        layers : mapping from layer to mapping from network to array
            Each layer's arrays as `from_arrays` takes them; the same networks in every layer.
        labels : array, shape (n_images,), or None
            Numbers or text.
        **options
            `factor`, `n_rows`, `max_units`, `seed` and `n_top`, as in `from_arrays`.
        """
        from convergent.statistics.builder import StatisticsBuilder, image_batches, positions_view

        if not layers:
            raise ValueError("`layers` must hold at least one layer, got none")
        builder = StatisticsBuilder(list(next(iter(layers.values()))), **options)
        for layer, arrays in layers.items():
            for images in image_batches(arrays):
                positions = {network: positions_view(value) for network, value in images.items()}
                builder.update(layer, positions, images)
        return builder.finish(labels=labels, settings={"source": "arrays"})

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write a folder and return its path.

        Every file has a temporary name until it is whole, and the manifest comes last, so a killed
        save leaves statistics that are refused, never ones that are wrong. Statistics that the
        folder held are given up first.

        Raises
        ------
        TypeError
            If `settings` are no JSON values.
        """
        target = Path(folder)
        manifest = self._manifest()
        json.dumps(
            manifest
        )  # settings that are no JSON values are refused before anything is written
        target.mkdir(parents=True, exist_ok=True)
        (target / MANIFEST).unlink(missing_ok=True)
        for entry, layer in zip(manifest["layers"], self.layers.values()):
            save_layer(layer, target / entry["folder"])
        if self.labels is not None:
            _storage.write_array(target / _LABELS, self.labels)
        _storage.write_json(target / MANIFEST, manifest)
        return target

    def _manifest(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "networks": list(self.networks),
            "labels": self.labels is not None,
            "settings": self.settings,
            "layers": [
                {
                    "name": layer.name,
                    "folder": _folder_name(index, layer.name),
                    "widths": list(layer.widths),
                    "moments": layer.moments is not None,
                    "factor": layer.factor is not None,
                    "rows": bool(layer.rows),
                    "images": bool(layer.images),
                    "top": bool(layer.top),
                }
                for index, layer in enumerate(self.layers.values())
            ],
        }

    @staticmethod
    def is_complete(folder: str | os.PathLike[str]) -> bool:
        """Return whether a folder holds statistics that were saved to the end."""
        return (Path(folder) / MANIFEST).exists()

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], *, layers: Sequence[str] | None = None
    ) -> Statistics:
        """Read a folder that `save` made, or some of its layers; rows and images are memory-mapped, read-only.

        Nothing in the folder is ever executed.

        Raises
        ------
        FileNotFoundError
            If the folder holds no complete statistics, or a file is missing.
        ValueError
            If a file is truncated, or is not what the manifest says; the message names the file. If `layers` names a
            layer that is not there.
        """
        source = Path(folder)
        manifest = _read_manifest(source)
        networks = tuple(manifest["networks"])
        names = [entry["name"] for entry in manifest["layers"]]
        missing = [name for name in layers or () if name not in names]
        if missing:
            raise ValueError(f"`layers` must be of {', '.join(names)}, got {', '.join(missing)}")
        found = {
            entry["name"]: load_layer(source / entry["folder"], entry, networks)
            for entry in manifest["layers"]
            if layers is None or entry["name"] in layers
        }
        labels = None
        if manifest["labels"]:
            labels = np.array(_storage.map_array(source / _LABELS))
            for layer in found.values():
                if layer.images and len(layer.images[0]) != len(labels):
                    raise ValueError(
                        f"{source / _LABELS} must label {len(layer.images[0])} images, "
                        f"got shape {labels.shape}"
                    )
        return cls(found, networks, labels, manifest["settings"])


def check_labels(labels: Any, n_images: int | None) -> NDArray[Any]:
    """Return labels as an array, one an image."""
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in _LABEL_KINDS:
        raise ValueError(
            f"`labels` must be one-dimensional numbers or text, got shape {array.shape} "
            f"and dtype {array.dtype}"
        )
    if n_images is not None and len(array) != n_images:
        raise ValueError(f"`labels` must label {n_images} images, got {len(array)}")
    return array


def _counted(names: list[str], noun: str) -> str:
    listed = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}: {listed}"


def _folder_name(index: int, layer: str) -> str:
    """Return a folder name that is safe and unique whatever the layer's name."""
    readable = re.sub(r"[^A-Za-z0-9_.]+", "-", layer)[:40].strip("-.")
    return f"{index:03d}-{readable}".rstrip("-")


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.exists():
        raise FileNotFoundError(f"{folder} holds no complete statistics: {MANIFEST} is missing")
    manifest: dict[str, Any] = _storage.read_json(path, FORMAT)
    if not _is_whole(manifest):
        raise _storage.UnreadableFileError(f"{path} is damaged: it does not describe statistics")
    return manifest


def _is_whole(manifest: dict[str, Any]) -> bool:
    """Return whether a manifest has what loading reads, and names no path outside its folder."""
    networks, layers = manifest.get("networks"), manifest.get("layers")
    return (
        isinstance(networks, list)
        and all(isinstance(name, str) for name in networks)
        and isinstance(manifest.get("labels"), bool)
        and isinstance(manifest.get("settings"), dict)
        and isinstance(layers, list)
        and all(_is_whole_layer(entry, len(networks)) for entry in layers)
    )


def _is_whole_layer(entry: Any, n_networks: int) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("name"), str)
        and re.fullmatch(r"[0-9]{3,}(-[A-Za-z0-9_.-]*)?", str(entry.get("folder"))) is not None
        and isinstance(entry.get("widths"), list)
        and len(entry["widths"]) == n_networks
        and all(isinstance(width, int) for width in entry["widths"])
        and all(
            isinstance(entry.get(kind), bool) for kind in ("moments", "factor", "rows", "images")
        )
        and isinstance(entry.get("top", False), bool)  # older folders have none
    )
