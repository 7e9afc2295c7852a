"""Which task computes each measure from a layer's statistics."""

from __future__ import annotations

from collections.abc import Callable

from convergent.study.index_tasks import AllLayers, cka_atlas_task, cka_task, indexes_task
from convergent.study.layer import Arrays, Layer, Scalars
from convergent.study.mapping_tasks import sparse_map_task, unit_groups_task, unit_tree_task
from convergent.study.shared_geometry import shared_response_task
from convergent.study.subspace_tasks import max_match_task, simple_matches_task
from convergent.study.unit_tasks import (
    activations_task,
    correlation_task,
    mutual_information_task,
    recurring_units_task,
)

PAIR_TASKS: dict[str, Callable[[Layer, int, int], tuple[Scalars, Arrays]]] = {
    "correlation": correlation_task,
    "mutual_information": mutual_information_task,
    "sparse_map": sparse_map_task,
    "unit_tree": unit_tree_task,
    "unit_groups": unit_groups_task,
    "max_match": max_match_task,
    "simple_matches": simple_matches_task,
    "cka": cka_task,
    "indexes": indexes_task,
}
"""Measures of two networks."""

TOGETHER_TASKS: dict[str, Callable[[Layer], tuple[Scalars, Arrays]]] = {
    "activations": activations_task,
    "recurring_units": recurring_units_task,
    "shared_response": shared_response_task,
}
"""Measures of all networks at once."""

ACROSS_TASKS: dict[str, Callable[[AllLayers], tuple[Scalars, Arrays]]] = {
    "cka_atlas": cka_atlas_task,
}
"""Measures of all networks and layers at once."""
