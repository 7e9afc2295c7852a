"""Simple matches where units share long runs of removals, and how clear the decisions were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import convergent as cv
from convergent import _core
from tests.reference.match_problems import EPSILON, Maker, low_rank, planted_groups
from tests.reference.minimal_match import Problem, Unit
from tests.test_minimal_match import KINDS, Matrix, named, networks

both_families = pytest.mark.parametrize("make", [low_rank, planted_groups])
problems = settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)


def of_units(found: cv.SimpleMatches) -> dict[Unit, frozenset[Unit] | None]:
    """Return the match of each unit, for one order."""
    return {unit: named(found.matches[place]) for unit, (place,) in found.of_unit.items()}


@both_families
@pytest.mark.parametrize("epsilon", [0.4, EPSILON, 0.6])
def test_shared_runs_are_algorithm_2(level: str, make: Maker, epsilon: float) -> None:
    x, y = make(24)
    problem = Problem(x, y, epsilon)
    order = [problem.units[i] for i in np.random.default_rng(3).permutation(48)]
    expected = {unit: problem.min_match(unit, order) for unit in problem.units}
    assert problem.margin > 1e-9
    found = cv.simple_matches(x, y, epsilon, seed=3)
    assert of_units(found) == {unit: match for unit, match in expected.items() if match}


@both_families
@pytest.mark.parametrize("n_threads", [1, 3])
def test_runs_shared_by_threads_are_those_of_each_unit_by_itself(
    level: str, make: Maker, n_threads: int
) -> None:
    """Large enough for cascades that settle their rows on the way."""
    matcher = cv.SubspaceMatcher(*make(256))
    matches = of_units(matcher.simple_matches(EPSILON, seed=5, n_threads=n_threads))
    assert frozenset(matches) == named(matcher.max_match(EPSILON))
    for unit in list(matches)[::16]:
        assert named(matcher.min_match(unit, EPSILON, seed=5)) == matches[unit]


def search(x: Matrix, y: Matrix, epsilon: float, n_threads: int = 1) -> tuple[Any, Any, float]:
    """Membership, units of each match and margin, from the kernel."""
    live = cv.SubspaceMatcher(x, y, dead_units="unmatched")._live
    if live.spans is None:
        return [], [], np.inf
    n_units = live.x.size + live.y.size
    members, _, units, _, margin = _core.kernels.minimal_matches(
        live.spans[0].parts,
        live.spans[1].parts,
        live.threshold(epsilon),
        [True] * n_units,
        np.random.default_rng(0).permutation(n_units)[np.newaxis].astype(np.int64),
        n_threads,
        None,
    )
    return members.tolist(), units, margin


@problems
@given(
    kind=st.sampled_from(KINDS),
    n_x=st.integers(2, 12),
    n_y=st.integers(2, 12),
    seed=st.integers(0, 10**6),
    epsilon=st.sampled_from([0.15, 0.3, 0.5, 0.7]),
)
def test_margin_is_how_far_epsilon_may_move(
    level: str, kind: str, n_x: int, n_y: int, seed: int, epsilon: float
) -> None:
    x, y = networks(kind, n_x, n_y, seed)
    members, units, margin = search(x, y, epsilon)
    problem = Problem(x, y, epsilon)
    assert margin >= 0.0
    for row in members:  # that these units are near enough was decided
        match = [unit for unit, flag in zip(problem.units, row) if flag]
        in_x, in_y = ([i for side, i in match if side == own] for own in "xy")
        away = [*problem.away("x", in_y)[in_x], *problem.away("y", in_x)[in_y]]
        assert margin <= epsilon - max(away) + 1e-9
    assume(margin > 1e-9)
    for moved in (epsilon - 0.99 * margin, epsilon + 0.99 * margin):
        if 0.0 <= moved < 1.0:
            assert search(x, y, moved)[:2] == (members, units)


def test_margin_of_a_single_decision() -> None:
    """One unit each: they match if the angle between them is small enough."""
    x, y = np.array([[1.0], [0.0]]), np.array([[0.8], [0.6]])
    assert search(x, y, 0.5)[2] == pytest.approx(0.1, rel=1e-10)
    assert search(x, y, 0.7)[2] == pytest.approx(0.1, rel=1e-10)
    assert search(x, y, 0.5)[0] == []


@both_families
def test_margin_does_not_depend_on_threads(make: Maker) -> None:
    x, y = make(64)
    expected = search(x, y, EPSILON)
    assert 0.0 < expected[2] < 1e-2
    assert search(x, y, EPSILON, n_threads=3) == expected


def test_margin_of_all_matches_of_a_unit() -> None:
    """The distances are .6 for each pair, and at most 1 otherwise."""
    x = np.eye(4)[:, :2]
    y = 0.8 * np.eye(4)[:, :2] + 0.6 * np.eye(4)[:, 2:]
    live = cv.SubspaceMatcher(x, y)._live
    assert live.spans is not None
    order = np.arange(4, dtype=np.int64)[np.newaxis]
    members, complete, margin = _core.kernels.all_minimal_matches(
        live.spans[0].parts, live.spans[1].parts, 0.65, 0, order, 10, 10
    )
    assert members.tolist() == [[True, False, True, False]]
    assert complete
    assert margin == pytest.approx(0.05, rel=1e-10)
