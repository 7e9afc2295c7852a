"""How often intervals hold the true value, in simulated cases. `python -m bench.interval_coverage` has more of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import convergent as cv
from tests.reference import interval_problems as problems

N_SIMULATIONS = 500
LEVELS = (0.8, 0.95)


def share_held(once: Callable[[int], tuple[cv.Interval, float]], n: int = N_SIMULATIONS) -> float:
    found = [once(seed) for seed in range(n)]
    return float(np.mean([interval.low <= truth <= interval.high for interval, truth in found]))


def chance(level: float, n: int = N_SIMULATIONS) -> float:
    """Three standard errors of a share."""
    return 3.0 * float(np.sqrt(level * (1.0 - level) / n))


def of_values(kind: str, n: int, seed: int, **options: Any) -> tuple[cv.Interval, float]:
    values, truth = problems.values(kind, n, np.random.default_rng([seed, n]))
    return cv.bootstrap_values(values, n_resamples=800, seed=seed, **options), truth


def of_pairs(kind: str, n: int, seed: int, **options: Any) -> tuple[cv.Interval, float]:
    matrix, truth = problems.pairs(kind, n, np.random.default_rng([seed, n]))
    return cv.bootstrap_pairs(matrix, n_resamples=800, seed=seed, **options), truth


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("kind", "n", "missing"),
    [
        ("normal", 3, 0.02),
        ("normal", 5, 0.02),
        ("normal", 10, 0.01),
        ("normal", 50, 0.01),
        ("exponential", 5, 0.04),
        ("exponential", 10, 0.03),
        ("exponential", 50, 0.02),
        ("share", 10, 0.02),
        ("share", 50, 0.01),
    ],
)
def test_values(kind: str, n: int, missing: float, level: float) -> None:
    """`missing`: what coverage may fall short by, of skewed values that are few."""
    held = share_held(lambda seed: of_values(kind, n, seed, level=level))
    assert level - missing - chance(level) <= held <= level + 0.01 + chance(level)


def test_quantiles_of_few_values_fall_short() -> None:
    """What the default is for: plain quantiles hold the mean of ten values in 90 of 100 cases, of five in 83."""
    for n, expected in ((10, 0.90), (5, 0.83)):
        held = share_held(partial(of_values, "normal", n, method="percentile"))
        assert abs(held - expected) < chance(expected)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("n", [3, 5, 10, 20])
@pytest.mark.parametrize(
    ("kind", "missing"), [("networks", 0.01), ("both", 0.02), ("product", 0.04)]
)
def test_pairs_of_networks(kind: str, n: int, missing: float, level: float) -> None:
    held = share_held(lambda seed: of_pairs(kind, n, seed, level=level))
    too_wide = 0.08 if n == 3 else 0.01  # three networks do not show what is the pairs' own
    assert level - missing - chance(level) <= held <= level + too_wide + chance(level)


@pytest.mark.parametrize(("n", "missing"), [(5, 0.04), (10, 0.03), (20, 0.02)])
def test_pairs_of_networks_some_of_which_are_much_worse(n: int, missing: float) -> None:
    held = share_held(lambda seed: of_pairs("skewed", n, seed))
    assert held >= 0.95 - missing - chance(0.95)


@pytest.mark.parametrize("n", [4, 5, 10, 20])
def test_pairs_without_effects_of_networks_are_never_too_narrow(n: int) -> None:
    held = share_held(lambda seed: of_pairs("pairs", n, seed))
    assert 0.95 - chance(0.95) <= held


def test_independent_pairs_claim_too_much() -> None:
    """What the docstring says of ``over="pairs"``: it holds half, or less the more networks there are."""
    for n, expected in ((5, 0.53), (10, 0.43), (20, 0.31)):
        held = share_held(partial(of_pairs, "networks", n, over="pairs", method="percentile"))
        assert abs(held - expected) < chance(expected)


def test_missing_pairs_cost_no_coverage() -> None:
    def once(seed: int) -> tuple[cv.Interval, float]:
        rng = np.random.default_rng([seed, 8])
        matrix, truth = problems.pairs("both", 8, rng)
        for k in rng.permutation(28)[:9]:
            i, j = (index[k] for index in np.tril_indices(8, -1))
            matrix[i, j] = matrix[j, i] = np.nan
        return cv.bootstrap_pairs(matrix, n_resamples=800, seed=seed), truth

    assert abs(share_held(once) - 0.95) < 0.02 + chance(0.95)


@pytest.mark.parametrize("level", LEVELS)
def test_networks_of_a_statistic(level: float) -> None:
    """Consistency of six networks whose RSMs are a common one and noise; its mean over many networks is the truth."""
    truth = _consistency_of_many()

    def once(seed: int) -> tuple[cv.Interval, float]:
        arrays = _rsms(6, np.random.default_rng(seed))
        interval = cv.bootstrap_networks(
            lambda chosen: cv.consistency(chosen, kind="precomputed"),
            arrays,
            level=level,
            n_threads=1,
        )
        return interval, truth

    held = share_held(once, 300)
    # what is the pairs' own counts twice here, so that it may be too wide
    assert level - 0.03 - chance(level, 300) <= held <= level + 0.06 + chance(level, 300)


_COMMON = np.random.default_rng(99).standard_normal((6, 6))


def _rsms(n: int, rng: np.random.Generator) -> list[Any]:
    noise = rng.standard_normal((n, 6, 6)) * rng.uniform(0.3, 1.2, n)[:, None, None]
    return [_COMMON + _COMMON.T + own + own.T for own in noise]


def _consistency_of_many() -> float:
    arrays = _rsms(1500, np.random.default_rng(0))
    patterns = np.stack([a[np.tril_indices(6, -1)] for a in arrays])
    correlations = np.corrcoef(patterns)
    return float(correlations[np.tril_indices(len(arrays), -1)].mean())


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("draw", "correlation", "n"),
    [
        ("copies", 0.0, 20),
        ("copies", 0.9, 20),
        ("copies", 0.9, 60),
        ("halves", 0.9, 20),
        ("halves", 0.9, 60),
    ],
)
def test_examples(draw: str, correlation: float, n: int, level: float) -> None:
    def pearson(x: Any) -> float:
        a, b = (x - x.mean(axis=0)).T
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))

    def once(seed: int) -> tuple[cv.Interval, float]:
        x = problems.two_units(n, correlation, np.random.default_rng([seed, n]))
        interval = cv.bootstrap_examples(
            pearson, [x], draw=draw, level=level, n_resamples=150, seed=seed, n_threads=1
        )
        return interval, correlation

    held = share_held(once, 250)
    assert level - 0.02 - chance(level, 250) <= held <= level + 0.04 + chance(level, 250)


def test_examples_that_are_compared_with_each_other() -> None:
    """RSA: halves hold the truth (and more than they say), copies do not."""

    def rsa(x: Any, y: Any) -> float:
        return cv.rsm_agreement(cv.rsm(x), cv.rsm(y))

    truth = rsa(*problems.two_networks(2_000, np.random.default_rng(1)))

    def once(seed: int, draw: str) -> tuple[cv.Interval, float]:
        arrays = problems.two_networks(25, np.random.default_rng(seed))
        interval = cv.bootstrap_examples(
            rsa, arrays, draw=draw, n_resamples=100, seed=seed, n_threads=1
        )
        return interval, truth

    assert share_held(lambda seed: once(seed, "halves"), 60) >= 0.95 - chance(0.95, 60)
    assert share_held(lambda seed: once(seed, "copies"), 60) < 0.8
