"""Figures of shared geometry draw the numbers of the results, and nothing else."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import study
from convergent.study import CompareSettings, Study, TaskResult, Trajectory

pytest.importorskip("matplotlib")

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from convergent.report import figures
from convergent.report.figures.shared_geometry import colour_limit

MEASURE = "shared_response"
LAYERS = ["conv$1$", "conv2", "dense"]
OF_STUDIES = [
    figures.agreement_bars,
    figures.variance_over_layers,
    figures.consistency_over_layers,
]
N_EXAMPLES = 150


def networks(seed: int, noise: float, n_networks: int = 4) -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((N_EXAMPLES, 8)) + 2.0 * np.eye(5, 8)[np.arange(N_EXAMPLES) % 5]
    return {
        f"seed-{i}": signal @ np.linalg.qr(rng.standard_normal((8, 8)))[0]
        + noise * (1.0 + 0.2 * i) * rng.standard_normal((N_EXAMPLES, 8))
        for i in range(n_networks)
    }


LABELS = np.arange(N_EXAMPLES) % 5


def compared(n_networks: int = 4, labels: Any = LABELS) -> Study:
    layers = {name: networks(i, 0.2 + 0.3 * i, n_networks) for i, name in enumerate(LAYERS)}
    layers["conv2"] = {
        name: x[:, : 8 - (name == "seed-1")] for name, x in layers["conv2"].items()
    }  # widths differ
    statistics = cv.Statistics.from_layers(layers, labels=labels)
    return study.compare(statistics, settings=CompareSettings([MEASURE], n_features=7))


@pytest.fixture(scope="module")
def result() -> Study:
    return compared()


@pytest.fixture(scope="module")
def trajectory() -> Trajectory:
    rng = np.random.default_rng(0)
    scalars = {}
    epochs = (0, 1, 2, 40, 41, 42)
    for layer in LAYERS:
        for epoch in epochs:
            value = rng.uniform(0.5, 0.9)
            scalars[layer, epoch] = {
                "agreement": value, "agreement_low": value - 0.1, "agreement_high": value + 0.05,
                "agreement_rank": value - 0.2, "agreement_rank_low": value - 0.3,
                "agreement_rank_high": value - 0.1,
            }  # fmt: skip
    return Trajectory(tuple(LAYERS), epochs, scalars)


def of(result: Study, layer: str) -> TaskResult:
    (found,) = result.of(layer, MEASURE)
    return found


def only_axes(figure: Figure) -> Axes:
    (axes,) = figure.axes
    return axes


def xy(line: Line2D) -> NDArray[np.float64]:
    return np.array([line.get_xdata(), line.get_ydata()], dtype=np.float64).T


def intervals(axes: Axes) -> list[tuple[float, float]]:
    """Ends of the drawn intervals, in the order of drawing."""
    found = []
    for container in axes.containers:
        if isinstance(container, ErrorbarContainer):
            (bars,) = container.lines[2]
            assert isinstance(bars, LineCollection)
            (segment,) = bars.get_segments()
            found.append((float(segment[0][1]), float(segment[1][1])))
    return found


def expected_intervals(result: Study, quantities: tuple[str, ...]) -> list[tuple[float, float]]:
    return [
        (scalars[f"{quantity}_low"], scalars[f"{quantity}_high"])
        for quantity in quantities
        for scalars in (of(result, layer).scalars for layer in LAYERS)
        if f"{quantity}_low" in scalars
    ]


def test_figure_1a(result: Study) -> None:
    found = of(result, "dense")
    figure = figures.class_mean_panels(found, ["ant", "bee", "cow", "dog", "$e$lk"])
    for column, (axes, space) in enumerate(zip(figure.axes, ("native", "shared"))):
        points = found.arrays[f"class_means_{space}"]
        lines = [line for line in axes.lines if line.get_linestyle() == "-"]
        joined = [xy(line) for line in lines if len(xy(line)) == 2]
        joined = [line for line in joined if np.ptp(line, axis=0).all()]  # not the axes' cross
        np.testing.assert_allclose(joined, points[:2].transpose(1, 0, 2))
        for marker, of_network in zip("os", points):
            dots = [xy(line)[0] for line in axes.lines
                    if line.get_marker() == marker and len(xy(line)) == 1]  # fmt: skip
            np.testing.assert_allclose(dots, of_network)
        gap, share = found.arrays["class_gaps"][column], found.arrays["class_shares"][column]
        assert f": {100 * gap:.0f} %" in axes.get_xlabel()
        assert f"show {100 * share:.0f} % of" in axes.get_xlabel()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["seed-0", "seed-1", "ant", "bee", "cow", "dog", r"\$e\$lk"]
    own = figures.class_mean_panels(found).legends[0].get_texts()
    assert [text.get_text() for text in own][2:] == ["0", "1", "2", "3", "4"]
    figure.canvas.draw()


def test_of_many_classes_some_have_a_colour() -> None:
    x = networks(0, 0.1)
    labels = np.arange(N_EXAMPLES) % 30
    statistics = cv.Statistics.from_arrays(x, labels=labels)
    found = study.compare(statistics, [MEASURE])
    figure = figures.class_mean_panels(of(found, "activations"))
    shown = [text.get_text() for text in figure.legends[0].get_texts()][2:]
    assert len(shown) == 10
    assert (shown[0], shown[-1]) == ("0", "29")
    dots = sum(len(xy(line)) for line in figure.axes[1].lines if line.get_marker() in ("o", "s"))
    assert dots == 60
    figures.rsm_panels(of(found, "activations")).canvas.draw()


def test_figure_1a_without_labels() -> None:
    figure = figures.class_mean_panels(of(compared(labels=None), "dense"))
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["no labels"] * 2
    figure.canvas.draw()


def test_figure_1b(result: Study) -> None:
    found = of(result, "dense")
    figure = figures.rsm_panels(found)
    panels = figure.axes[:3]
    titles = [axes.get_title().replace("\n", " ") for axes in panels]
    assert titles == [
        "between networks, shared space",
        "within networks",
        "between networks, native space",
    ]
    for axes, key in zip(panels, ("between_shared", "within", "between_native")):
        (image,) = axes.get_images()
        np.testing.assert_array_equal(np.asarray(image.get_array()), found.arrays[f"rsm_{key}"])
        assert image.get_clim() == (-(limit := colour_limit(found.arrays["rsm_within"])), limit)
        edges = axes.collections[0].get_segments()  # type: ignore[attr-defined]
        assert [segment[0][1] for segment in edges] == [5.5, 11.5, 17.5, 23.5]
    assert len(figures.rsm_panels(of(result, "conv2")).axes) == 3  # two panels, one colour bar
    figure.canvas.draw()


def test_the_darkest_colour_ignores_the_diagonal() -> None:
    matrix = np.full((40, 40), 0.1)
    np.fill_diagonal(matrix, 1.0)
    assert colour_limit(matrix) == pytest.approx(0.1)
    assert colour_limit(np.eye(4)) == 1.0


def test_figure_2a(result: Study) -> None:
    axes = only_axes(figures.agreement_bars(result))
    shared, native = (c for c in axes.containers if isinstance(c, BarContainer))
    heights = [bar.get_height() for bar in shared]
    assert heights == [of(result, layer).scalars["agreement"] for layer in LAYERS]
    heights = [bar.get_height() for bar in native]
    known = [of(result, layer).scalars["agreement_native"] for layer in ("conv$1$", "dense")]
    assert heights == known
    drawn = intervals(axes)
    np.testing.assert_allclose(
        drawn, expected_intervals(result, ("agreement", "agreement_native")), atol=1e-12
    )
    assert len(drawn) == 5


@pytest.mark.parametrize("method", ["linear", "rank"])
def test_figure_3_top(trajectory: Trajectory, method: str) -> None:
    figure = figures.agreement_during_training(trajectory, method)
    axes = only_axes(figure)
    quantity = {"linear": "agreement", "rank": "agreement_rank"}[method]
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    for line, band, name in zip(lines, axes.collections, LAYERS):
        expected = np.array([trajectory.epochs, trajectory.values(name, quantity)]).T
        np.testing.assert_allclose(xy(line), expected)
        corners = {tuple(corner) for corner in np.asarray(band.get_paths()[0].vertices).round(9)}
        for end in ("low", "high"):
            values = trajectory.values(name, f"{quantity}_{end}").round(9)
            assert set(zip(map(float, trajectory.epochs), values)) <= corners
    assert [str(line.get_label()) for line in lines] == [r"conv\$1\$", "conv2", "dense"]
    darkness = [sum(line.get_color()[:3]) for line in lines]  # type: ignore[arg-type]
    assert darkness == sorted(darkness, reverse=True)
    figure.canvas.draw()
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["0", "1", "2", "", "", "42"]
    places = axes.transData.transform([(epoch, 0.5) for epoch in (0, 1, 2, 40)])[:, 0]
    assert places[1] - places[0] > places[2] - places[1]
    assert places[3] - places[2] < 8 * (places[1] - places[0])


def test_figure_3_middle(result: Study) -> None:
    axes = only_axes(figures.variance_over_layers(result))
    quantities = ("variance_explained", "variance_explained_leave_one_out")
    means = [line for line in axes.lines if line.get_marker() == "o"]
    dots = [line for line in axes.lines if line.get_marker() == "."]
    for i, (line, quantity) in enumerate(zip(means, quantities)):
        expected = [of(result, layer).scalars[quantity] for layer in LAYERS]
        np.testing.assert_allclose(xy(line)[:, 1], expected)
        for single, layer in zip(dots[3 * i :], LAYERS):
            np.testing.assert_array_equal(xy(single)[:, 1], of(result, layer).arrays[quantity])
    np.testing.assert_allclose(intervals(axes), expected_intervals(result, quantities), atol=1e-12)
    assert len(intervals(axes)) == 6
    (chance,) = (line for line in axes.lines if line.get_linestyle() == ":")
    assert set(xy(chance)[:, 1]) == {0.25}


def test_figure_3_bottom(result: Study) -> None:
    axes = only_axes(figures.consistency_over_layers(result))
    (means,) = (line for line in axes.lines if line.get_marker() == "o")
    expected = [of(result, layer).scalars["consistency"] for layer in LAYERS]
    np.testing.assert_allclose(xy(means)[:, 1], expected)
    dots = [line for line in axes.lines if line.get_marker() == "."]
    for line, layer in zip(dots, LAYERS):
        matrix = of(result, layer).arrays["consistency_pairs"]
        pairs = sorted(matrix[i, j] for i, j in combinations(range(4), 2))
        assert sorted(xy(line)[:, 1]) == pairs
        assert np.mean(pairs) == pytest.approx(of(result, layer).scalars["consistency"])
    np.testing.assert_allclose(
        intervals(axes), expected_intervals(result, ("consistency",)), atol=1e-12
    )
    ceilings = [c for c in axes.collections if str(c.get_label()).endswith(("ceiling", "once"))]
    assert len(ceilings) == len(LAYERS)
    for band, layer in zip(ceilings, LAYERS):
        heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
        scalars = of(result, layer).scalars
        ends = [scalars["noise_ceiling_lower"], scalars["noise_ceiling_upper"]]
        np.testing.assert_allclose([heights.min(), heights.max()], ends, atol=1e-12)


@pytest.mark.parametrize("draw", OF_STUDIES)
def test_two_networks_and_nothing_compared(draw: Any) -> None:
    pair = compared(n_networks=2)
    figure = draw(pair)
    assert intervals(only_axes(figure)) == []
    figure.canvas.draw()
    draw(Study(("a", "b"), (), CompareSettings([MEASURE]), ())).canvas.draw()


def test_epochs_without_intervals() -> None:
    scalars = {("layer", epoch): {"agreement": 0.5 + 0.1 * epoch} for epoch in (0, 1)}
    figure = figures.agreement_during_training(Trajectory(("layer",), (0, 1), scalars))
    figure.canvas.draw()
    figures.agreement_during_training(Trajectory((), (0, 1), {})).canvas.draw()


def test_all_are_on_the_page(result: Study, trajectory: Trajectory, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    with_training = result.report(tmp_path / "a.html", trajectory=trajectory).read_text()
    without = result.report(tmp_path / "b.html").read_text()
    assert without.count("<figure>") == 3 + 2 * len(LAYERS)
    assert with_training.count("<figure>") == without.count("<figure>") + 1
    assert "The same during training" in with_training
    assert "The same during training" not in without
    unlabelled = compared(labels=None).report(tmp_path / "c.html").read_text()
    assert unlabelled.count("<figure>") == 3 + len(LAYERS)


def test_results_of_an_older_version_are_drawn(result: Study, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    newer = ("consistency_pairs", "agreement_pairs", "agreement_native_pairs", "class")
    older = tuple(
        TaskResult(
            of_layer.task,
            of_layer.key,
            {k: v for k, v in of_layer.scalars.items() if not k.endswith(("_low", "_high"))},
            {k: v for k, v in of_layer.arrays.items() if not k.startswith(newer)},
        )
        for of_layer in result.results
    )
    page = Study(result.networks, result.layers, result.settings, older).report(tmp_path / "a.html")
    assert page.read_text().count("<figure>") == 2 + len(LAYERS)
