"""Activations whose statistics are small, and what is the same of two statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import convergent as cv


def small_activations() -> dict[str, NDArray[np.float32]]:
    """Return activations of two networks, of 5 and 3 units, on 60 examples."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 5)).astype(np.float32)
    return {"a": x, "b": np.maximum(x[:, :3], 0.0)}


def assert_equal(one: cv.Statistics, other: cv.Statistics) -> None:
    """Check that two statistics hold the same, bit for bit."""
    assert one.networks == other.networks
    assert list(one.layers) == list(other.layers)
    for ours, theirs in zip(one.layers.values(), other.layers.values()):
        assert (ours.name, ours.networks, ours.widths) == (
            theirs.name,
            theirs.networks,
            theirs.widths,
        )
        for kind in ("rows", "images", "image_units"):
            for x, y in zip(getattr(ours, kind), getattr(theirs, kind), strict=True):
                assert x.dtype == y.dtype
                np.testing.assert_array_equal(x, y)
        assert (ours.moments is None) == (theirs.moments is None)
        if ours.moments and theirs.moments:
            np.testing.assert_array_equal(ours.moments.mean(), theirs.moments.mean())
            np.testing.assert_array_equal(
                ours.moments.covariance(0, 1), theirs.moments.covariance(0, 1)
            )
        assert (ours.factor is None) == (theirs.factor is None)
        if ours.factor and theirs.factor:
            np.testing.assert_array_equal(ours.factor.triangle(), theirs.factor.triangle())
