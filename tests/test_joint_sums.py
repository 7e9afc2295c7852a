"""Moments and factor that share their products are those that are computed apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from convergent.statistics import Factor, Moments
from convergent.statistics.joint_sums import JointSums

Matrix = NDArray[np.float64]


def activations(kind: str, n_examples: int = 9_000) -> list[Matrix]:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((n_examples, 150)), rng.standard_normal((n_examples, 70))
    if kind == "offset":
        x += 1e3
        y -= np.linspace(0, 50, 70)
    elif kind == "dead":
        x[:, 3] = 0.0
        y[:, 5] = 2.5
    elif kind == "dependent":
        y[:, 7] = x[:, 1] + x[:, 2]
    return [np.maximum(x, -2), y]


def joint(arrays: list[Matrix], batch_size: int) -> JointSums:
    sums = JointSums([array.shape[1] for array in arrays])
    for start in range(0, len(arrays[0]), batch_size):
        sums.update_checked([array[start : start + batch_size] for array in arrays])
    sums.settle()
    return sums


@pytest.mark.parametrize("kind", ["plain", "offset", "dead", "dependent"])
def test_as_apart(kind: str) -> None:
    arrays = activations(kind)
    sums = joint(arrays, 1_000)
    moments, factor = Moments([150, 70]).update(arrays), Factor([150, 70]).update(arrays)
    assert sums.moments.n_examples == sums.factor.n_examples == 9_000
    np.testing.assert_allclose(sums.moments.mean(), moments.mean(), rtol=1e-13, atol=1e-15)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        found, expected = sums.moments.covariance(i, j), moments.covariance(i, j)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    for center in (False, True):
        found, expected = (one.triangle(center=center) for one in (sums.factor, factor))
        gram, scale = found.T @ found, np.abs(expected.T @ expected).max()
        np.testing.assert_allclose(gram, expected.T @ expected, rtol=0, atol=1e-13 * scale)
    if kind != "dependent":
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_the_same_bits_for_any_batches() -> None:
    arrays = activations("plain")
    one, other = joint(arrays, 9_000), joint(arrays, 77)
    np.testing.assert_array_equal(one.moments.covariance(0, 1), other.moments.covariance(0, 1))
    np.testing.assert_array_equal(one.factor.triangle(), other.factor.triangle())


def test_streaming_goes_on_after_settling() -> None:
    arrays = activations("plain")
    sums = joint([array[:5_000] for array in arrays], 600)
    for _ in range(2):
        sums.settle()
    assert sums.moments.n_examples == sums.factor.n_examples == 5_000
    sums.update_checked([array[5_000:] for array in arrays])
    sums.settle()
    whole = joint(arrays, 9_000)
    np.testing.assert_allclose(
        sums.moments.covariance(0, 1), whole.moments.covariance(0, 1), rtol=0, atol=1e-13
    )
    np.testing.assert_allclose(
        np.abs(sums.factor.triangle()), np.abs(whole.factor.triangle()), rtol=0, atol=1e-10
    )


def test_numbers_too_large_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`batch\[1\]` must be below 1e\+140 in magnitude"):
        JointSums([1, 1]).update_checked([np.ones((3, 1)), np.full((3, 1), -1e150)])
