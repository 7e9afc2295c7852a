"""What a pass over the data kept of every layer, in memory and as a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from convergent import _storage
from convergent.statistics.layer_files import (
    is_layer_file,
    is_whole_entry,
    is_whole_listed_entry,
    layer_entry,
    load_layer,
    save_layer,
)
from convergent.statistics.layer_statistics import LayerStatistics
from convergent.statistics.provenance import versions

FORMAT = "convergent.Statistics/2"
OLDER_FORMAT = "convergent.Statistics/1"
MANIFEST = "statistics.json"
_LABELS = "labels.npy"
_FILES = "files"
_VERSIONS = "versions"
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

    @overload
    def save(self, folder: os.PathLike[str]) -> Path: ...

    @overload
    def save(self, folder: str | _storage.Location) -> _storage.Place: ...

    def save(self, folder: _storage.AnyPlace) -> _storage.Place:
        """Write a folder, or what a URL names, and return its place.

        Every file has a temporary name until it is whole, and the manifest comes last, so a killed
        save leaves statistics that are refused, never ones that are wrong. Statistics that the
        folder held are given up first; if they are the same, nothing is written.

        Parameters
        ----------
        folder : path or URL
            Such as ``"study/statistics"`` or ``"s3://bucket/study/statistics"``, which needs fsspec.

        Raises
        ------
        TypeError
            If `settings` are no JSON values.
        """
        target = _storage.place(folder)
        # Settings that are no JSON values are refused before anything is written.
        manifest = json.loads(json.dumps(self._manifest()))
        if not self._is_saved(target, manifest):
            self._write(target, manifest)
        return target

    def _manifest(self) -> dict[str, Any]:
        return {
            _storage.FORMAT_KEY: FORMAT,
            "networks": list(self.networks),
            "labels": self.labels is not None,
            "settings": self.settings,
            "layers": [layer_entry(i, layer) for i, layer in enumerate(self.layers.values())],
            _VERSIONS: versions(with_torch=self.settings.get("source") == "networks"),
        }

    def _is_saved(self, target: _storage.Place, manifest: dict[str, Any]) -> bool:
        """Return whether a place holds the same statistics whole, whatever versions wrote them."""
        try:
            found = _read_manifest(target)
        except (OSError, ValueError):
            return False
        files = found.pop(_FILES, {})
        if {**found, _VERSIONS: None} != {**manifest, _VERSIONS: None}:
            return False
        listed = _storage.FileList(target, is_kept=False)
        self._write_files(listed, manifest)
        return files == listed.entries and not _storage.FileList(target, files).damaged()

    def _write(self, target: _storage.Place, manifest: dict[str, Any]) -> None:
        (target / MANIFEST).unlink(missing_ok=True)
        if isinstance(target, Path):
            target.mkdir(parents=True, exist_ok=True)
            _storage.remove_stale(target)
        files = _storage.FileList(target)
        self._write_files(files, manifest)
        for name in _storage.sizes(target):
            if name not in files.entries and (name == _LABELS or is_layer_file(name)):
                (target / name).unlink(missing_ok=True)  # of statistics that were here before
        _storage.write_json(target / MANIFEST, {**manifest, _FILES: files.entries})

    def _write_files(self, files: _storage.FileList, manifest: dict[str, Any]) -> None:
        for entry, layer in zip(manifest["layers"], self.layers.values()):
            save_layer(layer, files / entry["folder"])
        if self.labels is not None:
            _storage.write_array(files / _LABELS, self.labels)

    @staticmethod
    def is_complete(folder: _storage.AnyPlace) -> bool:
        """Return whether a folder holds statistics that were saved to the end."""
        return (_storage.place(folder) / MANIFEST).exists()

    @classmethod
    def load(cls, folder: _storage.AnyPlace, *, layers: Sequence[str] | None = None) -> Statistics:
        """Read a folder that `save` made, or some of its layers.

        Rows and images are memory-mapped, read-only; behind a URL they come into unnamed temporary
        files when they are first used. Nothing in the folder is ever executed.

        Raises
        ------
        FileNotFoundError
            If the folder holds no complete statistics, or a file is missing.
        ValueError
            If a file is truncated, or is not what the manifest says; the message names the file.
            If `layers` names a layer that is not there.

        Notes
        -----
        Every file's size is checked, and the content of all but rows and images. Theirs is checked
        with `LayerStatistics.fingerprint`, as comparisons do, and by `damaged`.
        """
        source = _storage.place(folder)
        manifest = _read_manifest(source)
        entries = _chosen_layers(manifest, layers)
        networks = tuple(manifest["networks"])
        below: Path | _storage.FileList
        if manifest[_storage.FORMAT_KEY] == OLDER_FORMAT:
            below = _storage.local(source, f"statistics of the format {OLDER_FORMAT}")
        else:
            below = _storage.FileList(source, manifest[_FILES])
            below.check_sizes([entry["folder"] for entry in entries])
        found = {
            entry["name"]: load_layer(below / entry["folder"], entry, networks) for entry in entries
        }
        labels = _load_labels(below / _LABELS, found) if manifest["labels"] else None
        return cls(found, networks, labels, manifest["settings"])

    @staticmethod
    def damaged(folder: _storage.AnyPlace) -> list[str]:
        """Return the files that are missing or are not those that were saved, each with its fault.

        Reads every byte. Of folders that older versions wrote, which list no files, only what
        loading notices is found.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no manifest to check against.
        """
        source = _storage.place(folder)
        manifest = _read_manifest(source)
        if manifest[_storage.FORMAT_KEY] == FORMAT:
            return _storage.FileList(source, manifest[_FILES]).damaged()
        try:
            Statistics.load(source)
        except (OSError, ValueError) as error:
            return [str(error)]
        return []


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


def read_manifest(folder: _storage.AnyPlace) -> dict[str, Any]:
    """Return what a folder's manifest says; nothing else is read.

    Raises
    ------
    FileNotFoundError
        If the folder holds no complete statistics.
    ValueError
        If the manifest is damaged.
    """
    return _read_manifest(_storage.place(folder))


def _read_manifest(folder: _storage.Place) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = _storage.read_json(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{folder} holds no complete statistics: {MANIFEST} is missing"
        ) from error
    found = manifest.get(_storage.FORMAT_KEY) if isinstance(manifest, dict) else None
    if found not in (FORMAT, OLDER_FORMAT):
        raise _storage.UnreadableFileError(f"{path} must be of format {FORMAT}, got {found}")
    if not _is_whole(manifest):
        raise _storage.UnreadableFileError(f"{path} is damaged: it does not describe statistics")
    whole: dict[str, Any] = manifest
    return whole


def _chosen_layers(manifest: dict[str, Any], layers: Sequence[str] | None) -> list[dict[str, Any]]:
    names = [entry["name"] for entry in manifest["layers"]]
    missing = [name for name in layers or () if name not in names]
    if missing:
        raise ValueError(f"`layers` must be of {', '.join(names)}, got {', '.join(missing)}")
    return [entry for entry in manifest["layers"] if layers is None or entry["name"] in layers]


def _load_labels(place: _storage.Place, layers: Mapping[str, LayerStatistics]) -> NDArray[Any]:
    labels = _storage.read_array(place)
    for layer in layers.values():
        n_images = layer.n_images
        if n_images and labels.shape != (n_images,):
            raise ValueError(f"{place} must label {n_images} images, got shape {labels.shape}")
    return labels


def _is_whole(manifest: dict[str, Any]) -> bool:
    """Return whether a manifest has what loading reads, and names no path outside its folder."""
    networks, layers = manifest.get("networks"), manifest.get("layers")
    is_older = manifest[_storage.FORMAT_KEY] == OLDER_FORMAT
    return (
        isinstance(networks, list)
        and all(isinstance(name, str) for name in networks)
        and isinstance(manifest.get("labels"), bool)
        and isinstance(manifest.get("settings"), dict)
        and isinstance(layers, list)
        and all(is_whole_entry(entry, len(networks)) for entry in layers)
        and (
            is_older
            or (
                all(is_whole_listed_entry(entry) for entry in layers)
                and _storage.FileList.is_whole(manifest.get(_FILES))
            )
        )
    )
