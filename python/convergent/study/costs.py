"""About how long a task takes: enough to begin with the longest and to form groups of like size."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

from convergent.statistics import LayerStatistics, Statistics
from convergent.study.result import ALL_LAYERS, Task
from convergent.study.settings import CompareSettings

_ALWAYS = 1e-3
_PRODUCT = 1e-10  # seconds a multiplication and addition in a matrix product takes


def seconds_of(task: Task, statistics: Statistics, settings: CompareSettings) -> float:
    """Return about how many seconds a task takes on one processor core."""
    if task.layer == ALL_LAYERS:
        return _ALWAYS + _of_atlas(statistics)
    layer = statistics.layers[task.layer]
    if len(task.networks) == 2 and task.measure in _OF_PAIR:
        i, j = (layer.networks.index(name) for name in task.networks)
        return _ALWAYS + _OF_PAIR[task.measure](layer, settings, i, j)
    return _ALWAYS + _of_all_networks(task.measure, layer, settings)


def _correlation(layer: LayerStatistics, settings: CompareSettings, i: int, j: int) -> float:
    n_x, n_y = layer.widths[i], layer.widths[j]
    return 6e-8 * n_x * n_y + 2e-9 * (n_x + n_y) ** 2 * math.sqrt(min(n_x, n_y))


def _mutual_information(layer: LayerStatistics, settings: CompareSettings, i: int, j: int) -> float:
    n_rows = len(layer.rows[i]) if layer.rows else 0
    return 4.5e-11 * n_rows * layer.widths[i] * layer.widths[j] + _correlation(
        layer, settings, i, j
    )


def _sparse_map(layer: LayerStatistics, settings: CompareSettings, i: int, j: int) -> float:
    return 2e-9 * len(settings.penalties) * layer.widths[i] ** 2 * layer.widths[j]


def _unit_tree(layer: LayerStatistics, settings: CompareSettings, i: int, j: int) -> float:
    return 1e-7 * (layer.widths[i] + layer.widths[j]) ** 2


def _unit_groups(layer: LayerStatistics, settings: CompareSettings, i: int, j: int) -> float:
    return 0.05 + 10 * _PRODUCT * (layer.widths[i] + layer.widths[j]) ** 3


def _max_match(layer: LayerStatistics, settings: CompareSettings, i: int, j: int) -> float:
    n_units = layer.widths[i] + layer.widths[j]
    if settings.convention == "all":
        return 3 * _PRODUCT * n_units**3
    return settings.n_draws * _PRODUCT * n_units**2 * (settings.n_positions + 3 * n_units)


def _simple_matches(layer: LayerStatistics, settings: CompareSettings, i: int, j: int) -> float:
    n_units = min(layer.widths[i] + layer.widths[j], settings.max_matched)
    return 7e-9 * settings.n_orders * len(settings.epsilons) * n_units**3


def _cka(layer: LayerStatistics, settings: CompareSettings, i: int, j: int) -> float:
    if not layer.images:
        return 0.0
    n_images, n_x = layer.images[i].shape
    _, n_y = layer.images[j].shape
    return float(3.0 * _PRODUCT * min(n_x * n_y, n_images * max(n_x, n_y)) * n_images)


_OF_PAIR: dict[str, Callable[[LayerStatistics, CompareSettings, int, int], float]] = {
    "correlation": _correlation,
    "mutual_information": _mutual_information,
    "sparse_map": _sparse_map,
    "unit_tree": _unit_tree,
    "unit_groups": _unit_groups,
    "max_match": _max_match,
    "simple_matches": _simple_matches,
    "cka": _cka,
    "indexes": lambda layer, settings, i, j: 4.0 * _cka(layer, settings, i, j),
}


def _of_all_networks(measure: str, layer: LayerStatistics, settings: CompareSettings) -> float:
    widths = layer.widths
    if measure == "recurring_units":
        return sum(4e-8 * n_x * n_y for n_x, n_y in combinations(widths, 2))
    if measure == "shared_response" and layer.images:
        n_images, n_units = len(layer.images[0]), sum(x.shape[1] for x in layer.images)
        fit = 60.0 * n_images * n_units * settings.n_features
        agreement = 200.0 * (settings.test_share * n_images * len(widths)) ** 2
        return float(_PRODUCT * (fit + agreement))
    return 1e-6 * sum(widths)


def _of_atlas(statistics: Statistics) -> float:
    images = [x for layer in statistics.layers.values() for x in layer.images]
    n_entries = sum(x.size for x in images)
    n_units = sum(x.shape[1] for x in images)
    return float(1.5 * _PRODUCT * n_entries * n_units)
