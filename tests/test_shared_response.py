from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from convergent import _core
from tests.reference import shared_response as reference

Matrix = NDArray[np.float64]

SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def draw(seed: int, widths: tuple[int, ...], n_examples: int, rank: int = 4) -> list[Matrix]:
    """Networks with a common signal, noise and means."""
    rng = np.random.default_rng(seed)
    signal_part = rng.standard_normal((n_examples, rank)) * np.arange(rank, 0, -1)
    return [
        signal_part @ rng.standard_normal((rank, width))
        + 0.3 * rng.standard_normal((n_examples, width))
        + rng.standard_normal(width)
        for width in widths
    ]


def orthonormal(seed: int, widths: tuple[int, ...], k: int) -> list[Matrix]:
    rng = np.random.default_rng(seed)
    return [np.linalg.qr(rng.standard_normal((width, k)))[0] for width in widths]


def quiet_fit(model: cv.SharedResponseModel, networks: Any) -> cv.SharedResponseModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.ConvergenceWarning)
        return model.fit(networks)


def assert_orthonormal(weights: list[Matrix]) -> None:
    for w in weights:
        np.testing.assert_allclose(w.T @ w, np.eye(w.shape[1]), atol=1e-10)


# ---- against the literal twin ----------------------------------------------------------------


@pytest.mark.parametrize("n_examples", [30, 700])
@pytest.mark.parametrize("max_iter", [1, 40])
@pytest.mark.parametrize("center", [True, False])
def test_plain_alternation_follows_the_twin(
    level: str, n_examples: int, max_iter: int, center: bool
) -> None:
    widths = (9, 7, 12)
    networks, start = draw(1, widths, n_examples), orthonormal(2, widths, 5)
    model = cv.SharedResponseModel(
        5, center=center, max_iter=max_iter, tol=0.0, start=start, extrapolate=False
    ).fit(networks)
    weights, shared, history = reference.fit(networks, start, max_iter, center=center)
    for ours, theirs in zip(model.weights_, weights):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)
    np.testing.assert_allclose(model.shared_response_, shared, atol=1e-8)
    np.testing.assert_allclose(model.objective_history_, history, rtol=1e-9)
    assert (model.n_iter_, model.converged_, model.start_) == (max_iter, False, "given")


@pytest.mark.parametrize(("n_units", "n_examples"), [(300, 700), (20, 900)])
def test_work_on_examples_and_on_products_agree(level: str, n_units: int, n_examples: int) -> None:
    widths = (n_units, n_units + 3)
    networks, start = draw(3, widths, n_examples, 8), orthonormal(4, widths, 6)
    on_examples = set()
    for max_iter in (1, 30):
        weights, _, history, _, examples, *_ = _core.kernels.shared_response(
            networks, True, [("given", start)], max_iter=max_iter, tol=0.0, diagonal=0.0,
            accelerate=False, single=None, n_threads=1,
        )  # fmt: skip
        on_examples.add(examples)
        theirs, _, theirs_history = reference.fit(networks, start, max_iter)
        np.testing.assert_allclose(history, theirs_history, rtol=1e-10)
        np.testing.assert_allclose(weights[1], theirs[1], atol=1e-8)
    assert on_examples == {True, False}


def test_golden_numbers_of_brainiak(level: str, golden: Path) -> None:
    data = np.load(golden / "srm_brainiak.npz")
    networks = [x.T for x in data["X"]]
    for k in (6, 20):
        start = list(data[f"k{k}_W0"])
        for n_iter in (1, 10, 300):
            model = cv.SharedResponseModel(
                k, convention="brainiak", max_iter=n_iter, tol=0.0, start=start
            ).fit(networks)
            prefix = f"k{k}_it{n_iter}_det_"
            assert model.objective_ == pytest.approx(float(data[prefix + "objective"]), rel=1e-8)
            if n_iter < 300:
                np.testing.assert_allclose(model.weights_, data[prefix + "W"], atol=1e-8)
                np.testing.assert_allclose(model.shared_response_.T, data[prefix + "S"], atol=1e-8)


def test_brainiak_convention_differs_from_the_default(golden: Path) -> None:
    data = np.load(golden / "srm_brainiak.npz")
    model = cv.SharedResponseModel(
        20, center=False, max_iter=10, tol=0.0, start=list(data["k20_W0"]), extrapolate=False
    ).fit([x.T for x in data["X"]])
    assert np.abs(np.array(model.weights_) - data["k20_it10_det_W"]).max() > 1e-4


# ---- properties ------------------------------------------------------------------------------


@st.composite
def degenerate_networks(draw_from: Any) -> tuple[list[Any], int]:
    rng = np.random.default_rng(draw_from(st.integers(0, 2**32 - 1)))
    n_examples = draw_from(st.integers(2, 30))
    networks = []
    for _ in range(draw_from(st.integers(2, 4))):
        x = rng.standard_normal((n_examples, draw_from(st.integers(2, 9))))
        for damage in draw_from(
            st.lists(st.sampled_from(["dead", "twin", "constant"]), max_size=3)
        ):
            unit = int(rng.integers(x.shape[1]))
            if damage == "dead":
                x[:, unit] = 0.0
            elif damage == "twin":
                x[:, unit] = x[:, 0]
            else:
                x[:, unit] = 0.1
        form = draw_from(st.sampled_from(["C", "F", "float32", "strided", "reversed"]))
        if form == "float32":
            x = x.astype(np.float32)
        elif form == "strided":
            x = np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3]
        elif form == "reversed":
            x = x[::-1, ::-1]
        else:
            x = np.array(x, order=form)
        x.flags.writeable = False
        networks.append(x)
    k = draw_from(st.integers(1, min(x.shape[1] for x in networks)))
    return networks, k


@SETTINGS
@given(
    problem=degenerate_networks(),
    start=st.sampled_from(["sequential", "spectral", "random"]),
    extrapolate=st.booleans(),
    center=st.booleans(),
)
def test_objective_falls_and_weights_are_orthonormal_whatever_the_input(
    level: str, problem: tuple[list[Any], int], start: str, extrapolate: bool, center: bool
) -> None:
    networks, k = problem
    model = quiet_fit(
        cv.SharedResponseModel(k, start=start, extrapolate=extrapolate, center=center), networks
    )
    assert_orthonormal(model.weights_)
    data = [x.astype(np.float64) for x in networks]
    data = [x - x.mean(axis=0) for x in data] if center else data
    total = sum(float(np.sum(x**2)) for x in data)
    assert np.all(np.diff(model.objective_history_) <= 1e-11 * total)
    shared = reference.shared_response(data, model.weights_)
    np.testing.assert_allclose(model.shared_response_, shared, atol=1e-6)
    literal = reference.objective(data, model.weights_, shared)
    assert model.objective_ == pytest.approx(literal, abs=1e-11 * total)


@pytest.mark.parametrize("start", ["sequential", "random"])
def test_planted_shared_response_is_recovered(level: str, start: str) -> None:
    rng = np.random.default_rng(5)
    planted = rng.standard_normal((200, 3)) * [3.0, 2.0, 1.0]
    weights = orthonormal(6, (8, 10, 9, 12), 3)
    networks = [planted @ w.T + 0.01 * rng.standard_normal((200, len(w))) for w in weights]
    model = cv.SharedResponseModel(3, start=start).fit(networks)
    centred = planted - planted.mean(axis=0)
    turn = reference.procrustes(model.shared_response_.T @ centred)
    np.testing.assert_allclose(model.shared_response_ @ turn, centred, atol=0.05)
    assert model.converged_
    assert min(cv.variance_explained(networks, model)) > 0.999


@pytest.mark.parametrize("kind", ["haar", "permutation"])
def test_orthogonal_copies_meet_in_the_shared_space(level: str, golden: Path, kind: str) -> None:
    data = np.load(golden / "srm_xor_hidden.npz")
    rng = np.random.default_rng(7)
    for run in range(3):
        train, test = (data[name][run].T.astype(np.float64) for name in ("train", "test"))
        turns = [
            np.linalg.qr(rng.standard_normal((50, 50)))[0]
            if kind == "haar"
            else np.eye(50)[rng.permutation(50)]
            for _ in range(10)
        ]
        model = quiet_fit(cv.SharedResponseModel(50, center=False), [train @ q for q in turns])
        assert model.converged_
        assert model.objective_ <= 1e-10 * sum(np.sum((train @ q) ** 2) for q in turns)
        copies = [test @ q for q in turns]
        within = np.mean([cv.rsm(x) for x in copies], axis=0)
        between = cv.inter_rsm(model.transform(copies))
        for method in ("linear", "rank"):
            assert cv.rsm_agreement(between, within, method=method) == pytest.approx(1.0, abs=1e-3)
        assert cv.rsm_agreement(cv.inter_rsm(copies), within) < 0.99


def test_extrapolation_ends_no_higher_in_fewer_iterations(level: str) -> None:
    networks = draw(8, (20, 20, 20, 20), 300, 15)
    plain = quiet_fit(cv.SharedResponseModel(6, max_iter=500, extrapolate=False), networks)
    ours = quiet_fit(cv.SharedResponseModel(6, max_iter=500), networks)
    assert ours.n_iter_ < plain.n_iter_
    assert ours.objective_ <= plain.objective_ * (1.0 + 1e-6)


def test_large_means_do_not_cancel(level: str) -> None:
    networks = draw(9, (6, 6), 300)
    moved = [x + 1e7 for x in networks]
    model = quiet_fit(cv.SharedResponseModel(3), networks)
    far = quiet_fit(cv.SharedResponseModel(3), moved)
    assert far.objective_ == pytest.approx(model.objective_, rel=1e-6)


def test_every_level_gives_the_same_numbers() -> None:
    networks = draw(10, (30, 40), 200)
    start = orthonormal(11, (30, 40), 4)
    results = [
        _core.load_level(name).shared_response(
            networks, True, [("sequential", start)], max_iter=20, tol=0.0, diagonal=0.0,
            accelerate=True, single=False, n_threads=1,
        )
        for name in _core.supported_levels()
    ]  # fmt: skip
    for other in results[1:]:
        np.testing.assert_allclose(other[2], results[0][2], rtol=1e-12)
        np.testing.assert_allclose(other[0][0], results[0][0][0], atol=1e-11)


@pytest.mark.parametrize("n_examples", [400, 3000])
def test_same_bits_for_any_number_of_threads(level: str, n_examples: int) -> None:
    networks = [x.astype(np.float32) for x in draw(12, (70, 50, 60), n_examples)]
    one, two, three = (
        quiet_fit(cv.SharedResponseModel(8, max_iter=8, n_threads=n), networks) for n in (1, 2, 3)
    )
    for other in (two, three):
        assert np.array_equal(one.shared_response_, other.shared_response_)
        assert np.array_equal(one.objective_history_, other.objective_history_)
        for a, b in zip(one.weights_, other.weights_):
            assert np.array_equal(a, b)


def test_directions_without_data_follow_the_start(level: str) -> None:
    # The data leave a direction open in which the start has no part: singular values complete it.
    x = np.outer(np.linspace(-1.0, 1.0, 9), [1.0, 0.0, 0.0])
    start = [np.eye(3)[:, [1, 0]]] * 2
    model = quiet_fit(cv.SharedResponseModel(2, start=start), [x, x])
    assert_orthonormal(model.weights_)
    dead = quiet_fit(cv.SharedResponseModel(2, start=start), [np.ones((9, 3)), np.ones((9, 3))])
    assert np.array_equal(dead.weights_[0], start[0])
    assert dead.objective_ == 0.0
