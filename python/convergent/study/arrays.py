"""Activations that people bring as `.npy` and `.npz` files."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _storage
from convergent.statistics import Statistics

_LABELS = "labels"
_ONLY_LAYER = "activations"


def statistics_from_files(paths: Sequence[str | Path], *, seed: int = 0) -> Statistics:
    """Read one file a network and return their statistics.

    Parameters
    ----------
    paths : sequence of path
        A ``.npy`` file holds one layer, ``(n_examples, n_units)``. An ``.npz`` file holds one array a layer, under
        the layer's name; layers that all files share are compared. An array named ``labels`` holds the examples'
        classes.
    seed : int
        Of the row sample and of the choice of units where there are more than are kept.

    Returns
    -------
    Statistics

    Raises
    ------
    FileNotFoundError, UnreadableFileError, ValueError
        If a file is missing, is no such file, or shares no layer with the others.
    """
    networks = {}
    labels: NDArray[Any] | None = None
    for name, path in zip(_network_names(paths), paths):
        layers = _read_layers(Path(path))
        found = layers.pop(_LABELS, None)
        if not layers:
            raise ValueError(f"{path} holds no activations")
        labels = found if labels is None else labels
        networks[name] = layers
    first = next(iter(networks.values()))
    common = [layer for layer in first if all(layer in layers for layers in networks.values())]
    if not common:
        listed = "; ".join(f"{name}: {', '.join(layers)}" for name, layers in networks.items())
        raise ValueError(f"the files share no layer ({listed})")
    return Statistics.from_layers(
        {layer: {name: layers[layer] for name, layers in networks.items()} for layer in common},
        labels=labels,
        seed=seed,
    )


def _read_layers(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix == ".npz":
        return _storage.read_arrays(path)
    if path.suffix != ".npy":
        raise ValueError(f"{path} must be a .npy or .npz file")
    try:
        return {_ONLY_LAYER: np.load(path, mmap_mode="r", allow_pickle=False)}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise _storage.UnreadableFileError(
            f"{path} is not a .npy file of numbers: {error}"
        ) from error


def _network_names(paths: Sequence[str | Path]) -> list[str]:
    """Return the files' stems, or their paths where stems repeat."""
    stems = [Path(path).stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise ValueError(f"each file may be given once, got {', '.join(names)}")
    return names
