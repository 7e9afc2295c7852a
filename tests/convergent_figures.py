"""A study of convergent learning to draw, and what its figures hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import study
from convergent.study import CompareSettings, Study, TaskResult

pytest.importorskip("matplotlib")

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

MEASURES = (
    "activations",
    "correlation",
    "mutual_information",
    "recurring_units",
    "sparse_map",
    "unit_tree",
    "unit_groups",
)
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
