"""Matches from moments, from a factor and from activations; and how certain they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from convergent.measures import gram_span, paired_spans
from tests.reference import subspace as reference

Matrix = NDArray[np.float64]
EPSILONS = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 0.7, 0.9]


def networks(seed: int, n_examples: int = 200) -> tuple[Matrix, Matrix]:
    """Rectified units that match in part; some duplicated, nearly dependent or dead."""
    random = np.random.default_rng(seed)
    n_x, n_y = random.integers(2, 12, 2)
    causes = np.maximum(random.standard_normal((n_examples, 12)), 0.0)
    x, y = (causes @ random.standard_normal((12, n)) for n in (n_x, n_y))
    x += random.choice([1e-9, 1e-3, 0.1, 0.3]) * random.standard_normal(x.shape)
    y += random.choice([1e-9, 1e-3, 0.1, 0.3]) * random.standard_normal(y.shape)
    if random.random() < 0.3:
        y[:, -1] = y[:, 0]
    if random.random() < 0.3:
        x[:, -1] = 0.0
    return x * 10.0 ** random.integers(-4, 5, n_x), y


def sets(match: cv.Match) -> tuple[list[int], list[int]]:
    return match.x.tolist(), match.y.tolist()


@pytest.mark.filterwarnings("ignore::convergent.DeadUnitWarning")
@given(seed=st.integers(0, 10**6), center=st.booleans())
@settings(max_examples=300)
def test_moments_decide_as_activations_do_or_say_so(seed: int, center: bool) -> None:
    x, y = networks(seed)
    moments = cv.Moments([x.shape[1], y.shape[1]]).update([x, y])
    found = cv.SubspaceMatcher.from_moments(moments, center=center).max_match(EPSILONS)
    expected = cv.SubspaceMatcher(x, y, center=center).max_match(EPSILONS)
    for match, other in zip(found, expected):
        if match.certain:
            assert sets(match) == sets(other)
            assert match.similarity == other.similarity


def test_moments_of_real_margins_are_certain() -> None:
    random = np.random.default_rng(0)
    x = np.maximum(random.standard_normal((500, 20)), 0.0)
    y = x[:, :15] + np.linspace(0, 1, 15) * random.standard_normal((500, 15)) / 2 + 0.05
    three = cv.Moments([15, 3, 20]).update([y, x[:, :3], x])
    matcher = cv.SubspaceMatcher.from_moments(three, (2, 0))
    assert (matcher.n_x, matcher.n_y) == (20, 15)
    matches = matcher.max_match(EPSILONS)
    assert [sets(m) for m in matches] == [sets(m) for m in cv.max_match(x, y, EPSILONS)]
    assert all(match.certain for match in matches)
    doubled = cv.Moments([20, 15]).update([np.hstack([x[:, :19], x[:, :1]]), y])
    match = cv.SubspaceMatcher.from_moments(doubled).max_match(1e-8)
    assert not match.certain
    assert "not certain" in repr(match)


@pytest.mark.parametrize(
    ("moments", "networks_", "error", "message"),
    [
        ("none", (0, 1), TypeError, "`moments` must be Moments, got str"),
        (cv.Moments([2, 2]), (0, 1), ValueError, "`moments` must have at least 2 examples, got 0"),
        (None, (0, 2), ValueError, "`networks` must be between 0 and 1, got 2"),
        (None, (0,), ValueError, r"`networks` must be a pair of networks, got \(0,\)"),
        (None, 1, ValueError, "`networks` must be a pair of networks, got 1"),
    ],
)
def test_bad_moments(moments: Any, networks_: Any, error: type[Exception], message: str) -> None:
    if moments is None:
        moments = cv.Moments([2, 2]).update([np.eye(3)[:, :2], np.eye(3)[:, 1:]])
    with pytest.raises(error, match=message):
        cv.SubspaceMatcher.from_moments(moments, networks_)


@pytest.mark.filterwarnings("ignore::convergent.DeadUnitWarning")
def test_dead_units_of_moments() -> None:
    x = np.column_stack([np.arange(5.0), np.full(5, 3.0), np.zeros(5)])
    moments = cv.Moments([3, 3]).update([x, x[:, ::-1]])
    plain = cv.SubspaceMatcher.from_moments(moments)
    assert (plain.dead_x.tolist(), plain.dead_y.tolist()) == ([2], [0])
    centred = cv.SubspaceMatcher.from_moments(moments, center=True)
    assert (centred.dead_x.tolist(), centred.dead_y.tolist()) == ([1, 2], [0, 1])
    assert sets(centred.max_match(0.1)) == ([0], [2])
    constant = cv.Moments([1, 1]).update([x[:, 2:], x[:, :1]])
    assert cv.SubspaceMatcher.from_moments(constant).max_match(0.5).similarity == 0.0


@given(seed=st.integers(0, 10**6), epsilon=st.sampled_from(EPSILONS))
@settings(max_examples=150)
def test_the_margin_is_that_of_the_closest_decision(seed: int, epsilon: float) -> None:
    x, y = networks(seed)
    assume((np.abs(x).max(axis=0) > 0).all())
    decisions = reference.Decisions()
    reference.max_match(x, y, epsilon, decisions)
    assume(decisions.margin > 1e-8)
    match = cv.max_match(x, y, epsilon)
    assert match.margin == pytest.approx(decisions.margin, abs=1e-9)
    assert match.certain
    shared = cv.SubspaceMatcher(x, y).max_match(sorted(EPSILONS))
    for one, other in zip(shared, sorted(EPSILONS)):
        assert one.margin > 0
        if other == epsilon:
            assert sets(one) == sets(match)


def through(route: str, x: Any, y: Any, center: bool) -> Any:
    """Spans by one of the routes from activations."""
    pair = paired_spans.ActivationPair(x, y, center=center, n_threads=2)
    gram = pair.products(slice(None))
    if route == "products":
        return pair.by_products(gram)
    if route == "reflections":
        return pair.by_reflections(gram)
    factor = cv.Factor((x.shape[1], y.shape[1])).update([x, y])
    triangle = factor.triangle(center=center)
    return paired_spans.of_triangle(triangle, x.shape[1], factor.n_examples, n_threads=2)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_routes_give_the_same_distances(level: str, dtype: Any, center: bool) -> None:
    random = np.random.default_rng(1)
    causes = np.maximum(random.standard_normal((6000, 60)), 0.0) + 0.1
    x = (causes @ random.standard_normal((60, 40)) + random.standard_normal((6000, 40))) * 1e5
    y = causes @ random.standard_normal((60, 50)) + random.standard_normal((6000, 50))
    y[:, 4] = 0.0
    x, y = np.asfortranarray(x.astype(dtype)), y.astype(dtype)
    by_factor = through("factor", x, y, center)
    for route in ("products", "reflections"):
        found = through(route, x, y, center)
        assert (found.accuracy == gram_span.ACCURACY) == (route == "products")
        np.testing.assert_array_equal(found.alive, by_factor.alive)
        for one, other in zip(found.spans, by_factor.spans):
            np.testing.assert_allclose(
                np.sqrt(one.residuals), np.sqrt(other.residuals), rtol=0, atol=1e-11
            )


@pytest.mark.parametrize(
    "kind", ["duplicates", "close", "spanned", "few examples", "overflow", "tiny"]
)
def test_products_are_not_used_where_they_lose_digits(kind: str) -> None:
    random = np.random.default_rng(2)
    x, y = (random.standard_normal((4000, 12)) for _ in range(2))
    if kind == "duplicates":
        x[:, 3] = x[:, 5] + 1e-6 * x[:, 6]
    if kind == "close":  # no unit of y is the worse for it at first, but one may be later
        x[:, 3] = x[:, 5] + 1e-3 * x[:, 6]
    if kind == "spanned":
        y[:, 2] = x[:, 1] + 1e-7 * y[:, 2]
    if kind == "few examples":
        x, y = x[:11], y[:11]
    if kind == "overflow":
        y[:, 0] *= 1e200
    if kind == "tiny":
        y[:, 0] *= 1e-200
    assert through("products", x, y, False) is None
    assert through("products", random.standard_normal((4000, 12)), random.random((4000, 9)), False)


def test_examples_that_vary_late_are_not_taken_for_dependent_for_good() -> None:
    """The first examples decide the route, never the result."""
    random = np.random.default_rng(3)
    x, y = (random.standard_normal((3000, 10)) for _ in range(2))
    y[:, :5] = x[:, :5] + 0.2 * y[:, :5]
    x[:200, 3] = x[:200, 4]
    decisions = reference.Decisions()
    for epsilon in EPSILONS:
        expected = reference.max_match(x, y, epsilon, decisions)
        assert sets(cv.max_match(x, y, epsilon)) == expected
    assert decisions.margin > 1e-9


def test_same_bits_for_any_threads(level: str) -> None:
    random = np.random.default_rng(4)
    x = random.standard_normal((9000, 30))
    for y in (random.standard_normal((9000, 30)), x[:, ::-1] * 2.0):
        one, many = (cv.SubspaceMatcher(x, y, n_threads=n).levels() for n in (1, 3))
        np.testing.assert_array_equal(one.x, many.x)
        np.testing.assert_array_equal(one.y, many.y)


@pytest.mark.parametrize("center", [False, True])
def test_a_streaming_factor_is_as_good_as_the_activations(center: bool) -> None:
    random = np.random.default_rng(5)
    x, y, z = (random.standard_normal((300, 8)) + 1.0 for _ in range(3))
    z[:, :5] = x[:, :5] + 0.3 * z[:, :5]
    factor = cv.Factor([8, 8, 8]).update([z, y, x])
    matcher = cv.SubspaceMatcher.from_factor(factor, networks=(2, 0), center=center)
    expected = cv.SubspaceMatcher(x, z, center=center)
    for match, other in zip(matcher.max_match(EPSILONS), expected.max_match(EPSILONS)):
        assert sets(match) == sets(other)
    triangle = factor.triangle((2, 0), center=center)
    plain = cv.SubspaceMatcher.from_factor(triangle, 8)
    assert sets(plain.max_match(0.4)) == sets(expected.max_match(0.4))


@pytest.mark.parametrize("n_examples", [900, 20_000])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_the_allowance_for_rounding_is_generous(n_examples: int, offset: float) -> None:
    """What the Gram matrix gets wrong is far below what it may: distances to 1e-10."""
    random = np.random.default_rng(6)
    causes = np.maximum(random.standard_normal((n_examples, 80)), 0.0) + offset
    x, y = (causes @ random.standard_normal((80, 60)) for _ in range(2))
    x += random.standard_normal(x.shape)
    y[:, :20] = x[:, 20:40] + 0.03 * random.standard_normal((n_examples, 20))
    y += 0.02 * random.standard_normal(y.shape)
    by_products, by_reflections = (
        through(route, x, y, False) for route in ("products", "reflections")
    )
    for one, other in zip(by_products.spans, by_reflections.spans):
        away = np.abs(np.sqrt(one.residuals) - np.sqrt(other.residuals))
        assert away.max() < 1e-12


def test_dependent_units_that_no_diagonal_tells() -> None:
    """Each is far from the span of those before, and yet they are dependent to rounding."""
    units = np.eye(60) - np.triu(np.ones((60, 60)), 1)
    units /= np.linalg.norm(units, axis=0)
    assert np.abs(np.diag(units)).min() > 0.1
    assert np.linalg.matrix_rank(units) == 59
    joint = np.zeros((63, 63))
    joint[:60, :60] = units
    joint[:, 60:] = np.random.default_rng(7).standard_normal((63, 3))
    matcher = cv.SubspaceMatcher.from_factor(np.triu(joint), 60)
    assert matcher._live.spans is not None
    assert [span.triangle.shape[0] for span in matcher._live.spans] == [59, 3]
