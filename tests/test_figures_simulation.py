"""The simulation's figures draw the numbers of the results, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convergent as cv
from convergent.simulation.one_run import MeanRsms
from convergent.simulation.settings import SimulationSettings

pytest.importorskip("matplotlib")

from matplotlib.container import ErrorbarContainer

from convergent.report import figures

LABELS = np.array([0, 0, 0, 1, 1])


def result(seed: int = 0, labels: Any = LABELS, **settings: Any) -> cv.Simulation:
    rng = np.random.default_rng(seed)
    return cv.Simulation(
        SimulationSettings.of(**settings),
        rng.uniform(-0.5, 0.9, (12, 4)),
        np.ones(12, dtype=np.bool_),
        None,
        MeanRsms(*rng.uniform(-0.8, 0.8, (3, 5, 5))),
        labels,
    )


def test_bars_are_the_means_and_their_intervals() -> None:
    simulations = [result(0, rank="kendall"), result(1, kind="permutation", noise=0.5)]
    figure = figures.simulation_bars(simulations)
    assert [axes.get_title() for axes in figure.axes] == [
        "orthogonal copies", "permutation copies,\nnoise 0.5",
    ]  # fmt: skip
    for axes, of in zip(figure.axes, simulations):
        expected = ["linear_shared", "rank_shared", "linear_native", "rank_native"]
        heights = [bar.get_height() for bar in axes.patches]  # type: ignore[attr-defined]
        assert heights == pytest.approx([of.interval(name).estimate for name in expected])
        errors = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
        ends = [segment[:, 1] for c in errors for segment in c.lines[2][0].get_segments()]
        for found, name in zip(ends, expected, strict=True):
            interval = of.interval(name)
            np.testing.assert_allclose(found, [interval.low, interval.high], atol=1e-12)
        low, high = axes.get_ylim()
        assert low <= min(min(end) for end in ends)
        assert high >= 1.0
    names = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert names == ["linear", "rank\n(Kendall)"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "shared space", "native space",
    ]  # fmt: skip


@pytest.mark.parametrize("labels", [LABELS, None])
def test_similarities_share_a_scale_and_name_the_classes(labels: Any) -> None:
    of = result(labels=labels)
    figure = figures.simulation_rsms(of)
    panels = figure.axes[:3]
    names = ("within", "between_shared", "between_native")
    limit = max(np.abs(getattr(of.rsms, name)).max() for name in names)
    for axes, name in zip(panels, names):
        (image,) = axes.images
        np.testing.assert_array_equal(np.asarray(image.get_array()), getattr(of.rsms, name))
        assert image.get_clim() == pytest.approx((-limit, limit))
        ticks = [label.get_text() for label in axes.get_xticklabels()]
        assert ticks == ([] if labels is None else ["class 0", "class 1"])
    assert len(figure.axes) == 4
    assert panels[0].get_ylabel() == ("examples" if labels is None else "examples, by class")
    if labels is not None:
        assert panels[0].get_xticks().tolist() == [1.0, 3.5]


def test_noise_is_drawn_in_its_order() -> None:
    noises = (2.0, 0.0, 1.0)
    simulations = [result(i, noise=noise) for i, noise in enumerate(noises)]
    simulations.append(result(5, kind="permutation"))
    figure = figures.simulation_noise(simulations)
    assert [axes.get_title() for axes in figure.axes] == ["orthogonal copies", "permutation copies"]
    curves = {str(line.get_label()): line for line in figure.axes[0].get_lines()}
    for name in ("shared space, linear", "native space, rank"):
        space, method = name.split(" space, ")
        expected = [
            simulations[i].interval(f"{method}_{space}").estimate for i in np.argsort(noises)
        ]
        assert list(curves[name].get_xdata()) == [0.0, 1.0, 2.0]  # type: ignore[arg-type]
        assert list(curves[name].get_ydata()) == pytest.approx(expected)  # type: ignore[arg-type]


def test_one_panel_alone() -> None:
    assert len(figures.simulation_bars([result()]).axes) == 1
    assert len(figures.simulation_noise([result()]).axes) == 1
