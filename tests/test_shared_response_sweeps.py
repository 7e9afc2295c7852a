"""The accelerated iterations of the shared response model: sweeps, starts, precision, moments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import _core
from tests.reference import shared_response as reference
from tests.test_shared_response import assert_orthonormal, draw, orthonormal, quiet_fit

Matrix = NDArray[np.float64]

# On products, on examples, and networks that are as wide as the shared space.
SHAPES = [((9, 7, 12), 40, 5), ((120, 130), 60, 4), ((8, 8, 8), 50, 8), ((9, 6, 7), 30, 6)]


def kernel(networks: list[Matrix], starts: Any, *, center: bool = True, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "max_iter": 20, "tol": 0.0, "diagonal": 0.0, "accelerate": True, "single": False,
        "n_threads": 1,
    }  # fmt: skip
    fit = _core.kernels.shared_response(networks, center, starts, **{**settings, **changes})
    assert len(fit[-1]) == (len(networks) if center else 0)
    for mean, x in zip(fit[-1], networks):
        np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-13, atol=1e-14 * np.abs(x).max())
    return fit[:-1]


@pytest.mark.parametrize(("widths", "n_examples", "k"), SHAPES)
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("rank", [6, 3, 1])  # where noise is fitted pushes follow pushes, or fail
def test_sweeps_follow_the_twin(
    level: str, widths: tuple[int, ...], n_examples: int, k: int, n_threads: int, rank: int
) -> None:
    networks, start = draw(20, widths, n_examples, rank), orthonormal(21, widths, k)
    weights, _, history, *_ = kernel(networks, [("given", start)], n_threads=n_threads)
    theirs, their_history = reference.sweeps(networks, start, 20)
    np.testing.assert_allclose(history, their_history, rtol=1e-6)
    for ours, literal in zip(weights, theirs):
        np.testing.assert_allclose(ours, literal, atol=1e-2)


@pytest.mark.parametrize(("widths", "n_examples", "k"), SHAPES)
def test_single_precision_first_ends_where_double_does(
    level: str, widths: tuple[int, ...], n_examples: int, k: int
) -> None:
    networks, start = draw(22, widths, n_examples, 6), orthonormal(23, widths, k)
    networks = [1e3 * x + 1e4 for x in networks]
    double, single = (
        kernel(networks, [("given", start)], single=which, max_iter=400, tol=1e-9)
        for which in (False, True)
    )
    assert single[2][-1] == pytest.approx(double[2][-1], rel=1e-5)
    assert_orthonormal(single[0])
    data = [x - x.mean(axis=0) for x in networks]
    shared = reference.shared_response(data, single[0])
    np.testing.assert_allclose(single[1], shared, atol=1e-6)
    assert single[2][-1] == pytest.approx(reference.objective(data, single[0], shared), rel=1e-9)
    assert np.diff(single[2]).max() <= 1e-11 * single[2][-1]


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(("widths", "n_examples", "k"), SHAPES)
def test_a_spectral_start_has_the_leading_directions(
    level: str, widths: tuple[int, ...], n_examples: int, k: int, single: bool
) -> None:
    networks = draw(24, widths, n_examples, 3 * k)
    start = ("spectral", orthonormal(25, widths, k))
    _, _, (ours,), *_ = kernel(networks, [start], max_iter=0, single=single)
    data = [x - x.mean(axis=0) for x in networks]
    exact = reference.spectral_start(networks, k)
    literal = reference.objective(data, exact, reference.shared_response(data, exact))
    assert ours == pytest.approx(literal, rel=0.25)
    random = kernel(networks, [("given", start[1])], max_iter=0)[2][0]
    assert ours < 0.7 * random


@pytest.mark.parametrize("single", [False, True])
def test_the_best_of_several_starts_is_followed(level: str, single: bool) -> None:
    widths = (12, 10, 11, 9)
    networks = draw(26, widths, 80, 9)
    exact = quiet_fit(cv.SharedResponseModel(3, max_iter=300, tol=1e-12), networks)
    starts = [
        ("given", orthonormal(27, widths, 3)),
        ("given", exact.weights_[:4]),
        ("given", orthonormal(28, widths, 3)),
    ]
    *_, best = kernel(networks, starts, max_iter=1, single=single)
    assert best == 1


def test_starts_are_named_and_random_ones_added() -> None:
    networks = draw(29, (9, 8, 7), 60, 8)
    objectives = {}
    for count in (1, 2, 3, 6):
        model = quiet_fit(cv.SharedResponseModel(4, n_starts=count, start="random"), networks)
        assert model.start_ in {"sequential", "spectral", "random"}
        objectives[count] = model.objective_
    assert objectives[6] <= objectives[1] * (1.0 + 1e-4)
    with pytest.raises(ValueError, match="`n_starts` must be 1 for the plain alternation, got 2"):
        cv.SharedResponseModel(4, n_starts=2, extrapolate=False).fit(networks)
    with pytest.raises(ValueError, match="`n_starts` must be at least 1, got 0"):
        cv.SharedResponseModel(4, n_starts=0).fit(networks)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("extrapolate", [True, False])
def test_moments_give_the_same_model_without_the_examples(
    level: str, center: bool, extrapolate: bool
) -> None:
    widths = (7, 5, 6)
    networks = draw(30, widths, 90, 6)
    parameters: dict[str, Any] = {"center": center, "extrapolate": extrapolate, "tol": 1e-10}
    parameters["max_iter"] = 400
    moments = cv.Moments(widths)
    for rows in (slice(0, 40), slice(40, 90)):
        moments.update([x[rows] for x in networks])
    theirs = quiet_fit(cv.SharedResponseModel(3, **parameters), networks)
    ours = quiet_fit(cv.SharedResponseModel(3, **parameters), moments)
    assert ours.objective_ == pytest.approx(theirs.objective_, rel=1e-7)
    for a, b in zip(ours.transform(networks), theirs.transform(networks)):
        np.testing.assert_allclose(a, b, atol=1e-3)
    assert not hasattr(ours, "shared_response_")
    with pytest.raises(ValueError, match="fitted to examples, not to moments"):
        ours.add(networks[0])
    with pytest.raises(ValueError, match="moments of at least 2 networks, got 1"):
        cv.SharedResponseModel(3).fit(cv.Moments([4]).update([networks[0][:, :4]]))


def test_a_shift_of_every_unit_changes_nothing(level: str) -> None:
    networks = draw(31, (9, 8, 7), 60, 8)
    rng = np.random.default_rng(32)
    moved = [x + 10.0 * rng.standard_normal(x.shape[1]) for x in networks]
    one, other = (quiet_fit(cv.SharedResponseModel(4), x) for x in (networks, moved))
    np.testing.assert_allclose(one.shared_response_, other.shared_response_, atol=1e-9)
    for a, b in zip(one.weights_, other.weights_):
        np.testing.assert_allclose(a, b, atol=1e-9)


@pytest.mark.parametrize("start", ["sequential", "spectral", "random"])
@pytest.mark.parametrize("single", [False, True])
def test_planted_responses_without_noise_are_recovered_to_rounding(
    level: str, start: str, single: bool
) -> None:
    rng = np.random.default_rng(33)
    planted = rng.standard_normal((300, 4)) * [3.0, 2.0, 1.5, 1.0]
    turns = orthonormal(34, (9, 12, 7, 10, 8), 4)
    networks = [planted @ w.T for w in turns]
    weights = orthonormal(35, (9, 12, 7, 10, 8), 4)
    _, response, history, converged, *_ = kernel(
        networks, [(start if start != "random" else "given", weights)], tol=1e-6, max_iter=100,
        single=single,
    )  # fmt: skip
    q = np.linalg.qr(planted - planted.mean(axis=0))[0]
    ours = np.linalg.qr(response)[0]
    cosines = np.linalg.svd(q.T @ ours, compute_uv=False)
    angles = np.arcsin(np.linalg.norm(ours - q @ (q.T @ ours), axis=0))
    assert cosines.min() > 1.0 - 1e-12
    assert angles.max() < 1e-6
    assert converged
    assert history[-1] < 1e-10 * sum(np.sum(x**2) for x in networks)
