"""Identical networks score 1 under every index, whatever units they have; unrelated ones do not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv

Array = NDArray[Any]


def mean_matched(similarity: Array, scale: Array | float = 1.0) -> float:
    match = cv.match_units(similarity)
    live = np.flatnonzero(np.abs(similarity).sum(axis=1))
    return float((match.values / scale)[np.isin(match.x, live)].mean())


def by_information(x: Array, y: Array) -> float:
    entropy = np.diagonal(cv.mutual_information(x, x)).copy()
    entropy[entropy == 0] = 1.0
    return mean_matched(cv.mutual_information(x, y), entropy)


def shared_agreement(x: Array, y: Array) -> float:
    model = cv.SharedResponseModel(3, max_iter=500, tol=1e-12).fit([x, y])
    shared = model.transform([x, y])
    within = np.mean([cv.rsm(s) for s in shared], axis=0)
    return cv.rsm_agreement(cv.inter_rsm(shared[0], shared[1]), within)


def explained(x: Array, y: Array) -> float:
    wide = min(x.shape[1], y.shape[1])
    model = cv.SharedResponseModel(wide, max_iter=500, tol=1e-12, center=False).fit([x, y])
    return float(cv.variance_explained([x, y], model).mean())


INDEXES: dict[str, Callable[[Array, Array], float]] = {
    "correlation, one to one": lambda x, y: mean_matched(cv.correlation(x, y)),
    "mutual information over entropy": by_information,
    "maximum match": lambda x, y: cv.max_match(x, y, 0.15).similarity,
    "exact maximum match": lambda x, y: cv.max_match(x, y, 0.0).similarity,
    "linear CKA": cv.cka,
    "debiased CKA": lambda x, y: cv.cka(x, y, debiased=True),
    "RBF CKA": lambda x, y: cv.cka(x, y, kernel="rbf"),
    "CKA of batches": lambda x, y: cv.cka(x, y, batch_size=50),
    "CCA": cv.cca,
    "CCA, mean": lambda x, y: cv.cca(x, y, kind="mean"),
    "SVCCA": cv.svcca,
    "PWCCA": cv.pwcca,
    "Procrustes": cv.procrustes,
    "Procrustes, angle": lambda x, y: 1.0 - cv.procrustes(x, y, kind="angular"),
    "Procrustes, distance": lambda x, y: 1.0 - cv.procrustes(x, y, kind="euclidean"),
    "RSA": cv.rsa,
    "RSA, ranks": lambda x, y: cv.rsa(x, y, method="rank"),
    "RSA, Pearson": lambda x, y: cv.rsa(x, y, kind="pearson"),
    "consistency": lambda x, y: cv.consistency([x, y]),
    "agreement in the shared space": shared_agreement,
    "variance explained": explained,
}


def network(kind: str, dtype: type[np.floating[Any]]) -> Array:
    random = np.random.default_rng(1)
    x = np.maximum(random.standard_normal((400, 8)), 0.0)
    if kind == "dead":
        x[:, [1, 4]] = 0.0
    if kind == "constant":
        x[:, 2] = 3.0
    if kind == "duplicated":
        x[:, 5] = x[:, 0]
        x[:, 6] = 2.0 * x[:, 3]
    if kind == "few examples":
        x = x[:5]
    return x.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["plain", "dead", "constant", "duplicated"])
@pytest.mark.parametrize("index", INDEXES)
def test_identical_networks_score_one(index: str, kind: str, dtype: type[np.floating[Any]]) -> None:
    x = network(kind, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.DeadUnitWarning)
        tolerance = 1e-6 if "shared" in index or "explained" in index else 1e-9
        assert INDEXES[index](x, x) == pytest.approx(1.0, abs=tolerance)


FEW_EXAMPLES = [
    name
    for name in INDEXES
    if name in ("maximum match", "exact maximum match", "linear CKA")
    or name.startswith(("CCA", "SVCCA", "PWCCA", "Procrustes", "RSA"))
]


@pytest.mark.parametrize("index", FEW_EXAMPLES)
def test_identical_networks_with_fewer_examples_than_units(index: str) -> None:
    x = network("few examples", np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.FewExamplesWarning)
        warnings.simplefilter("ignore", cv.DeadUnitWarning)
        assert INDEXES[index](x, x) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("index", INDEXES)
def test_unrelated_networks_do_not(index: str) -> None:
    random = np.random.default_rng(2)
    x, y = random.standard_normal((2, 400, 8))
    assert INDEXES[index](x, y) < 0.9
