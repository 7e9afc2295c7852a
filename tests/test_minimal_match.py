"""Minimal matches, simple matches and levels against the definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from tests.reference.minimal_match import Problem, Unit

Matrix = NDArray[np.float64]
KINDS = ("graded", "groups", "duplicates", "few examples", "low rank")


def networks(kind: str, n_x: int, n_y: int, seed: int) -> tuple[Matrix, Matrix]:
    """Units that match in part, with what makes matching hard."""
    random = np.random.default_rng(seed)
    n_examples = 5 if kind == "few examples" else 40
    x = random.standard_normal((n_examples, n_x))
    if kind == "low rank":
        x = x[:, : max(1, n_x // 2)] @ random.standard_normal((max(1, n_x // 2), n_x))
    y = x @ random.standard_normal((n_x, n_y)) * (random.random((n_x, n_y)) < 0.5).any(axis=0)
    if kind == "groups":
        y = x[:, random.integers(0, n_x, n_y)] + x[:, random.integers(0, n_x, n_y)]
    noise = 0.3 * 10.0 ** -random.integers(0, 4, n_y)
    y = y + noise * random.standard_normal((n_examples, n_y))
    if kind == "duplicates":
        y[:, 0] = 3.0 * x[:, 0]
        x[:, -1] = x[:, 0]
        y[:, -1] = y[:, n_y // 2]
    return x * 10.0 ** random.integers(-3, 4, n_x), y


def named(match: cv.Match | None) -> frozenset[Unit] | None:
    if match is None:
        return None
    return frozenset([("x", int(i)) for i in match.x] + [("y", int(j)) for j in match.y])


problems = settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)
drawn = given(
    kind=st.sampled_from(KINDS),
    n_x=st.integers(2, 9),
    n_y=st.integers(2, 9),
    seed=st.integers(0, 10**6),
    epsilon=st.sampled_from([0.0, 0.05, 0.15, 0.3, 0.5, 0.7]),
)


@problems
@drawn
def test_minimal_matches_are_those_of_algorithm_2(
    level: str, kind: str, n_x: int, n_y: int, seed: int, epsilon: float
) -> None:
    x, y = networks(kind, n_x, n_y, seed)
    problem = Problem(x, y, epsilon)
    order = [problem.units[i] for i in np.random.default_rng(seed).permutation(n_x + n_y)]
    expected = {unit: problem.min_match(unit, order) for unit in problem.units}
    assume(problem.decisions.margin > 1e-9)
    matcher = cv.SubspaceMatcher(x, y)
    for unit, match in expected.items():
        assert named(matcher.min_match(unit, epsilon, order=order)) == match


@problems
@drawn
def test_shared_searches_are_those_of_algorithm_2_for_any_number_of_threads(
    level: str, kind: str, n_x: int, n_y: int, seed: int, epsilon: float
) -> None:
    x, y = networks(kind, n_x, n_y, seed)
    problem = Problem(x, y, epsilon)
    random = np.random.default_rng(7)
    orders = [[problem.units[i] for i in random.permutation(n_x + n_y)] for _ in range(2)]
    expected: dict[Unit, set[frozenset[Unit]]] = {}
    for order in orders:
        for unit in problem.units:
            match = problem.min_match(unit, order)
            if match is not None:
                expected.setdefault(unit, set()).add(match)
    assume(problem.decisions.margin > 1e-9)
    found = cv.simple_matches(x, y, epsilon, n_orders=2, seed=7, n_threads=1)
    assert found.complete
    sets = [named(match) for match in found.matches]
    assert len(set(sets)) == len(sets)
    assert {unit: {sets[i] for i in places} for unit, places in found.of_unit.items()} == expected
    assert found.sizes.tolist() == [match.x.size + match.y.size for match in found.matches]
    threaded = cv.simple_matches(x, y, epsilon, n_orders=2, seed=7, n_threads=3)
    assert [named(match) for match in threaded.matches] == sets
    assert threaded.of_unit == found.of_unit


@problems
@given(
    kind=st.sampled_from(KINDS),
    n_x=st.integers(2, 5),
    n_y=st.integers(2, 4),
    seed=st.integers(0, 10**6),
    epsilon=st.sampled_from([0.0, 0.15, 0.3, 0.5]),
)
def test_all_minimal_matches_are_the_simple_ones(
    level: str, kind: str, n_x: int, n_y: int, seed: int, epsilon: float
) -> None:
    """Algorithm 3 for every unit, Definition 4 by enumeration, and Theorem 10 between them."""
    x, y = networks(kind, n_x, n_y, seed)
    problem = Problem(x, y, epsilon)
    simple = problem.simple_matches()
    expected = {unit: problem.minimal_matches(unit) for unit in problem.units}
    for unit, matches in expected.items():
        if len(matches) <= 2:  # the algorithm as printed takes a time exponential in their number
            assert problem.all_min_matches(unit) == matches
    assume(problem.decisions.margin > 1e-9)
    matcher = cv.SubspaceMatcher(x, y)
    everything: set[Any] = set()
    for unit in problem.units:
        found = matcher.all_min_matches(unit, epsilon)
        assert found.complete
        assert len(found.matches) == len(expected[unit])
        assert {named(match) for match in found.matches} == expected[unit]
        everything |= expected[unit]
    assert everything == simple
    union = frozenset().union(*simple) if simple else frozenset()
    assert union == named(matcher.max_match(epsilon))


@problems
@drawn
def test_levels_are_all_maximum_matches_at_once(
    level: str, kind: str, n_x: int, n_y: int, seed: int, epsilon: float
) -> None:
    x, y = networks(kind, n_x, n_y, seed)
    matcher = cv.SubspaceMatcher(x, y)
    levels = matcher.levels()
    own = np.concatenate([levels.x, levels.y])
    ties = own[(own > 0) & (own < 0.999)]
    epsilons = np.unique(np.concatenate([np.linspace(0, 0.99, 20), [epsilon], ties * (1 + 1e-9)]))
    epsilons = epsilons[epsilons < 1.0]
    problem = Problem(x, y, epsilon)
    expected = problem.levels(epsilons.tolist())
    for value, match, similarity in zip(
        epsilons, matcher.max_match(epsilons), levels.similarity(epsilons)
    ):
        assert named(match) == named(
            cv.Match(
                np.flatnonzero(levels.x <= value), np.flatnonzero(levels.y <= value), 0.0, value
            )
        )
        assert match.similarity == similarity
        if problem.decisions.margin > 1e-12:
            assert named(match) == expected[value]


def test_golden_minimal_matches(level: str, golden: Path) -> None:
    with np.load(golden / "minmatch_planted_32.npz") as stored:
        x, y = stored["X"].T, stored["Y"].T
        matcher = cv.SubspaceMatcher(x, y)
        for percent in (15, 30, 50):
            epsilon = percent / 100
            match = matcher.max_match(epsilon)
            members = np.zeros(64, dtype=bool)
            members[match.x], members[32 + match.y] = True, True
            np.testing.assert_array_equal(members, stored[f"e{percent}_max"])
            for row, v in enumerate(stored[f"e{percent}_v"]):
                unit = ("x", int(v)) if v < 32 else ("y", int(v) - 32)
                found = matcher.min_match(unit, epsilon)
                assert (found is not None) == stored[f"e{percent}_found"][row]
                if found is not None:
                    members = np.zeros(64, dtype=bool)
                    members[found.x], members[32 + found.y] = True, True
                    np.testing.assert_array_equal(members, stored[f"e{percent}_member"][row])


def test_golden_simple_matches(level: str, golden: Path) -> None:
    with np.load(golden / "match_small_brute.npz") as stored:
        epsilon = float(stored["eps"])
        for problem in range(6):
            x, y = stored["X"][problem].T, stored["Y"][problem].T
            matcher = cv.SubspaceMatcher(x, y)
            found: set[bytes] = set()
            for unit in [("x", i) for i in range(5)] + [("y", j) for j in range(5)]:
                result = matcher.all_min_matches(unit, epsilon)
                assert result.complete
                for match in result.matches:
                    members = np.zeros(10, dtype=bool)
                    members[match.x], members[5 + match.y] = True, True
                    found.add(members.tobytes())
            chosen = stored["simple_problem"] == problem
            assert found == {row.tobytes() for row in stored["simple_member"][chosen]}
