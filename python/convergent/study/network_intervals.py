"""How sure a study's means over pairs and over networks are, had other networks been trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convergent.inference.interval import Interval
from convergent.inference.noise_ceiling import NoiseCeiling, ceiling_of_correlations
from convergent.inference.pairs import bootstrap_pairs
from convergent.inference.values import bootstrap_values
from convergent.study.result import TaskResult
from convergent.study.settings import TOGETHER

Doubles = NDArray[np.float64]

LEAST_NETWORKS = 3
"""With fewer networks nothing can be said of how they differ."""
STORED_LEVEL = 0.95
"""Confidence of the ends that results hold as numbers."""
ENDS = ("_low", "_high")
"""What such numbers' names end with."""
_SAME = 1e-9
_MOST_POINTS = 101

# The least and the most that a quantity can be; a name ends where "_at_" begins.
_SHARE, _CORRELATION, _COUNT = (0.0, 1.0), (-1.0, 1.0), (0.0, np.inf)
_RANGES = {
    "correlation": {"mean_semi": _CORRELATION, "mean_one_to_one": _CORRELATION,
                    "agreement": _SHARE, "unmatched": _SHARE},
    "mutual_information": {"mean_semi": _COUNT, "mean_one_to_one": _COUNT, "agreement": _SHARE},
    "sparse_map": {"loss": _COUNT, "predictors": _COUNT},
    "unit_tree": {"joined_share": _SHARE},
    "unit_groups": {"n_groups": _COUNT, "in_joint_groups": _SHARE, "between": _CORRELATION,
                    "within": _CORRELATION},
    "max_match": {"similarity": _SHARE},
    "simple_matches": {"n_matches": _COUNT, "median_size": _COUNT},
    "shared_response": {"variance_explained": (-np.inf, 1.0), "consistency": _CORRELATION,
                        "variance_explained_leave_one_out": (-np.inf, 1.0)},
    "cka": {"linear": _SHARE},
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A mean curve over pairs of networks, and the interval of each of its points (alone, not of all at once)."""

    mean: Doubles
    """Shape (n_points,)."""
    low: Doubles | None
    """Lower ends; None of fewer than three networks."""
    high: Doubles | None
    """Upper ends; None as above."""


def interval_of(
    results: Sequence[TaskResult], quantity: str, level: float
) -> tuple[Interval, int] | None:
    """Return the interval of one quantity's mean and how many networks it is of; None if there is none.

    results : of one measure on one layer.
    """
    if not results:
        return None
    measure = results[0].task.measure
    if measure in TOGETHER:
        found = _of_all_networks(results[0], quantity, level)
    else:
        found = _of_pairs(_pair_matrix(results, quantity), level)
    if found is None:
        return None
    interval, n_networks = found
    name = quantity.split("_at_")[0]
    return interval.within(*_RANGES.get(measure, {}).get(name, (-np.inf, np.inf))), n_networks


def band_of(
    results: Sequence[TaskResult],
    curve: Callable[[TaskResult], Doubles],
    level: float,
    bounds: tuple[float, float],
) -> Band:
    """Return the mean curve of all pairs with the interval of each point; curves are cut to the shortest.

    curve : takes the result of a pair and returns a curve, NaN where a pair has no point.
    bounds : the least and the most that a point can be.

    Of long curves, 101 points are computed; how far the ends are from the mean is interpolated between them.
    """
    curves = [curve(result) for result in results]
    shortest = min(len(points) for points in curves)
    stacked = np.stack([points[:shortest] for points in curves])
    mean = stacked.mean(axis=0)
    computed = np.unique(np.linspace(0, shortest - 1, _MOST_POINTS).round().astype(np.intp))
    ends = np.empty((2, len(computed)))
    matrix, places = _empty_pair_matrix(results)
    for k, point in enumerate(computed):
        if np.isnan(mean[point]):
            ends[:, k] = np.nan
            continue
        for (i, j), value in zip(places, stacked[:, point]):
            matrix[i, j] = matrix[j, i] = value
        found = _of_pairs(matrix, level)
        if found is None:
            return Band(mean, None, None)
        within = found[0].within(*bounds)
        ends[:, k] = within.low - mean[point], within.high - mean[point]
    low, high = (np.interp(np.arange(shortest), computed, away) for away in ends)
    low = np.minimum(np.maximum(mean + low, bounds[0]), mean)
    return Band(mean, low, np.maximum(np.minimum(mean + high, bounds[1]), mean))


def ceiling_of(results: Sequence[TaskResult]) -> NoiseCeiling | None:
    """Return the noise ceiling of a layer's RSMs from their correlations; None where these are not known."""
    pairs = results[0].arrays.get("consistency_pairs") if results else None
    if pairs is None or len(pairs) < LEAST_NETWORKS:
        return None
    return ceiling_of_correlations(np.asarray(pairs, dtype=np.float64))


def _of_all_networks(
    result: TaskResult, quantity: str, level: float
) -> tuple[Interval, int] | None:
    """Return the interval of a quantity of all networks, from one value a network or a pair, or from its ends."""
    n = len(result.task.networks)
    value = result.scalars.get(quantity)
    if value is None or n < LEAST_NETWORKS:
        return None
    of_networks = _values_of_networks(result, quantity)
    if of_networks is not None and abs(of_networks.mean() - value) <= _SAME * max(abs(value), 1.0):
        return bootstrap_values(of_networks, level=level), n
    pairs = result.arrays.get(f"{quantity}_pairs")
    if pairs is not None and pairs.shape == (n, n):
        # Not every quantity is the mean of its pairs: an agreement of mean matrices is none.
        interval = bootstrap_pairs(pairs, level=level)
        if abs(interval.estimate - value) <= _SAME:
            return interval, n
    low, high = (result.scalars.get(quantity + end) for end in ENDS)
    if low is not None and high is not None and level == STORED_LEVEL:
        return Interval(value, low, high, level, 0, "networks"), n
    return None


def _values_of_networks(result: TaskResult, quantity: str) -> Doubles | None:
    """Return one value a network: an array of that name, or the means of one array a network."""
    n = len(result.task.networks)
    values = result.arrays.get(quantity)
    if values is not None:
        return np.asarray(values, dtype=np.float64) if values.shape == (n,) else None
    arrays = [result.arrays.get(f"{quantity}_{i}") for i in range(n)]
    means = [float(array.mean()) for array in arrays if array is not None]
    return np.array(means) if len(means) == n else None


def _of_pairs(matrix: Doubles, level: float) -> tuple[Interval, int] | None:
    """Return the interval of the mean over pairs; None if too few networks have some."""
    present = np.flatnonzero(~np.isnan(matrix).all(axis=1))
    matrix = matrix[np.ix_(present, present)]
    known = ~np.isnan(matrix)
    n_pairs = int(known.sum()) // 2
    if len(matrix) < LEAST_NETWORKS or (known.sum(axis=1) == n_pairs).any():
        return None  # a network that all pairs share cannot be left out
    return bootstrap_pairs(matrix, level=level), len(matrix)


def _pair_matrix(results: Sequence[TaskResult], quantity: str) -> Doubles:
    """Return the values of pairs, (n_networks, n_networks), NaN where there is none."""
    matrix, places = _empty_pair_matrix(results)
    for result, (i, j) in zip(results, places):
        if quantity in result.scalars:
            matrix[i, j] = matrix[j, i] = result.scalars[quantity]
    return matrix


def _empty_pair_matrix(results: Sequence[TaskResult]) -> tuple[Doubles, list[tuple[int, int]]]:
    """Return a matrix of NaN for the networks of some pairs, and the place of each pair in it."""
    names = list(dict.fromkeys(name for result in results for name in result.task.networks))
    index = {name: i for i, name in enumerate(names)}
    places = [
        (index[result.task.networks[0]], index[result.task.networks[1]]) for result in results
    ]
    return np.full((len(names), len(names)), np.nan), places
