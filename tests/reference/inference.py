"""Intervals, permutation tails and noise ceilings, one resample at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr, t

Matrix = NDArray[np.float64]
Drawn = Sequence[Sequence[int]]
Ends = tuple[float, float]
Numbers = Sequence[float] | Matrix


def every_resample(n: int) -> Drawn:
    """All ways to draw n of n values one after the other; each is as probable as another."""
    return list(product(range(n), repeat=n))


def tails(level: float) -> Ends:
    return (1.0 - level) / 2.0, 1.0 - (1.0 - level) / 2.0


def quantiles(resamples: Numbers, low: float, high: float) -> Ends:
    """The smallest value that more than `low` of all do not exceed; the same from above."""
    values = np.sort(resamples)
    n = len(values)
    below = [np.count_nonzero(values <= v) / n for v in values]
    above = [np.count_nonzero(values >= v) / n for v in values]
    first = next(v for v, share in zip(values, below) if share > low + 1e-9)
    last = next(v for v, share in zip(values[::-1], above[::-1]) if share > 1.0 - high + 1e-9)
    return float(first), float(last)


def expanded_tails(resamples: Numbers, estimate: float, n: int, level: float) -> Ends:
    values = np.asarray(resamples)
    below = np.mean(values < estimate) + 0.5 * np.mean(values == estimate)
    bias = norm.ppf(below)
    reach = np.sqrt(n / (n - 1)) * t.ppf(tails(level)[1], n - 1)
    return float(norm.cdf(2 * bias - reach)), float(norm.cdf(2 * bias + reach))


def studentised(
    estimate: float, influence: Matrix, error: float, level: float, drawn: Drawn
) -> Ends:
    """Section 12.5 of Efron & Tibshirani, a tenth of the variance being that of all influences."""
    n = len(influence)
    ratios = []
    for resample in drawn:
        values = influence[list(resample)]
        variance = 0.9 * np.var(values) + 0.1 * np.var(influence)
        ratios.append(values.mean() / np.sqrt(variance / (n - 1)))
    low, high = quantiles(ratios, *tails(level))
    reach = t.ppf(tails(level)[1], n - 1)
    wider = max(1.0, reach / ((high - low) / 2))
    return estimate - wider * high * error, estimate - wider * low * error


def pair_mean(matrix: Matrix, networks: Sequence[int]) -> float | None:
    """Mean over pairs of the networks drawn, those of a network and its copy left out."""
    values = [
        matrix[networks[p], networks[q]]
        for p in range(len(networks))
        for q in range(p)
        if networks[p] != networks[q] and not np.isnan(matrix[networks[p], networks[q]])
    ]
    return float(np.mean(values)) if values else None


def left_out(matrix: Matrix) -> Matrix:
    """The mean over pairs without each network."""
    n = len(matrix)
    means = [pair_mean(matrix, [j for j in range(n) if j != i]) for i in range(n)]
    return np.array(means, dtype=np.float64)


def pair_error(matrix: Matrix) -> float:
    """The jackknife's standard error of the mean over pairs, less what it counts too much of the pairs' own."""
    n = len(matrix)
    without = left_out(matrix)
    jackknife = (n - 1) / n * np.sum((without - without.mean()) ** 2)
    pairs = [(i, j) for i in range(n) for j in range(i) if not np.isnan(matrix[i, j])]
    design = np.zeros((len(pairs), n))
    for row, pair in enumerate(pairs):
        design[row, list(pair)] = 1.0
    values = np.array([matrix[pair] for pair in pairs])
    free = len(pairs) - np.linalg.matrix_rank(design)
    if free == 0:
        return float(np.sqrt(jackknife))
    residual = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    own = residual @ residual / free
    counted = (
        0.0  # what the jackknife makes of pairs of variance 1: the sum over what each alone gives
    )
    for pair in pairs:
        alone = np.where(np.isnan(matrix), np.nan, 0.0)
        alone[pair] = alone[pair[::-1]] = 1.0
        effect = left_out(alone)
        counted += (n - 1) / n * np.sum((effect - effect.mean()) ** 2)
    variance = jackknife - own * (counted - 1.0 / len(pairs))
    return float(np.sqrt(max(variance, own / len(pairs))))


def p_value(observed: float, null: Numbers, alternative: str) -> float:
    greater = (1 + sum(bool(value >= observed) for value in null)) / (1 + len(null))
    less = (1 + sum(bool(value <= observed) for value in null)) / (1 + len(null))
    if alternative == "two-sided":
        return min(1.0, 2 * min(greater, less))
    return greater if alternative == "greater" else less


def noise_ceiling(matrices: Sequence[Matrix], method: str, entries: str) -> tuple[Matrix, Matrix]:
    """Lower and upper bound of each network (Nili et al. 2014): RSMs made comparable, averaged, correlated."""
    patterns = []
    for matrix in matrices:
        n = len(matrix)
        values = [matrix[i, j] for i in range(n) for j in range(n if entries == "all" else i)]
        if method == "rank":
            values = [
                np.mean([k + 1 for k, w in enumerate(sorted(values)) if w == v]) for v in values
            ]
        patterns.append((np.array(values) - np.mean(values)) / np.std(values))
    lower: list[float] = []
    upper: list[float] = []
    for i, pattern in enumerate(patterns):
        others = np.mean([patterns[j] for j in range(len(patterns)) if j != i], axis=0)
        for bound, mean in ((lower, others), (upper, np.mean(patterns, axis=0))):
            linear = float(np.corrcoef(pattern, mean)[0, 1])
            bound.append(spearmanr(pattern, mean).statistic if method == "rank" else linear)
    return np.array(lower), np.array(upper)
