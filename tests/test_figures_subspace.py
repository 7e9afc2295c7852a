"""Figures of the subspace matches draw the numbers of the results, and nothing else."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import study
from convergent.study import CompareSettings, Study, Task, TaskResult
from convergent.study.study import LayerSummary

pytest.importorskip("matplotlib")

from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch

from convergent.report import figures
from convergent.report.figures.simple_matches import size_classes, sizes_by_epsilon

MEASURES = ("max_match", "simple_matches")
EPSILONS = (0.2, 0.5)
FIGURES = [
    figures.similarity_over_layers,
    figures.similarity_curves,
    figures.unit_levels,
    figures.simple_match_sizes,
]


def arrays(seed: int, shared: float) -> dict[str, NDArray[np.float64]]:
    """Networks of 10, 10 and 11 units, of which `shared` says how much they have in common."""
    random = np.random.default_rng(seed)
    causes = random.standard_normal((400, 10))
    result = {}
    for name, n_mixed in (("a", 0), ("b", 4), ("c", 7)):
        mixing = np.eye(10)
        mixing[:n_mixed, :n_mixed] = np.linalg.qr(random.standard_normal((n_mixed, n_mixed)))[0]
        own = random.standard_normal((400, 10)) * np.linspace(0.02, 1.0, 10)
        result[name] = shared * causes @ mixing + (1.01 - shared) * own
    twin = result["c"][:, :1] + 0.1 * random.standard_normal((400, 1))
    result["c"] = np.concatenate([result["c"], twin], axis=1)  # matches of unequal sides
    return result


def compared(**settings: Any) -> Study:
    statistics = cv.Statistics.from_layers({"near": arrays(0, 0.75), "far": arrays(1, 0.6)})
    return study.compare(statistics, settings=CompareSettings(MEASURES, EPSILONS, **settings))


@pytest.fixture(scope="module")
def result() -> Study:
    return compared()


def only_axes(figure: Figure) -> Axes:
    (axes,) = figure.axes
    return axes


def test_similarity_over_layers(result: Study) -> None:
    axes = only_axes(figures.similarity_over_layers(result))
    bars = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
    assert [str(bar.get_label()) for bar in bars] == ["ε = 0.2", "ε = 0.5"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["near", "far"]
    dots = [line for line in axes.lines if line.get_marker() == "."]
    drawn = [sorted(np.asarray(line.get_ydata()).tolist()) for line in dots]
    expected = []
    for bar, epsilon in zip(bars, EPSILONS):
        values = [
            result.values(name, "max_match", f"similarity_at_{epsilon:g}")
            for name in ("near", "far")
        ]
        mean = np.asarray(bar.lines[0].get_ydata())
        np.testing.assert_allclose(mean, np.mean(values, axis=1))
        (segments,) = (np.array(collection.get_segments()) for collection in bar.lines[2])
        for ends, name in zip(segments[:, :, 1], ("near", "far")):
            interval = result.interval(name, "max_match", f"similarity_at_{epsilon:g}")
            assert interval is not None
            np.testing.assert_allclose(ends, [interval.low, interval.high], atol=1e-15)
        expected += [sorted(of_layer) for of_layer in values]
    assert drawn == expected
    assert len({value for of_layer in expected for value in of_layer}) > 4
    low, high = axes.get_ylim()
    assert low <= 0.0 < 1.0 <= high


def test_similarity_curves(result: Study) -> None:
    axes = only_axes(figures.similarity_curves(result))
    lines = [line for line in axes.lines if str(line.get_label()) in ("near", "far")]
    assert [line.get_label() for line in lines] == ["near", "far"]
    for line, band in zip(lines, axes.collections):
        pairs = result.of(str(line.get_label()), "max_match")
        curves = np.array([pair.arrays["curve_similarity"] for pair in pairs])
        np.testing.assert_allclose(np.asarray(line.get_ydata()), curves.mean(axis=0))
        np.testing.assert_allclose(np.asarray(line.get_xdata()), pairs[0].arrays["curve_epsilon"])
        corners = set(map(tuple, np.asarray(band.get_paths()[0].vertices).round(12)))
        for k in (0, 40, 100, 200):  # points that are not interpolated
            matrix = np.full((3, 3), np.nan)
            matrix[np.triu_indices(3, 1)] = curves[:, k]
            interval = cv.bootstrap_pairs(np.fmax(matrix, matrix.T)).within(0.0, 1.0)
            assert {(k / 200, round(end, 12)) for end in (interval.low, interval.high)} <= corners


def test_unit_levels(result: Study) -> None:
    axes = only_axes(figures.unit_levels(result))
    shapes = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
    assert len(shapes) == 2
    for position, (shape, name) in enumerate(zip(shapes, ("near", "far"))):
        pairs = result.of(name, "max_match")
        levels = np.concatenate([p.arrays[key] for p in pairs for key in ("levels_x", "levels_y")])
        assert len(levels) == 62
        values, edges, baseline = shape.get_data()
        counts = np.array(
            [np.sum((levels >= low) & (levels < high)) for low, high in pairwise(edges)]
        )
        counts[-1] += np.sum(levels == edges[-1])
        np.testing.assert_allclose(np.asarray(values) - position, 0.42 * counts / counts.max())
        np.testing.assert_allclose(position - np.asarray(baseline), 0.42 * counts / counts.max())
        (segment,) = axes.collections[position].get_segments()  # type: ignore[attr-defined]
        assert segment[0, 1] == np.median(levels)


def bar_heights(axes: Axes) -> dict[tuple[int, Any], float]:
    """Height of each bar by class and colour."""
    return {
        (int(np.floor(patch.get_x() + 0.5)), patch.get_facecolor()): patch.get_height()
        for patch in axes.patches
        if isinstance(patch, Rectangle) and patch.get_zorder() > 0 and patch.get_height() > 0
    }


def test_simple_match_sizes(result: Study) -> None:
    figure = figures.simple_match_sizes(result)
    colours = [handle.get_facecolor() for handle in figure.legends[0].get_patches()]
    assert len(set(colours)) == 2
    any_large = False
    for axes, name in zip(figure.axes, ("near", "far")):
        assert axes.get_title().strip() == name
        heights = bar_heights(axes)
        expected = {}
        n_matches = 0
        for k in range(2):
            sizes = []
            for pair in result.of(name, "simple_matches"):
                found = pair.arrays
                for x, y, index in zip(found["sizes_x"], found["sizes_y"], found["epsilon_index"]):
                    if index == k:
                        sizes.append(int(x + y))
            n_matches += len(sizes)
            any_large |= max(sizes, default=0) > 2
            for i, (low, high) in enumerate([(2, 2), (3, 4), (5, 8), (9, 16), (17, 32)]):
                share = sum(low <= size <= high for size in sizes) / max(len(sizes), 1)
                if share > 0:
                    expected[i, colours[k]] = share
        assert heights == pytest.approx(expected)
        assert f"{n_matches:,} matches" in [text.get_text() for text in axes.texts]
    assert any_large


def test_bars_by_hand() -> None:
    """Two pairs, eight matches, of which the second epsilon has three and one pair was not searched there."""

    def pair(names: tuple[str, str], *content: list[int], searched: bool) -> TaskResult:
        keys = ("epsilon_index", "sizes_x", "sizes_y")
        found = {key: np.array(values) for key, values in zip(keys, content)}
        found["searched"] = np.array([True, searched])
        return TaskResult(Task("layer", "simple_matches", names), "", {}, found)

    pairs = (
        pair(
            ("a", "b"), [0, 0, 0, 1, 1, 1], [1, 1, 1, 2, 1, 3], [1, 1, 3, 3, 16, 30], searched=True
        ),
        pair(("a", "c"), [0, 0], [1, 4], [1, 5], searched=False),
    )
    layer = LayerSummary("layer", (33, 33), (0, 0), 1, 1)
    result = Study(("a", "b"), (layer,), CompareSettings(MEASURES, EPSILONS), pairs)
    figure = figures.simple_match_sizes(result)
    first, second = (handle.get_facecolor() for handle in figure.legends[0].get_patches())
    assert bar_heights(figure.axes[0]) == pytest.approx(
        {
            (0, first): 3 / 5,  # 2, 2 and 2 units
            (1, first): 1 / 5,  # 4
            (3, first): 1 / 5,  # 9
            (2, second): 1 / 3,  # 5
            (4, second): 1 / 3,  # 17
            (5, second): 1 / 3,  # 33
        }
    )
    labels = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert labels == ["2", "3–4", "5–8", "9–16", "17–32", "33–64"]


def test_classes_double() -> None:
    assert size_classes(2) == [(1, 2)]
    assert size_classes(16) == [(1, 2), (3, 4), (5, 8), (9, 16)]
    assert size_classes(17)[-1] == (17, 32)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def rendered(figure: Figure) -> None:
    figure.canvas.draw()


@pytest.mark.parametrize("draw", FIGURES)
def test_one_layer_one_pair_one_epsilon(draw: Any) -> None:
    pair = {name: x for name, x in arrays(0, 0.9).items() if name != "c"}
    settings = CompareSettings(MEASURES, [0.3])
    rendered(draw(study.compare(cv.Statistics.from_arrays(pair), settings=settings)))


@pytest.mark.parametrize("draw", FIGURES)
def test_no_match_and_only_dead_units(draw: Any) -> None:
    strangers = dict(zip("abc", np.random.default_rng(0).standard_normal((3, 100, 4))))
    dead = dict(zip("abc", np.zeros((3, 100, 4))))
    statistics = cv.Statistics.from_layers({"strangers": strangers, "dead": dead})
    result = study.compare(statistics, MEASURES)
    figure = draw(result)
    rendered(figure)
    if draw is figures.simple_match_sizes:
        assert texts(figure).count("no simple match") == 2
    if draw is figures.unit_levels:
        assert texts(figure) == ["no living\nunit"]


def test_what_was_not_searched_is_named() -> None:
    limited = compared(max_matched=3)
    found = limited.of("near", "simple_matches")
    assert not any(pair.arrays["searched"][1] for pair in found)
    figure = figures.simple_match_sizes(limited)
    rendered(figure)
    assert texts(figure)[0] == "0 matches\nnot searched: ε = 0.5"
    assert list(sizes_by_epsilon(limited, "near")) == [0]
    assert figure.axes[0].get_title() == "near\n\n"


@pytest.mark.parametrize("draw", FIGURES)
def test_nothing_compared(draw: Any) -> None:
    rendered(draw(Study(("a", "b"), (), CompareSettings(MEASURES), ())))


def test_all_are_on_the_page(result: Study, tmp_path: Any) -> None:
    pytest.importorskip("jinja2")
    page = result.report(tmp_path / "report.html").read_text()
    assert page.count("<figure>") == 4
    assert "<th>matches at ε = 0.5</th>" in page
    assert "<th>median size at ε = 0.5</th>" in page
    count = result.value("near", "simple_matches", "n_matches_at_0.2")
    assert 0 < count != round(count)
    assert f">{count:.1f}<small>" in page
    limited = compared(max_matched=3).report(tmp_path / "limited.html").read_text()
    assert "What could not be computed" in limited
    assert "not searched at epsilon 0.2, 0.5, where 8, 20 units match" in limited
