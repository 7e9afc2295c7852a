"""Intervals of values and of pairs against their definitions, and their degenerate and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent.inference.resampling import resample_counts
from tests.reference import inference as reference

Matrix = NDArray[np.float64]
METHODS = ("studentised", "t", "expanded", "percentile")


def drawn(n: int, n_resamples: int, seed: int = 0) -> list[list[int]]:
    """Return which values each resample holds, as many rows as its probability asks for if it is exact."""
    if n <= 5:
        return [list(row) for row in reference.every_resample(n)]
    return [
        np.repeat(np.arange(n), row.astype(int)).tolist()
        for counts, _ in resample_counts(n, n_resamples, seed)
        for row in counts
    ]


def skewed(n: int, seed: int) -> Matrix:
    return np.random.default_rng(seed).exponential(size=n)


def pair_matrix(n: int, seed: int, missing: int = 0) -> Matrix:
    rng = np.random.default_rng(seed)
    a = rng.exponential(size=n)
    noise = np.tril(rng.standard_normal((n, n)), -1)
    matrix = a + a[:, None] + 0.7 * (noise + noise.T)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    for k in rng.permutation(len(pairs))[:missing]:
        i, j = pairs[k]
        matrix[i, j] = matrix[j, i] = np.nan
    return matrix


@pytest.mark.parametrize("n", [2, 3, 5, 8, 13])
@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("seed", [0, 1])
def test_interval_of_a_mean_follows_the_twin(n: int, level: float, seed: int) -> None:
    values = np.sort(skewed(n, seed))
    resamples = drawn(n, 900, seed)
    found = cv.bootstrap_values(values, level=level, n_resamples=900, seed=seed)
    influence = values - values.mean()
    error = values.std(ddof=1) / np.sqrt(n)
    expected = reference.studentised(values.mean(), influence, error, level, resamples)
    assert found.estimate == pytest.approx(values.mean(), rel=1e-14)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-10, abs=1e-12)
    means = [values[chosen].mean() for chosen in resamples]
    plain = cv.bootstrap_values(
        values, level=level, n_resamples=900, seed=seed, method="percentile"
    )
    expected = reference.quantiles(np.round(means, 12), *reference.tails(level))
    assert (plain.low, plain.high) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("n", [3, 4, 5, 8, 9])
@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_expanded_interval_follows_the_twin(n: int, statistic: str) -> None:
    values = np.sort(skewed(n, 7))
    of = np.mean if statistic == "mean" else np.median
    resamples = np.round([of(values[chosen]) for chosen in drawn(n, 700)], 12)
    ends = reference.expanded_tails(resamples, np.round(of(values), 12), n, 0.9)
    found = cv.bootstrap_values(
        values, statistic=statistic, level=0.9, n_resamples=700, method="expanded"
    )
    expected = reference.quantiles(resamples, *ends)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-11)


def test_interval_of_t_is_the_textbook_one() -> None:
    found = cv.bootstrap_values([1.0, 2.0, 4.0, 7.0], method="t")
    # mean 3.5, standard deviation sqrt(7), t(3) = 3.1824
    reach = 3.182446305 * np.sqrt(7.0) / 2.0
    assert (found.low, found.high) == pytest.approx((3.5 - reach, 3.5 + reach), rel=1e-9)
    assert found.n_resamples == 0


@pytest.mark.parametrize(("n", "missing"), [(3, 0), (4, 0), (4, 1), (5, 0), (5, 2), (8, 0), (8, 9)])
@pytest.mark.parametrize("seed", [0, 1])
def test_interval_of_pairs_follows_the_twin(n: int, missing: int, seed: int) -> None:
    matrix = pair_matrix(n, seed, missing)
    resamples = drawn(n, 900, seed)
    without = reference.left_out(matrix)
    influence = np.sort((n - 1) * (without.mean() - without))
    mean = float(np.nanmean(matrix[np.tril_indices(n, -1)]))
    error = reference.pair_error(matrix)
    expected = reference.studentised(mean, influence, error, 0.9, resamples)
    found = cv.bootstrap_pairs(matrix, level=0.9, n_resamples=900, seed=seed)
    assert found.estimate == pytest.approx(mean, rel=1e-13)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)
    means = [reference.pair_mean(matrix, chosen) for chosen in resamples]
    some = np.round([value for value in means if value is not None], 12)
    for method, ends in (
        ("percentile", reference.tails(0.9)),
        ("expanded", reference.expanded_tails(some, np.round(mean, 12), n, 0.9)),
    ):
        found = cv.bootstrap_pairs(matrix, level=0.9, n_resamples=900, seed=seed, method=method)
        expected = reference.quantiles(some, *ends)
        assert (found.low, found.high) == pytest.approx(expected, abs=1e-11), method


def test_error_of_a_full_matrix_is_the_analysis_of_variance() -> None:
    n = 9
    matrix = pair_matrix(n, 3)
    np.fill_diagonal(matrix, 0.0)
    rows = matrix.sum(axis=1) / (n - 1)
    mean = rows.mean()
    effects = (n - 1) / (n - 2) * (rows - mean)
    residual = (matrix - mean - effects - effects[:, None])[np.tril_indices(n, -1)]
    own = residual @ residual / (n * (n - 3) / 2)
    of_networks = effects @ effects / (n - 1) - own / (n - 2)
    expected = np.sqrt(4 * of_networks / n + 2 * own / (n * (n - 1)))
    found = cv.bootstrap_pairs(matrix, method="t")
    assert (found.high - found.estimate) / 2.306004135 == pytest.approx(expected, rel=1e-9)


def test_independent_pairs_are_values() -> None:
    matrix = pair_matrix(6, 0, missing=3)
    pairs = matrix[np.tril_indices(6, -1)]
    pairs = pairs[~np.isnan(pairs)]
    for method in METHODS:
        over_pairs = cv.bootstrap_pairs(matrix, over="pairs", method=method, seed=3)
        of_values = cv.bootstrap_values(pairs, method=method, seed=3)
        assert (over_pairs.low, over_pairs.high) == (of_values.low, of_values.high)
        assert over_pairs.resampled == "pairs"


@pytest.mark.parametrize("method", METHODS)
def test_one_seed_gives_one_interval(method: str) -> None:
    values, matrix = skewed(12, 0), pair_matrix(12, 0)
    assert cv.bootstrap_values(values, method=method) == cv.bootstrap_values(values, method=method)
    assert cv.bootstrap_pairs(matrix, method=method) == cv.bootstrap_pairs(matrix, method=method)
    other = cv.bootstrap_values(values, method=method, seed=1)
    assert (other == cv.bootstrap_values(values, method=method)) == (method == "t")


def test_few_values_are_resampled_exactly_whatever_the_seed() -> None:
    values = skewed(6, 0)
    found = cv.bootstrap_values(values, seed=0)
    assert found == cv.bootstrap_values(values, seed=1)
    assert found.n_resamples == 462  # of 11 marks and bars, 5 are bars


def test_the_order_of_values_and_of_networks_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(12)
    values, matrix = skewed(12, 0), pair_matrix(12, 0)
    for method in METHODS:
        found, again = (cv.bootstrap_values(v, method=method) for v in (values, values[order]))
        assert (again.low, again.high) == pytest.approx((found.low, found.high), rel=1e-13)
    found, again = (cv.bootstrap_pairs(m) for m in (matrix, matrix[np.ix_(order, order)]))
    assert (again.low, again.high) == pytest.approx((found.low, found.high), rel=1e-9)


def test_blocks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = skewed(20, 0)
    whole = cv.bootstrap_values(values)
    monkeypatch.setattr("convergent.inference.resampling._BLOCK", 70)
    assert cv.bootstrap_values(values) == whole


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("values", [[0.25], [0.25, 0.25, 0.25], [0.1] * 9])
def test_values_that_do_not_vary_have_no_width(method: str, values: list[float]) -> None:
    found = cv.bootstrap_values(values, method=method)
    assert (found.low, found.estimate, found.high) == (values[0],) * 3
    assert found.n_resamples == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("over", ["networks", "pairs"])
def test_pairs_that_do_not_vary_have_no_width(method: str, over: str) -> None:
    two = cv.bootstrap_pairs([[1.0, 0.3], [0.3, np.nan]], over=over, method=method)
    assert (two.low, two.estimate, two.high) == (0.3, 0.3, 0.3)
    matrix = np.full((5, 5), 0.7)
    matrix[0, 1] = matrix[1, 0] = np.nan
    same = cv.bootstrap_pairs(matrix, over=over, method=method)
    assert (same.low, same.estimate, same.high) == (0.7, 0.7, 0.7)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 10])
def test_one_value_that_differs_gives_a_bounded_interval(n: int) -> None:
    """Resamples without it have no spread, or next to none: their ratios must not run away."""
    for rest in (np.full(n - 1, 0.98), 0.98 + 1e-6 * np.arange(n - 1)):
        found = cv.bootstrap_values([*rest, 0.90])
        assert -0.5 < found.low < found.estimate < found.high < 1.2


def test_the_diagonal_is_ignored() -> None:
    matrix = pair_matrix(5, 0)
    found = cv.bootstrap_pairs(matrix)
    np.fill_diagonal(matrix, np.inf)
    assert cv.bootstrap_pairs(matrix) == found


def test_scale_and_sign_go_through() -> None:
    values, matrix = skewed(6, 0), pair_matrix(6, 0)  # few, so that all resamples are taken
    for found, turned in (
        (cv.bootstrap_values(values), cv.bootstrap_values(3.0 - 1e-9 * values)),
        (cv.bootstrap_pairs(matrix), cv.bootstrap_pairs(3.0 - 1e-9 * matrix)),
    ):
        assert turned.low == pytest.approx(3.0 - 1e-9 * found.high, rel=1e-14)
        assert turned.high == pytest.approx(3.0 - 1e-9 * found.low, rel=1e-14)


def test_an_interval_can_be_kept_within_what_is_possible() -> None:
    found = cv.Interval(0.97, 0.9, 1.04, 0.95, 100, "networks")
    assert found.within(-1.0, 1.0) == cv.Interval(0.97, 0.9, 1.0, 0.95, 100, "networks")
    assert found.within(0.98, 0.99) == cv.Interval(0.97, 0.97, 0.99, 0.95, 100, "networks")
    assert repr(found) == "Interval(0.97 [0.9, 1.04], 95 % over networks)"


STAR = np.full((4, 4), np.nan)
STAR[0, 1:] = STAR[1:, 0] = [0.1, 0.2, 0.4]


def test_a_pair_of_every_other_network_is_needed_unless_quantiles_are_taken() -> None:
    with pytest.raises(ValueError, match="got none without network 0; `method` 'percentile' can"):
        cv.bootstrap_pairs(STAR)
    found = cv.bootstrap_pairs(STAR, method="percentile")
    assert found.low < found.estimate < found.high
