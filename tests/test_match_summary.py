"""`cv.match_summary`: against loops, and the published numbers of conv1."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

import convergent as cv
from tests.reference import assignment
from tests.reference import match_summary as reference

Matrix = NDArray[Any]

# Tenths, so that ties, zero rows and values at the threshold are common.
SIMILARITIES = st.builds(
    lambda whole, dtype: (whole / 10.0).astype(dtype),
    arrays(
        np.int64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(-10, 10)
    ),
    st.sampled_from([np.float32, np.float64]),
)


def pairs_of(match: cv.UnitMatch) -> list[tuple[int, int]]:
    return list(zip(match.x.tolist(), match.y.tolist()))


@given(similarity=SIMILARITIES, threshold=st.sampled_from([-0.5, 0.0, 0.25, 0.5]))
def test_summary_equals_the_loops(similarity: Matrix, threshold: float) -> None:
    summary = cv.match_summary(similarity, threshold=threshold, n_shown=2)
    for kind in ("semi", "one_to_one", "mutual"):
        expected, found = cv.match_units(similarity, kind), getattr(summary, kind)
        assert pairs_of(found) == pairs_of(expected)
        np.testing.assert_array_equal(found.values, expected.values)
    semi = assignment.semi_match(similarity)
    one_to_one = pairs_of(summary.one_to_one)
    assert summary.mean_semi == pytest.approx(
        np.mean([similarity[pair] for pair in semi]), abs=1e-6
    )
    mean = np.mean([similarity[pair] for pair in one_to_one])
    assert summary.mean_one_to_one == pytest.approx(mean, abs=1e-6)
    assert summary.agreement == reference.agreement(semi, one_to_one)
    assert summary.agreement == cv.match_agreement(similarity)
    assert summary.unmatched == reference.unmatched(similarity, threshold)
    order = reference.unit_order(similarity, semi)
    assert summary.order.tolist() == order
    assert summary.best.tolist() == order[:2]
    assert summary.worst.tolist() == order[-2:]
    np.testing.assert_array_equal(summary.sorted_semi, [similarity[semi[i]] for i in order])
    partner = dict(one_to_one)
    own = [similarity[i, partner[i]] if i in partner else np.nan for i in order]
    np.testing.assert_array_equal(summary.sorted_one_to_one, own)


def test_real_conv1_correlations(golden: Path) -> None:
    with np.load(golden / "cl_conv1_corr.npz") as stored:
        similarity, one_to_one, semi = (stored[key] for key in ("C12", "match", "semi_match"))
    summary = cv.match_summary(similarity)
    np.testing.assert_array_equal(summary.one_to_one.y, one_to_one)
    np.testing.assert_array_equal(summary.semi.y, semi)
    assert summary.agreement == 70 / 96
    assert summary.unmatched == 16 / 96
    # Means of the unrounded correlations; these have 8 bits, a step of .006.
    assert summary.mean_semi == pytest.approx(0.70299, abs=0.003)
    assert summary.mean_one_to_one == pytest.approx(0.662868, abs=0.003)
    assert (summary.best[0], summary.semi.y[summary.best[0]]) == (34, 48)
    assert (summary.worst[-1], summary.semi.y[summary.worst[-1]]) == (2, 74)
    assert summary.best.size == summary.worst.size == 8
    assert np.all(np.diff(summary.sorted_semi) <= 0.0)


def test_without_a_threshold_none_is_unmatched() -> None:
    summary = cv.match_summary([[0.1, 0.2]], threshold=None)
    assert np.isnan(summary.unmatched)
    assert summary.threshold is None
    assert "unmatched" not in repr(summary)


def test_a_value_at_the_threshold_is_no_match() -> None:
    assert cv.match_summary([[0.5], [0.75]]).unmatched == 0.5


def test_fewer_units_than_shown() -> None:
    summary = cv.match_summary([[0.1], [0.2]], n_shown=5)
    assert summary.best.tolist() == summary.worst.tolist() == [1, 0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        summary.agreement = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"threshold": np.inf}, ValueError, "`threshold` must be finite, got inf"),
        ({"threshold": "high"}, TypeError, "`threshold` must be a real number, got 'high'"),
        ({"n_shown": 0}, ValueError, "`n_shown` must be at least 1, got 0"),
        ({"n_shown": 2.5}, TypeError, "`n_shown` must be a whole number, got 2.5"),
    ],
)
def test_bad_arguments_are_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cv.match_summary([[0.5]], **arguments)
