"""Every message of the inference functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convergent

cv: Any = convergent
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 12, 4))
M = RNG.standard_normal((5, 5))
M = M + M.T
UNLIKE = M.copy()
UNLIKE[3, 1] += 0.1
INFINITE = M.copy()
INFINITE[1, 2] = INFINITE[2, 1] = np.inf


def rsa(x: Any, y: Any) -> float:
    return float(cv.rsm_agreement(cv.rsm(x), cv.rsm(y)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cv.bootstrap_values([]), ValueError, r"not empty, got shape \(0,\)"),
        (lambda: cv.bootstrap_values(M), ValueError, r"one-dimensional .* got shape \(5, 5\)"),
        (
            lambda: cv.bootstrap_values([1.0, np.nan, np.inf]),
            ValueError,
            "got 2 NaN or infinite .* first at 1",
        ),
        (lambda: cv.bootstrap_values(["a"]), ValueError, "`values` must be an array of numbers"),
        (lambda: cv.bootstrap_values([1j, 2.0]), TypeError, "`values` must be real"),
        (
            lambda: cv.bootstrap_values([1, 2], statistic="mode"),
            ValueError,
            "`statistic` must be one of 'mean'",
        ),
        (
            lambda: cv.bootstrap_values([1, 2], statistic="median", method="t"),
            ValueError,
            "for the median, got 't'",
        ),
        (
            lambda: cv.bootstrap_values([1, 2], method="bca"),
            ValueError,
            "`method` must be one of 'studentised'",
        ),
        (
            lambda: cv.bootstrap_values([1, 2], level=1.0),
            ValueError,
            r"`level` must lie in \(0, 1\), got 1.0",
        ),
        (
            lambda: cv.bootstrap_values([1, 2], level="95"),
            TypeError,
            "`level` must be a real number",
        ),
        (
            lambda: cv.bootstrap_values([1, 2], n_resamples=1),
            ValueError,
            "`n_resamples` must be at least 2",
        ),
        (lambda: cv.bootstrap_values([1, 2], seed=-1), ValueError, "`seed` must be at least 0"),
        (lambda: cv.bootstrap_values([1, 2], seed=0.5), TypeError, "`seed` must be a whole number"),
        (
            lambda: cv.bootstrap_pairs(M[:4]),
            ValueError,
            r"\(n_networks, n_networks\) .* got shape \(4, 5\)",
        ),
        (
            lambda: cv.bootstrap_pairs([[1.0]]),
            ValueError,
            r"at least two networks, got shape \(1, 1\)",
        ),
        (
            lambda: cv.bootstrap_pairs(UNLIKE),
            ValueError,
            r"must be symmetric, got .* for pair \(1, 3\)",
        ),
        (lambda: cv.bootstrap_pairs(INFINITE), ValueError, r"got infinity for pair \(1, 2\)"),
        (lambda: cv.bootstrap_pairs(M * np.nan), ValueError, "at least one pair, got none"),
        (lambda: cv.bootstrap_pairs(M * 1j), TypeError, "`matrix` must be real"),
        (
            lambda: cv.bootstrap_pairs(M, over="rows"),
            ValueError,
            "`over` must be one of 'networks', 'pairs'",
        ),
        (lambda: cv.bootstrap_pairs(M, method="bca"), ValueError, "`method` must be one of"),
        (
            lambda: cv.bootstrap_networks(3, [X, Y]),
            TypeError,
            "`statistic` must be callable, got int",
        ),
        (
            lambda: cv.bootstrap_networks(cv.consistency, [X]),
            ValueError,
            "at least 2 networks, got 1",
        ),
        (
            lambda: cv.bootstrap_networks(cv.consistency, X),
            ValueError,
            "must be a list of matrices",
        ),
        (
            lambda: cv.bootstrap_networks(cv.consistency, [X, Y * np.nan]),
            ValueError,
            r"`networks\[1\]` must be finite",
        ),
        (
            lambda: cv.bootstrap_networks(cv.consistency, [X, Y], method="expanded"),
            ValueError,
            "`method` must be one of",
        ),
        (
            lambda: cv.bootstrap_networks(lambda a: a, [X, Y]),
            ValueError,
            "return one number, got list for the networks",
        ),
        (
            lambda: cv.bootstrap_networks(cv.consistency, [X, Y, X], n_threads=0),
            ValueError,
            "`n_threads` must be at least 1",
        ),
        (lambda: cv.bootstrap_examples(None, [X]), TypeError, "`statistic` must be callable"),
        (
            lambda: cv.bootstrap_examples(rsa, X),
            TypeError,
            "`arrays` must be a list of arrays, got ndarray",
        ),
        (
            lambda: cv.bootstrap_examples(rsa, []),
            ValueError,
            "`arrays` must hold at least one array",
        ),
        (
            lambda: cv.bootstrap_examples(rsa, [X[:1], Y[:1]]),
            ValueError,
            r"`arrays\[0\]` must have at least two examples",
        ),
        (
            lambda: cv.bootstrap_examples(rsa, [X, Y[:5]]),
            ValueError,
            r"as many examples as `arrays\[0\]`, got 5 and 12",
        ),
        (
            lambda: cv.bootstrap_examples(rsa, [X, Y], groups=[0, 1]),
            ValueError,
            r"one label an example, shape \(12,\), got \(2,\)",
        ),
        (
            lambda: cv.bootstrap_examples(rsa, [X, Y], draw="all"),
            ValueError,
            "`draw` must be one of 'copies', 'halves'",
        ),
        (
            lambda: cv.bootstrap_examples(rsa, [X, Y], method="t"),
            ValueError,
            "`method` must be one of 'expanded'",
        ),
        (lambda: cv.bootstrap_examples(rsa, [X, Y], level=0.0), ValueError, "`level` must lie in"),
        (
            lambda: cv.permutation_null("cka", X, Y),
            TypeError,
            "`statistic` must be callable, got str",
        ),
        (
            lambda: cv.permutation_null(cv.cka, X, Y[:5]),
            ValueError,
            "as many examples as `x`, got 5 and 12",
        ),
        (
            lambda: cv.permutation_null(cv.cka, X, Y, n_permutations=0),
            ValueError,
            "`n_permutations` must be at least 1",
        ),
        (
            lambda: cv.permutation_null(cv.cka, X, Y, alternative="both"),
            ValueError,
            "`alternative` must be one of",
        ),
        (
            lambda: cv.permutation_null(cv.cka, X, Y, seed=-2),
            ValueError,
            "`seed` must be at least 0",
        ),
        (lambda: cv.noise_ceiling([X]), ValueError, "at least 2 networks, got 1"),
        (lambda: cv.noise_ceiling([X, Y], kind="dot"), ValueError, "`kind` must be one of"),
        (lambda: cv.noise_ceiling([X, Y], method="x"), ValueError, "`method` must be one of"),
        (lambda: cv.noise_ceiling([X, Y], entries="x"), ValueError, "`entries` must be one of"),
        (
            lambda: cv.noise_ceiling([X, Y], kind="precomputed"),
            ValueError,
            r"must be square, got shape \(12, 4\)",
        ),
        (
            lambda: cv.noise_ceiling([X[:2], Y[:2]]),
            ValueError,
            "at least two entries to compare, got 1",
        ),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
