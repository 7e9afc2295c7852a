from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import _core
from tests.reference import shared_response as reference
from tests.test_shared_response import draw, orthonormal, quiet_fit

Matrix = NDArray[np.float64]


def test_transform_inverse_and_add() -> None:
    networks = draw(13, (8, 6, 7), 50)
    model = quiet_fit(cv.SharedResponseModel(4), networks)
    shared = model.transform(networks)
    np.testing.assert_allclose(np.mean(shared, axis=0), model.shared_response_, atol=1e-10)
    np.testing.assert_allclose(
        shared[1], (networks[1] - networks[1].mean(axis=0)) @ model.weights_[1], atol=1e-10
    )
    again = quiet_fit(cv.SharedResponseModel(4), networks)
    for a, b in zip(shared, quiet_fit_transform(cv.SharedResponseModel(4), networks)):
        assert np.array_equal(a, b)
    assert np.array_equal(again.shared_response_, model.shared_response_)
    back = model.inverse_transform(model.shared_response_)
    for i, x in enumerate(back):
        expected = model.shared_response_ @ model.weights_[i].T + networks[i].mean(axis=0)
        np.testing.assert_allclose(x, expected, atol=1e-12)
    for a, b in zip(model.inverse_transform([model.shared_response_] * 3), back):
        assert np.array_equal(a, b)

    turn = orthonormal(14, (8,), 8)[0]
    placed = model.add(networks[0] @ turn + 3.0)
    assert len(model.weights_) == 4
    np.testing.assert_allclose(
        placed, turn.T @ reference.procrustes(
            (networks[0] - networks[0].mean(axis=0)).T @ model.shared_response_
        ), atol=1e-8,
    )  # fmt: skip
    assert len(model.transform([*networks, networks[0] @ turn])) == 4


def quiet_fit_transform(model: cv.SharedResponseModel, networks: list[Matrix]) -> list[Matrix]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.ConvergenceWarning)
        return model.fit_transform(networks)


@pytest.mark.parametrize("offset", [0.0, 1.0, 3.0, 1e6])
@pytest.mark.parametrize("layout", ["rows", "columns", "every other row", "wider rows"])
def test_neither_means_nor_layout_change_the_response(layout: str, offset: float) -> None:
    networks = draw(4, (7, 9, 8), 300, 3)
    expected = quiet_fit(cv.SharedResponseModel(3, max_iter=2), networks)
    shifted = [x + offset * np.arange(1, x.shape[1] + 1) / x.shape[1] for x in networks]
    if layout == "columns":
        shifted = [np.asfortranarray(x) for x in shifted]
    elif layout == "every other row":
        shifted = [np.repeat(x, 2, axis=0)[::2] for x in shifted]
    elif layout == "wider rows":
        shifted = [np.hstack([x, x])[:, : x.shape[1]] for x in shifted]
    model = quiet_fit(cv.SharedResponseModel(3, max_iter=2), shifted)
    rounding = 1e-13 * (1.0 + offset)
    np.testing.assert_allclose(
        model.shared_response_, expected.shared_response_, atol=30.0 * rounding
    )
    for ours, theirs in zip(model.weights_, expected.weights_, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=30.0 * rounding)
    assert np.abs(model.shared_response_.mean(axis=0)).max() < rounding


def test_parameters_work_as_in_scikit_learn() -> None:
    from sklearn.base import clone

    model = cv.SharedResponseModel(3, seed=4)
    assert model.get_params()["seed"] == 4
    assert model.set_params(seed=5, center=False) is model
    assert clone(model).get_params() == model.get_params()
    assert repr(model) == "SharedResponseModel(n_features=3)"
    with pytest.raises(ValueError, match="parameters must be among n_features, algorithm"):
        model.set_params(widht=3)
    fitted = quiet_fit(model, draw(15, (4, 4), 20))
    assert repr(fitted) == "SharedResponseModel(n_features=3, fitted to 2 networks)"


def test_unfinished_iterations_warn_and_fixed_ones_do_not() -> None:
    networks = draw(16, (9, 9), 40)
    with pytest.warns(cv.ConvergenceWarning, match="reached max_iter=1 before tol=1e-06"):
        model = cv.SharedResponseModel(4, max_iter=1).fit(networks)
    assert not model.converged_
    fixed = cv.SharedResponseModel(4, max_iter=3, tol=0.0).fit(networks)
    assert (fixed.n_iter_, fixed.converged_, fixed.objective_history_.size) == (3, False, 4)
    none = cv.SharedResponseModel(4, max_iter=0, tol=0.0).fit(networks)
    assert none.n_iter_ == 0


def test_not_fitted() -> None:
    from sklearn.exceptions import NotFittedError

    model = cv.SharedResponseModel(2)
    x = np.eye(3)
    for call in (
        lambda: model.transform([x]),
        lambda: model.inverse_transform(x),
        lambda: model.add(x),
        lambda: cv.variance_explained([x, x], model),
    ):
        with pytest.raises(NotFittedError, match="not fitted yet: call `fit` first"):
            call()


GOOD = [np.arange(12.0).reshape(4, 3) ** 2, np.arange(16.0).reshape(4, 4) ** 3]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        (
            {"algorithm": "svd"},
            ValueError,
            "`algorithm` must be one of 'deterministic', 'probabilistic', got 'svd'",
        ),
        ({"convention": "x"}, ValueError, "`convention` must be one of 'paper', 'brainiak'"),
        (
            {"start": "best"},
            ValueError,
            "`start` must be one of 'sequential', 'spectral', 'random', got",
        ),
        ({"start": 3}, TypeError, "`start` must be a list of matrices, got int"),
        ({"start": [np.eye(3, 2)]}, ValueError, "one matrix for each of the 2 networks, got 1"),
        ({"start": [np.eye(3, 2), np.eye(3, 2)]}, ValueError, r"= \(4, 2\), got \(3, 2\)"),
        ({"start": [np.eye(3, 2), np.ones((4, 2))]}, ValueError, r"`start\[1\]` must have orthon"),
        ({"n_features": 4}, ValueError, "most the number of units of every network, got 4 and 3"),
        ({"n_features": 0}, ValueError, "`n_features` must be at least 1, got 0"),
        ({"n_features": 2.0}, TypeError, "`n_features` must be a whole number"),
        ({"max_iter": -1}, ValueError, "`max_iter` must be at least 0"),
        ({"tol": -1.0}, ValueError, "`tol` must not be negative, got -1.0"),
        ({"tol": np.nan}, ValueError, "`tol` must be finite"),
        ({"seed": "a"}, TypeError, "`seed` must be a whole number"),
        ({"n_threads": 0}, ValueError, "`n_threads` must be at least 1"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cv.SharedResponseModel(**{"n_features": 2, **parameters}).fit(GOOD)


@pytest.mark.parametrize(
    ("networks", "error", "message"),
    [
        ([GOOD[0]], ValueError, "`activations` must hold at least 2 networks, got 1"),
        (GOOD[0], ValueError, "must be a list of matrices"),
        (7, TypeError, "must be a list of matrices, got int"),
        ([GOOD[0], GOOD[1][:3]], ValueError, "must have as many examples"),
        ([GOOD[0][:1], GOOD[1][:1]], ValueError, "at least 2 examples, got 1"),
        ([GOOD[0], GOOD[1] + 1j], TypeError, "must be real"),
        ([GOOD[0], GOOD[1] * np.nan], ValueError, "must be finite"),
        ([GOOD[0], np.array([["a"] * 4] * 4)], ValueError, "array of numbers"),
        ([GOOD[0], GOOD[1].astype(object)], ValueError, "array of numbers"),
        ([GOOD[0], np.ones(4)], ValueError, "two-dimensional"),
        ([GOOD[0], np.float64(3.0)], ValueError, "two-dimensional"),
        ([GOOD[0], np.ones((4, 0))], ValueError, "must not be empty"),
        ([GOOD[0] * 1e200, GOOD[1]], ValueError, "small enough to square"),
    ],
)
def test_bad_activations(networks: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cv.SharedResponseModel(2).fit(networks)


def test_bad_input_after_the_fit() -> None:
    model = quiet_fit(cv.SharedResponseModel(2), GOOD)
    with pytest.raises(ValueError, match="one matrix for each of the 2 networks, got 1"):
        model.transform(GOOD[:1])
    with pytest.raises(ValueError, match=r"`activations\[0\]` must have 3 units as in the fit"):
        model.transform(GOOD[::-1])
    with pytest.raises(ValueError, match="`shared` must have 2 features, got 3"):
        model.inverse_transform(np.ones((4, 3)))
    with pytest.raises(ValueError, match="`shared` must have one matrix for each"):
        model.inverse_transform([np.ones((4, 2))])
    with pytest.raises(ValueError, match="`x_new` must have the 4 examples of the fit, got 3"):
        model.add(np.eye(3))
    with pytest.raises(ValueError, match="at least `n_features` = 2 units, got 1"):
        model.add(np.ones((4, 1)))


def test_kernel_refuses_what_it_cannot_read() -> None:
    kernel = _core.kernels.shared_response
    options: Any = {
        "max_iter": 1, "tol": 0.0, "diagonal": 0.0, "accelerate": False, "single": None,
        "n_threads": 1,
    }  # fmt: skip
    start = [np.eye(3, 2), np.eye(4, 2)]
    with pytest.raises(TypeError, match="networks must be float32 or float64"):
        kernel([np.ones((4, 3), int), GOOD[1]], False, [("given", start)], **options)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        kernel(GOOD, False, [("given", [np.eye(3, 2, dtype=np.float32), start[1]])], **options)
    with pytest.raises(ValueError, match="share their examples"):
        kernel([GOOD[0], GOOD[1][:2]], False, [("given", start)], **options)
    with pytest.raises(ValueError, match="must not be negative"):
        kernel(GOOD, False, [("given", start)], **{**options, "n_threads": 0})
    with pytest.raises(ValueError, match="lists of the same length"):
        kernel(GOOD, False, [("given", start[:1])], **options)


PROGRAM = """
import numpy as np
import convergent as cv
x = [np.random.default_rng(i).standard_normal((3000, 400)).astype("f4") for i in range(3)]
print("ready", flush=True)
try:
    cv.SharedResponseModel(400, max_iter=100000, tol=0.0, n_threads=1).fit(x)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_stops_the_iterations() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(cv.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert output == "interrupted\n"
