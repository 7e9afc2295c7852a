"""What each measure computes from a layer's statistics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from convergent.measures.indexes import cka
from convergent.measures.information import mutual_information
from convergent.measures.match_summary import match_summary
from convergent.study.layer import Arrays, Layer, Scalars
from convergent.study.subspace_tasks import max_match_task, simple_matches_task

UNMATCHED_BELOW = 0.5


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
    summary = match_summary(similarity, threshold=threshold)
    scalars = {
        "mean_semi": summary.mean_semi,
        "mean_one_to_one": summary.mean_one_to_one,
        "agreement": summary.agreement,
    }
    if threshold is not None:
        scalars["unmatched"] = summary.unmatched
    arrays = {
        "similarity": similarity,
        "semi_y": summary.semi.y,
        "one_to_one_x": summary.one_to_one.x,
        "one_to_one_y": summary.one_to_one.y,
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
