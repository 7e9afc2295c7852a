"""Figures of convergent learning draw the numbers of the results, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import study
from convergent.study import CompareSettings, Study, TaskResult

pytest.importorskip("matplotlib")

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from convergent.report import figures
from convergent.report.figures.convergent_learning import matched_orders
from convergent.report.figures.convergent_learning_groups import (
    combined_correlations,
    largest_split,
    node_sizes,
    splits_of,
)
from convergent.report.figures.convergent_learning_maps import best_predictor_order, penalty_places
from convergent.report.figures.convergent_learning_tree import branches_of, ordered_matrix
from convergent.report.figures.style import BLUE, GREEN, ORANGE

MEASURES = (
    "activations",
    "correlation",
    "mutual_information",
    "recurring_units",
    "sparse_map",
    "unit_tree",
    "unit_groups",
)
OF_STUDIES: list[Callable[[Study], Figure]] = [
    figures.match_curves,
    figures.mean_matches,
    figures.prediction_losses,
    figures.mapping_overview,
    figures.mean_activations,
    figures.recurring_units,
    figures.group_similarity,
]
NAMES = ("a$x$", "b", "c")
DEAD = 2


def networks(seed: int, widths: tuple[int, ...] = (12, 9, 11)) -> dict[str, NDArray[np.float64]]:
    """Rectified networks with common causes; the first one has a dead unit."""
    random = np.random.default_rng(seed)
    causes = random.standard_normal((300, 8))
    result = {}
    for name, width in zip(NAMES, widths):
        mixing = np.eye(8, width) + 0.1 * random.standard_normal((8, width))
        own = 0.4 * random.standard_normal((300, width))
        result[name] = np.maximum(causes @ mixing + own, 0.0)
    result[NAMES[0]][:, DEAD] = 0.0
    return result


def compared(layers: dict[str, dict[str, NDArray[Any]]], **settings: Any) -> Study:
    statistics = cv.Statistics.from_layers(layers)
    return study.compare(statistics, settings=CompareSettings(MEASURES, **settings))


@pytest.fixture(scope="module")
def result() -> Study:
    return compared({"conv$1$": networks(0), "conv2": networks(1, (30, 30, 30))})


def first(result: Study, measure: str, layer: str = "conv$1$") -> TaskResult:
    return result.of(layer, measure)[0]


def visible(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible() and axes.get_label() != "<colorbar>"]


def image(axes: Axes) -> NDArray[Any]:
    (found,) = axes.get_images()
    return np.ma.filled(np.ma.asarray(found.get_array(), dtype=float), np.nan)


def ys(line: Line2D) -> NDArray[np.float64]:
    return np.asarray(line.get_ydata(), dtype=np.float64)


def xs(line: Line2D) -> NDArray[np.float64]:
    return np.asarray(line.get_xdata(), dtype=np.float64)


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_figure_1(result: Study) -> None:
    pair = first(result, "correlation")
    within_x, within_y, between, matched = (
        image(axes) for axes in visible(figures.correlation_matrices(pair))
    )
    dead = np.arange(12) == DEAD
    expected = np.where(dead[:, None] | dead, np.nan, pair.arrays["within_x"])
    np.testing.assert_array_equal(within_x, expected)
    np.testing.assert_array_equal(within_y, pair.arrays["within_y"])
    np.testing.assert_array_equal(between[~dead], pair.arrays["similarity"][~dead])
    assert np.isnan(between[DEAD]).all()
    values = np.diagonal(matched)
    one_to_one = cv.match_units(pair.arrays["similarity"])
    expected = np.sort(one_to_one.values[~np.isin(one_to_one.x, DEAD)])[::-1]
    np.testing.assert_array_equal(values[~np.isnan(values)], expected)


def test_unmatched_units_come_last(result: Study) -> None:
    rows, columns = matched_orders(first(result, "correlation"))
    assert sorted(rows.tolist()) == list(range(12))
    assert sorted(columns.tolist()) == list(range(9))
    assert set(rows[9:].tolist()) == set(range(12)) - set(
        first(result, "correlation").arrays["one_to_one_x"].tolist()
    )


def test_figure_1_of_older_results(result: Study) -> None:
    pair = first(result, "correlation")
    kept = {k: v for k, v in pair.arrays.items() if not k.startswith(("within", "scatter"))}
    older = TaskResult(pair.task, pair.key, pair.scalars, kept)
    between, _ = (image(axes) for axes in visible(figures.correlation_matrices(older)))
    assert np.isnan(between[DEAD]).all()
    assert words(visible(figures.activation_scatter(older))[0]) == ["no responses to show"]


def test_figure_3(result: Study) -> None:
    axes = visible(figures.match_curves(result))[1]
    pairs = result.of("conv2", "correlation")
    summaries = [cv.match_summary(pair.arrays["similarity"]) for pair in pairs]
    semi, one = axes.get_lines()[:2]
    np.testing.assert_allclose(ys(semi), np.mean([s.sorted_semi for s in summaries], axis=0))
    np.testing.assert_allclose(ys(one), np.mean([s.sorted_one_to_one for s in summaries], axis=0))
    for band, curves in zip(
        axes.collections,
        ([s.sorted_semi for s in summaries], [s.sorted_one_to_one for s in summaries]),
    ):
        corners = set(map(tuple, np.asarray(band.get_paths()[0].vertices).round(10)))
        for k in (0, 13, 29):
            matrix = np.full((3, 3), np.nan)
            matrix[np.triu_indices(3, 1)] = [curve[k] for curve in curves]
            interval = cv.bootstrap_pairs(np.fmax(matrix, matrix.T)).within(-1.0, 1.0)
            assert {(k + 1.0, round(e, 10)) for e in (interval.low, interval.high)} <= corners


@pytest.mark.parametrize("measure", ["correlation", "mutual_information"])
def test_figure_4(result: Study, measure: str) -> None:
    (axes,) = visible(figures.mean_matches(result, measure))
    bars = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
    assert len(bars) == 2
    for container, quantity in zip(bars, ("mean_semi", "mean_one_to_one")):
        line, _, (ranges,) = container.lines
        values = [result.values(name, measure, quantity) for name in ("conv$1$", "conv2")]
        np.testing.assert_allclose(ys(line), [np.mean(v) for v in values])
        intervals = [result.interval(name, measure, quantity) for name in ("conv$1$", "conv2")]
        ends = [segment[:, 1].tolist() for segment in ranges.get_segments()]
        np.testing.assert_allclose(ends, [[i.low, i.high] for i in intervals if i], atol=1e-12)
    dotted = [ys(line).tolist() for line in axes.get_lines() if line.get_linestyle() == ":"]
    if measure == "correlation":
        assert dotted == [
            [result.value(name, measure, f"{q}_shuffled") for name in ("conv$1$", "conv2")]
            for q in ("mean_semi", "mean_one_to_one")
        ]
    else:
        assert not dotted


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


def test_figure_s9(result: Study) -> None:
    axes = visible(figures.group_similarity(result))[0]
    pairs = result.of("conv$1$", "unit_groups")
    lines = axes.get_lines()
    assert len(lines) == 2 * len(pairs)
    for pair, dots, line in zip(pairs, lines[::2], lines[1::2]):
        order = np.argsort(-pair.arrays["between"], kind="stable")
        np.testing.assert_array_equal(ys(line), pair.arrays["between"][order])
        np.testing.assert_array_equal(ys(dots), pair.arrays["within"][order])


def test_figure_s10(result: Study) -> None:
    axes = visible(figures.mean_activations(result))[0]
    assert axes.get_yscale() == "log"
    for line, x in zip(axes.get_lines(), networks(0).values()):
        means = np.sort(x.mean(axis=0))[::-1]
        np.testing.assert_allclose(ys(line), np.where(means > 0.0, means, np.nan))


def test_negative_means_are_on_a_linear_axis() -> None:
    x = np.random.default_rng(0).standard_normal((50, 4))
    axes = visible(figures.mean_activations(compared({"l": {"a": x, "b": -x}})))[0]
    assert axes.get_yscale() == "linear"
    np.testing.assert_allclose(ys(axes.get_lines()[1]), np.sort(-x.mean(axis=0))[::-1])


def test_recurring_units(result: Study) -> None:
    (axes,) = visible(figures.recurring_units(result))
    found = [first(result, "recurring_units", name) for name in ("conv$1$", "conv2")]
    counts = [np.concatenate([r.arrays[f"n_networks_{i}"] for i in range(3)]) for r in found]
    bars = [[bar.get_height() for bar in group] for group in axes.containers]
    expected = [[np.mean(c == count) for c in counts] for count in (2, 1, 0)]
    np.testing.assert_allclose(bars, expected)
    (line,) = axes.get_lines()
    assert list(ys(line)) == [r.scalars["share"] for r in found]
    assert found[0].scalars["share"] > 0.2


def test_names_are_plain_text(result: Study) -> None:
    pairs = {measure: first(result, measure) for measure in MEASURES}
    drawn = [draw(result) for draw in OF_STUDIES] + of_pairs(pairs)
    for figure in drawn:
        figure.draw_without_rendering()
        text = " ".join(words(axes := figure.axes[0])) + axes.get_title() + axes.get_xlabel()
        assert "$" not in text.replace(r"\$", "")


def of_pairs(pairs: dict[str, TaskResult]) -> list[Figure]:
    drawn = [
        figures.correlation_matrices(pairs["correlation"]),
        figures.activation_scatter(pairs["correlation"]),
        figures.tree_matrix(pairs["unit_tree"]),
        figures.group_blocks(pairs["unit_groups"], pairs["correlation"]),
        figures.group_hierarchy(pairs["unit_groups"]),
    ]
    if "sparse_map" in pairs:
        drawn.append(figures.mapping_weights(pairs["sparse_map"]))
    return drawn


def orthogonal(n_units: int) -> NDArray[np.float64]:
    x = np.random.default_rng(0).standard_normal((40, n_units))
    return np.linalg.qr(x - x.mean(axis=0))[0]


_X = np.maximum(np.random.default_rng(0).standard_normal((40, 5)), 0.0)
DEGENERATE = {
    "one unit each": (_X[:, :1], _X[:, 1:2]),
    "one unit against many": (_X[:, :1], _X),
    "the first dead": (np.zeros((40, 3)), _X),
    "the second dead": (_X, np.ones((40, 3))),
    "both dead": (np.zeros((40, 2)), np.zeros((40, 2))),
    "one dead unit each": (np.zeros((40, 1)), np.zeros((40, 1))),
    "unrelated": (orthogonal(8)[:, :4], orthogonal(8)[:, 4:]),
    "the same": (_X, _X),
    "duplicates": (np.repeat(_X, 4, axis=1), _X[:, [0, 0, 0]]),
    "negative": (_X, -_X),
    "two examples": (_X[:2], _X[2:4]),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_studies_are_drawn(case: str) -> None:
    x, y = DEGENERATE[case]
    found = compared({"layer": {"a": x, "b": y}})
    pairs = {measure: first(found, measure, "layer") for measure in MEASURES
             if found.of("layer", measure)}  # fmt: skip
    assert set(MEASURES) - set(pairs) <= {"sparse_map"}
    for figure in [draw(found) for draw in OF_STUDIES] + of_pairs(pairs):
        figure.draw_without_rendering()


def test_units_are_counted_in_whole_numbers() -> None:
    x, y = DEGENERATE["one unit each"]
    found = compared({"layer": {"a": x, "b": y}})
    for figure in (
        figures.match_curves(found),
        figures.mean_activations(found),
        figures.correlation_matrices(first(found, "correlation", "layer")),
        figures.mapping_weights(first(found, "sparse_map", "layer")),
    ):
        figure.draw_without_rendering()
        for axes in visible(figure):
            assert all(tick == round(tick) for tick in axes.get_xticks())


@pytest.mark.parametrize("draw", OF_STUDIES, ids=lambda draw: draw.__name__)
def test_nothing_to_draw(draw: Callable[[Study], Figure]) -> None:
    empty = study.compare(cv.Statistics.from_arrays({"a": _X, "b": _X}), ["cka"])
    draw(empty).draw_without_rendering()
