"""What each measure computes from a layer's statistics."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent.measures.assignment import match_agreement, match_units
from convergent.measures.indexes import cka
from convergent.measures.information import BinnedUnits, bin_units, mutual_information
from convergent.progress import silent
from convergent.statistics import LayerStatistics
from convergent.study.result import Task
from convergent.study.settings import CompareSettings
from convergent.study.subspace_tasks import max_match_task, simple_matches_task

Scalars = dict[str, float]
Arrays = dict[str, NDArray[Any]]

UNMATCHED_BELOW = 0.5


def _depends_on(measure: str, settings: CompareSettings) -> tuple[str, ...]:
    """Return the names of the settings that a measure's result depends on."""
    of_draws = () if settings.convention == "all" else ("n_positions", "n_draws", "seed")
    return {
        "correlation": (),
        "mutual_information": ("n_bins",),
        "max_match": ("epsilons", "convention", *of_draws),
        "simple_matches": ("epsilons", "n_orders", "max_matched", "seed"),
        "cka": (),
        "shared_response": ("n_features", "test_share", "seed"),
    }[measure]


class Layer:
    """A layer's statistics with what several tasks share: each network is binned once, not once a pair."""

    def __init__(
        self,
        statistics: LayerStatistics,
        labels: NDArray[np.intp] | None,
        settings: CompareSettings,
        n_threads: int | None = None,
        progress: Callable[[str, int, int], object] = silent,
    ) -> None:
        self.statistics = statistics
        self.labels = labels
        self.settings = settings
        self.n_threads = n_threads
        self.progress = progress

    @cached_property
    def _fingerprint(self) -> str:
        labels = "" if self.labels is None else repr(self.labels.tolist())
        return f"{self.statistics.fingerprint()}\n{labels}"

    def key(self, task: Task) -> str:
        """Return a digest of all that a task's result depends on."""
        content = self.settings.as_dict()
        parts = [self._fingerprint, repr(task.networks)]
        parts += [f"{name}={content[name]}" for name in _depends_on(task.measure, self.settings)]
        return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()

    @cached_property
    def binned(self) -> list[BinnedUnits]:
        """Binned row sample of every network."""
        return [bin_units(rows, n_bins=self.settings.n_bins) for rows in self.statistics.rows]


def correlation_task(layer: Layer, i: int, j: int) -> tuple[Scalars, Arrays]:
    """Match the units of two networks by correlation (Li et al. 2016, Section 3)."""
    moments = layer.statistics.moments
    if moments is None:
        raise ValueError("the statistics were collected without the positions view")
    return _matchings(moments.correlation(i, j), UNMATCHED_BELOW)


def mutual_information_task(layer: Layer, i: int, j: int) -> tuple[Scalars, Arrays]:
    """Match the units of two networks by mutual information (Li et al. 2016, Section 3.2)."""
    nats = mutual_information(layer.binned[i], layer.binned[j], n_threads=layer.n_threads)
    return _matchings(nats, None)


def _matchings(similarity: NDArray[np.float64], threshold: float | None) -> tuple[Scalars, Arrays]:
    semi = match_units(similarity, "semi")
    one = match_units(similarity, "one_to_one")
    scalars = {
        "mean_semi": float(semi.values.mean()),
        "mean_one_to_one": float(one.values.mean()),
        "agreement": match_agreement(similarity),
    }
    if threshold is not None:
        scalars["unmatched"] = float(np.mean(semi.values <= threshold))
    arrays = {
        "similarity": similarity,
        "semi_y": semi.y,
        "one_to_one_x": one.x,
        "one_to_one_y": one.y,
    }
    return scalars, arrays


def cka_task(layer: Layer, i: int, j: int) -> tuple[Scalars, Arrays]:
    """Linear centred kernel alignment of two networks."""
    images = layer.statistics.images
    return {"linear": cka(images[i], images[j])}, {}


PAIR_TASKS: dict[str, Callable[[Layer, int, int], tuple[Scalars, Arrays]]] = {
    "correlation": correlation_task,
    "mutual_information": mutual_information_task,
    "max_match": max_match_task,
    "simple_matches": simple_matches_task,
    "cka": cka_task,
}
