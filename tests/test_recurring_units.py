"""`cv.recurring_units`: against every tuple of units, and copies of one network."""

from __future__ import annotations

import dataclasses
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

import convergent as cv
from tests.reference import match_summary as reference

Matrix = NDArray[Any]
Similarities = dict[tuple[int, int], Matrix]


@st.composite
def similarity_sets(draw: st.DrawFn) -> tuple[list[int], Similarities]:
    """Tenths, so that ties and dead units are common; in half of them copies of the same units."""
    n_networks = draw(st.integers(2, 4))
    widths = draw(st.lists(st.integers(1, 4), min_size=n_networks, max_size=n_networks))
    strength = draw(st.sampled_from([0, 8]))
    similarities = {}
    for i, j in combinations(range(n_networks), 2):
        shape = (widths[i], widths[j])
        whole = draw(arrays(np.int64, shape, elements=st.integers(-2, 10)))
        similarities[i, j] = (whole + strength * np.eye(*shape, dtype=np.int64)) / 10.0
    return widths, similarities


@given(
    drawn=similarity_sets(),
    kind=st.sampled_from(["mutual", "one_to_one"]),
    threshold=st.sampled_from([None, 0.0, 0.5, 0.9]),
)
def test_recurring_units_equal_the_loops(
    drawn: tuple[list[int], Similarities],
    kind: Literal["mutual", "one_to_one"],
    threshold: float | None,
) -> None:
    widths, similarities = drawn
    found = cv.recurring_units(similarities, kind=kind, threshold=threshold)
    matches = {}
    for pair, similarity in similarities.items():
        match = cv.match_units(similarity, kind)
        matches[pair] = list(zip(match.x.tolist(), match.y.tolist()))
    expected, counts = reference.recurring(similarities, matches, widths, threshold)
    assert [tuple(row) for row in found.units.tolist()] == [units for units, _ in expected]
    np.testing.assert_array_equal(found.weakest, [weakest for _, weakest in expected])
    assert [column.tolist() for column in found.n_networks] == counts
    assert found.units.shape == (len(expected), len(widths))


def test_permuted_copies_recur_throughout() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((200, 6))
    orders = [random.permutation(6) for _ in range(4)]
    networks = [x[:, order] for order in orders]
    similarities = {
        (i, j): cv.correlation(networks[i], networks[j]) for i, j in combinations(range(4), 2)
    }
    found = cv.recurring_units(similarities, threshold=0.9)
    assert repr(found) == "RecurringUnits(6 in all 4 networks)"
    for units in found.units:
        assert len({int(order[unit]) for order, unit in zip(orders, units)}) == 1
    assert all((count == 3).all() for count in found.n_networks)
    np.testing.assert_allclose(found.weakest, 1.0, atol=1e-12)


def test_a_chain_is_no_recurrence() -> None:
    """Unit 0 of the middle network has a partner in both others, and these have none in common."""
    similarities = {(0, 1): [[0.9]], (1, 2): [[0.9]], (0, 2): [[0.1]]}
    found = cv.recurring_units(similarities)
    assert found.units.shape == (0, 3)
    assert found.weakest.shape == (0,)
    assert [count.tolist() for count in found.n_networks] == [[1], [2], [1]]


def test_partners_that_disagree_are_no_recurrence() -> None:
    """All three pairs match unit 0, but going round leads to another unit."""
    one, other = [[0.9, 0.1], [0.1, 0.9]], [[0.1, 0.9], [0.9, 0.1]]
    found = cv.recurring_units({(0, 1): one, (0, 2): one, (1, 2): other})
    assert found.weakest.size == 0
    assert all((count == 2).all() for count in found.n_networks)


def test_dead_units_do_not_recur() -> None:
    similarity = np.zeros((2, 2))
    similarity[1, 1] = 0.9
    found = cv.recurring_units({(0, 1): similarity}, threshold=0.0)
    assert found.units.tolist() == [[1, 1]]
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.kind = "semi"  # type: ignore[misc]


GOOD = np.full((2, 2), 0.5)


@pytest.mark.parametrize(
    ("similarities", "arguments", "error", "message"),
    [
        ([GOOD], {}, TypeError, "`similarities` must be a mapping from pairs .* got list"),
        ({}, {}, ValueError, r"every pair of the 2 networks, got none for \(0, 1\)"),
        ({(0, 1): GOOD, (0, 2): GOOD}, {}, ValueError, r"the 3 networks, got none for \(1, 2\)"),
        ({(1, 0): GOOD}, {}, ValueError, r"0 <= i < j as keys, got \(1, 0\)"),
        ({(1, 1): GOOD}, {}, ValueError, r"0 <= i < j as keys, got \(1, 1\)"),
        ({(-1, 1): GOOD}, {}, ValueError, r"0 <= i < j as keys, got \(-1, 1\)"),
        ({(0, 1.0): GOOD}, {}, ValueError, r"0 <= i < j as keys, got \(0, 1.0\)"),
        ({"ab": GOOD}, {}, ValueError, "0 <= i < j as keys, got 'ab'"),
        (
            {(0, 1): GOOD, (0, 2): GOOD[:1], (1, 2): GOOD},
            {},
            ValueError,
            r"`similarities\[0, 2\]` must have as many units of network 0 .* got 1 and 2",
        ),
        (
            {(0, 1): GOOD, (0, 2): GOOD, (1, 2): GOOD[:, :1]},
            {},
            ValueError,
            r"`similarities\[1, 2\]` must have as many units of network 2 .* got 1 and 2",
        ),
        ({(0, 1): [[np.nan]]}, {}, ValueError, r"`similarities\[0, 1\]` must be finite, got 1"),
        ({(0, 1): GOOD}, {"kind": "semi"}, ValueError, "`kind` must be one of 'mutual'.*'semi'"),
        ({(0, 1): GOOD}, {"threshold": np.nan}, ValueError, "`threshold` must be finite, got nan"),
        ({(0, 1): GOOD}, {"threshold": "x"}, TypeError, "`threshold` must be a real number"),
    ],
)
def test_bad_input_is_refused(
    similarities: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cv.recurring_units(similarities, **arguments)
