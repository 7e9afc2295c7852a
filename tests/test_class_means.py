"""Class means of several networks in two dimensions."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from tests.reference import alignment as reference

Matrix = NDArray[np.float64]
LABELS = np.array(["owl", "ant", "bee", "cow", "dog"])[np.arange(100) % 5]
CLASSES = ["ant", "bee", "cow", "dog", "owl"]


def turned_networks(n_units: int = 6, noise: float = 0.1) -> tuple[list[Matrix], list[Matrix]]:
    """Three turned copies of five classes with offsets of their own, and a shared space of them."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((5, n_units)) * np.array([3.0, 2.0, *[0.5] * (n_units - 2)])
    x = centres[np.arange(100) % 5]
    native = [
        (x + noise * rng.standard_normal(x.shape))
        @ np.linalg.qr(rng.standard_normal((n_units, n_units)))[0]
        + rng.standard_normal(n_units)
        for _ in range(3)
    ]
    return native, cv.SharedResponseModel(n_units).fit_transform(native)


def same_axes(ours: Matrix, theirs: Matrix) -> None:
    """The same coordinates but for the axes' signs."""
    for axis in range(2):
        sign = np.sign(np.vdot(ours[..., axis], theirs[..., axis]))
        np.testing.assert_allclose(ours[..., axis], sign * theirs[..., axis], atol=1e-10)


@pytest.mark.parametrize("axes", ["first", "all"])
def test_coordinates_follow_the_twin(axes: str) -> None:
    native, shared = turned_networks()
    found = cv.class_mean_embedding(native, shared, LABELS, axes=axes)
    assert found.classes.tolist() == CLASSES
    classes: Any = CLASSES
    for ours, networks, share in (
        (found.native, native, found.native_share),
        (found.shared, shared, found.shared_share),
    ):
        means = [reference.class_means(x, LABELS, classes) for x in networks]
        centred = np.array([m - m.mean(axis=0) for m in means])
        if networks is shared:
            goal = centred.mean(axis=0)
        else:
            goal = centred[0] if axes == "first" else np.concatenate(list(centred))
        expected = centred @ reference.principal_axes(goal)
        same_axes(ours, expected)
        assert share == pytest.approx(np.sum(expected**2) / np.sum(centred**2), abs=1e-12)


def test_alignment_closes_the_gap() -> None:
    native, shared = turned_networks()
    found = cv.class_mean_embedding(native, shared, LABELS)
    for gap, networks in ((found.native_gap, native), (found.shared_gap, shared)):
        means = [reference.class_means(x, LABELS, CLASSES) for x in networks]  # type: ignore[arg-type]
        means = [m - m.mean(axis=0) for m in means]
        same, other = [], []
        for a, b in combinations(means, 2):
            distances = np.sum((a[:, None] - b[None]) ** 2, axis=2)
            same += np.diagonal(distances).tolist()
            other += distances[~np.eye(5, dtype=bool)].tolist()
        assert gap == pytest.approx(np.mean(same) / np.mean(other), abs=1e-12)
    assert found.native_gap > 0.5
    assert found.shared_gap < 1e-3
    assert np.ptp(found.shared, axis=0).max() < 0.2 < np.ptp(found.native, axis=0).max()
    assert repr(found).startswith("ClassMeanEmbedding(3 networks, 5 classes, native_gap=")


def test_a_rotation_of_one_network_moves_the_native_space_only() -> None:
    native, shared = turned_networks()
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((6, 6)))[0]
    turned = [native[0], native[1] @ turn, native[2]]
    moved = cv.class_mean_embedding(turned, shared, LABELS, axes="first")
    still = cv.class_mean_embedding(native, shared, LABELS, axes="first")
    np.testing.assert_array_equal(moved.shared, still.shared)
    np.testing.assert_array_equal(moved.native[[0, 2]], still.native[[0, 2]])
    assert np.abs(moved.native[1] - still.native[1]).max() > 0.1


def test_narrower_networks_lack_units() -> None:
    native, shared = turned_networks()
    narrow = [native[0], native[1][:, :4], native[2]]
    padded = [native[0], native[1] * (np.arange(6) < 4), native[2]]
    for axes in ("first", "all"):
        ours = cv.class_mean_embedding(narrow, shared, LABELS, axes=axes)
        theirs = cv.class_mean_embedding(padded, shared, LABELS, axes=axes)
        np.testing.assert_allclose(ours.native, theirs.native, atol=1e-12)
        assert ours.native_gap == pytest.approx(theirs.native_gap, abs=1e-12)


def test_degenerate_input() -> None:
    x = np.random.default_rng(1).standard_normal((20, 1))
    labels = np.arange(20) % 2
    line = cv.class_mean_embedding([x, -x], [x, x], labels)
    assert not line.native[..., 1].any()
    assert not line.shared[..., 1].any()
    assert line.native_share == line.shared_share == pytest.approx(1.0)
    dead = cv.class_mean_embedding([np.ones((20, 3))] * 2, [np.zeros((20, 2))] * 2, labels)
    assert not dead.native.any()
    assert dead.native_gap == dead.shared_gap == dead.native_share == 0.0
    silent = cv.class_mean_embedding([np.zeros((20, 3)), np.tile(x, 3)], [x, x], labels)
    assert np.isfinite(silent.native).all()


X = np.arange(12.0).reshape(4, 3)
TWO = [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cv.class_mean_embedding([X], [X], TWO), ValueError, "at least 2 networks"),
        (lambda: cv.class_mean_embedding([X] * 2, [X] * 3, TWO), ValueError, "2 networks, got 3"),
        (
            lambda: cv.class_mean_embedding([X] * 2, [X[:3]] * 2, TWO),
            ValueError,
            "`shared` must have the 4 examples of `activations`, got 3",
        ),
        (lambda: cv.class_mean_embedding([X] * 2, [X] * 2, [0, 1]), ValueError, "must label 4"),
        (lambda: cv.class_mean_embedding([X] * 2, [X] * 2, [1] * 4), ValueError, "two classes"),
        (lambda: cv.class_mean_embedding([X] * 2, [X] * 2, TWO, axes="x"), ValueError, "`axes`"),
        (lambda: cv.class_mean_embedding([X, X + np.inf], [X] * 2, TWO), ValueError, "finite"),
        (lambda: cv.class_mean_embedding([X, X * 1j], [X] * 2, TWO), TypeError, "real"),
        (lambda: cv.class_mean_embedding([X] * 2, [X, X[:, :2]], TWO), ValueError, "features"),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
