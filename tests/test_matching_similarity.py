"""The maximum matching similarity: of all examples, and averaged over draws of positions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from convergent.measures.matching_similarity import drawn_examples, rows_of
from tests.reference import matching_similarity as reference
from tests.reference.subspace import Decisions

Maps = NDArray[np.float64]
EPSILONS = [0.5, 0.0, 0.2, 0.8]
DEAD = ["exclude", "match", "unmatched"]
MARGIN = 1e-9


def feature_maps(seed: int, n_images: int = 6) -> tuple[Maps, Maps]:
    """Two networks of 5 and 4 channels that mix the same causes; some are noisy, some (nearly) dead."""
    random = np.random.default_rng(seed)
    causes = random.standard_normal((n_images, 4, 3, 2))
    causes *= random.random((n_images, 1, 3, 2)) < 0.8
    networks = []
    for n_channels in (5, 4):
        weights = random.standard_normal((n_channels, 4)) * (random.random((n_channels, 4)) < 0.6)
        maps = np.einsum("uc,nchw->nuhw", weights, causes)
        noise = random.choice([0.0, 0.1, 0.6], size=n_channels)[:, None, None]
        maps = (
            maps + noise * random.standard_normal(maps.shape) * (causes != 0).any(axis=1)[:, None]
        )
        maps[:, random.random(n_channels) < 0.15] *= random.random((n_images, 1, 3, 2)) < 0.05
        networks.append(maps)
    return networks[0], networks[1]


@given(
    seed=st.integers(0, 2**32 - 1),
    dead_units=st.sampled_from(DEAD),
    single=st.booleans(),
    matrices=st.booleans(),
    n_positions=st.integers(4, 40),
)
@settings(max_examples=60)
def test_each_draw_is_the_match_of_its_rows(
    seed: int, dead_units: str, single: bool, matrices: bool, n_positions: int
) -> None:
    x, y = feature_maps(seed)
    if single:
        x, y = (maps.astype(np.float32) for maps in (x, y))  # type: ignore[assignment]
    x_rows, y_rows = reference.positions(x), reference.positions(y)
    given_x, given_y = (x_rows, y_rows) if matrices else (x, y)
    decisions = Decisions()
    drawn = list(drawn_examples(len(x_rows), n_positions, 3, seed=5))
    expected = [
        [
            reference.similarity(x_rows, y_rows, rows.tolist(), epsilon, dead_units, decisions)
            for epsilon in EPSILONS
        ]
        for rows in drawn
    ]
    if n_positions >= len(x_rows):
        expected = expected * 3
    assume(decisions.margin > MARGIN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.DeadUnitWarning)
        found = cv.matching_similarity(
            given_x,
            given_y,
            EPSILONS,
            convention="authors",
            n_positions=n_positions,
            n_draws=3,
            seed=5,
            dead_units=dead_units,
        )
    assert found.draws.tolist() == expected
    assert found.epsilons.tolist() == EPSILONS
    np.testing.assert_allclose(found.mean, np.mean(expected, axis=0), atol=1e-15)
    spread = np.sqrt(((np.array(expected) - np.mean(expected, axis=0)) ** 2).sum(axis=0) / 2)
    np.testing.assert_allclose(found.std, spread, atol=1e-15)


@given(seed=st.integers(0, 2**32 - 1), center=st.booleans(), dead_units=st.sampled_from(DEAD))
@settings(max_examples=60)
def test_all_examples_are_one_maximum_match(seed: int, center: bool, dead_units: str) -> None:
    x, y = feature_maps(seed)
    options: dict[str, Any] = {"center": center, "dead_units": dead_units}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.DeadUnitWarning)
        x_rows, y_rows = reference.positions(x), reference.positions(y)
        matches = cv.max_match(x_rows, y_rows, EPSILONS, **options)
        found = cv.matching_similarity(x, y, EPSILONS, **options)
        of_rows = cv.matching_similarity(x_rows, y_rows, EPSILONS, **options)
    assert found.draws.tolist() == [[match.similarity for match in matches]]
    assert found.mean.tolist() == of_rows.mean.tolist() == found.draws[0].tolist()
    assert found.std.tolist() == [0.0] * len(EPSILONS)


def test_one_epsilon_is_a_sequence_of_one() -> None:
    x, y = feature_maps(0)
    found = cv.matching_similarity(x, y, 0.5, convention="authors", n_positions=20, n_draws=4)
    many = cv.matching_similarity(x, y, [0.5], convention="authors", n_positions=20, n_draws=4)
    assert found.epsilons.tolist() == [0.5]
    assert found.draws.shape == (4, 1)
    assert found.draws.tolist() == many.draws.tolist()
    assert cv.matching_similarity(x, y, []).draws.shape == (1, 0)


def test_draws_are_seeded() -> None:
    x, y = feature_maps(3, n_images=40)
    options: dict[str, Any] = {"convention": "authors", "n_positions": 12, "dead_units": "match"}
    first = cv.matching_similarity(x, y, 0.5, n_draws=12, **options).draws
    assert first.tolist() == cv.matching_similarity(x, y, 0.5, n_draws=12, **options).draws.tolist()
    fewer = cv.matching_similarity(x, y, 0.5, n_draws=3, **options).draws
    assert fewer.tolist() == first[:3].tolist()
    other = cv.matching_similarity(x, y, 0.5, n_draws=12, seed=1, **options).draws
    assert other.tolist() != first.tolist()


def test_draws_are_uniform_without_replacement() -> None:
    n_examples, n_positions, n_draws = 40, 10, 2000
    drawn = np.array(list(drawn_examples(n_examples, n_positions, n_draws, seed=0)))
    assert drawn.shape == (n_draws, n_positions)
    assert (np.diff(drawn, axis=1) > 0).all()  # ascending, so none twice
    assert drawn.min() == 0
    assert drawn.max() == n_examples - 1
    counts = np.bincount(drawn.ravel(), minlength=n_examples)
    expected = n_draws * n_positions / n_examples
    variance = n_draws * 0.25 * 0.75
    assert (np.abs(counts - expected) < 4.5 * np.sqrt(variance)).all()
    # Pairs, too: a draw of runs of neighbours would pass the test above.
    together = np.mean([(np.diff(row) == 1).sum() for row in drawn])
    expected_pairs = (n_examples - 1) * (10 / 40) * (9 / 39)
    assert together == pytest.approx(expected_pairs, rel=0.05)


@pytest.mark.parametrize("n_positions", [48, 49, 10_000])
def test_few_examples_are_all_used(n_positions: int) -> None:
    x, y = feature_maps(4, n_images=8)
    everything = cv.matching_similarity(x, y, EPSILONS)
    found = cv.matching_similarity(
        x, y, EPSILONS, convention="authors", n_positions=n_positions, n_draws=5
    )
    assert found.draws.tolist() == [everything.mean.tolist()] * 5
    assert found.mean.tolist() == everything.mean.tolist()
    assert found.std.tolist() == [0.0] * len(EPSILONS)


def test_the_mean_of_large_draws_is_close_to_all_examples() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((400, 12, 5, 5))
    y = x + np.linspace(0.05, 1.0, 12)[:, None, None] * random.standard_normal(x.shape)
    everything = cv.matching_similarity(x, y, [0.2, 0.4, 0.6]).mean
    assert 0.0 < everything[1] < everything[2] < 1.0
    errors = [
        np.abs(
            cv.matching_similarity(
                x, y, [0.2, 0.4, 0.6], convention="authors", n_positions=n_positions
            ).mean
            - everything
        ).max()
        for n_positions in (30, 3000)
    ]
    assert errors[1] < 0.05 < errors[0]
    few = cv.matching_similarity(x, y, 0.4, convention="authors", n_positions=30).mean
    assert few[0] > everything[1]  # few examples fit more easily


def test_rows_of_feature_maps_are_its_positions() -> None:
    maps = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    everywhere = reference.positions(maps)
    drawn = np.array([0, 7, 19, 20, 39])
    assert rows_of(maps, drawn).tolist() == everywhere[drawn].tolist()


def test_dead_units_of_any_draw_are_named_once() -> None:
    x, y = np.eye(40)[:, :3] + 0.0, np.ones((40, 2))
    x[:, 1] = 0.0
    with pytest.warns(cv.DeadUnitWarning) as caught:
        cv.matching_similarity(x, y, 0.5, convention="authors", n_positions=20, n_draws=8)
    (warning,) = caught
    assert "`x` has 3 constant or dead units (0, 1, 2)" in str(warning.message)
    assert "of the draws in which they are dead" in str(warning.message)
    assert warning.filename == __file__
    with pytest.warns(cv.DeadUnitWarning, match=r"`x` has 1 .* left out of the similarity$"):
        cv.matching_similarity(x, y, 0.5)


def test_memory_order_does_not_matter() -> None:
    x, y = feature_maps(6)
    options: dict[str, Any] = {"convention": "authors", "n_positions": 20, "dead_units": "match"}
    expected = cv.matching_similarity(x, y, EPSILONS, **options)
    channels_last = x.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
    found = cv.matching_similarity(channels_last, y[::-1][::-1], EPSILONS, **options)
    assert found.draws.tolist() == expected.draws.tolist()
    everything = cv.matching_similarity(x, y, EPSILONS, dead_units="match").mean
    found = cv.matching_similarity(channels_last, y, EPSILONS, dead_units="match")
    assert found.mean.tolist() == everything.tolist()


def test_the_matcher_has_the_same_numbers() -> None:
    x, y = (reference.positions(maps) for maps in feature_maps(7))
    matcher = cv.SubspaceMatcher(x, y)
    one = matcher.similarity(0.5)
    assert isinstance(one, float)
    assert one == matcher.max_match(0.5).similarity
    assert 0.0 < one < 1.0
    many = matcher.similarity(EPSILONS)
    assert isinstance(many, np.ndarray)
    assert many.tolist() == [match.similarity for match in matcher.max_match(EPSILONS)]
    assert matcher.similarity(np.array(EPSILONS)).tolist() == many.tolist()
    assert matcher.similarity([]).shape == (0,)
    with pytest.raises(ValueError, match=r"`epsilon\[1\]` must lie in \[0, 1\), got 2.0"):
        matcher.similarity([0.1, 2.0])


def test_repr_is_short() -> None:
    x, y = feature_maps(0)
    found = cv.matching_similarity(
        x, y, [0.1, 0.2, 0.3, 0.4], convention="authors", n_positions=9, n_draws=2
    )
    assert repr(found).startswith("MatchingSimilarity(s(0.1)=")
    assert repr(found).endswith(", ...; 2 draws)")
    assert repr(cv.matching_similarity(x, y, 0.999)) == "MatchingSimilarity(s(0.999)=1.000; 1 draw)"


MAPS = np.random.default_rng(0).standard_normal((4, 3, 2, 2))


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (MAPS, MAPS[:3], ValueError, r"`y` must have the images, height and width of `x`, got shapes \(3, 3, 2, 2\)"),
        (MAPS, MAPS[:, :, :1], ValueError, r"height and width of `x`, got shapes \(4, 3, 1, 2\)"),
        (MAPS, np.ones((16, 3)), ValueError, r"`y` must have the images.*got shapes \(16, 3\) and"),
        (MAPS[:, 0], MAPS, ValueError, r"`x` must be two-dimensional .* or four-dim.*\(4, 2, 2\)"),
        (np.ones((4, 2)), np.ones((3, 2)), ValueError, "`y` must have as many examples as `x`"),
        (MAPS[:, :0], MAPS, ValueError, r"`x` must not be empty, got shape \(4, 0, 2, 2\)"),
        (MAPS[:1, :, :1, :1], MAPS[:1, :, :1, :1], ValueError, "`x` must have at least 2 positions"),
        (MAPS * 1j, MAPS, TypeError, "`x` must be real, got complex"),
        (MAPS, MAPS.astype(object), ValueError, "`y` must be an array of numbers"),
    ],
)  # fmt: skip
def test_bad_activations(x: Any, y: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cv.matching_similarity(x, y, 0.5)


def test_bad_values_in_feature_maps_are_named() -> None:
    maps = MAPS.copy()
    maps[1, 2, 0, 1] = np.nan
    maps[3, 1, 1, 1] = np.inf
    with pytest.raises(ValueError, match=r"`y` must be finite, got 2 .*, the first in unit 1"):
        cv.matching_similarity(MAPS, maps, 0.5)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"convention": "paper"}, ValueError, "`convention` must be one of 'all', 'authors', got 'paper'"),
        ({"n_positions": 1}, ValueError, "`n_positions` must be at least 2, got 1"),
        ({"n_positions": 2.5}, TypeError, "`n_positions` must be a whole number, got 2.5"),
        ({"n_draws": 0}, ValueError, "`n_draws` must be at least 1, got 0"),
        ({"seed": -1}, ValueError, "`seed` must be at least 0, got -1"),
        ({"dead_units": "drop"}, ValueError, "`dead_units` must be one of 'exclude'"),
        ({"center": 1}, TypeError, "`center` must be True or False, got 1"),
        ({"epsilon": 1.0}, ValueError, r"`epsilon` must lie in \[0, 1\), got 1.0"),
        ({"epsilon": [0.1, -0.1]}, ValueError, r"`epsilon\[1\]` must lie in \[0, 1\), got -0.1"),
        ({"epsilon": np.ones((2, 2))}, ValueError, r"a number or a sequence, got shape \(2, 2\)"),
        ({"epsilon": "0.1"}, TypeError, "`epsilon` must be a real number, got '0.1'"),
    ],
)  # fmt: skip
def test_bad_settings(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cv.matching_similarity(MAPS, MAPS, **{"epsilon": 0.5, **options})
