"""Figures of convergent learning draw the numbers of the results, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import study
from convergent.study import Study, TaskResult

pytest.importorskip("matplotlib")

from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from convergent.report import figures
from convergent.report.figures.convergent_learning import matched_orders
from tests.convergent_figures import (
    DEAD,
    MEASURES,
    compared,
    first,
    image,
    networks,
    visible,
    words,
    ys,
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


@pytest.fixture(scope="module")
def result() -> Study:
    return compared({"conv$1$": networks(0), "conv2": networks(1, (30, 30, 30))})


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
