"""Sweeps of the shared response model in single precision: copies, examples drawn for a start, threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from tests.reference import shared_response as reference
from tests.test_shared_response import assert_orthonormal, orthonormal
from tests.test_shared_response_sweeps import kernel

Matrix = NDArray[np.float64]

# So many units for one shared direction that the examples are read in every sweep, and so many
# examples that a start is found from some of them.
WIDTHS, N_EXAMPLES, K = (60, 60, 60, 60), 600, 1
SINGLE = 2.0**-22  # of sums in single precision


def sequential(widths: tuple[int, ...], k: int) -> tuple[str, list[Matrix]]:
    return "sequential", orthonormal(5, widths, k)


def planted(seed: int) -> list[Matrix]:
    """Networks that share one response, with noise."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((N_EXAMPLES, K))
    return [
        3.0 * shared @ rng.standard_normal((K, n)) + rng.standard_normal((N_EXAMPLES, n))
        for n in WIDTHS
    ]


def test_a_start_from_some_examples_is_close_to_the_end(level: str) -> None:
    networks = planted(0)
    starts = [sequential(WIDTHS, K)]
    weights, _, history, converged, on_examples, _ = kernel(
        networks, starts, single=True, max_iter=100, tol=1e-10
    )
    assert on_examples
    assert converged
    assert_orthonormal(weights)
    double = kernel(networks, starts, max_iter=100, tol=1e-10)
    assert history[-1] == pytest.approx(double[2][-1], rel=1e-8)
    assert history[0] < 1.01 * history[-1]
    data = [x - x.mean(axis=0) for x in networks]
    shared = reference.shared_response(data, weights)
    assert history[-1] == pytest.approx(reference.objective(data, weights, shared), rel=1e-9)


def test_examples_in_the_order_of_their_classes_mislead_no_start(level: str) -> None:
    networks = planted(1)
    order = np.argsort(networks[0][:, 0])
    history = kernel([x[order] for x in networks], [sequential(WIDTHS, K)], single=True)[2]
    assert history[0] < 1.01 * history[-1]


@pytest.mark.parametrize(
    ("n_networks", "n_examples"), [(4, 600), (4, 1300), (4, 2100), (11, 2100), (5, 3700)]
)
@pytest.mark.parametrize(("k", "offset", "noise"), [(1, 0.0, 1.0), (5, 3.0, 1.0), (5, 0.0, 8.0)])
def test_a_start_from_some_examples_is_that_of_the_twin(
    level: str, k: int, offset: float, noise: float, n_networks: int, n_examples: int
) -> None:
    rng = np.random.default_rng(k)
    shared = rng.standard_normal((n_examples, k)) * 3.0 / np.arange(1, k + 1)
    widths = (WIDTHS[0],) * n_networks
    networks = [
        shared @ rng.standard_normal((k, n)) + noise * rng.standard_normal((n_examples, n)) + offset
        for n in widths
    ]
    starts = [sequential(widths, k)]
    theirs = reference.start_from_some(networks, starts[0][1][0])
    data = [x - x.mean(axis=0) for x in networks]
    for max_iter in (0, 1):  # without copies of the activations and with them
        fit = kernel(networks, starts, single=True, max_iter=max_iter, n_threads=2)
        assert fit[4]
        expected = reference.objective(data, theirs, reference.shared_response(data, theirs))
        assert fit[2][0] == pytest.approx(expected, rel=1e-5 if max_iter else 1e-7)
        if max_iter == 0:
            for ours, literal in zip(fit[0], theirs):
                np.testing.assert_allclose(ours, literal, atol=1e-4)


@pytest.mark.parametrize("center", [True, False])
def test_iterations_that_follow_such_a_start(level: str, center: bool) -> None:
    networks = [x + 0.5 for x in planted(5)]
    fits = [
        kernel(networks, [sequential(WIDTHS, K)], center=center, single=True, max_iter=n)
        for n in (0, 1, 2)
    ]
    data = [x - x.mean(axis=0) if center else x for x in networks]
    weights, history = reference.sweeps(networks, fits[0][0], 2, center=center, rounding=SINGLE)
    np.testing.assert_allclose(fits[2][2], history, rtol=1e-6)
    for ours, theirs in zip(fits[2][0], weights):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert fits[0][4]
    assert [len(fit[2]) for fit in fits] == [1, 2, 3]
    for fit in fits:
        np.testing.assert_allclose(fit[2], fits[2][2][: len(fit[2])], rtol=1e-6)
        shared = reference.shared_response(data, fit[0])
        np.testing.assert_allclose(fit[1], shared, atol=1e-11)
        exact = reference.objective(data, fit[0], shared)
        assert fit[2][-1] == pytest.approx(exact, rel=1e-11)
        assert np.diff(fit[2]).max(initial=0.0) <= 0.0


@pytest.mark.parametrize("width", [48, 54])
@pytest.mark.parametrize("n_wider", [0, 1])
def test_square_networks_leave_themselves_out(level: str, width: int, n_wider: int) -> None:
    """From where they are aligned one after the other, as from given weights."""
    rng = np.random.default_rng(width)
    widths = (width,) * 5 + (width + 7,) * n_wider
    shared = rng.standard_normal((100, width))
    networks = [
        shared @ rng.standard_normal((width, n)) + 5.0 * rng.standard_normal((100, n)) + 1.0
        for n in widths
    ]
    fit, theirs, history, _ = from_a_rough_start(networks, width)
    np.testing.assert_allclose(fit[2], history, rtol=1e-5)
    for ours, literal in zip(fit[0], theirs):
        np.testing.assert_allclose(ours, literal, atol=1e-3)


@pytest.mark.parametrize("width", [48, 54])
@pytest.mark.parametrize("n_wider", [0, 1])
def test_square_networks_of_many_scales_begin_roughly(level: str, width: int, n_wider: int) -> None:
    rng = np.random.default_rng(width)
    widths = (width,) * 5 + (width + 7,) * n_wider
    shared = rng.standard_normal((100, width)) * np.logspace(0.0, -2.0, width)
    networks = [
        shared @ np.linalg.qr(rng.standard_normal((n, width)))[0].T
        + 1e-3 * rng.standard_normal((100, n))
        + 1.0
        for n in widths
    ]
    fit, theirs, history, total = from_a_rough_start(networks, width)
    np.testing.assert_allclose(fit[2], history, rtol=0, atol=3e-7 * total)
    for ours, literal in zip(fit[0], theirs):
        np.testing.assert_allclose(ours, literal, atol=2e-3)


def from_a_rough_start(
    networks: list[Matrix], width: int
) -> tuple[Any, list[Matrix], list[float], float]:
    """Return a fit of three sweeps, the twin's weights and history, and the total sum of squares."""
    starts = [sequential(tuple(x.shape[1] for x in networks), width)]
    fit = kernel(networks, starts, single=True, max_iter=3, n_threads=2)
    assert fit[4]
    assert_orthonormal(fit[0])
    assert np.diff(fit[2]).max() <= 0.0
    data = [x - x.mean(axis=0) for x in networks]
    begun = reference.rough_in_sequence(data, np.eye(width))
    theirs, history = reference.sweeps(networks, begun, 3, rounding=SINGLE)
    total = float(sum(np.sum(x**2) for x in data))
    history[0] = total - len(data) * float(np.sum(reference.shared_response(data, begun) ** 2))
    return fit, theirs, history, total


@pytest.mark.parametrize("n_rest", [0, 3])
def test_square_networks_without_sweeps_are_orthonormal(level: str, n_rest: int) -> None:
    rng = np.random.default_rng(n_rest)
    networks = [rng.standard_normal((100, 48)) * np.logspace(0, -5, 48) for _ in range(4)]
    for x in networks:
        x[:, 48 - n_rest :] = 0.0
    fit = kernel(networks, [sequential((48,) * 4, 48)], single=True, max_iter=0)
    assert_orthonormal(fit[0])


@pytest.mark.parametrize("k", [2, 3, 5, 9, 12, 13, 20, 29])
@pytest.mark.parametrize("width", [31, 44, 54, 65])
def test_any_width(level: str, width: int, k: int) -> None:
    rng = np.random.default_rng(width)
    networks = [rng.standard_normal((700, width)) for _ in range(16)]
    fit = kernel(networks, [sequential((width,) * 16, k)], single=True, max_iter=1)
    assert fit[4]
    assert_orthonormal(fit[0])
    data = [x - x.mean(axis=0) for x in networks]
    shared = reference.shared_response(data, fit[0])
    np.testing.assert_allclose(fit[1], shared, atol=1e-11)
    assert fit[2][-1] == pytest.approx(reference.objective(data, fit[0], shared), rel=1e-11)
    given = orthonormal(7, (width,) * 16, k)
    single = kernel(networks, [("given", given)], single=True, max_iter=2)
    np.testing.assert_allclose(
        single[2], reference.sweeps(networks, given, 2, rounding=SINGLE)[1], rtol=1e-5
    )


def assert_iteration_of_twin(networks: list[Matrix], start: list[Matrix]) -> None:
    """One plain iteration in double, on the examples."""
    _, shared, history = reference.fit(networks, start, 1)
    plain = kernel(networks, [("given", start)], accelerate=False, max_iter=1)
    assert plain[4]
    np.testing.assert_allclose(plain[1], shared, atol=1e-9)
    np.testing.assert_allclose(plain[2], history, rtol=1e-10)


def assert_single_sweeps_of_twin(
    networks: list[Matrix], start: list[Matrix], n_sweeps: int
) -> None:
    history = reference.sweeps(networks, start, n_sweeps, rounding=SINGLE)[1]
    single = kernel(networks, [("given", start)], single=True, max_iter=n_sweeps)
    assert single[4]
    np.testing.assert_allclose(single[2], history, rtol=1e-5)


@pytest.mark.parametrize("k", [1, 7, 8, 15, 17, 33, 50, 64, 65, 100, 130, 250])
def test_any_number_of_features(level: str, k: int) -> None:
    widths = (k + 3,) * (20 if k < 20 else 7)  # so many that the examples are read
    rng = np.random.default_rng(k)
    networks = [rng.standard_normal((141, width)) for width in widths]
    start = orthonormal(k, widths, k)
    assert_iteration_of_twin(networks, start)
    assert_single_sweeps_of_twin(networks, start, 2)


def test_more_units_than_are_multiplied_in_one_go(level: str) -> None:
    widths = (700, 530)
    rng = np.random.default_rng(9)
    networks = [rng.standard_normal((140, width)) for width in widths]
    start = orthonormal(9, widths, 4)
    assert_iteration_of_twin(networks, start)


def test_weights_of_which_no_cache_holds_all(level: str) -> None:
    widths, k = (620, 640, 660, 700), 600
    rng = np.random.default_rng(10)
    networks = [rng.standard_normal((1300, width)) for width in widths]
    start = orthonormal(10, widths, k)
    assert_single_sweeps_of_twin(networks, start, 1)
    weights, response, *_ = kernel(networks, [("given", start)], single=True, max_iter=1)
    data = [x - x.mean(axis=0) for x in networks]
    np.testing.assert_allclose(response, reference.shared_response(data, weights), atol=1e-11)


@pytest.mark.parametrize("offset", [1e3, 1e7])
def test_means_far_from_zero_cost_no_digits(level: str, offset: float) -> None:
    networks = planted(6)
    shifted = [x + offset * (1.0 + np.arange(x.shape[1])) for x in networks]
    starts = [sequential(WIDTHS, K)]
    plain, far = (kernel(x, starts, single=True, max_iter=3) for x in (networks, shifted))
    np.testing.assert_allclose(far[2], plain[2], rtol=1e-6)
    for ours, theirs in zip(far[0], plain[0]):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_first_examples_far_from_the_others(level: str) -> None:
    networks = planted(7)
    for x in networks:
        x[:: N_EXAMPLES // 8] += 1e6 * np.sin(np.arange(x.shape[1]))
    starts = [sequential(WIDTHS, K)]
    single = kernel(networks, starts, single=True, max_iter=100, tol=1e-9)
    double = kernel(networks, starts, max_iter=100, tol=1e-9)
    total = sum(float(np.sum((x - x.mean(axis=0)) ** 2)) for x in networks)
    assert single[2][-1] == pytest.approx(double[2][-1], abs=1e-12 * total)


@pytest.mark.parametrize("where", [0, 1, 299, 599])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200])
def test_activations_that_cannot_be_squared_are_refused(
    level: str, where: int, value: float
) -> None:
    networks = planted(8)
    networks[2][where, 5] = value
    message = "must be small enough to square" if value == 1e200 else r"activations\[2\].*unit 5"
    for center in (True, False):
        with pytest.raises(ValueError, match=message):
            cv.SharedResponseModel(K, center=center).fit(networks)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_few_examples_of_another_size_than_the_others(level: str, scale: float) -> None:
    networks = planted(2)
    for x in networks:
        x -= x.mean(axis=0)
        # The examples that a first guess of the size looks at; centred, so that means stay 0.
        x[[i * N_EXAMPLES // 8 for i in range(8)]] = 0.0
        x -= x.mean(axis=0)
        x *= scale
    starts = [sequential(WIDTHS, K)]
    single = kernel(networks, starts, single=True, max_iter=100, tol=1e-9)
    double = kernel(networks, starts, max_iter=100, tol=1e-9)
    assert single[2][-1] == pytest.approx(double[2][-1], rel=1e-7)


def test_one_huge_example_makes_the_copies_anew(level: str) -> None:
    networks = [1e-12 * x for x in planted(3)]
    for x in networks:
        x[7] = 1e9 * np.sin(np.arange(x.shape[1]))
    starts = [sequential(WIDTHS, K)]
    single = kernel(networks, starts, single=True, max_iter=100, tol=1e-9)
    assert_orthonormal(single[0])
    assert np.isfinite(single[2]).all()
    shared = [(x - x.mean(axis=0)) @ w for x, w in zip(networks, single[0])]
    cosine = np.vdot(shared[0], shared[1]) / np.linalg.norm(shared[0]) / np.linalg.norm(shared[1])
    assert abs(cosine) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("widths", "n_examples", "k"), [(WIDTHS, N_EXAMPLES, K), ((270, 270, 270), 600, 270)]
)
def test_same_bits_for_any_threads(
    level: str, widths: tuple[int, ...], n_examples: int, k: int
) -> None:
    rng = np.random.default_rng(6)
    networks = [rng.standard_normal((n_examples, width)) for width in widths]
    fits = [
        kernel(networks, [sequential(widths, k)], single=True, max_iter=3, n_threads=n_threads)
        for n_threads in (1, 3)
    ]
    assert_orthonormal(fits[0][0])
    for one, three in zip(fits[0][0], fits[1][0]):
        np.testing.assert_array_equal(one, three)
    np.testing.assert_array_equal(fits[0][2], fits[1][2])


def test_any_strides(level: str) -> None:
    networks = planted(4)
    starts = [sequential(WIDTHS, K)]
    plain = kernel(networks, starts, single=True, max_iter=3)
    odd = [np.asfortranarray(networks[0]), np.repeat(networks[1], 2, axis=1)[:, ::2], *networks[2:]]
    packed = np.zeros(networks[2].nbytes + 1, dtype=np.uint8)
    unaligned = packed[1:].view(np.float64).reshape(networks[2].shape)
    unaligned[...] = networks[2]
    odd[2] = unaligned
    strided = kernel(odd, starts, single=True, max_iter=3)
    for one, other in zip(plain[0], strided[0]):
        np.testing.assert_allclose(one, other, atol=1e-5)
