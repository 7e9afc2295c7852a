"""Figures of sparse maps, trees and groups draw the numbers of the results, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import convergent as cv
from convergent import study
from convergent.study import Study, TaskResult

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from convergent.report import figures
from convergent.report.figures.convergent_learning_groups import (
    combined_correlations,
    largest_split,
    node_sizes,
    splits_of,
)
from convergent.report.figures.convergent_learning_maps import best_predictor_order, penalty_places
from convergent.report.figures.convergent_learning_tree import branches_of, ordered_matrix
from convergent.report.figures.style import BLUE, GREEN, ORANGE
from tests.convergent_figures import (
    compared,
    first,
    image,
    networks,
    visible,
    words,
    xs,
    ys,
)


@pytest.fixture(scope="module")
def result() -> Study:
    return compared({"conv$1$": networks(0), "conv2": networks(1, (30, 30, 30))})


def test_losses(result: Study) -> None:
    loss, predictors = visible(figures.prediction_losses(result))
    chosen = np.log10(result.settings.penalty)
    for axes, key in ((loss, "loss"), (predictors, "predictors")):
        curves = [line for line in axes.get_lines() if line.get_gid() is None][:2]
        for line, layer in zip(curves, ("conv$1$", "conv2")):
            pairs = result.of(layer, "sparse_map")
            np.testing.assert_allclose(
                ys(line), np.mean([pair.arrays[key] for pair in pairs], axis=0)
            )
            assert list(xs(line)) == [-6.0, -5.0, -4.0, -3.0, chosen, -2.0, -1.0]
        assert len(axes.collections) == 2
        for band, layer in zip(axes.collections, ("conv$1$", "conv2")):
            interval = result.interval(layer, "sparse_map", f"{key}_at_0.001")
            assert interval is not None
            corners = set(map(tuple, np.asarray(band.get_paths()[0].vertices).round(10)))
            assert {(-3.0, round(e, 10)) for e in (interval.low, interval.high)} <= corners
        (dashed,) = (line for line in axes.get_lines() if line.get_gid() == "chosen")
        assert list(xs(dashed)) == [chosen] * 2


@pytest.mark.parametrize(
    ("penalties", "places"),
    [([0.0], [0.0]), ([0.0, 1e-3], [-4.0, -3.0]), ([1e-2, 1.0], [-2.0, 0.0])],
)
def test_penalties_are_placed_by_their_logarithm(
    penalties: list[float], places: list[float]
) -> None:
    np.testing.assert_allclose(penalty_places(np.array(penalties)), places)


def test_figure_5(result: Study) -> None:
    (axes,) = visible(figures.mapping_overview(result))
    filled = [p for p in axes.patches if p.get_gid() == "explained"]
    assert len(filled) == 2
    for patch, name in zip(filled, ("conv$1$", "conv2")):
        loss = result.value(name, "sparse_map", f"loss_at_{result.settings.penalty:g}")
        assert isinstance(patch, Rectangle)
        assert patch.get_height() == pytest.approx(0.5 * (1.0 - 2.0 * loss))
        predictors = result.value(name, "sparse_map", f"predictors_at_{result.settings.penalty:g}")
        assert f"{200 * loss:.0f} % not\nexplained\n{predictors:.1f} units\neach" in words(axes)
    assert "12 units" in words(axes)
    assert "9 units" in words(axes)


def test_many_layers_wrap() -> None:
    layers = {f"layer{i}": networks(i, (4, 3, 3)) for i in range(8)}
    figure = figures.mapping_overview(compared(layers))
    (axes,) = visible(figure)
    filled = [p for p in axes.patches if p.get_gid() == "explained" and isinstance(p, Rectangle)]
    assert len(filled) == 8
    assert len({round(p.get_x(), 6) for p in filled}) == 6
    assert max(figure.get_size_inches()) < 12


def test_figure_6(result: Study) -> None:
    mapping = first(result, "sparse_map")
    weights = mapping.arrays["weights"]
    as_is, ordered = (image(axes) for axes in visible(figures.mapping_weights(mapping)))
    np.testing.assert_array_equal(as_is, weights)
    assert sorted(map(tuple, ordered)) == sorted(map(tuple, weights))
    best = [np.abs(row).argmax() for row in ordered if row.any()]
    assert best == sorted(best)


def test_rows_without_weights_come_last() -> None:
    weights = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, -0.9], [0.3, 0.0, 0.0], [0.8, 0.2, 0.0]])
    assert best_predictor_order(weights).tolist() == [3, 2, 1, 0]


def test_figure_7(result: Study) -> None:
    tree, n_units = first(result, "unit_tree"), 12 + 9
    expected = cv.unit_tree(first(result, "sparse_map").arrays["weights"].T)
    np.testing.assert_array_equal(ordered_matrix(tree), expected.similarity)
    whole, *zooms = visible(figures.tree_matrix(tree))
    shown = image(whole)
    assert shown.shape == (n_units, n_units, 4)
    network = expected.network[expected.leaves]
    for place in range(n_units):
        colour = to_rgba((BLUE, ORANGE)[network[place]])
        np.testing.assert_allclose(shown[place, place], colour, atol=1e-6)
    strongest = np.unravel_index(np.argmax(expected.similarity - np.eye(n_units)), (n_units,) * 2)
    assert shown[strongest][:3].max() < 0.02
    assert shown[..., :3][expected.similarity <= 0.0].min() > 0.98
    assert len(whole.get_lines()) == np.count_nonzero(expected.merge_similarity > 0.0)
    frames = [p for p in whole.patches if isinstance(p, Rectangle)]
    assert 1 <= len(frames) == len([axes for axes in zooms if axes.axison])


def test_branches_span_their_leaves(result: Study) -> None:
    tree = first(result, "unit_tree", "conv2")
    branches = branches_of(tree)
    assert [branch.n_leaves for branch in branches] == tree.arrays["linkage"][:, 3].tolist()
    assert (branches[-1].first, branches[-1].last) == (0, 59)
    matrix = ordered_matrix(tree)
    pair = branches[0]
    assert pair.last == pair.first + 1
    assert matrix[pair.first, pair.last] == pytest.approx(pair.similarity)


def test_figure_7_names_units_of_both_networks(result: Study) -> None:
    tree = first(result, "unit_tree")
    figure = figures.tree_matrix(tree)
    whole, zoom = visible(figure)[:2]
    frame = next(p for p in whole.patches if isinstance(p, Rectangle))
    low, high = round(frame.get_x() + 1), round(frame.get_x() + frame.get_width() - 1)
    leaves = tree.arrays["leaves"][low : high + 1]
    assert words(zoom) == [str(leaf if leaf < 12 else leaf - 12) for leaf in leaves]


def test_figure_s1(result: Study) -> None:
    pair = first(result, "correlation")
    panels = visible(figures.activation_scatter(pair))
    assert len(panels) == len(pair.arrays["scatter_pairs"]) == 8
    for k, (axes, (x, y)) in enumerate(zip(panels, pair.arrays["scatter_pairs"].tolist())):
        (dots,) = axes.get_lines()
        np.testing.assert_array_equal(xs(dots), pair.arrays["scatter_x"][k])
        np.testing.assert_array_equal(ys(dots), pair.arrays["scatter_y"][k])
        assert dots.get_color() == (BLUE if k < 4 else ORANGE)
        assert axes.get_title() == f"r = {pair.arrays['similarity'][x, y]:.2f}"


def test_figure_s5(result: Study) -> None:
    groups, pair = first(result, "unit_groups"), first(result, "correlation")
    axes = visible(figures.group_blocks(groups, pair))[0]
    order = groups.arrays["order"]
    np.testing.assert_array_equal(image(axes), combined_correlations(pair)[np.ix_(order, order)])
    frames = [p for p in axes.patches if isinstance(p, Rectangle)]
    sizes = groups.arrays["sizes"]
    assert [frame.get_width() for frame in frames] == sizes.sum(axis=1).tolist()
    starts = np.concatenate([[0], np.cumsum(sizes.sum(axis=1))[:-1]])
    assert [frame.get_x() for frame in frames] == (starts - 0.5).tolist()
    green = [np.allclose(frame.get_edgecolor(), to_rgba(GREEN)) for frame in frames]
    assert green == (sizes > 0).all(axis=1).tolist()
    for start, size, group in zip(starts, sizes.sum(axis=1), range(len(sizes))):
        labels = np.concatenate([groups.arrays["labels_x"], groups.arrays["labels_y"]])
        assert set(labels[order[start : start + size]].tolist()) == {group}


def test_figure_s8(result: Study) -> None:
    groups = first(result, "unit_groups", "conv2")
    tree = splits_of(groups)
    root = largest_split(groups, tree)
    assert root is not None
    (axes,) = visible(figures.group_hierarchy(groups))
    of_x, of_y = node_sizes(groups, tree)[root]
    assert f"{of_x} + {of_y}" in words(axes)
    bars = [p for p in axes.patches if isinstance(p, Rectangle)]
    colours = [to_rgba(p.get_facecolor()) for p in bars]
    leaves = [text for text in words(axes) if text.startswith("group ")]
    named = [tuple(map(int, text.split(": ")[1].split(" + "))) for text in leaves]
    assert colours.count(to_rgba(BLUE)) == sum(x for x, _ in named)
    assert colours.count(to_rgba(ORANGE)) == sum(y for _, y in named)
    left_out = [text for text in words(axes) if "smaller groups" in text]
    if not left_out:
        assert (sum(x for x, _ in named), sum(y for _, y in named)) == (of_x, of_y)


def test_a_large_hierarchy_shows_some_of_its_groups() -> None:
    arrays = {
        "splits": np.array([[40, k] for k in range(40)]),
        "sizes": np.array([[1, k % 3] for k in range(40)]),
    }
    groups = TaskResult(study.Task("l", "unit_groups", ("a", "b")), "", {}, arrays)
    (axes,) = visible(figures.group_hierarchy(groups))
    assert len([text for text in words(axes) if text.startswith("group ")]) == 24
    assert "and 16 smaller groups" in words(axes)
