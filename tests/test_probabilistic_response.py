"""The probabilistic shared response model: expectation and maximisation."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

import convergent as cv
from convergent import _core
from tests.reference import probabilistic_response as reference
from tests.test_shared_response import (
    SETTINGS,
    assert_orthonormal,
    degenerate_networks,
    draw,
    orthonormal,
    quiet_fit,
)

Matrix = NDArray[np.float64]

# Examples and products, ragged widths, and networks as wide as the shared space.
SHAPES = [((9, 7, 12), 40, 5), ((60, 70), 25, 4), ((6, 6, 6), 50, 6)]


def model(k: int, **parameters: Any) -> cv.SharedResponseModel:
    return cv.SharedResponseModel(k, algorithm="probabilistic", **parameters)


@pytest.mark.parametrize(("widths", "n_examples", "k"), SHAPES)
@pytest.mark.parametrize("center", [True, False])
def test_the_iterations_follow_the_twin(
    level: str, widths: tuple[int, ...], n_examples: int, k: int, center: bool
) -> None:
    networks, start = draw(40, widths, n_examples), orthonormal(41, widths, k)
    ours = quiet_fit(model(k, center=center, max_iter=6, tol=0.0, start=start), networks)
    parameters, response, history = reference.fit(networks, start, 6, center=center)
    np.testing.assert_allclose(-ours.objective_history_, history, rtol=1e-9)
    np.testing.assert_allclose(ours.noise_variances_, parameters.noise, rtol=1e-6)
    scale = np.abs(parameters.covariance).max()
    np.testing.assert_allclose(ours.covariance_, parameters.covariance, atol=1e-6 * scale)
    np.testing.assert_allclose(ours.shared_response_, response, atol=1e-6 * np.sqrt(scale))
    for a, b in zip(ours.weights_, parameters.weights):
        np.testing.assert_allclose(
            a @ ours.covariance_, b @ parameters.covariance, atol=1e-5 * scale
        )
    assert (ours.n_iter_, ours.converged_, ours.start_) == (6, False, "given")


def test_golden_numbers_of_brainiak(level: str, golden: Path) -> None:
    data = np.load(golden / "srm_brainiak.npz")
    networks = [x.T for x in data["X"]]
    for k in (6, 20):
        start = list(data[f"k{k}_W0"])
        for n_iter in (1, 10):
            ours = model(k, convention="brainiak", max_iter=n_iter, tol=0.0, start=start)
            ours.fit(networks)
            prefix = f"k{k}_it{n_iter}_srm_"
            np.testing.assert_allclose(ours.weights_, data[prefix + "W"], atol=1e-8)
            np.testing.assert_allclose(ours.shared_response_.T, data[prefix + "S"], atol=1e-8)
            np.testing.assert_allclose(ours.covariance_, data[prefix + "sigma"], rtol=0, atol=1e-8)
            np.testing.assert_allclose(ours.noise_variances_, data[prefix + "rho2"], rtol=1e-8)
            for shared, x, w in zip(ours.transform(networks), networks, ours.weights_):
                np.testing.assert_allclose(shared, x @ w, atol=1e-12)


def test_brainiak_convention_follows_its_twin(level: str) -> None:
    widths = (9, 7, 12)
    networks, start = draw(42, widths, 40), orthonormal(43, widths, 5)
    ours = model(5, convention="brainiak", max_iter=4, tol=0.0, start=start).fit(networks)
    parameters, response = reference.brainiak_fit(networks, start, 4)
    np.testing.assert_allclose(ours.noise_variances_, parameters.noise, rtol=1e-9)
    np.testing.assert_allclose(ours.shared_response_, response, atol=1e-8)
    other = model(5, max_iter=4, tol=0.0, start=start).fit(networks)
    assert np.abs(other.noise_variances_ - ours.noise_variances_).min() > 1e-3


def test_rounding_near_the_least_noise_undoes_no_iteration(level: str) -> None:
    # A network of two units and two examples is explained whole: its noise goes to the least one.
    networks = [
        np.array([[-1.4, -1.4, 0.6, 2.3, -0.3], [0.3, 0.3, 0.1, -0.3, -1.2]]),
        np.array([[-0.34, -0.71], [-0.23, -0.33]]),
    ]
    for seed in range(30):
        for tol in (0.0, 1e-9):
            ours = quiet_fit(model(2, max_iter=40, tol=tol, seed=seed), networks)
            history = ours.objective_history_
            assert np.diff(history).max() <= 1e-9 * np.abs(history).max()
            assert ours.n_iter_ == 40 or tol > 0.0


@SETTINGS
@given(problem=degenerate_networks())
def test_the_likelihood_never_falls_whatever_the_input(
    level: str, problem: tuple[list[Any], int]
) -> None:
    networks, k = problem
    ours = quiet_fit(model(k, max_iter=30), networks)
    assert_orthonormal(ours.weights_)
    history = ours.objective_history_
    assert np.isfinite(history).all()
    assert np.diff(history).max(initial=0.0) <= 1e-6 * np.abs(history).max()
    assert np.isfinite(ours.shared_response_).all()
    assert (ours.noise_variances_ > 0.0).all()


def test_noise_of_each_network_and_the_shared_space_are_found(level: str) -> None:
    rng = np.random.default_rng(44)
    planted = rng.standard_normal((2000, 3)) * [3.0, 2.0, 1.0]
    weights = orthonormal(45, (12, 10, 9, 14), 3)
    spread = np.array([0.2, 0.5, 1.0, 0.7])
    networks = [
        planted @ w.T + s * rng.standard_normal((2000, len(w))) + 5.0
        for w, s in zip(weights, spread)
    ]
    ours = quiet_fit(model(3, max_iter=200, tol=1e-9), networks)
    np.testing.assert_allclose(np.sqrt(ours.noise_variances_), spread, rtol=0.05)
    eigenvalues = np.linalg.eigvalsh(ours.covariance_)[::-1]
    np.testing.assert_allclose(eigenvalues, [9.0, 4.0, 1.0], rtol=0.15)
    assert ours.converged_
    # The response trusts the quiet networks more than the mean of all does.
    centred = planted - planted.mean(axis=0)
    errors = []
    for response in (ours.shared_response_, np.mean(ours.transform(networks), axis=0)):
        fitted = response @ np.linalg.lstsq(response, centred, rcond=None)[0]
        errors.append(np.linalg.norm(fitted - centred))
    assert errors[0] < 0.8 * errors[1]


def test_noiseless_activations_reach_the_floor(level: str) -> None:
    rng = np.random.default_rng(46)
    planted = rng.standard_normal((100, 3))
    networks = [planted @ w.T for w in orthonormal(47, (5, 6), 3)]
    ours = quiet_fit(model(3, max_iter=50), networks)
    assert np.isfinite(ours.objective_)
    assert (ours.noise_variances_ < 1e-6).all()
    assert min(cv.variance_explained(networks, ours)) > 1.0 - 1e-6


@pytest.mark.parametrize("convention", ["paper", "brainiak"])
def test_moments_give_the_same_weights(level: str, convention: str) -> None:
    widths = (7, 5, 6)
    networks, start = draw(48, widths, 90, 6), orthonormal(49, widths, 3)
    parameters: dict[str, Any] = {"convention": convention, "max_iter": 8, "tol": 0.0}
    ours, theirs = (
        model(3, start=start, **parameters).fit(data)
        for data in (cv.Moments(widths).update(networks), networks)
    )
    np.testing.assert_allclose(ours.objective_history_, theirs.objective_history_, rtol=1e-9)
    for a, b in zip(ours.weights_, theirs.weights_):
        np.testing.assert_allclose(a, b, atol=1e-7)
    assert not hasattr(ours, "shared_response_")


def test_estimator_around_it(level: str) -> None:
    from sklearn.base import clone

    widths = (9, 8, 7)
    networks = draw(50, widths, 60)
    ours = quiet_fit(model(4, n_starts=3, seed=2), networks)
    assert ours.start_ in {"sequential", "spectral", "random"}
    assert clone(ours).algorithm == "probabilistic"
    turn = orthonormal(51, (9,), 9)[0]
    placed = ours.add(networks[0] @ turn + 1.0)
    np.testing.assert_allclose(turn @ placed, ours.weights_[0], atol=0.2)
    assert len(ours.transform([*networks, networks[0] @ turn])) == 4
    back = ours.inverse_transform(ours.shared_response_)
    assert [x.shape for x in back] == [(60, 9), (60, 8), (60, 7), (60, 9)]
    quiet_fit(ours.set_params(algorithm="deterministic"), networks)
    assert not hasattr(ours, "noise_variances_")
    with pytest.warns(cv.ConvergenceWarning, match="before tol"):
        model(4, max_iter=1).fit(networks)


def test_same_bits_for_any_number_of_threads(level: str) -> None:
    networks = [x.astype(np.float32) for x in draw(52, (70, 50, 60), 3000)]
    one, three = (quiet_fit(model(8, max_iter=5, n_threads=n), networks) for n in (1, 3))
    assert np.array_equal(one.shared_response_, three.shared_response_)
    assert np.array_equal(one.objective_history_, three.objective_history_)


def test_bad_input() -> None:
    huge = [np.full((5, 3), 1e200) * np.arange(15.0).reshape(5, 3)] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="small enough to square"):
            model(2, start="random").fit(huge)
    kernel = _core.kernels.probabilistic_response
    options: Any = {
        "max_iter": 1, "tol": 0.0, "diagonal": 0.0, "unit_start": False, "n_threads": 1,
    }  # fmt: skip
    good, start = [np.ones((4, 3)), np.ones((4, 3))], [np.eye(3, 2)] * 2
    with pytest.raises(ValueError, match="lists of the same length"):
        kernel(good, None, [1.0], start, **options)
    with pytest.raises(ValueError, match="share their examples"):
        kernel([good[0], good[1][:2]], None, [1.0, 1.0], start, **options)
    with pytest.raises(ValueError, match="must not be negative"):
        kernel(good, None, [1.0, 1.0], start, **{**options, "n_threads": 0})
    with pytest.raises(ValueError, match="squares must be finite"):
        kernel(good, None, [np.inf, 1.0], start, **options)
    products = _core.kernels.probabilistic_response_of_products
    with pytest.raises(ValueError, match="one row and one column a unit"):
        products(np.eye(5), [3, 3], 4.0, [1.0, 1.0], start, **options)
