"""Minimal matches, simple matches and levels against the definitions."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from convergent import _core
from tests.reference.minimal_match import Problem, Unit

Matrix = NDArray[np.float64]
KINDS = ("graded", "groups", "duplicates", "dead", "few examples", "low rank")
EPSILONS = [0.0, 0.05, 0.15, 0.3, 0.5, 0.7]
MARGIN = 1e-9


def networks(
    kind: str, n_x: int, n_y: int, seed: int, single: bool = False
) -> tuple[Matrix, Matrix]:
    """Units that match in part, with what makes matching hard.

    Activations and weights are multiples of small powers of two: what is exact stays so in float32.
    """
    random = np.random.default_rng(seed)
    n_examples = 5 if kind == "few examples" else 40
    x = np.round(256.0 * random.standard_normal((n_examples, n_x))) / 256.0
    if kind == "low rank":
        n_causes = max(1, n_x // 2)
        x = x[:, :n_causes] @ random.integers(1, 5, (n_causes, n_x))
    y = x @ random.integers(-8, 9, (n_x, n_y)) / 4.0
    if kind in ("groups", "dead"):
        y = x[:, random.integers(0, n_x, n_y)] + x[:, random.integers(0, n_x, n_y)]
    y[:, ~y.any(axis=0)] = x[:, :1]
    noise = 0.3 * 10.0 ** -random.integers(0, 4, n_y)
    noise *= random.random(n_y) < random.choice([0.0, 0.6, 1.0])  # the others are exact
    y = y + noise * random.standard_normal((n_examples, n_y))
    if kind == "duplicates":
        y[:, 0] = 4.0 * x[:, 0]
        x[:, -1] = x[:, 0]
        y[:, -1] = -y[:, n_y // 2]
    if kind == "dead":
        x[:, random.integers(0, n_x, n_x // 2)] = 0.0
        y[:, random.integers(0, n_y, n_y // 2)] = 0.0
    x = x * 2.0 ** random.integers(-10, 11, n_x)
    return (x.astype(np.float32), y.astype(np.float32)) if single else (x, y)


def units_of(n_x: int, n_y: int) -> list[Unit]:
    return [("x", i) for i in range(n_x)] + [("y", j) for j in range(n_y)]


def matcher_of(x: Matrix, y: Matrix) -> cv.SubspaceMatcher:
    return cv.SubspaceMatcher(x, y, dead_units="unmatched")


def named(match: cv.Match | None) -> frozenset[Unit] | None:
    if match is None:
        return None
    return frozenset([("x", int(i)) for i in match.x] + [("y", int(j)) for j in match.y])


problems = settings(
    max_examples=500,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)
drawn = given(
    kind=st.sampled_from(KINDS),
    n_x=st.integers(2, 9),
    n_y=st.integers(2, 9),
    seed=st.integers(0, 10**6),
    epsilon=st.sampled_from(EPSILONS),
    single=st.booleans(),
)


@problems
@drawn
def test_minimal_matches_are_those_of_algorithm_2(
    kind: str, n_x: int, n_y: int, seed: int, epsilon: float, single: bool
) -> None:
    x, y = networks(kind, n_x, n_y, seed, single)
    problem = Problem(x, y, epsilon)
    units = units_of(n_x, n_y)
    order = [units[i] for i in np.random.default_rng(seed).permutation(n_x + n_y)]
    expected = {unit: problem.min_match(unit, order) for unit in units}
    assume(problem.margin > MARGIN)
    matcher = matcher_of(x, y)
    assert named(matcher.max_match(epsilon)) == problem.max_match(problem.units)
    for unit, match in expected.items():
        assert named(matcher.min_match(unit, epsilon, order=order)) == match


@problems
@drawn
def test_shared_searches_are_those_of_algorithm_2_for_any_number_of_threads(
    kind: str, n_x: int, n_y: int, seed: int, epsilon: float, single: bool
) -> None:
    x, y = networks(kind, n_x, n_y, seed, single)
    problem = Problem(x, y, epsilon)
    random = np.random.default_rng(7)
    expected: dict[Unit, set[frozenset[Unit]]] = {}
    for _ in range(2):
        order = [problem.units[i] for i in random.permutation(len(problem.units))]
        for unit in problem.units:
            match = problem.min_match(unit, order)
            if match is not None:
                expected.setdefault(unit, set()).add(match)
    assume(problem.margin > MARGIN)
    matcher = matcher_of(x, y)
    found = matcher.simple_matches(epsilon, n_orders=2, seed=7, n_threads=1)
    assert found.complete
    sets = [named(match) for match in found.matches]
    assert len(set(sets)) == len(sets)
    assert {unit: {sets[i] for i in places} for unit, places in found.of_unit.items()} == expected
    assert found.sizes.tolist() == [match.x.size + match.y.size for match in found.matches]
    threaded = matcher.simple_matches(epsilon, n_orders=2, seed=7, n_threads=3)
    assert [named(match) for match in threaded.matches] == sets
    assert threaded.of_unit == found.of_unit


def assert_all_matches(x: Matrix, y: Matrix, epsilon: float, most_trials: int) -> None:
    """Algorithm 3 for every unit, Definition 4 by enumeration, and Theorem 10 between them.

    The algorithm as printed takes a time exponential in the number of matches, so it is run where
    that stays below `most_trials`; Definition 9 always is.
    """
    problem = Problem(x, y, epsilon)
    matches = problem.matches()
    assume(problem.margin > MARGIN)
    matcher = matcher_of(x, y)
    everything: set[frozenset[Unit]] = set()
    for unit in units_of(x.shape[1], y.shape[1]):
        found = matcher.all_min_matches(unit, epsilon, limit=1000)
        assert found.complete
        expected = problem.minimal_matches(unit, matches) if unit in problem.units else set()
        assert len(found.matches) == len(expected)
        assert {named(match) for match in found.matches} == expected
        if unit in problem.units and math.prod(map(len, expected)) <= most_trials:
            assert problem.all_min_matches(unit) == expected
        everything |= expected
    simple = problem.simple_matches(matches)
    assert everything == simple
    union = frozenset().union(*simple) if simple else frozenset()
    assert union == named(matcher.max_match(epsilon)) == problem.max_match(problem.units)


@problems
@given(
    kind=st.sampled_from(KINDS),
    n_x=st.integers(2, 5),
    n_y=st.integers(2, 5),
    seed=st.integers(0, 10**6),
    epsilon=st.sampled_from(EPSILONS),
    single=st.booleans(),
)
def test_all_minimal_matches_are_those_of_algorithm_3_and_the_simple_ones(
    kind: str, n_x: int, n_y: int, seed: int, epsilon: float, single: bool
) -> None:
    x, y = networks(kind, n_x, n_y, seed, single)
    assert_all_matches(x, y, epsilon, most_trials=100)


@settings(problems, max_examples=48)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 10**6),
    epsilon=st.sampled_from(EPSILONS),
    single=st.booleans(),
)
def test_simple_matches_of_7_and_7_units(
    kind: str, seed: int, epsilon: float, single: bool
) -> None:
    x, y = networks(kind, 7, 7, seed, single)
    assert_all_matches(x, y, epsilon, most_trials=0)


@problems
@drawn
def test_levels_are_all_maximum_matches_at_once(
    kind: str, n_x: int, n_y: int, seed: int, epsilon: float, single: bool
) -> None:
    x, y = networks(kind, n_x, n_y, seed, single)
    matcher = matcher_of(x, y)
    levels = matcher.levels()
    if kind == "duplicates":
        assert levels.x[0] == levels.x[-1]
        assert levels.y[n_y // 2] == levels.y[-1]
    own = np.concatenate([levels.x, levels.y])
    own = np.unique(own[own < 0.999])  # that of a unit that nothing comes near is 1
    step = np.maximum(1e-8 * own, 1e-10)
    beside = [np.maximum(own - step, 0.0), own, own + step]
    epsilons = np.concatenate([np.linspace(0, 0.99, 20), [epsilon], *beside])
    problem = Problem(x, y, epsilon)
    for value, match, similarity in zip(
        epsilons, matcher.max_match(epsilons), levels.similarity(epsilons)
    ):
        at_most = np.flatnonzero(levels.x <= value), np.flatnonzero(levels.y <= value)
        assert (match.x.tolist(), match.y.tolist()) == (at_most[0].tolist(), at_most[1].tolist())
        assert match.similarity == similarity
        problem.set_epsilon(value)
        expected = problem.max_match(problem.units)
        if problem.margin > 1e-11:
            assert named(match) == expected


@settings(problems, max_examples=60)
@drawn
def test_every_cpu_level_finds_the_same(
    kind: str, n_x: int, n_y: int, seed: int, epsilon: float, single: bool
) -> None:
    x, y = networks(kind, n_x, n_y, seed, single)
    problem = Problem(x, y, epsilon)
    expected = {unit: problem.min_match(unit, problem.units) for unit in problem.units}
    assume(problem.margin > MARGIN)
    matcher, original = matcher_of(x, y), _core.kernels
    outcomes, curves = [], []
    try:
        for name in _core.supported_levels():
            _core.kernels = _core.load_level(name)
            levels = matcher.levels()
            curves.append(np.concatenate([levels.x, levels.y]))
            for unit, match in expected.items():
                assert named(matcher.min_match(unit, epsilon)) == match
            simple = matcher.simple_matches(epsilon, n_orders=2)
            everything = [
                [named(match) for match in matcher.all_min_matches(unit, epsilon, limit=5).matches]
                for unit in problem.units
            ]
            outcomes.append((simple.of_unit, list(map(named, simple.matches)), everything))
    finally:
        _core.kernels = original
    for outcome, curve in zip(outcomes, curves):
        assert outcome == outcomes[0]
        np.testing.assert_allclose(curve, curves[0], atol=1e-11)


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
