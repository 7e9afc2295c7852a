"""`cv.match_units` and `cv.match_agreement`: against loops, and the published conv1 matchings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

import convergent as cv
from tests.reference import assignment as reference

Matrix = NDArray[Any]

# Tenths, so that ties are common.
SIMILARITIES = st.builds(
    lambda whole, dtype, order: np.array(whole / 10.0, dtype=dtype, order=order),
    arrays(
        np.int64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(-10, 10)
    ),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from(["C", "F"]),
)
PATIENT = settings(
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def pairs_of(match: cv.UnitMatch) -> list[tuple[int, int]]:
    return list(zip(match.x.tolist(), match.y.tolist()))


def assert_values(match: cv.UnitMatch, similarity: Matrix) -> None:
    expected = [float(similarity[i, j]) for i, j in pairs_of(match)]
    assert match.values.dtype == np.float64
    np.testing.assert_array_equal(match.values, expected)
    assert match.total == pytest.approx(sum(expected), abs=1e-12)


@PATIENT
@given(similarity=SIMILARITIES)
def test_semi_and_mutual_equal_the_loops(similarity: Matrix) -> None:
    semi = cv.match_units(similarity, "semi")
    assert pairs_of(semi) == reference.semi_match(similarity)
    assert_values(semi, similarity)
    mutual = cv.match_units(similarity, "mutual")
    assert pairs_of(mutual) == reference.mutual_match(similarity)
    assert_values(mutual, similarity)


@PATIENT
@given(similarity=SIMILARITIES)
def test_one_to_one_has_the_greatest_total(similarity: Matrix, level: str) -> None:
    match = cv.match_units(similarity)
    assert match.x.size == np.unique(match.y).size == min(similarity.shape)
    assert np.all(np.diff(match.x) > 0)
    assert_values(match, similarity)
    greatest = -reference.least_total(-similarity.astype(np.float64))
    assert match.total == pytest.approx(greatest, abs=1e-12)


@PATIENT
@given(similarity=SIMILARITIES)
def test_agreement_counts_equal_matches(similarity: Matrix) -> None:
    semi = reference.semi_match(similarity)
    one_to_one = pairs_of(cv.match_units(similarity))
    share = len(set(semi) & set(one_to_one)) / similarity.shape[0]
    assert cv.match_agreement(similarity) == pytest.approx(share, abs=1e-15)


def test_dead_units_take_what_is_left() -> None:
    similarity = np.array([[0.0, 0.0, 0.0], [0.0, 0.9, 0.8], [0.0, 0.7, 0.1]])
    assert cv.match_units(similarity).y.tolist() == [0, 2, 1]
    assert cv.match_units(similarity, "semi").y.tolist() == [0, 1, 1]
    assert pairs_of(cv.match_units(similarity, "mutual")) == [(0, 0), (1, 1)]


def test_real_conv1_correlations(golden: Path, level: str) -> None:
    with np.load(golden / "cl_conv1_corr.npz") as stored:
        similarity, one_to_one, semi = (stored[key] for key in ("C12", "match", "semi_match"))
    match = cv.match_units(similarity)
    np.testing.assert_array_equal(match.y, one_to_one)
    best = cv.match_units(similarity, "semi")
    np.testing.assert_array_equal(best.y, semi)
    assert cv.match_agreement(similarity) == 70 / 96
    assert np.count_nonzero(best.values < 0.5) == 16
    strongest, weakest = np.argmax(best.values), np.argmin(best.values)
    assert (best.x[strongest], best.y[strongest]) == (34, 48)
    assert (best.x[weakest], best.y[weakest]) == (2, 74)
    mutual = set(pairs_of(cv.match_units(similarity, "mutual")))
    assert mutual <= set(pairs_of(best))
    # 8-bit correlations have many ties, yet no second assignment is as good: without any one of
    # its pairs the best is worse by grey levels. So the pairs are fixed, not only their total.
    for i, j in pairs_of(match):
        without = similarity.copy()
        without[i, j] = -np.inf
        rows, columns = cv.assign(without, maximize=True)
        assert without[rows, columns].sum() < match.total - 0.005


def test_match_is_a_frozen_value() -> None:
    match = cv.match_units([[1, 0], [0, 1]])
    assert repr(match) == "UnitMatch(2 pairs, total 2)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        match.total = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("similarity", "error", "message"),
    [
        ([[np.nan, 1.0]], ValueError, "`similarity` must be finite, got 1 NaN or infinite values"),
        ([[-np.inf, 1.0]], ValueError, "`similarity` must be finite, got 1 NaN or infinite values"),
        (np.empty((0, 3)), ValueError, r"`similarity` must be a non-empty matrix, got .*\(0, 3\)"),
        (0.5, ValueError, r"`similarity` must be a non-empty matrix, got shape \(\)"),
        ([0.5, 0.1], ValueError, r"`similarity` must be a non-empty matrix, got shape \(2,\)"),
        ([[1j]], TypeError, "`similarity` must be real, got complex"),
        (np.array([["a"]]), ValueError, "`similarity` must be an array of numbers"),
        (np.array([[None]]), ValueError, "`similarity` must be an array of numbers"),
    ],
)
def test_bad_similarities_are_refused(
    similarity: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cv.match_units(similarity)
    with pytest.raises(error, match=message):
        cv.match_agreement(similarity)


def test_unknown_kind_is_refused() -> None:
    message = "`kind` must be one of 'one_to_one', 'semi', 'mutual', got 'many'"
    with pytest.raises(ValueError, match=message):
        cv.match_units([[1.0]], "many")  # type: ignore[arg-type]
