"""Intervals (95 %) of what a study says of all networks at once; none of fewer than three networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convergent.inference.pairs import bootstrap_pairs
from convergent.inference.values import bootstrap_values
from convergent.measures.alignment import AlignmentAgreement
from convergent.study.layer import Scalars

LEAST_NETWORKS = 3
_N_RESAMPLES = 2_000
_QUANTILES = (0.025, 0.975)

Ends = tuple[float, float]


def add_interval(scalars: Scalars, name: str, ends: Ends | None) -> None:
    """Add the ends of an interval as `name_low` and `name_high`, if there are any."""
    if ends is not None:
        scalars[f"{name}_low"], scalars[f"{name}_high"] = ends


def of_values(values: NDArray[np.float64]) -> Ends | None:
    """Return the interval for the mean of one value a network, at most 1."""
    if len(values) < LEAST_NETWORKS:
        return None
    interval = bootstrap_values(values)
    return interval.low, min(interval.high, 1.0)


def of_pairs(matrix: NDArray[np.float64]) -> Ends | None:
    """Return the interval for the mean of a correlation over pairs of networks, networks being drawn."""
    if len(matrix) < LEAST_NETWORKS:
        return None
    interval = bootstrap_pairs(matrix, over="networks")
    return max(interval.low, -1.0), min(interval.high, 1.0)


def of_agreement(found: AlignmentAgreement, quantity: str) -> Ends | None:
    """Return the interval for an agreement of mean similarity matrices, networks being drawn.

    A resample has fewer different networks, whose mean is noisier, so that it agrees less on the whole. The
    quantiles are therefore moved by what the resamples' median is off; else the interval may lie below the estimate.
    """
    n_networks = len(found.pairs)
    if n_networks < LEAST_NETWORKS:
        return None
    resamples = found.resampled(drawn_networks(n_networks, _N_RESAMPLES), quantity)
    low, high = np.quantile(resamples, _QUANTILES) - np.median(resamples)
    value = float(getattr(found, quantity))
    return max(value + float(low), -1.0), min(value + float(high), 1.0)


def drawn_networks(n_networks: int, n_resamples: int, seed: int = 0) -> NDArray[np.int64]:
    """Return how often each network is drawn in each resample, at least two of them everywhere."""
    rng = np.random.default_rng(seed)
    share = np.full(n_networks, 1.0 / n_networks)
    counts = rng.multinomial(n_networks, share, n_resamples)
    while (alone := np.flatnonzero(np.count_nonzero(counts, axis=1) < 2)).size:
        counts[alone] = rng.multinomial(n_networks, share, alone.size)
    return counts
