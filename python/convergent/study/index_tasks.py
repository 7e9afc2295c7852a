"""What a study computes of similarity indexes: pair by pair, and of all networks and layers at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _storage
from convergent._warnings import FewExamplesWarning
from convergent.measures.index_atlas import IndexAtlas, index_atlas
from convergent.measures.indexes import cka
from convergent.progress import silent
from convergent.statistics import Statistics
from convergent.study.layer import Arrays, Layer, Scalars
from convergent.study.result import Task

Matrix = NDArray[np.float64]

OF_MOMENTS = ("cca", "svcca", "pwcca", "procrustes")
"""Quantities of the positions view, of which the moments suffice."""
OF_IMAGES: dict[str, tuple[str, dict[str, Any], int]] = {
    "cka_debiased": ("cka", {"debiased": True}, 4),
    "rsa": ("rsa", {}, 3),
}
"""Quantities of the images view: index, options, and the least number of examples."""


def cka_task(layer: Layer, i: int, j: int) -> tuple[Scalars, Arrays]:
    """Linear centred kernel alignment of two networks."""
    images = layer.statistics.images
    if not images:
        raise ValueError("the statistics were collected without the images view")
    return {"linear": cka(images[i], images[j])}, {}


def indexes_task(layer: Layer, i: int, j: int) -> tuple[Scalars, Arrays]:
    """Every other index of two networks; those of the layer are computed together, once."""
    values = layer.once("indexes", _layer_indexes)
    # PWCCA takes the weights from one of the networks, so that it has two values.
    return {name: float((v[i, j] + v[j, i]) / 2.0) for name, v in values.items()}, {}


def _layer_indexes(layer: Layer) -> dict[str, Matrix]:
    """Return each index of every two networks; those that few examples decide are left out."""
    statistics = layer.statistics
    values: dict[str, Matrix] = {}
    for name, (index, options, least) in OF_IMAGES.items():
        if statistics.images and len(statistics.images[0]) >= least:
            values[name] = index_atlas(
                statistics.images,
                index,
                n_threads=layer.n_threads,
                progress=layer.progress,
                **options,
            ).values
    for name in OF_MOMENTS:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FewExamplesWarning)
            found = _of_moments(layer, name)
        if not any(issubclass(warning.category, FewExamplesWarning) for warning in caught):
            values[name] = found
    return values


def _of_moments(layer: Layer, index: str) -> Matrix:
    statistics = layer.statistics
    if statistics.moments is not None:
        return IndexAtlas.from_moments(statistics.moments, index).values
    return index_atlas(
        statistics.images, index, n_threads=layer.n_threads, progress=layer.progress
    ).values


class AllLayers:
    """The layers of a study as tasks across layers take them: the images view of each."""

    def __init__(
        self,
        statistics: Statistics,
        n_threads: int | None = None,
        progress: Callable[[str, int, int], object] = silent,
    ) -> None:
        self.statistics = statistics
        self.n_threads = n_threads
        self.progress = progress

    @cached_property
    def _fingerprint(self) -> str:
        return "\n".join(
            _storage.array_digest(repr((layer.name, layer.networks)), layer.images)
            for layer in self.statistics.layers.values()
        )

    def key(self, task: Task) -> str:
        """Return a digest of all that a task's result depends on."""
        return _storage.text_digest(f"{self._fingerprint}\n{task.networks!r}")

    def atlas(self) -> IndexAtlas:
        """Return linear CKA of every network and layer with every other, layer by layer."""
        images = {
            (network, layer.name): x
            for layer in self.statistics.layers.values()
            for network, x in zip(layer.networks, layer.images)
        }
        if not images:
            raise ValueError("the statistics were collected without the images view")
        return index_atlas(images, n_threads=self.n_threads, progress=self.progress)


def cka_atlas_task(layers: AllLayers) -> tuple[Scalars, Arrays]:
    """Linear CKA across layers, and how often it finds a layer in another network."""
    atlas = layers.atlas()
    names, means = atlas.between_layers()
    networks, of_layer = zip(*atlas.names)
    arrays: Arrays = {
        "values": atlas.values,
        "networks": np.array(networks),
        "layers": np.array(of_layer),
        "layer_names": np.array(names),
        "layer_means": means,
    }
    scalars = {"same_layer": float(np.nanmean(np.diagonal(means)))}
    if len(names) > 1:
        scalars["other_layers"] = float(np.nanmean(means[~np.eye(len(names), dtype=bool)]))
        scalars["layers_found"] = _share_found(atlas.values, arrays["networks"], arrays["layers"])
    return scalars, arrays


def _share_found(values: Matrix, networks: NDArray[Any], layers: NDArray[Any]) -> float:
    """Return how often the most similar layer of another network is the same layer.

    Kornblith et al. (2019), Section 6.1: over all layers and ordered pairs of networks.
    """
    found = [
        layers[networks == other][np.argmax(row[networks == other])] == layer
        for row, network, layer in zip(values, networks, layers)
        for other in dict.fromkeys(networks.tolist())
        if other != network
    ]
    return float(np.mean(found))
