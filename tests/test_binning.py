"""Bins of many examples, where buckets tell most codes, against NumPy's percentiles."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv

Array = NDArray[np.float64]


def draw_unit(kind: str, seed: int, n: int) -> Array:
    generator = np.random.default_rng(seed)
    x = generator.standard_normal(n)
    if kind == "rectified":
        return np.maximum(x + generator.uniform(-2, 2), 0)
    if kind == "any sign":
        return x
    if kind == "tied":
        return np.round(np.maximum(x, 0) * generator.integers(1, 40)) / 7
    if kind == "all magnitudes":
        return np.exp(x * 15)
    if kind == "one far away":
        return np.where(np.arange(n) == n // 2, 1e30, 1 + generator.random(n) * 1e-6)
    if kind == "around the special bin":
        return 1e-6 + np.round(x * 3) * 1e-9
    if kind == "few active":
        return np.where(np.arange(n) < generator.integers(0, 30), np.abs(x), 0)
    if kind == "few low":
        return np.where(np.arange(n) < generator.integers(0, 30), x * 1e-7, 1 + np.abs(x))
    assert kind == "sorted"
    return np.sort(np.maximum(x, 0))


KINDS = [
    "rectified",
    "any sign",
    "tied",
    "all magnitudes",
    "one far away",
    "around the special bin",
    "few active",
    "few low",
    "sorted",
]


def quiet_bins(x: Array, **arguments: Any) -> cv.BinnedUnits:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.DeadUnitWarning)
        return cv.bin_units(x, **arguments)


def numpy_bins(unit: Array, n_bins: int, convention: str) -> tuple[Array, NDArray[np.intp]]:
    """Return edges and codes, by whole sorting and searching."""
    if convention == "paper":
        edges = np.quantile(unit, np.arange(1, n_bins) / n_bins)
        edges = np.unique(np.append(edges[edges > 1e-6], 1e-6))
        return edges, np.searchsorted(edges, unit, side="left")
    first = np.mean(unit < 1e-6) * 100.1
    first = np.mean(unit < 1e-6) * 100 if first > 100 else first
    step = (100 - first) / (n_bins - 1)
    edges = np.unique(np.quantile(unit, (np.arange(n_bins - 1) * step + first) / 100))
    return edges, np.searchsorted(edges, unit, side="right")


@pytest.mark.usefixtures("level")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    n=st.sampled_from([64, 65, 500, 2049, 4097, 9001]),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=19),
    n_bins=st.sampled_from([2, 7, 20, 255]),
    convention=st.sampled_from(["paper", "authors"]),
    dtype=st.sampled_from([np.float32, np.float64]),
    order=st.sampled_from(["C", "F"]),
)
def test_bins_are_those_of_numpy(
    seed: int, n: int, kinds: list[str], n_bins: int, convention: str, dtype: type, order: str
) -> None:
    units = [draw_unit(kind, seed + k, n) for k, kind in enumerate(kinds)]
    x: Array = np.array(np.stack(units, axis=1), dtype=dtype, order="C" if order == "C" else "F")
    binned = quiet_bins(x, n_bins=n_bins, convention=convention, n_threads=2)
    for j, unit in enumerate(x.T.astype(np.float64)):
        edges, codes = numpy_bins(unit, n_bins, convention)
        np.testing.assert_array_equal(binned.edges[j], edges, err_msg=kinds[j])
        np.testing.assert_array_equal(binned.codes[:, j], codes, err_msg=kinds[j])


def test_bins_do_not_depend_on_threads_or_order() -> None:
    x = np.stack([draw_unit(KINDS[k % len(KINDS)], k, 3001) for k in range(35)], axis=1)
    one = quiet_bins(x, n_threads=1)
    for other in (np.asfortranarray(x), x[::-1][::-1], np.repeat(x, 2, axis=1)[:, ::2]):
        for n_threads in (2, 5):
            binned = quiet_bins(other, n_threads=n_threads)
            np.testing.assert_array_equal(binned.codes, one.codes)
            for of_binned, of_one in zip(binned.edges, one.edges):
                np.testing.assert_array_equal(of_binned, of_one)
