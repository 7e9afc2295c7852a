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
from convergent.measures.subspace import SubspaceMatcher
from convergent.statistics import LayerStatistics
from convergent.study.result import Task
from convergent.study.settings import CompareSettings

Scalars = dict[str, float]
Arrays = dict[str, NDArray[Any]]

UNMATCHED_BELOW = 0.5
CURVE_POINTS = 201


_DEPENDS_ON: dict[str, tuple[str, ...]] = {
    "correlation": (),
    "mutual_information": ("n_bins",),
    "max_match": ("epsilons",),
    "cka": (),
    "shared_response": ("n_features", "test_share", "seed"),
}


class Layer:
    """A layer's statistics with what several tasks share: each network is binned once, not once a pair."""

    def __init__(
        self,
        statistics: LayerStatistics,
        labels: NDArray[np.intp] | None,
        settings: CompareSettings,
        n_threads: int | None = None,
    ) -> None:
        self.statistics = statistics
        self.labels = labels
        self.settings = settings
        self.n_threads = n_threads

    @cached_property
    def _fingerprint(self) -> str:
        labels = "" if self.labels is None else repr(self.labels.tolist())
        return f"{self.statistics.fingerprint()}\n{labels}"

    def key(self, task: Task) -> str:
        """Return a digest of all that a task's result depends on."""
        content = self.settings.as_dict()
        parts = [self._fingerprint, repr(task.networks)]
        parts += [f"{name}={content[name]}" for name in _DEPENDS_ON[task.measure]]
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


def max_match_task(layer: Layer, i: int, j: int) -> tuple[Scalars, Arrays]:
    """Find the largest sets of units that span each other (Wang et al. 2018, Algorithm 1)."""
    statistics = layer.statistics
    if statistics.factor is None:
        raise ValueError("the statistics were collected without the triangular factor")
    n_x, n_y = statistics.widths[i], statistics.widths[j]
    matcher = SubspaceMatcher.from_factor(
        statistics.factor.triangle((i, j)), n_x, n_examples=statistics.factor.n_examples
    )
    epsilons = layer.settings.epsilons
    matches = matcher.max_match(list(epsilons))
    in_x = np.zeros((len(epsilons), n_x), dtype=bool)
    in_y = np.zeros((len(epsilons), n_y), dtype=bool)
    for row, match in enumerate(matches):
        in_x[row, match.x] = True
        in_y[row, match.y] = True
    scalars = {
        f"similarity_at_{epsilon:g}": match.similarity for epsilon, match in zip(epsilons, matches)
    }
    levels = matcher.levels()
    curve = np.linspace(0.0, 1.0, CURVE_POINTS)
    similarity = np.array([match.similarity for match in matches])
    arrays = {
        "epsilons": np.array(epsilons),
        "similarity": similarity,
        "in_x": in_x,
        "in_y": in_y,
        "levels_x": levels.x,
        "levels_y": levels.y,
        "curve_epsilon": curve,
        "curve_similarity": levels.similarity(curve),
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
    "cka": cka_task,
}
