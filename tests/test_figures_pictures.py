"""Figures with image patches show the right patches of the right units, whatever the patches are."""

from __future__ import annotations

import base64

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from convergent.report import figures
from convergent.report.figures.patch_blocks import blocks_drawn, largest_side
from convergent.report.figures.style import data_uri
from tests.picture_blocks import (
    MID_GREY,
    PLACEHOLDER,
    activations,
    alone,
    assert_shows,
    blocks_by_row,
    expected_picture,
    matched,
    patches_of,
    picture,
    result_of,
    words,
    words_in_line,
)


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize(("n_top", "n_columns"), [(1, 1), (3, 2), (4, 2), (7, 3), (9, 3)])
def test_a_grid_holds_the_units_patches_in_order(
    n_top: int, n_columns: int, n_channels: int
) -> None:
    patches = patches_of("first", 4, shape=(n_top, 8, 11, n_channels), units=[7, 2, 5, 11])
    (image,) = alone(patches, 5)
    expected = expected_picture(patches.pixels[2], n_columns)
    np.testing.assert_array_equal(picture(image), expected)
    left, right, bottom, top = image.get_extent()
    assert right - left == pytest.approx(1.0)
    assert bottom - top == pytest.approx(8 / 11)


def test_a_grid_shows_as_many_as_asked_for() -> None:
    patches = patches_of("first", 2)
    (image,) = alone(patches, 1, n_shown=4)
    np.testing.assert_array_equal(picture(image), expected_picture(patches.pixels[1, :4], 2))
    more = patches_of("first", 2, shape=(12, 4, 4, 3))
    (image,) = alone(more, 1)
    np.testing.assert_array_equal(picture(image), expected_picture(more.pixels[1, :9]))


def test_other_channels_become_their_mean() -> None:
    patches = patches_of("first", 1, shape=(1, 4, 4, 2))
    (image,) = alone(patches, 0)
    expected = np.round(255 * patches.pixels[0, 0].astype(np.float64).mean(axis=-1))
    np.testing.assert_array_equal(picture(image), np.repeat(expected[..., None], 3, axis=-1))


def test_large_patches_are_shrunk_by_the_means_of_areas() -> None:
    patches = patches_of("first", 1, shape=(9, 96, 96, 3))
    (image,) = alone(patches, 0)
    means = patches.pixels[0].astype(np.float64).reshape(9, 48, 2, 48, 2, 3).mean(axis=(2, 4))
    np.testing.assert_array_equal(picture(image), expected_picture(means))
    odd = patches_of("first", 1, shape=(1, 64, 50, 3))
    (image,) = alone(odd, 0)
    assert picture(image).shape == (48, 38, 3)
    shrunk, whole = picture(image).mean(axis=(0, 1)), 255 * odd.pixels[0, 0].mean(axis=(0, 1))
    np.testing.assert_allclose(shrunk, whole, atol=0.5)


def test_deconvolutions_stand_beside_the_patches_around_mid_grey() -> None:
    patches = patches_of("first", 2, deconvolutions=True)
    assert patches.deconvolutions is not None
    patches.deconvolutions[0] = 0.0
    patches.deconvolutions[0, 2, 3, 3] = (-4.0, 2.0, 0.0)
    patches.deconvolutions[0, 8, 7, 7] = 4.0
    pixels, deconvolution = alone(patches, 0, deconvolutions=True)
    np.testing.assert_array_equal(picture(pixels), expected_picture(patches.pixels[0]))
    assert deconvolution.get_extent()[0] > pixels.get_extent()[1]
    assert picture(deconvolution)[3, 2 * 8 + 3].tolist() == [0, 191, MID_GREY]
    assert picture(deconvolution)[23, 23].tolist() == [255, 255, 255]
    others = picture(deconvolution).reshape(-1, 3)
    assert np.sum((others != MID_GREY).any(axis=1)) == 2
    patches.deconvolutions[1] = 0.0
    flat = alone(patches, 1, deconvolutions=True)[1]
    assert np.unique(picture(flat)).tolist() == [MID_GREY]
    assert len(alone(patches_of("first", 2), 0, deconvolutions=True)) == 1


def test_one_large_value_does_not_hide_a_deconvolution() -> None:
    patches = patches_of("first", 1, deconvolutions=True)
    assert patches.deconvolutions is not None
    patches.deconvolutions[0, :, ::2] = 1.0
    patches.deconvolutions[0, :, 1::2] = -0.5
    patches.deconvolutions[0, 4, 4, 4] = 1e6
    deconvolution = alone(patches, 0, deconvolutions=True)[1]
    levels = np.unique(picture(deconvolution), return_counts=True)
    np.testing.assert_array_equal(levels[0], [64, 255])
    assert levels[1][0] == levels[1][1]
    patches.deconvolutions[0] *= 1e-30
    again = alone(patches, 0, deconvolutions=True)[1]
    np.testing.assert_array_equal(picture(again), picture(deconvolution))


def test_missing_patches_leave_their_places_empty() -> None:
    patches = patches_of("first", 2)
    patches.images[0, 6:] = -1
    patches.values[0, 5] = -np.inf
    (image,) = alone(patches, 0)
    expected = expected_picture(patches.pixels[0])
    expected[8:16, 16:] = PLACEHOLDER
    expected[16:] = PLACEHOLDER
    np.testing.assert_array_equal(picture(image), expected)


@pytest.mark.parametrize("unit", [0, 9])
def test_a_unit_without_patches_has_an_empty_frame(unit: int) -> None:
    patches = patches_of("first", 2)
    patches.images[0] = -1
    axes = Figure().add_subplot()
    assert figures.patch_grid(axes, patches, unit) == []
    assert [type(patch) for patch in axes.patches] == [Rectangle]
    assert [text.get_text() for text in axes.texts] == ["–"]


def test_best_and_worst_matches_are_those_of_the_matrix() -> None:
    random = np.random.default_rng(0)
    similarity = random.random((20, 15))
    first, second = patches_of("first", 20), patches_of("second", 15)
    figure = figures.best_and_worst_matches(matched(similarity), first, second)
    partners = similarity.argmax(axis=1)
    order = sorted(range(20), key=lambda unit: -similarity[unit, partners[unit]])
    shown = order[:8] + order[-8:]
    above, below = blocks_by_row(figure)
    assert_shows(above, first, shown)
    assert_shows(below, second, [int(partners[unit]) for unit in shown])
    values = [f"{similarity[unit].max():.3f}" for unit in shown]
    assert words_in_line(figure, "0.") == values
    labels = [f"unit {unit}" for unit in shown] + [f"unit {partners[unit]}" for unit in shown]
    assert words_in_line(figure, "unit ") == labels
    assert {"first", "second", "best matches", "worst matches"} <= set(words(figure))


def test_pairs_without_pictures_and_dead_units_are_not_chosen() -> None:
    similarity = np.eye(6) * np.array([0.9, 0.8, 0.7, 0.6, 0.0, 0.5])
    first = patches_of("first", 6, units=[5, 4, 3, 1, 0])
    first.values[1] = 0.0  # unit 4 is dead
    second = patches_of("second", 6, units=[0, 1, 2, 5])
    figure = figures.best_and_worst_matches(
        matched(similarity, "mutual_information"), first, second
    )
    above, below = blocks_by_row(figure)
    assert_shows(above, first, [0, 1, 5])
    assert_shows(below, second, [0, 1, 5])


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    n_units=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    shape=st.sampled_from([(9, 8, 8, 1), (1, 3, 5, 3), (4, 50, 50, 3)]),
    n_shown=st.integers(1, 5),
)
def test_whatever_is_missing_only_seen_pairs_are_shown(
    seed: int, n_units: tuple[int, int], shape: tuple[int, ...], n_shown: int
) -> None:
    random = np.random.default_rng(seed)
    seen, networks = [], []
    for name, n in zip(("first", "second"), n_units):
        units = random.permutation(n)[: random.integers(0, n + 1)]
        patches = patches_of(name, n, units=units.tolist(), shape=shape)
        dead = random.random(len(units)) < 0.3
        patches.values[dead] = 0.0
        patches.images[random.random(patches.images.shape) < 0.3] = -1
        seen.append(set(units[~dead & (patches.images >= 0).any(axis=1)].tolist()))
        networks.append(patches)
    similarity = np.round(random.random(n_units), 1)  # with ties
    figure = figures.best_and_worst_matches(matched(similarity), *networks, n_shown=n_shown)
    partners = similarity.argmax(axis=1)
    expected = [u for u in range(n_units[0]) if u in seen[0] and int(partners[u]) in seen[1]]
    expected.sort(key=lambda unit: -similarity[unit].max())
    if len(expected) > 2 * n_shown:
        expected = expected[:n_shown] + expected[-n_shown:]
    shown = [str(image.get_gid()).split() for image in blocks_drawn(figure)]
    drawn = [
        [int(gid[-1]) for gid in shown if gid[2] == f"{name},"] for name in ("first", "second")
    ]
    assert drawn == [expected, [int(partners[unit]) for unit in expected]]
    figure.canvas.draw()


def test_deconvolutions_stand_below_where_both_networks_have_them() -> None:
    similarity = np.diag([0.9, 0.8])
    first = patches_of("first", 2, deconvolutions=True)
    second = patches_of("second", 2, deconvolutions=True)
    figure = figures.best_and_worst_matches(matched(similarity), first, second)
    gids = [[image.get_gid() for image in row] for row in blocks_by_row(figure)]
    assert gids == [
        [f"{content} of {name}, unit {unit}" for unit in (0, 1)]
        for name in ("first", "second")
        for content in ("pixels", "deconvolutions")
    ]
    plain = patches_of("second", 2)
    assert (
        len(blocks_by_row(figures.best_and_worst_matches(matched(similarity), first, plain))) == 2
    )


WEIGHTS = np.array(
    [
        [0.9, 0.0, 0.0, 0.0, 0.0],
        [0.5, -0.4, 0.3, 0.05, 1e-6],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [0.2, 0.25, 0.0, 0.6, 0.0],
    ]
)


def test_few_to_one_shows_predictors_above_their_unit() -> None:
    first, second = patches_of("first", 5), patches_of("second", 4)
    figure = figures.few_to_one(result_of("sparse_map", weights=WEIGHTS), first, second, n_units=2)
    above, below = blocks_by_row(figure)
    assert_shows(above, first, [0, 1, 2, 3, 1, 0])
    assert_shows(below, second, [1, 3])
    assert words_in_line(figure, "0.") == ["0.500", "0.300", "0.600", "0.250", "0.200"]
    assert words_in_line(figure, "-0.") == ["-0.400"]
    assert words_in_line(figure, "and ") == ["and 1 more"]


def test_few_to_one_of_chosen_units_and_weights() -> None:
    first, second = patches_of("first", 5), patches_of("second", 4)
    figure = figures.few_to_one(
        result_of("sparse_map"), first, second, weights=WEIGHTS, units=[3, 2, 0], n_predictors=2
    )
    above, below = blocks_by_row(figure)
    assert_shows(above, first, [3, 1, 0])
    assert_shows(below, second, [3, 0])
    assert words_in_line(figure, "and ") == ["and 1 more"]


def test_most_and_least_active_units() -> None:
    random = np.random.default_rng(1)
    means = {"first": random.random(12), "second": 30 * random.random(5), "third": np.ones(3)}
    patches = {"first": patches_of("first", 12), "second": patches_of("second", 5)}
    patches["second"].values[2] = 0.0
    figure = figures.most_and_least_active(activations(**means), patches, n_shown=3)
    order = np.argsort(-means["first"]).tolist()
    alive = [unit for unit in np.argsort(-means["second"]).tolist() if unit != 2]
    above, below = blocks_by_row(figure)
    assert_shows(above, patches["first"], order[:3] + order[-3:])
    assert_shows(below, patches["second"], alive)
    # Columns are the same in both rows: the most active from the left, the least active to the right.
    lefts = [[image.get_extent()[0] for image in row] for row in (above, below)]
    assert lefts[1] == [lefts[0][k] for k in (0, 1, 4, 5)]
    shown = [means["first"][unit] for unit in order[:3] + order[-3:]]
    shown += [means["second"][unit] for unit in alive]
    assert [value for value in (f"{v:.3g}" for v in shown) if value not in words(figure)] == []


@pytest.mark.parametrize("shape", [(9, 64, 64, 3), (1, 8, 8, 1), (4, 20, 33, 1)])
def test_every_figure_is_drawn_in_less_than_a_megabyte(shape: tuple[int, ...]) -> None:
    names = (r"$\frac{1}$ <b>", "a network of a very long name, seed 17")
    first, second = (patches_of(n, 24, shape=shape, deconvolutions=True) for n in names)
    random = np.random.default_rng(0)
    labels = random.integers(0, 8, (2, 24))
    groups = result_of(
        "unit_groups", labels_x=labels[0], labels_y=labels[1],
        between=random.random(8), within=random.random(8))  # fmt: skip
    weights = result_of("sparse_map", weights=random.standard_normal((24, 24)))
    means = dict(zip(names, random.random((2, 24))))
    drawn = {
        "matches": figures.best_and_worst_matches(matched(random.random((24, 24))), first, second),
        "few": figures.few_to_one(weights, first, second),
        "groups": figures.group_pictures(groups, first, second),
        "active": figures.most_and_least_active(
            activations(**means), dict(zip(names, (first, second)))
        ),
    }
    for name, figure in drawn.items():
        assert len(blocks_drawn(figure)) >= 8, name
        source = data_uri(figure)
        assert len(base64.b64decode(source.partition(",")[2])) < 1_000_000, name


def test_many_blocks_get_fewer_pixels_each() -> None:
    sides = [largest_side(n) for n in (0, 1, 16, 32, 64, 128, 10_000)]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] == 48
    assert sides[-1] == 8
    assert all(9 * n * largest_side(n) ** 2 <= 200_000 for n in (16, 32, 64, 128))


def test_nothing_to_show_is_said() -> None:
    first = patches_of("first", 3)
    second = patches_of("second", 3)
    second.images[:] = -1
    groups = result_of(
        "unit_groups", labels_x=[0, 0, 1], labels_y=[1, 1, 0], between=[0.1, 0.2], within=[0.3, 0.1]
    )
    for figure in (
        figures.best_and_worst_matches(matched(np.eye(3)), first, second),
        figures.few_to_one(result_of("sparse_map", weights=np.eye(3)), first, second),
        figures.group_pictures(groups, first, second),
        figures.most_and_least_active(activations(second=np.ones(3)), {"first": first}),
    ):
        assert blocks_drawn(figure) == []
        assert any("image patches" in text for text in words(figure))
        axes: Axes = figure.axes[0]
        assert axes.get_xlim()[1] > 3
