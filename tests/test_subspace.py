from __future__ import annotations

import dataclasses
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from convergent import _core
from tests.reference import subspace as reference

Matrix = NDArray[np.float64]
EPSILONS = [0.3, 0.0, 0.9, 0.05, 0.15, 1e-7, 0.5]
MARGIN = 1e-9


def mixed_pair(seed: int) -> tuple[Matrix, Matrix]:
    """Graded noise, planted groups, duplicates, low rank, few examples, units of any scale."""
    rng = np.random.default_rng(seed)
    n_examples = int(rng.choice([4, 9, 30, 80]))
    n_x, n_y = rng.integers(1, 10, size=2)
    n_causes = int(rng.integers(1, 12))
    causes = rng.standard_normal((n_examples, n_causes))
    if rng.random() < 0.5:
        causes = np.maximum(causes, 0.0) + 1e-3
    sparse = rng.random() < 0.6

    def network(n_units: int) -> Matrix:
        weights = rng.standard_normal((n_causes, n_units))
        if sparse:
            weights *= rng.random(weights.shape) < 2.0 / n_causes
            weights[rng.integers(n_causes, size=n_units), np.arange(n_units)] += 1.0
        noise = rng.choice([0.0, 0.0, 1e-3, 0.1, 0.3, 1.0], size=n_units)
        units = causes @ weights + noise * rng.standard_normal((n_examples, n_units))
        for unit in np.flatnonzero(rng.random(n_units) < 0.2):
            units[:, unit] = units[:, rng.integers(n_units)]
        scaled: Matrix = units * 10.0 ** rng.uniform(-8, 8, size=n_units)
        return scaled

    return network(int(n_x)), network(int(n_y))


def sets(match: cv.Match) -> tuple[list[int], list[int]]:
    return match.x.tolist(), match.y.tolist()


@given(seed=st.integers(0, 2**32 - 1), single=st.booleans(), fortran=st.booleans())
@settings(deadline=None, max_examples=500)
def test_equals_algorithm_1_step_by_step(seed: int, single: bool, fortran: bool) -> None:
    x, y = mixed_pair(seed)
    random = np.random.default_rng(seed)
    for units in (x, y):
        units[:, random.random(units.shape[1]) < random.choice([0.0, 0.2])] = 0.0
    if single:
        x, y = (units.astype(np.float32) for units in (x, y))  # type: ignore[assignment]
    if fortran:
        x, y = np.asfortranarray(x), np.asfortranarray(y)
    live_x, live_y = np.flatnonzero(x.any(axis=0)), np.flatnonzero(y.any(axis=0))
    assume(live_x.size and live_y.size)
    decisions = reference.Decisions()
    expected = []
    for epsilon in EPSILONS:
        in_x, in_y = reference.max_match(x[:, live_x], y[:, live_y], epsilon, decisions)
        expected.append((live_x[in_x].tolist(), live_y[in_y].tolist()))
    assume(decisions.margin > MARGIN)
    original = _core.kernels
    matcher = cv.SubspaceMatcher(x, y, dead_units="unmatched")
    try:
        for name in _core.supported_levels():
            _core.kernels = _core.load_level(name)
            found = matcher.max_match(EPSILONS)
            assert [sets(match) for match in found] == expected
            assert [match.epsilon for match in found] == EPSILONS
            for epsilon, match in zip(EPSILONS, found):
                assert sets(matcher.max_match(epsilon)) == sets(match)
                share = (match.x.size + match.y.size) / (x.shape[1] + y.shape[1])
                assert match.similarity == share
    finally:
        _core.kernels = original


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_symmetry_scale_and_order_of_units(seed: int) -> None:
    x, y = mixed_pair(seed)
    assume(all((np.abs(units).max(axis=0) > 0).all() for units in (x, y)))
    decisions = reference.Decisions()
    for epsilon in EPSILONS:
        reference.max_match(x, y, epsilon, decisions)
        reference.max_match(y, x, epsilon, decisions)
    assume(decisions.margin > MARGIN)
    rng = np.random.default_rng(seed)
    order = rng.permutation(x.shape[1])
    signs = 2.0 ** rng.integers(-9, 9, size=y.shape[1]) * rng.choice([-1, 1], size=y.shape[1])
    for one, other in zip(
        cv.max_match(x, y, EPSILONS), cv.max_match(y * signs, x[:, order], EPSILONS)
    ):
        assert sets(one) == (sorted(order[other.y].tolist()), other.x.tolist())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("n_examples", "n_causes"), [(300, 90), (40, 90), (300, 30)])
def test_many_units(level: str, seed: int, n_examples: int, n_causes: int) -> None:
    """More units than a tile of the kernel, deep cascades, dependent units entering the basis."""
    rng = np.random.default_rng(seed)
    causes = np.maximum(rng.standard_normal((n_examples, n_causes)), 0.0)
    pick = rng.permutation(n_causes)
    x = causes[:, np.resize(pick, 75)] @ (np.eye(75) + 0.3 * np.eye(75, k=1))
    y = causes[:, np.resize(pick, 50)] @ (np.eye(50) + 0.3 * np.eye(50, k=2))
    x += np.geomspace(1e-2, 1.0, 75) * rng.standard_normal(x.shape) * (np.arange(75) % 3 > 0)
    y += np.geomspace(1e-2, 1.0, 50) * rng.standard_normal(y.shape) * (np.arange(50) % 2)
    epsilons = [0.02, 0.1, 0.2, 0.35, 0.5, 0.8]
    decisions = reference.Decisions()
    expected = [reference.max_match(x, y, epsilon, decisions) for epsilon in epsilons]
    assert decisions.margin > MARGIN
    assert [sets(match) for match in cv.max_match(x, y, epsilons)] == expected


@given(seed=st.integers(0, 2**32 - 1), epsilon=st.sampled_from([0.0, 0.1, 0.3, 0.6]))
@settings(deadline=None, max_examples=10)
def test_brute_force(seed: int, epsilon: float) -> None:
    x, y = mixed_pair(seed)
    x, y = x[:, :4], y[:, :4]
    assume(all((np.abs(units).max(axis=0) > 0).all() for units in (x, y)))
    decisions = reference.Decisions()
    matches = reference.all_matches(x, y, epsilon, decisions)
    assume(decisions.margin > MARGIN)
    found = cv.max_match(x, y, epsilon)
    members = frozenset(found.x.tolist()) | {x.shape[1] + int(unit) for unit in found.y}
    assert members == frozenset().union(*matches)
    assert members in [*matches, frozenset()]
    simple = reference.simple_matches(matches)
    assert members == frozenset().union(*simple)
    known = set(matches)
    assert all(one | other in known for one in matches for other in matches)


@pytest.mark.parametrize("name", ["match_brief_64", "match_graded_64"])
def test_golden(level: str, golden: Path, name: str) -> None:
    with np.load(golden / f"{name}.npz") as stored:
        x, y = stored["X"].T, stored["Y"].T
        expected = [
            (stored[f"e{label}_x"].tolist(), stored[f"e{label}_y"].tolist())
            for label in ("15", "30", "50")
        ]
    assert [sets(match) for match in cv.max_match(x, y, [0.15, 0.3, 0.5])] == expected
    triangle = cv.Factor([64, 64]).update([x, y]).triangle()
    matcher = cv.SubspaceMatcher.from_factor(triangle, 64, n_examples=2000)
    assert [sets(match) for match in matcher.max_match((0.15, 0.3, 0.5))] == expected


def test_golden_small(level: str, golden: Path) -> None:
    with np.load(golden / "match_small_brute.npz") as stored:
        content = {key: stored[key] for key in stored.files}
    epsilon = float(content["eps"])
    for problem in range(6):
        x, y = content["X"][problem].T, content["Y"][problem].T
        found = cv.max_match(x, y, epsilon)
        members = np.zeros(10, dtype=bool)
        members[np.concatenate([found.x, 5 + found.y])] = True
        np.testing.assert_array_equal(members, content["max_member"][problem])
        matches = reference.all_matches(x, y, epsilon, reference.Decisions())
        assert (
            len(matches) + 1 == content["n_matches"][problem]
            or len(matches) == (content["n_matches"][problem])
        )
        flags = content["simple_member"][content["simple_problem"] == problem]
        stored_simple = {frozenset(np.flatnonzero(row).tolist()) for row in flags}
        assert set(reference.simple_matches(matches)) == stored_simple


def test_the_first_pass_over_y_always_runs() -> None:
    x = np.eye(3)[:, :1]
    y = np.eye(3)[:, :2]
    assert sets(cv.max_match(x, y, 0.1)) == ([0], [0])
    assert sets(cv.max_match(y, x, 0.1)) == ([0], [0])


def test_a_dependent_unit_takes_the_place_of_those_that_leave(level: str) -> None:
    a, b, noise = np.eye(4)[:3]
    x = np.column_stack([a + 0.3 * noise, b - 0.3 * noise, a + b])
    y = np.column_stack([a + b])
    assert sets(cv.max_match(x, y, 0.2)) == ([2], [0])
    assert sets(cv.max_match(y, x, 0.2)) == ([0], [2])
    assert sets(cv.max_match(np.hstack([x, 3 * x]), y, 0.2)) == ([2, 5], [0])


def test_orthonormal_units() -> None:
    """All singular values alike: a search for the largest alone fails for some of these."""
    for seed in range(400):
        random = np.random.default_rng(seed)
        x = np.linalg.qr(random.standard_normal((60, 8)))[0]
        assert sets(cv.max_match(x, x[:, 2:4], 0.1)) == ([2, 3], [0, 1])


@pytest.mark.parametrize("n_examples", [20, 100, 500])
def test_identical_and_unrelated_networks(n_examples: int) -> None:
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal((n_examples, 40)), 0.0)
    for match in cv.max_match(x, x.copy(), [0.0, 1e-12, 0.15, 0.99]):
        assert match.similarity == 1.0
    mixed = x @ rng.standard_normal((40, 40))
    assert cv.max_match(x, mixed, 0.0).similarity == 1.0
    if n_examples > 80:
        unrelated = rng.standard_normal((n_examples, 40))
        for match in cv.max_match(x, unrelated, [0.0, 0.1, 0.3]):
            assert match.similarity == 0.0
            assert match.x.size == match.y.size == 0


def test_a_unit_at_epsilon_matches() -> None:
    """Within rounding, in whatever order units leave; and at each unit's own level."""
    for angle in np.linspace(0.05, 1.5, 60):
        x = np.eye(3)[:, :1]
        y = np.cos(angle) * np.eye(3)[:, :1] + np.sin(angle) * np.eye(3)[:, 1:2]
        matcher = cv.SubspaceMatcher(x, 7.0 * y)
        assert matcher.max_match(float(np.sin(angle))).similarity == 1.0
        assert matcher.max_match(float(np.sin(angle)) - 1e-11).similarity == 0.0
        assert matcher.levels().similarity(np.sin(angle)) == 1.0
        assert matcher.levels().similarity(np.sin(angle) - 1e-11) == 0.0


@pytest.mark.parametrize(("distance", "similarity"), [(5e-11, 1.0), (2e-10, 0.0)])
def test_rounding_is_no_distance(distance: float, similarity: float) -> None:
    x, y = np.eye(3)[:, :1], np.eye(3)[:, :1] + distance * np.eye(3)[:, 1:2]
    matcher = cv.SubspaceMatcher(x, y)
    assert matcher.max_match(0.0).similarity == similarity
    assert matcher.levels().similarity(0.0) == similarity


def test_dead_units() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((50, 4))
    y = np.column_stack([np.zeros(50), x[:, 0], rng.standard_normal(50)])
    x[:, 2] = 0.0
    with pytest.warns(cv.DeadUnitWarning) as caught:
        excluded = cv.SubspaceMatcher(x, y)
    assert [str(warning.message) for warning in caught] == [
        "`x` has 1 constant or dead units (2): they are left out of matches and of the similarity",
        "`y` has 1 constant or dead units (0): they are left out of matches and of the similarity",
    ]
    assert caught[0].filename == __file__
    assert (excluded.n_x, excluded.n_y) == (4, 3)
    assert (excluded.dead_x.tolist(), excluded.dead_y.tolist()) == ([2], [0])
    match = excluded.max_match(0.1)
    assert (sets(match), match.similarity) == (([0], [1]), 2 / 5)
    match = cv.max_match(x, y, 0.1, dead_units="match")
    assert (sets(match), match.similarity) == (([0, 2], [0, 1]), 4 / 7)
    match = cv.max_match(x, y, 0.1, dead_units="unmatched")
    assert (sets(match), match.similarity) == (([0], [1]), 2 / 7)


@pytest.mark.parametrize(
    ("dead_units", "similarity", "members"),
    [("exclude", 0.0, 0), ("match", 1.0, 3), ("unmatched", 0.0, 0)],
)
def test_nothing_but_dead_units(dead_units: str, similarity: float, members: int) -> None:
    zeros = np.zeros((10, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.DeadUnitWarning)
        match = cv.max_match(zeros, zeros, 0.5, dead_units=dead_units)
        one_side = cv.max_match(zeros, np.eye(10)[:, :3], 0.5, dead_units=dead_units)
    assert match.similarity == similarity
    assert match.x.size == match.y.size == members
    assert one_side.x.size == members
    assert one_side.y.size == 0


def test_center() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3000, 2))
    y = np.column_stack([x[:, 0] + 5.0, np.full(3000, 0.1), rng.standard_normal(3000)])
    with pytest.warns(cv.DeadUnitWarning, match=r"`y` has 1 constant or dead units \(1\)"):
        matcher = cv.SubspaceMatcher(x, y, center=True)
    assert sets(matcher.max_match(0.0)) == ([0], [0])
    assert cv.max_match(x, y[:, :1], 0.1).similarity == 0.0
    single = y.astype(np.float32)
    with pytest.warns(cv.DeadUnitWarning):
        assert cv.SubspaceMatcher(x, single, center=True).dead_y.tolist() == [1]


@pytest.mark.parametrize("n_examples", [3, 1000, 200_000])
def test_constant_units_are_dead_when_centred(n_examples: int) -> None:
    rng = np.random.default_rng(3)
    x = np.tile(10.0 ** rng.uniform(-8, 8, size=12), (n_examples, 1))
    x[0, 5] *= 1.0 + 6e-8  # one float32 step in one example: not constant
    factor = cv.Factor([12]).update([x])
    if n_examples > 1000:
        factor.merge(cv.Factor([12]).update([x]))
    dead = ~factor.triangle(center=True).any(axis=0)
    assert dead.tolist() == [unit != 5 for unit in range(12)]


def test_results_are_frozen_and_short() -> None:
    match = cv.max_match(np.eye(3), np.eye(3)[:, :2], 0.25)
    assert repr(match) == "Match(epsilon=0.25, 2 + 2 units, similarity=0.800)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        match.epsilon = 0.1  # type: ignore[misc]
    matcher = cv.SubspaceMatcher(np.eye(3), np.eye(3)[:, :2])
    assert repr(matcher) == "SubspaceMatcher(3 + 2 units, 0 + 0 dead)"
    assert matcher.max_match([]) == []
    assert len(matcher.max_match(np.array([0.1, 0.2]))) == 2


def test_any_memory_order() -> None:
    x, y = mixed_pair(3)
    wide = np.zeros((x.shape[0] * 2, x.shape[1] * 3))
    wide[::2, ::3] = x
    y = np.asfortranarray(y)
    y.flags.writeable = False
    expected = [sets(match) for match in cv.max_match(x, y, EPSILONS)]
    assert [sets(match) for match in cv.max_match(wide[::2, ::3], y, EPSILONS)] == expected


MEMORY = """
import numpy as np, convergent as cv
small = np.random.default_rng(0).standard_normal((3000, 256), dtype=np.float32)
cv.max_match(small[:, :128], small[:, 128:], 0.3)
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
before = peak()
x = np.random.default_rng(0).standard_normal((N, W), dtype=np.float32)
y = np.random.default_rng(1).standard_normal((N, W), dtype=np.float32)
size = x.nbytes + y.nbytes
cv.max_match(x, y, 0.3)
print((peak() - before) / size)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system tells no peak")
def test_peak_memory() -> None:
    program = MEMORY.replace("N, W", "100_000, 128")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert 0.9 < float(done.stdout) < 1.5
