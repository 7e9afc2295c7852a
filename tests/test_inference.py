"""Intervals, nulls and ceilings: what they return."""

from __future__ import annotations

import numpy as np
import pytest

import convergent as cv


def test_constant_values_have_an_interval_of_no_width() -> None:
    interval = cv.bootstrap_values([0.25, 0.25, 0.25])
    assert (interval.low, interval.estimate, interval.high) == (0.25, 0.25, 0.25)
    one = cv.bootstrap_values([0.25])
    assert (one.low, one.high) == (0.25, 0.25)


def test_missing_pairs_are_left_out() -> None:
    matrix = np.full((4, 4), 0.5)
    matrix[0, 1] = matrix[1, 0] = np.nan
    interval = cv.bootstrap_pairs(matrix)
    assert (interval.low, interval.estimate, interval.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_threads_change_no_bit(n_threads: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 30, 3))

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        return float(cv.correlation(a, b).sum())

    alone = cv.bootstrap_examples(statistic, [x, y], n_resamples=100, n_threads=1)
    assert cv.bootstrap_examples(statistic, [x, y], n_resamples=100, n_threads=n_threads) == alone
    null = cv.permutation_null(statistic, x, y, n_permutations=70, n_threads=1).null
    again = cv.permutation_null(statistic, x, y, n_permutations=70, n_threads=n_threads).null
    np.testing.assert_array_equal(null, again)


def test_ceiling_of_equal_networks_is_one() -> None:
    x = np.random.default_rng(0).standard_normal((7, 3))
    for method in ("linear", "rank"):
        ceiling = cv.noise_ceiling([x, -x, 2 * x], method=method)
        assert ceiling.lower == pytest.approx(1.0)
        assert ceiling.upper == pytest.approx(1.0)
