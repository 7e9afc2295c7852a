"""Figures of Lu et al. (2018): the networks of one layer before and after alignment to one shared space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from convergent.report.figures.style import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    interval_bars,
    layer_axis,
    layers_width,
    nothing_to_draw,
    shortened,
    styled,
)
from convergent.study.result import TaskResult
from convergent.study.study import Study

MOST_CLASSES = 10
"""Classes that are told apart by colour; of more, so many are chosen."""
_MARKERS = ("o", "s")
_FACES: dict[str, Any] = {
    "o": {"markersize": 6.5, "markeredgewidth": 0.0},
    "s": {"markersize": 8.5, "markeredgewidth": 1.5, "markerfacecolor": "none"},
}
_PANELS = (
    ("native", "before alignment", 0),
    ("shared", "after alignment", 1),
)


@styled
def class_mean_panels(
    result: TaskResult, class_names: Sequence[str] | None = None, title: str | None = None
) -> Figure:
    """Draw the class means of the first two networks in two dimensions, before and after alignment (Figure 1A).

    A line joins the two networks' points of a class. `class_names` are those of the classes in ascending order;
    without them the labels themselves are shown.
    """
    figure = Figure(figsize=(8.4, 3.6))
    panels = figure.subplots(1, 2)
    if "class_means_native" not in result.arrays:
        nothing_to_draw(panels[0], "no labels")
        nothing_to_draw(panels[1], "no labels")
        return figure
    classes = [str(name) for name in result.arrays["classes"]]
    names = list(class_names) if class_names is not None else classes
    chosen = _chosen(len(classes))
    colours = _class_colours(len(chosen))
    for axes, (space, heading, column) in zip(panels, _PANELS):
        points = result.arrays[f"class_means_{space}"]
        others = np.setdiff1d(np.arange(len(classes)), chosen)
        for of_network, marker in zip(points, _MARKERS):
            axes.plot(*of_network[others].T, marker, color=FAINT, markersize=2.5, alpha=0.6)
        for k, colour in zip(chosen, colours):
            axes.plot(*points[:, k].T, color=colour, linewidth=1.1, alpha=0.75)
            for of_network, marker in zip(points, _MARKERS):
                axes.plot(*of_network[k], marker, color=colour, **_FACES[marker])
        gap, share = (float(result.arrays[key][column]) for key in ("class_gaps", "class_shares"))
        axes.set_title(heading)
        axes.set_xlabel(
            f"distance between the networks: {100 * gap:.0f} %\n"
            f"(the axes show {100 * share:.0f} % of the spread of the classes)"
        )
        _equal_and_bare(axes)
    handles: list[Any] = [
        Line2D(
            [],
            [],
            color=INK,
            marker=marker,
            linestyle="",
            label=shortened(name, 16),
            **_FACES[marker],
        )
        for name, marker in zip(result.task.networks, _MARKERS)
    ]
    handles += [
        Line2D([], [], color=colour, linewidth=3, label=shortened(names[k], 16))
        for k, colour in zip(chosen, colours)
    ]
    figure.legend(handles=handles, loc="outside right center", title=title)
    return figure


def _chosen(n_classes: int) -> NDArray[np.intp]:
    """Return the classes to colour: all, or some at even steps."""
    n_chosen = min(n_classes, MOST_CLASSES)
    return np.linspace(0, n_classes - 1, n_chosen).round().astype(np.intp)


def _class_colours(n_classes: int) -> list[Any]:
    return [mpl.colormaps["tab10"](i) for i in range(n_classes)]


def _equal_and_bare(axes: Axes) -> None:
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.12)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.axhline(0, color=FAINT, linewidth=0.5, zorder=0)
    axes.axvline(0, color=FAINT, linewidth=0.5, zorder=0)
    axes.spines[:].set_visible(False)


@styled
def rsm_panels(result: TaskResult) -> Figure:
    """Draw similarity matrices between networks in the shared space, within them, and between them (Figure 1B)."""
    keys = {
        "rsm_between_shared": "between networks,\nshared space",
        "rsm_within": "within networks",
        "rsm_between_native": "between networks,\nnative space",
    }
    present = [key for key in keys if key in result.arrays]
    figure = Figure(figsize=(2.55 * len(present) + 0.8, 2.95))
    panels = np.atleast_1d(figure.subplots(1, len(present)))
    limit = colour_limit(result.arrays["rsm_within"])
    for axes, key in zip(panels, present):
        image = axes.imshow(
            result.arrays[key], cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"
        )
        axes.set_title(keys[key])
        axes.set_xlabel("examples")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        _class_lines(axes, result)
    panels[0].set_ylabel("examples, by class" if "labels" in result.arrays else "examples")
    figure.colorbar(image, ax=list(panels), label="similarity", shrink=0.8)
    return figure


def colour_limit(matrix: NDArray[Any]) -> float:
    """Return the similarity that has the darkest colour: what all but one in 200 entries off the diagonal keep to."""
    entries = np.abs(matrix[~np.eye(len(matrix), dtype=np.bool_)])
    return float(np.quantile(entries, 0.995)) or 1.0


def _class_lines(axes: Axes, result: TaskResult) -> None:
    if "labels" not in result.arrays:
        return
    labels = result.arrays["labels"][result.arrays["shown"]]
    edges = np.flatnonzero(labels[1:] != labels[:-1]) + 0.5
    if len(edges) >= 2 * MOST_CLASSES:  # lines would hide the matrix
        return
    axes.hlines(edges, -0.5, len(labels) - 0.5, color="white", linewidth=0.4)
    axes.vlines(edges, -0.5, len(labels) - 0.5, color="white", linewidth=0.4)


@styled
def agreement_bars(study: Study) -> Figure:
    """Draw how well similarities between networks reproduce those within, with and without alignment (Figure 2A).

    Bars are correlations of the mean matrices, lines their 95 % intervals over networks.
    """
    names = study.layers_with("shared_response")
    figure = Figure(figsize=(layers_width(len(names)) + 1.0, 3.0))
    axes = figure.subplots()
    positions = np.arange(len(names))
    for quantity, shift, colour, label in (
        ("agreement", -0.2, BLUE, "shared space"),
        ("agreement_native", 0.2, ORANGE, "native space"),
    ):
        heights = np.array([study.value(name, "shared_response", quantity) for name in names])
        known = np.isfinite(heights)
        axes.bar(positions[known] + shift, heights[known], 0.36, color=colour, label=label)
        interval_bars(axes, study, names, quantity, positions + shift, INK)
    layer_axis(axes, names)
    axes.set_xlim(-0.6, max(len(names) - 0.4, 0.6))
    axes.set_ylim(min(0.0, *axes.get_ylim()), 1.02)
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.set_xlabel("layer, from input to output")
    axes.set_ylabel("correlation of similarities\nbetween and within networks")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
