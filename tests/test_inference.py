"""Intervals of statistics of networks and of examples, permutation nulls, noise ceilings."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent.inference.noise_ceiling import ceiling_of_correlations
from tests.reference import inference as reference

Matrix = NDArray[np.float64]


def networks(n: int, seed: int = 0, n_examples: int = 12, noise: float = 1.0) -> list[Matrix]:
    rng = np.random.default_rng(seed)
    signals = rng.standard_normal((n_examples, 4))
    return [signals + noise * rng.standard_normal((n_examples, 4)) for _ in range(n)]


def rsa(x: Any, y: Any) -> float:
    return cv.rsm_agreement(cv.rsm(x), cv.rsm(y))


def first_correlation(x: Any, y: Any) -> float:
    return float(np.corrcoef(x[:, 0], y[:, 0])[0, 1])


@pytest.mark.parametrize("n", [3, 5])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_networks_are_left_out_one_by_one(n: int, level: float) -> None:
    arrays = networks(n)
    estimate = cv.consistency(arrays)
    without = np.array([cv.consistency(arrays[:i] + arrays[i + 1 :]) for i in range(n)])
    influence = np.sort((n - 1) * (without.mean() - without))
    error = np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
    expected = reference.studentised(estimate, influence, error, level, reference.every_resample(n))
    found = cv.bootstrap_networks(cv.consistency, arrays, level=level)
    assert found.estimate == estimate
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-10)
    assert found.resampled == "networks"


def test_a_mean_over_networks_has_the_interval_of_its_values() -> None:
    arrays = networks(9)

    def mean(chosen: list[Matrix]) -> float:
        return float(np.mean([x.mean() for x in chosen]))

    values = [x.mean() for x in arrays]
    for method in ("studentised", "t"):
        found = cv.bootstrap_networks(mean, arrays, method=method)
        expected = cv.bootstrap_values(values, method=method)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    plain = cv.bootstrap_networks(mean, arrays, method="percentile", n_resamples=4000)
    expected = cv.bootstrap_values(values, method="percentile", n_resamples=4000)
    width = expected.high - expected.low
    assert plain.low == pytest.approx(expected.low, abs=0.05 * width)
    assert plain.high == pytest.approx(expected.high, abs=0.05 * width)


def test_no_resample_is_of_a_single_network() -> None:
    seen = []

    def count(chosen: list[Matrix]) -> float:
        seen.append(len({id(x) for x in chosen}))
        return float(seen[-1])

    cv.bootstrap_networks(count, networks(3), method="percentile", n_resamples=400, n_threads=1)
    assert min(seen[1:]) == 2
    assert max(seen) == 3


def test_two_networks_and_equal_ones_have_no_width() -> None:
    arrays = networks(2)
    for method in ("studentised", "t", "percentile"):
        two = cv.bootstrap_networks(cv.consistency, arrays, method=method)
        assert two.low == two.estimate == two.high == cv.consistency(arrays)
        same = cv.bootstrap_networks(lambda _: 0.3, networks(4), method=method, n_resamples=50)
        assert (same.low, same.estimate, same.high) == (0.3, 0.3, 0.3)


def test_rows_of_all_arrays_are_drawn_together_and_with_replacement() -> None:
    rows = np.arange(40.0)
    seen: list[Matrix] = []

    def look(a: Matrix, b: Matrix) -> float:
        np.testing.assert_array_equal(a, b[:, 0])
        seen.append(a)
        return float(a.mean())

    found = cv.bootstrap_examples(look, [rows, rows[:, None]], n_resamples=300, n_threads=1)
    assert all(len(a) == 40 for a in seen)
    different = np.mean([len(np.unique(a)) for a in seen[1:]])
    assert different == pytest.approx(40 * (1 - (1 - 1 / 40) ** 40), abs=0.5)
    means = [a.mean() for a in seen[1:]]
    ends = reference.expanded_tails(means, rows.mean(), 40, 0.95)
    assert (found.low, found.high) == pytest.approx(reference.quantiles(means, *ends), abs=1e-12)


def test_halves_hold_each_example_once() -> None:
    rows = np.arange(7.0)
    seen: list[Matrix] = []

    def look(a: Matrix) -> float:
        seen.append(a)
        return float(a.mean())

    found = cv.bootstrap_examples(look, [rows], draw="halves", n_resamples=400, n_threads=1)
    halves = seen[1:]
    assert {len(a) for a in halves} == {3, 4}
    assert all(len(np.unique(a)) == len(a) for a in halves)
    assert np.mean([len(a) for a in halves]) == pytest.approx(3.5, abs=0.1)
    means = np.array([a.mean() for a in halves])
    means -= 2 * (means.mean() - 3.0)  # the bias of halves is once more that of all
    expected = reference.quantiles(means.tolist(), *reference.tails(0.95))
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("draw", ["copies", "halves"])
def test_groups_keep_their_sizes(draw: str) -> None:
    labels = np.array(["a", "b", "b", "c", "c", "c", "c"])
    seen = []

    def look(chosen: Any) -> float:
        seen.append([int(np.sum(chosen == label)) for label in "abc"])
        return float(np.mean(chosen == "a"))

    cv.bootstrap_examples(look, [labels], groups=labels, draw=draw, n_resamples=200, n_threads=1)
    sizes = np.array(seen[1:])
    if draw == "copies":
        assert (sizes == [1, 2, 4]).all()
    else:
        assert (sizes[:, 1:] == [1, 2]).all()
        assert sizes[:, 0].mean() == pytest.approx(0.5, abs=0.1)


def test_copies_of_an_example_deceive_what_compares_examples() -> None:
    """Why halves are there: a copy is as similar to itself as can be, in both networks."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 30, 5))
    copies = cv.bootstrap_examples(rsa, [x, y], n_resamples=200, method="percentile")
    halves = cv.bootstrap_examples(rsa, [x, y], n_resamples=200, draw="halves")
    assert copies.low > copies.estimate  # the interval does not even hold the estimate
    assert halves.low < 0.0 < halves.high


@pytest.mark.parametrize("n_threads", [2, 3, None])
def test_threads_change_no_bit(n_threads: int | None) -> None:
    x, y = networks(2, n_examples=30)
    arrays = networks(5)

    def results(n: int | None) -> list[Any]:
        return [
            cv.bootstrap_examples(rsa, [x, y], draw="halves", n_resamples=100, n_threads=n),
            cv.bootstrap_examples(first_correlation, [x, y], n_resamples=100, seed=4, n_threads=n),
            cv.bootstrap_networks(cv.consistency, arrays, n_threads=n),
            cv.bootstrap_networks(
                cv.consistency, arrays, method="percentile", n_resamples=70, n_threads=n
            ),
            cv.permutation_null(cv.cka, x, y, n_permutations=70, n_threads=n).null.tolist(),
        ]

    assert results(n_threads) == results(1)
    assert (
        cv.permutation_null(cv.cka, x, y, n_permutations=9, seed=1).null.tolist()
        != cv.permutation_null(cv.cka, x, y, n_permutations=9, seed=2).null.tolist()
    )


def test_progress_is_told_and_can_end_the_work() -> None:
    x, y = networks(2)
    steps: list[tuple[str, int, int]] = []

    def note(description: str, done: int, total: int) -> None:
        steps.append((description, done, total))

    cv.permutation_null(cv.cka, x, y, n_permutations=50, progress=note)
    assert steps == [("permutations", 0, 50), ("permutations", 32, 50), ("permutations", 50, 50)]
    steps.clear()
    cv.bootstrap_networks(cv.consistency, networks(4), progress=note)
    assert steps == [("networks left out", 0, 4), ("networks left out", 4, 4)]

    def stop(description: str, done: int, total: int) -> None:
        if done:
            raise RuntimeError("enough")

    for n_threads in (1, 2):
        calls: list[int] = []
        with pytest.raises(RuntimeError, match="enough"):
            cv.bootstrap_examples(
                lambda a, calls=calls: float(calls.append(1) or a[0, 0]),
                [x],
                n_resamples=5000,
                n_threads=n_threads,
                progress=stop,
            )
        assert len(calls) < 4000


@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_stops_at_once(n_threads: int) -> None:
    x = networks(1)[0]

    def slow(a: Matrix) -> float:
        time.sleep(0.01)
        return float(a[0, 0])

    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        cv.bootstrap_examples(slow, [x], n_resamples=4000, n_threads=n_threads)
    assert time.monotonic() - start < 10.0  # all of them would take 20 or 40 s
    timer.join()


def fails_at(value: float, when: Callable[[Matrix], bool]) -> Callable[..., float]:
    return lambda *arrays: value if when(arrays[0]) else float(arrays[0][0, 0])


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_statistic_that_is_not_finite_names_the_resample(n_threads: int) -> None:
    x, y = networks(2)
    always = fails_at(np.nan, lambda a: True)
    with pytest.raises(ValueError, match="must be finite, got nan for the examples as they are"):
        cv.bootstrap_examples(always, [x], n_threads=n_threads)
    # of copies or shuffles only: some row comes twice, or is not where it was
    copies = fails_at(np.inf, lambda a: len(np.unique(a[:, 0])) < len(a))
    with pytest.raises(ValueError, match="must be finite, got inf for resample 0"):
        cv.bootstrap_examples(copies, [x], n_threads=n_threads)
    with pytest.raises(ValueError, match="must be finite, got nan for permutation 0"):
        cv.permutation_null(
            lambda a, b: float("nan") if (b != y).any() else 0.0, x, y, n_threads=n_threads
        )
    arrays = [np.full((3, 2), k, dtype=np.float64) for k in range(4)]
    with pytest.raises(ValueError, match="must be finite, got nan for all networks but 1"):
        cv.bootstrap_networks(
            lambda chosen: 0.0 if any(a[0, 0] == 1.0 for a in chosen) else np.nan,
            arrays,
            n_threads=n_threads,
        )


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_p_values_follow_the_twin(alternative: str) -> None:
    x, y = networks(2, noise=1.5)
    for a, b in ((x, y), (x, -y), (x, x)):
        found = cv.permutation_null(
            first_correlation, a, b, n_permutations=99, alternative=alternative
        )
        null = found.null.tolist()
        assert found.p_value == reference.p_value(found.observed, null, alternative)
        assert found.observed == first_correlation(a, b)
        assert found.alternative == alternative


def test_sums_in_another_order_count_as_equal() -> None:
    x = np.array([[0.1], [0.2], [0.3], [0.7]])
    found = cv.permutation_null(lambda a, b: float(np.add.reduce(b[:, 0])), x, x)
    assert found.p_value == 1.0


def test_null_of_unrelated_networks_is_uniform() -> None:
    p_values = [
        cv.permutation_null(
            first_correlation, *np.random.default_rng(seed).standard_normal((2, 9, 1)),
            n_permutations=19, seed=seed, n_threads=1,
        ).p_value
        for seed in range(400)
    ]  # fmt: skip
    counts = np.bincount(np.rint(20 * np.array(p_values)).astype(int), minlength=21)[1:]
    # 20 values, each with probability 1/20: chi square of 19 degrees, its 99.9 % quantile is 43.8
    assert np.sum((counts - 20.0) ** 2) / 20.0 < 43.8


@pytest.mark.parametrize("method", ["linear", "rank"])
@pytest.mark.parametrize("entries", ["lower", "all"])
@pytest.mark.parametrize("kind", ["cosine", "pearson"])
def test_ceilings_follow_the_twin(method: str, entries: str, kind: str) -> None:
    arrays = networks(4, n_examples=7)
    matrices = [cv.rsm(x, kind) for x in arrays]
    lower, upper = reference.noise_ceiling([m.round(1) for m in matrices], method, entries)
    found = cv.noise_ceiling(
        [m.round(1) for m in matrices], kind="precomputed", method=method, entries=entries
    )
    np.testing.assert_allclose(found.lower_of_network, lower, atol=1e-12)
    np.testing.assert_allclose(found.upper_of_network, upper, atol=1e-12)
    assert found.lower == pytest.approx(lower.mean())
    assert found.upper == pytest.approx(upper.mean())
    of_activations = cv.noise_ceiling(arrays, kind=kind, method=method, entries=entries)
    exact = cv.noise_ceiling(matrices, kind="precomputed", method=method, entries=entries)
    assert of_activations.lower == pytest.approx(exact.lower, abs=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_agrees_better_than_the_upper_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrices = [cv.rsm(x) for x in networks(4, seed, n_examples=6)]
    ceiling = cv.noise_ceiling(matrices, kind="precomputed")
    for _ in range(200):
        noise = rng.standard_normal((6, 6))
        model = np.mean(matrices, axis=0) + rng.uniform(0, 0.3) * (noise + noise.T)
        agreement = np.mean([cv.rsm_agreement(model, matrix) for matrix in matrices])
        assert agreement <= ceiling.upper + 1e-12
    assert ceiling.lower < ceiling.upper


def test_ceiling_of_equal_and_of_flat_networks() -> None:
    x = np.random.default_rng(0).standard_normal((7, 3))
    flat = np.ones((7, 3))
    for method in ("linear", "rank"):
        same = cv.noise_ceiling([x, -x, 2 * x], method=method)
        assert (same.lower, same.upper) == pytest.approx((1.0, 1.0), abs=1e-12)
        one_flat = cv.noise_ceiling([x, flat, x], method=method)
        np.testing.assert_allclose(one_flat.lower_of_network, [1.0, 0.0, 1.0], atol=1e-12)
        none = cv.noise_ceiling([flat, flat], method=method)
        assert (none.lower, none.upper) == (0.0, 0.0)


def test_ceiling_follows_from_the_correlations_of_pairs() -> None:
    arrays = networks(5)
    patterns = [cv.rsm(x)[np.tril_indices(12, -1)] for x in arrays]
    found = ceiling_of_correlations(np.corrcoef(patterns))
    expected = cv.noise_ceiling(arrays)
    assert (found.lower, found.upper) == pytest.approx((expected.lower, expected.upper), abs=1e-12)
    assert repr(expected) == f"NoiseCeiling({expected.lower:.4g} to {expected.upper:.4g}, linear)"
