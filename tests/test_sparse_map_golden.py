"""Sparse maps of the real conv1 layers, against exact solutions and the authors' learned weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv

Array = NDArray[np.float64]
EXACT = ["1e-3", "1e-2.6", "1e-2"]
DESCENDED = ["0", *EXACT]
# From penalty 1e-2.2 on, the authors' weights depend on their 32 images a step more than on the penalty.
LEARNED = ["0", "1e-5", "1e-4", "1e-3", "1e-2.8", "1e-2.6", "1e-2.4"]


@pytest.fixture(scope="module")
def conv1(golden: Path) -> tuple[Array, Array, Array]:
    stored = np.load(golden / "cl_conv1_corr.npz")
    return stored["C11"], stored["C22"], stored["C12"]


def penalty_of(label: str) -> float:
    return 0.0 if label == "0" else 10.0 ** float(label.removeprefix("1e"))


@pytest.mark.usefixtures("level")
def test_exact_solutions(golden: Path, conv1: tuple[Array, Array, Array]) -> None:
    c_xx, _, c_xy = conv1
    stored = np.load(golden / "cl_conv1_lasso.npz")
    found = cv.sparse_map_path(c_xx, c_xy, [penalty_of(p) for p in EXACT], given="correlations")
    for label, one in zip(EXACT, found):
        np.testing.assert_allclose(one.weights, stored[f"{label}_exact_W"], rtol=0, atol=1e-6)
        assert one.loss == pytest.approx(float(stored[f"{label}_exact_loss"]), abs=1e-8)
        assert one.mean_predictors == pytest.approx(float(stored[f"{label}_exact_nnz"]))
        assert one.duality_gap <= 1e-12


@pytest.mark.usefixtures("level")
def test_published_descent(golden: Path, conv1: tuple[Array, Array, Array]) -> None:
    """The same steps in another order of summation.

    A weight that swings around zero may turn a step earlier or later, which changes it by less than
    the tolerance (rate times penalty over 1 - momentum is 5e-4 at most).
    """
    c_xx, _, c_xy = conv1
    stored = np.load(golden / "cl_conv1_lasso.npz")
    start = np.load(golden / "cl_mapping.npz")["conv1_init"]
    penalties = [penalty_of(label) for label in DESCENDED]
    path = cv.sparse_map_path(c_xx, c_xy, penalties, "paper", given="correlations", start=start)
    for label, found in zip(DESCENDED, path):
        expected = stored[f"{label}_gd4501_W"]
        difference = np.abs(found.weights - expected)
        assert np.quantile(difference, 0.999) <= 1e-12
        assert difference.max() <= 1e-5
        assert found.loss == pytest.approx(float(stored[f"{label}_gd4501_loss"]), abs=1e-8)
        assert np.isnan(found.duality_gap)


def test_learned_weights_of_the_authors(golden: Path, conv1: tuple[Array, Array, Array]) -> None:
    c_xx, c_yy, c_xy = conv1
    learned = np.load(golden / "cl_mapping.npz")
    arguments = {"given": "correlations", "start": learned["conv1_init"]}
    penalties = [penalty_of(label) for label in LEARNED]
    path = cv.sparse_map_path(c_xx, c_xy, penalties, "paper", **arguments)
    losses = np.load(golden / "cl_mapping_loss.npz")
    for label, found in zip(LEARNED, path):
        weights = learned[f"conv1_0to1_{label}"]
        assert np.corrcoef(found.weights.ravel(), weights.ravel())[0, 1] >= 0.999
        # Table 1's losses are those of 32 images; ours are of all.
        assert found.loss == pytest.approx(losses[f"conv1_0to1_{label}_val"][4500], abs=0.004)
        theirs = (np.abs(weights) > 3e-5).sum(axis=1).mean()
        assert found.mean_predictors == pytest.approx(theirs, abs=0.2)
    back = cv.sparse_map(c_yy, c_xy.T, 10**-2.6, "paper", **arguments)
    weights = learned["conv1_1to0_1e-2.6"]
    assert np.corrcoef(back.weights.ravel(), weights.ravel())[0, 1] >= 0.999


def test_published_sparsity(golden: Path, conv1: tuple[Array, Array, Array]) -> None:
    """Section 4: at 10^-2.6 a loss of .235 and 4.7 units a prediction; the optimum needs fewer."""
    c_xx, _, c_xy = conv1
    start = np.load(golden / "cl_mapping.npz")["conv1_init"]
    found = cv.sparse_map(c_xx, c_xy, 10**-2.6, "paper", given="correlations", start=start)
    assert found.loss == pytest.approx(0.235, abs=0.004)
    assert found.mean_predictors == pytest.approx(4.7, abs=0.05)
    optimum = cv.sparse_map(c_xx, c_xy, 10**-2.6, given="correlations")
    assert optimum.loss < found.loss
    assert optimum.mean_predictors < found.mean_predictors
    # A start of our own leads to other small weights but to the same loss.
    other = cv.sparse_map(c_xx, c_xy, 10**-2.6, "paper", given="correlations", seed=5)
    assert other.loss == pytest.approx(found.loss, abs=0.01)
