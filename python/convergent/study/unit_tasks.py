"""What a study computes of single units: their activity, their matches, and which of them recur (Li et al. 2016)."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent.measures.correlation import correlation
from convergent.measures.information import mutual_information
from convergent.measures.match_summary import MatchSummary, match_summary
from convergent.measures.recurring_units import recurring_units
from convergent.study.layer import Arrays, Layer, Scalars

UNMATCHED_BELOW = 0.5
SHUFFLED_EXAMPLES = 4_000
"""Examples at most from which it is estimated how well units match by chance."""
SCATTER_PAIRS = 4
"""Best and as many worst matched pairs whose activations are kept for drawing."""
SCATTER_POINTS = 2_000


def activations_task(layer: Layer) -> tuple[Scalars, Arrays]:
    """Describe how active the units of every network are (Li et al. 2016, Section S.4)."""
    moments = layer.moments
    networks = range(len(layer.statistics.networks))
    means = [moments.mean(i) for i in networks]
    n_dead = [len(moments.dead_units(i)) for i in networks]
    scalars = {
        "mean": float(np.mean([mean.mean() for mean in means])),
        "dead": float(sum(n_dead) / sum(len(mean) for mean in means)),
    }
    arrays: Arrays = {f"mean_{i}": mean for i, mean in enumerate(means)}
    arrays |= {f"std_{i}": moments.std(i) for i in networks}
    return scalars, arrays


def correlation_task(layer: Layer, i: int, j: int) -> tuple[Scalars, Arrays]:
    """Match the units of two networks by correlation (Li et al. 2016, Section 3)."""
    similarity = layer.moments.correlation(i, j)
    summary = match_summary(similarity, threshold=UNMATCHED_BELOW)
    scalars, arrays = _matchings(similarity, summary)
    scalars["unmatched"] = summary.unmatched
    arrays["within_x"] = layer.moments.correlation(i, i)
    arrays["within_y"] = layer.moments.correlation(j, j)
    if layer.statistics.rows:
        scalars |= _by_chance(layer.statistics.rows[i], layer.statistics.rows[j])
        living = summary.order[~np.isin(summary.order, layer.moments.dead_units(i))]
        partners = summary.semi.y[living]
        arrays |= _scatter(layer.statistics.rows[i], layer.statistics.rows[j], living, partners)
    return scalars, arrays


def _by_chance(x: NDArray[np.float32], y: NDArray[np.float32]) -> Scalars:
    """Return what the matchings reach where examples of one network have nothing to do with the other's.

    One shuffle will do, since it is a mean over all units.
    """
    rng = np.random.default_rng(0)
    drawn = rng.permutation(len(x))[:SHUFFLED_EXAMPLES]
    chance = match_summary(correlation(x[drawn], y[rng.permutation(drawn)]), threshold=None)
    return {
        "mean_semi_shuffled": chance.mean_semi,
        "mean_one_to_one_shuffled": chance.mean_one_to_one,
    }


def mutual_information_task(layer: Layer, i: int, j: int) -> tuple[Scalars, Arrays]:
    """Match the units of two networks by mutual information (Li et al. 2016, Section 3.2)."""
    nats = mutual_information(layer.binned(i), layer.binned(j), n_threads=layer.n_threads)
    return _matchings(nats, match_summary(nats, threshold=None))


def _matchings(
    similarity: NDArray[np.float64], summary: MatchSummary
) -> tuple[Scalars, dict[str, NDArray[Any]]]:
    scalars = {
        "mean_semi": summary.mean_semi,
        "mean_one_to_one": summary.mean_one_to_one,
        "agreement": summary.agreement,
    }
    arrays = {
        "similarity": similarity,
        "semi_y": summary.semi.y,
        "one_to_one_x": summary.one_to_one.x,
        "one_to_one_y": summary.one_to_one.y,
    }
    return scalars, arrays


def _scatter(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    units: NDArray[np.intp],
    partners: NDArray[np.intp],
) -> Arrays:
    """Return some activations of the first and the last pairs of units; each pair comes once."""
    n_best = min(SCATTER_PAIRS, len(units))
    ends = np.concatenate(
        [np.arange(n_best), np.arange(max(n_best, len(units) - SCATTER_PAIRS), len(units))]
    )
    units, partners = units[ends], partners[ends]
    drawn = np.unique(np.linspace(0, len(x) - 1, SCATTER_POINTS).round().astype(np.intp))
    return {
        "scatter_pairs": np.stack([units, partners], axis=1),
        "scatter_n_best": np.array(n_best),
        "scatter_x": np.ascontiguousarray(x[np.ix_(drawn, units)].T),
        "scatter_y": np.ascontiguousarray(y[np.ix_(drawn, partners)].T),
    }


def recurring_units_task(layer: Layer) -> tuple[Scalars, Arrays]:
    """Find the units that every network has: mutually best matches all round."""
    widths = layer.statistics.widths
    similarities = {
        (i, j): layer.moments.correlation(i, j) for i, j in combinations(range(len(widths)), 2)
    }
    found = recurring_units(similarities, threshold=UNMATCHED_BELOW)
    n_found = len(found.units)
    scalars = {"n_recurring": float(n_found), "share": n_found / min(widths)}
    arrays: Arrays = {"units": found.units, "weakest": found.weakest}
    arrays |= {f"n_networks_{i}": counts for i, counts in enumerate(found.n_networks)}
    return scalars, arrays
