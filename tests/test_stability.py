"""Bounds of Theorem 14's angle and gap against every set of units, and the theorem itself."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from convergent.measures import stability as module
from tests.reference import stability as reference
from tests.reference.subspace import EXACT, Decisions, normalised, rank_tolerance

Matrix = NDArray[np.float64]
KINDS = ("twins", "mixtures", "groups", "duplicates", "few examples", "own units")


def networks(kind: str, n_x: int, n_y: int, seed: int) -> tuple[Matrix, Matrix]:
    """Networks of every degree of stability: from twins with little noise to dependent units."""
    random = np.random.default_rng(seed)
    n_examples = 5 if kind == "few examples" else 60
    x = random.standard_normal((n_examples, n_x))
    if kind == "twins" and n_examples > n_x:
        x = np.linalg.qr(x)[0]
    if kind in ("twins", "duplicates"):
        y = np.resize(x.T, (n_y, n_examples)).T
    elif kind == "groups":
        y = x[:, random.integers(0, n_x, n_y)] - x[:, random.integers(0, n_x, n_y)]
        y += x[:, [0]]
    elif kind == "own units":
        y = random.standard_normal((n_examples, n_y))
        y[:, : n_y // 2] = x[:, [0]]
    else:
        y = x @ random.standard_normal((n_x, n_y))
    spread = np.linalg.norm(y, axis=0) / np.sqrt(n_examples)
    noise = spread * 10.0 ** -random.uniform(0.3, 4, n_y)
    y = y + noise * random.standard_normal(y.shape)
    if kind == "duplicates":
        x[:, -1] = x[:, 0]
    return x * 10.0 ** random.integers(-3, 4, n_x), y


drawn = given(
    kind=st.sampled_from(KINDS),
    n_x=st.integers(1, 5),
    n_y=st.integers(1, 5),
    seed=st.integers(0, 10**6),
    epsilon=st.sampled_from([0.0, 1e-3, 0.02, 0.1, 0.3, 0.6]),
    few=st.sampled_from([0, 2, 12]),
)
problems = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)


@problems
@drawn
def test_bounds_enclose_what_all_sets_of_units_give(
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    n_x: int,
    n_y: int,
    seed: int,
    epsilon: float,
    few: int,
) -> None:
    monkeypatch.setattr(module, "_FEW", few)
    x, y = networks(kind, n_x, n_y, seed)
    found = cv.SubspaceMatcher(x, y).stability(epsilon)
    one, other = normalised(x), normalised(y)
    x_tolerance, y_tolerance = rank_tolerance(one), rank_tolerance(other)
    threshold = max(epsilon, EXACT, x_tolerance, y_tolerance)
    decisions = Decisions()
    of_x = reference.gaps(one, other, threshold, y_tolerance, decisions)
    of_y = reference.gaps(other, one, threshold, x_tolerance, decisions)
    assume(decisions.margin > min(1e-9, threshold / 2))
    theta = min(
        reference.independence(one, x_tolerance), reference.independence(other, y_tolerance)
    )
    assert found.theta <= theta * (1 + 1e-9) + 1e-12
    assert found.theta_upper >= theta * (1 - 1e-9) - 1e-12
    true_gap = min(of_x.min(), of_y.min())
    assert 1.0 <= found.gap <= true_gap * (1 + 1e-6)
    assert found.gap_upper >= true_gap * (1 - 1e-6)
    for certain, true in ((found.x, of_x), (found.y, of_y)):
        assert (certain <= true * (1 + 1e-6)).all()
        known = certain > 1.0
        np.testing.assert_allclose(certain[known], true[known], rtol=1e-6)
    if few == 12 and theta > 1e-6:
        assert found.theta == pytest.approx(theta, rel=1e-6)
        assert found.theta_upper == pytest.approx(theta, rel=1e-6)
        assert found.gap == pytest.approx(true_gap, rel=1e-6)
        assert found.gap_upper == pytest.approx(true_gap, rel=1e-6)
    with np.errstate(divide="ignore"):
        assert found.required_gap == 2 / np.sin(found.theta) + 1
    assert found.unique == (found.gap > found.required_gap)


@problems
@drawn
def test_where_the_theorem_holds_no_unit_has_two_minimal_matches(
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    n_x: int,
    n_y: int,
    seed: int,
    epsilon: float,
    few: int,
) -> None:
    monkeypatch.setattr(module, "_FEW", few)
    x, y = networks(kind, n_x, n_y, seed)
    matcher = cv.SubspaceMatcher(x, y)
    assume(matcher.stability(epsilon).unique)
    for unit in [("x", i) for i in range(n_x)] + [("y", j) for j in range(n_y)]:
        found = matcher.all_min_matches(unit, epsilon)
        assert found.complete
        assert len(found.matches) <= 1


@pytest.mark.parametrize("n_units", [6, 40, 150])
def test_orthogonal_twins_are_unique_up_to_a_third(n_units: int) -> None:
    """With right angles the gap must exceed 3; the empty set attains 1 / epsilon."""
    x = np.linalg.qr(np.random.default_rng(0).standard_normal((400, 2 * n_units)))[0]
    y = x[:, :n_units] + 0.01 * x[:, n_units:]
    matcher = cv.SubspaceMatcher(x[:, :n_units], y)
    for epsilon in (0.1, 0.33):
        found = matcher.stability(epsilon)
        assert found.theta == pytest.approx(np.pi / 2, rel=1e-9)
        assert found.required_gap == pytest.approx(3.0)
        assert found.gap == pytest.approx(found.gap_upper) == pytest.approx(1.0 / epsilon, rel=1e-3)
        assert found.unique
    assert not matcher.stability(0.34).unique
    assert matcher.stability(0.0).gap == pytest.approx(0.01 / np.sqrt(1.0001) / 1e-10)


def test_a_unit_just_above_epsilon_is_unstable() -> None:
    x, y = np.eye(6)[:, :2], np.eye(6)[:, :2] + 0.2 * np.eye(6)[:, 2:4]
    distance = 0.2 / np.sqrt(1.04)
    found = cv.SubspaceMatcher(x, y).stability(0.15)
    assert found.gap == pytest.approx(distance / 0.15)
    assert found.gap_upper == pytest.approx(distance / 0.15)
    assert not found.unique
    assert cv.SubspaceMatcher(x, y).stability(0.25).unique
    at_the_border = cv.SubspaceMatcher(x, y).stability(distance)
    assert at_the_border.gap == 1.0
    assert at_the_border.gap_upper > 4.0
    assert not at_the_border.unique


def test_the_angle_decides() -> None:
    """Two units at an angle of 0.2, each with a twin: the gap must exceed 2 / sin(0.2) + 1 = 11."""
    basis = np.eye(3)
    x = np.column_stack([basis[0], np.cos(0.2) * basis[0] + np.sin(0.2) * basis[1]])
    matcher = cv.SubspaceMatcher(x, x.copy())
    found = matcher.stability(0.01)
    assert found.theta == pytest.approx(0.2)
    assert found.theta_upper == pytest.approx(0.2)
    assert found.gap == pytest.approx(np.sin(0.2) / 0.01)
    assert found.unique
    assert not matcher.stability(0.019).unique


@pytest.mark.parametrize("few", [0, 12])
def test_a_search_finds_unstable_sets_of_many_units(
    monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """A unit of y adds 30 units of x, of which any 9 may leave together."""
    monkeypatch.setattr(module, "_FEW", few)
    x = np.eye(40)[:, :30]
    matcher = cv.SubspaceMatcher(x, x.sum(axis=1, keepdims=True))
    found = matcher.stability(np.sqrt(9.5 / 30))
    assert found.y.tolist() == [1.0]
    assert found.gap == 1.0
    assert found.gap_upper == pytest.approx(np.sqrt(10 / 9.5))
    assert found.theta == pytest.approx(np.pi / 2)
    assert found.theta_upper == pytest.approx(np.pi / 2)
    assert cv.SubspaceMatcher(x[:, :9], x[:, :9].sum(axis=1, keepdims=True)).stability(
        np.sqrt(4.5 / 9)
    ).gap == (pytest.approx(np.sqrt(5 / 4.5)) if few else 1.0)


def test_the_search_comes_close_to_epsilon() -> None:
    """Mixtures of 40 units have subsets at almost any distance."""
    random = np.random.default_rng(0)
    x = random.standard_normal((60, 40))
    found = cv.SubspaceMatcher(x, x @ random.standard_normal((40, 40))).stability(0.5)
    assert found.gap == 1.0
    assert 1.0 < found.gap_upper < 1.01


def test_the_empty_set_remains_where_the_search_finds_none() -> None:
    """A sum of 200 units of which 100 may leave: the search ends before."""
    x = np.eye(201)[:, :200]
    found = cv.SubspaceMatcher(x, x.sum(axis=1, keepdims=True)).stability(np.sqrt(0.5))
    assert found.y.tolist() == [1.0]
    assert found.gap_upper == pytest.approx(np.sqrt(2.0), rel=0.01)


def test_dependent_units_exclude_the_theorem() -> None:
    x = np.eye(4)[:, :2]
    found = cv.SubspaceMatcher(x, x[:, [0, 0]]).stability(0.1)
    assert (found.theta, found.theta_upper, found.required_gap) == (0.0, 0.0, np.inf)
    assert found.x.tolist() == [1.0, pytest.approx(10.0)]
    assert not found.unique
    assert len(cv.SubspaceMatcher(x, x[:, [0, 0]]).all_min_matches(("x", 0), 0.1).matches) == 2


def test_one_unit_each() -> None:
    x, y = np.eye(3)[:, :1], np.eye(3)[:, :1] + 0.1 * np.eye(3)[:, 1:2]
    found = cv.SubspaceMatcher(x, y).stability(0.2)
    assert found.theta == found.theta_upper == np.pi / 2
    assert found.gap == found.gap_upper == pytest.approx(5.0)
    assert found.unique


def test_dead_units_belong_to_no_set() -> None:
    x, y = networks("twins", 4, 4, 0)
    plain = cv.SubspaceMatcher(x, y).stability(0.1)
    for dead_units in ("match", "unmatched"):
        matcher = cv.SubspaceMatcher(
            np.insert(x, 1, 0.0, axis=1), np.insert(y, 4, 0.0, axis=1), dead_units=dead_units
        )
        found = matcher.stability(0.1)
        assert found.x[1] == found.y[4] == np.inf
        np.testing.assert_allclose(np.delete(found.x, 1), plain.x)
        np.testing.assert_allclose(np.delete(found.y, 4), plain.y)
        assert found.theta == pytest.approx(plain.theta)
        assert found.gap == pytest.approx(plain.gap)
        assert found.unique == plain.unique


@pytest.mark.parametrize("epsilon", [0.0, 0.25])
def test_a_network_of_dead_units(epsilon: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.DeadUnitWarning)
        found = cv.SubspaceMatcher(np.zeros((9, 2)), np.eye(9)[:, :3]).stability(epsilon)
    assert (found.theta, found.theta_upper) == (0.0, np.pi / 2)
    assert found.gap == found.gap_upper == (4.0 if epsilon else np.inf)
    assert found.x.tolist() == [np.inf] * 2
    assert found.y.tolist() == [found.gap] * 3
    assert found.unique


@pytest.mark.parametrize(
    ("epsilon", "error", "message"),
    [
        (1.0, ValueError, r"`epsilon` must lie in \[0, 1\), got 1.0"),
        (-0.1, ValueError, r"`epsilon` must lie in \[0, 1\), got -0.1"),
        ("0.1", TypeError, "`epsilon` must be a real number, got '0.1'"),
    ],
)
def test_bad_epsilons(epsilon: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cv.SubspaceMatcher(np.eye(3), np.eye(3)).stability(epsilon)


def test_the_result_is_frozen_and_short() -> None:
    found = cv.SubspaceMatcher(np.eye(3), np.eye(3)).stability(0.1)
    assert repr(found) == "Stability(epsilon=0.1, theta>=1.57, gap>=10 of 3, unique=True)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.gap = 2.0  # type: ignore[misc]
