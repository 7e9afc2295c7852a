from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from tests.reference import rsm as reference

Matrix = NDArray[np.float64]
SETTINGS = settings(max_examples=40, deadline=None)


@st.composite
def activations(draw: Any, n_examples: int = 6, n_units: int = 4) -> Any:
    """Small whole numbers (so that examples without direction are exact), in any form of array."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.integers(-3, 4, (n_examples, n_units)).astype(np.float64)
    x[draw(st.integers(0, n_examples - 1))] = draw(st.sampled_from([0.0, 2.0, -1.0]))
    x[:, draw(st.integers(0, n_units - 1))] = draw(st.sampled_from([0.0, 1.0]))
    form = draw(st.sampled_from(["C", "F", "float32", "strided", "int"]))
    if form == "float32":
        x = x.astype(np.float32)
    elif form == "strided":
        x = np.repeat(x, 2, axis=1)[:, ::2]
    elif form == "int":
        x = x.astype(np.int64)
    else:
        x = np.array(x, order=form)
    x.flags.writeable = False
    return x


@SETTINGS
@given(x=activations(), y=activations(), kind=st.sampled_from(["cosine", "pearson"]))
def test_similarities_follow_the_twin(x: Any, y: Any, kind: str) -> None:
    a, b = x.astype(np.float64), y.astype(np.float64)
    np.testing.assert_allclose(cv.rsm(x, kind), reference.inter_rsm(a, a, kind), atol=1e-14)
    np.testing.assert_allclose(
        cv.inter_rsm(x, y, kind=kind), reference.inter_rsm(a, b, kind), atol=1e-14
    )


@SETTINGS
@given(
    networks=st.lists(activations(), min_size=2, max_size=4),
    kind=st.sampled_from(["cosine", "pearson"]),
    convention=st.sampled_from(["pairwise", "leave-one-out"]),
)
def test_many_networks_follow_the_twin(networks: list[Any], kind: str, convention: str) -> None:
    literal = [x.astype(np.float64) for x in networks]
    np.testing.assert_allclose(
        cv.inter_rsm(networks, kind=kind, convention=convention),
        reference.inter_rsm_of_many(literal, kind, convention),
        atol=1e-13,
    )


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1))
def test_proposition_1_holds_for_cosine_and_not_for_pearson(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((8, 5)) + 1.0
    turned = x @ np.linalg.qr(rng.standard_normal((5, 5)))[0]
    np.testing.assert_allclose(cv.rsm(x), cv.rsm(turned), atol=1e-12)
    assert np.abs(cv.rsm(x, "pearson") - cv.rsm(turned, "pearson")).max() > 1e-4
    # The converse: equal RSMs of examples of length one are rotations of each other.
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    other = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    u, _, vt = np.linalg.svd(unit.T @ other)
    np.testing.assert_allclose(unit @ (u @ vt), other, atol=1e-10)


def test_examples_without_direction_have_similarity_zero() -> None:
    x = np.array([[0.0, 0.0, 0.0], [0.1, 0.1, 0.1], [1.0, 2.0, 4.0]], dtype=np.float32)
    assert cv.rsm(x)[0].tolist() == [0.0, 0.0, 0.0]
    assert cv.rsm(x)[1, 1] == 1.0
    assert cv.rsm(x, "pearson").tolist() == [[0.0] * 3, [0.0] * 3, [0.0, 0.0, 1.0]]
    assert cv.inter_rsm(x, x, kind="pearson")[1].tolist() == [0.0, 0.0, 0.0]


def test_extreme_scales_neither_overflow_nor_vanish() -> None:
    x = np.random.default_rng(0).standard_normal((5, 4))
    scales = np.array([[1e300], [1e-300], [1.0], [1e150], [1e-200]])
    np.testing.assert_allclose(cv.rsm(x * scales), cv.rsm(x), atol=1e-14)


@pytest.mark.parametrize("method", ["linear", "rank"])
@pytest.mark.parametrize("entries", ["lower", "all"])
def test_agreement_follows_the_twin(method: str, entries: str) -> None:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 9, (7, 7)).astype(np.float64)
    b = a + rng.standard_normal((7, 7))
    ours = cv.rsm_agreement(a, b, method=method, entries=entries)
    assert ours == pytest.approx(reference.agreement(a, b, method, entries), abs=1e-13)
    assert cv.rsm_agreement(a, a, method=method, entries=entries) == pytest.approx(1.0, abs=1e-14)
    assert cv.rsm_agreement(a, np.full((7, 7), 0.1), method=method, entries=entries) == 0.0


@pytest.mark.parametrize("entries", ["lower", "all"])
def test_kendalls_tau_counts_pairs_of_entries(entries: str) -> None:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 9, (7, 7)).astype(np.float64)
    b = a + rng.standard_normal((7, 7)).round(1)
    ours = cv.rsm_agreement(a, b, method="kendall", entries=entries)
    assert ours == pytest.approx(reference.kendall(a, b, entries), abs=1e-13)
    assert cv.rsm_agreement(a, a**3, method="kendall", entries=entries) == pytest.approx(1.0)
    assert cv.rsm_agreement(a, np.full((7, 7), 0.1), method="kendall", entries=entries) == 0.0


@pytest.mark.parametrize("convention", ["plain", "leave-one-out"])
def test_variance_explained_follows_the_twin(convention: str) -> None:
    rng = np.random.default_rng(2)
    networks = [rng.standard_normal((40, width)) + 1.0 for width in (4, 6, 5)]
    weights = [np.linalg.qr(rng.standard_normal((x.shape[1], 3)))[0] for x in networks]
    expected = reference.variance_explained(networks, weights, convention)
    ours = cv.variance_explained(networks, weights, convention=convention)
    np.testing.assert_allclose(ours, expected, atol=1e-13)
    single = [x.astype(np.float32) for x in networks]
    np.testing.assert_allclose(
        cv.variance_explained(single, weights, convention=convention), expected, atol=1e-6
    )


def test_variance_explained_of_a_model_removes_its_means() -> None:
    rng = np.random.default_rng(3)
    signal = rng.standard_normal((60, 3))
    networks = [
        signal @ np.linalg.qr(rng.standard_normal((5, 3)))[0].T
        + 0.1 * rng.standard_normal((60, 5))
        + 4.0
        for _ in range(3)
    ]
    model = cv.SharedResponseModel(3).fit(networks)
    centred = [x - mean for x, mean in zip(networks, model.means_)]
    for convention in ("plain", "leave-one-out"):
        np.testing.assert_allclose(
            cv.variance_explained(networks, model, convention=convention),
            reference.variance_explained(centred, model.weights_, convention),
            atol=1e-12,
        )


def test_unrelated_networks_score_one_nth_or_nothing() -> None:
    rng = np.random.default_rng(4)
    networks = [rng.standard_normal((3000, 5)) for _ in range(4)]
    weights = [np.eye(5)] * 4
    plain = cv.variance_explained(networks, weights)
    np.testing.assert_allclose(plain, 1 - (1 - 1 / 4) ** 2 - 3 / 16, atol=0.05)
    assert np.all(cv.variance_explained(networks, weights, convention="leave-one-out") < 0.0)


def test_network_of_one_value_explains_nothing() -> None:
    x = np.random.default_rng(5).standard_normal((9, 3))
    with pytest.warns(cv.DeadUnitWarning, match=r"`activations\[1\]` is 2.0 everywhere"):
        explained = cv.variance_explained([x, np.full((9, 3), 2.0)], [np.eye(3)] * 2)
    assert explained[1] == 0.0
    assert np.isfinite(explained).all()


@pytest.mark.parametrize("kind", ["cosine", "pearson"])
def test_consistency_follows_the_twin(kind: str) -> None:
    rng = np.random.default_rng(6)
    networks = [rng.standard_normal((8, width)) for width in (4, 5, 3)]
    expected = reference.consistency(networks, kind)
    assert cv.consistency(networks, kind=kind) == pytest.approx(expected, abs=1e-13)
    matrices = [cv.rsm(x, kind) for x in networks]
    assert cv.consistency(matrices, kind="precomputed") == pytest.approx(expected, abs=1e-13)
    assert cv.consistency([networks[0]] * 2, kind=kind) == pytest.approx(1.0, abs=1e-13)


@pytest.mark.parametrize("method", ["linear", "rank"])
@pytest.mark.parametrize("entries", ["lower", "all"])
def test_consistency_of_each_pair_follows_the_twin(method: str, entries: str) -> None:
    rng = np.random.default_rng(7)
    networks = [rng.standard_normal((8, width)) for width in (4, 5, 3)]
    # Rounded, so that the diagonal's entries are ties as they should.
    matrices = [reference.inter_rsm(x, x, "cosine").round(12) for x in networks]
    expected = [[reference.agreement(a, b, method, entries) for b in matrices] for a in matrices]
    ours = cv.consistency_matrix(networks, method=method, entries=entries)
    np.testing.assert_allclose(ours, expected, atol=1e-10)
    assert np.diagonal(ours).tolist() == [1.0] * 3
    mean = cv.consistency(networks, method=method, entries=entries)
    assert mean == pytest.approx((ours.sum() - 3.0) / 6.0, abs=1e-14)


X = np.arange(12.0).reshape(4, 3) ** 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cv.rsm(X, "dot"), ValueError, "`kind` must be one of 'cosine', 'pearson', got"),
        (lambda: cv.rsm(X[:, :1], "pearson"), ValueError, "needs at least two units, got 1"),
        (lambda: cv.rsm(X * np.nan), ValueError, "`x` must be finite"),
        (lambda: cv.rsm(X + np.inf), ValueError, "`x` must be finite"),
        (lambda: cv.rsm(X * 1j), TypeError, "`x` must be real"),
        (lambda: cv.rsm(X[0]), ValueError, "two-dimensional"),
        (lambda: cv.rsm(3.0), ValueError, "two-dimensional"),
        (lambda: cv.rsm(X[:0]), ValueError, "must not be empty"),
        (lambda: cv.rsm(X[:1]), ValueError, "at least 2 examples"),
        (lambda: cv.rsm(X.astype(object)), ValueError, "array of numbers"),
        (lambda: cv.inter_rsm(X, X[:3]), ValueError, "as many examples as `x`, got 3 and 4"),
        (lambda: cv.inter_rsm(X, X[:, :2]), ValueError, r"got 3 and 2 \(network 1\)"),
        (lambda: cv.inter_rsm([X]), ValueError, "at least 2 networks, got 1"),
        (lambda: cv.inter_rsm(X), ValueError, "must be a list of matrices"),
        (lambda: cv.inter_rsm([X, X], convention="all"), ValueError, "`convention` must be one"),
        (lambda: cv.inter_rsm(X, X, kind="dot"), ValueError, "`kind` must be one of"),
        (lambda: cv.rsm_agreement(X, X), ValueError, "must be square, got shape"),
        (lambda: cv.rsm_agreement(X[:3], X[:2]), ValueError, "`b` must have the shape of `a`"),
        (lambda: cv.rsm_agreement(np.eye(2), np.eye(2)), ValueError, "at least two entries"),
        (lambda: cv.rsm_agreement(np.eye(3), np.eye(3), method="x"), ValueError, "`method` must"),
        (lambda: cv.rsm_agreement(np.eye(3), np.eye(3), entries="x"), ValueError, "`entries` must"),
        (lambda: cv.variance_explained([X, X], [np.eye(3)]), ValueError, "the 2 networks, got 1"),
        (lambda: cv.variance_explained([X, X], "ab"), TypeError, "must be a list of matrices"),
        (
            lambda: cv.variance_explained([X, X], [np.eye(3), np.eye(3, 2)]),
            ValueError,
            r"\(n_units, n_features\) = \(3, 3\), got \(3, 2\)",
        ),
        (
            lambda: cv.variance_explained([X, X], [np.eye(3)] * 2, convention="x"),
            ValueError,
            "`convention` must be one of",
        ),
        (lambda: cv.consistency([X]), ValueError, "at least 2 networks"),
        (lambda: cv.consistency([X, X[:3]]), ValueError, "as many examples"),
        (lambda: cv.consistency_matrix([X]), ValueError, "at least 2 networks"),
        (lambda: cv.consistency_matrix([X, X * 1j]), TypeError, "must be real"),
        (lambda: cv.consistency_matrix([X, X], method="x"), ValueError, "`method` must be one"),
        (lambda: cv.consistency_matrix([X, X], entries="x"), ValueError, "`entries` must be"),
        (lambda: cv.consistency([X, X], kind="x"), ValueError, "`kind` must be one of"),
        (lambda: cv.consistency([X, X], kind="precomputed"), ValueError, "must be square"),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
