"""Figures of Li et al. (2016), Section 4: predict each unit of a network from a few units of another."""

from __future__ import annotations

from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from numpy.typing import NDArray

from convergent.report.figures.intervals import draw_band
from convergent.report.figures.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    count_units,
    panel_grid,
    pixels,
    shortened,
    styled,
)
from convergent.study.result import TaskResult
from convergent.study.study import Study

NO_PREDICTION = 0.5
"""Loss of predicting nothing, in units of the predicted units' variance."""
_LAYERS_IN_ROW = 6


def mean_losses(study: Study, layer: str) -> list[float]:
    """Return the mean prediction loss over pairs of networks at each of the settings' penalties."""
    return [
        study.value(layer, "sparse_map", f"loss_at_{penalty:g}")
        for penalty in study.settings.penalties
    ]


@styled
def prediction_losses(study: Study) -> Figure:
    """Draw loss and number of predictors over penalties, one line a layer (the numbers of Li et al. 2016, Table 1).

    Lines are means over pairs of networks, bands their 95 % intervals (networks being drawn) from three networks on.
    The dotted line is the loss of predicting nothing; the dashed one is the penalty of the trees and of the other
    figures.
    """
    names = study.layers_with("sparse_map")
    figure, (left, right) = panel_grid(2, 4.0, 3.2)
    colours = [mpl.colormaps["plasma"](v) for v in np.linspace(0.0, 0.8, max(len(names), 1))]
    for name, colour in zip(names, colours):
        pairs = study.of(name, "sparse_map")
        penalties = pairs[0].arrays["penalties"]
        places = penalty_places(penalties)
        for axes, key in ((left, "loss"), (right, "predictors")):
            band = study.band(name, "sparse_map", partial(_array, key=key),
                              bounds=(0.0, np.inf))  # fmt: skip
            axes.plot(places, band.mean, color=colour, marker="o", markersize=3.5, linewidth=1.5,
                      label=shortened(name))  # fmt: skip
            draw_band(axes, places, band, colour=colour, alpha=0.15)
        for axes in (left, right):
            _penalty_axis(axes, penalties, study.settings.penalty)
    left.axhline(NO_PREDICTION, color=FAINT, linewidth=0.9, linestyle=":")
    left.set_ylim(0.0, max(0.55, left.get_ylim()[1]) if names else 0.55)
    left.set_ylabel("loss (half of the unexplained share)")
    right.set_yscale("symlog", linthresh=1.0)
    right.set_ylim(bottom=0.0)
    right.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    right.set_ylabel("predictors per unit")
    if names:
        right.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="layer")
    return figure


def _array(pair: TaskResult, key: str) -> NDArray[np.float64]:
    return pair.arrays[key]


def penalty_places(penalties: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of the penalties; none at all (0) comes one step before the smallest."""
    positive = penalties[penalties > 0.0]
    first = np.log10(positive.min()) - 1.0 if positive.size else 0.0
    return np.array([np.log10(p) if p > 0.0 else first for p in penalties])


def _penalty_axis(axes: Axes, penalties: NDArray[np.float64], chosen: float) -> None:
    places = penalty_places(penalties)
    labelled = [(place, p) for place, p in zip(places, penalties) if _is_round(p)]
    axes.set_xticks([place for place, _ in labelled], [_penalty_label(p) for _, p in labelled])
    for line in axes.get_lines():
        if line.get_gid() == "chosen":
            return
    place = places[np.argmin(np.abs(penalties - chosen))]
    axes.axvline(place, color=FAINT, linewidth=0.9, linestyle="--", zorder=0, gid="chosen")
    axes.set_xlabel("L1 penalty")


def _is_round(penalty: float) -> bool:
    return penalty == 0.0 or abs(np.log10(penalty) - round(np.log10(penalty))) < 1e-9


def _penalty_label(penalty: float) -> str:
    return "0" if penalty == 0.0 else f"$10^{{{round(np.log10(penalty))}}}$"


@styled
def mapping_overview(study: Study) -> Figure:
    """Draw both networks' layers and between them the mappings, with their numbers (Li et al. 2016, Figure 5).

    Blue boxes are the layers of the network that predicts, orange ones those of the network that is predicted. Each
    green square is one mapping; the part of it that is filled is the explained share of the predicted units'
    variance, the dark line at its right side the 95 % interval of that share (networks being drawn) from three
    networks on. Numbers are means over pairs of networks.
    """
    names = study.layers_with("sparse_map")
    n_columns = min(max(len(names), 1), _LAYERS_IN_ROW)
    n_rows = max(-(-len(names) // _LAYERS_IN_ROW), 1)
    figure = Figure(figsize=(1.55 * n_columns + 1.5, 2.7 * n_rows))
    axes = figure.subplots()
    axes.set_xlim(-1.5, 1.55 * n_columns)
    axes.set_ylim(2.7 * n_rows, 0.0)
    axes.set_aspect("equal")
    axes.axis("off")
    for row in range(n_rows):
        top = 2.7 * row
        shown = names[row * _LAYERS_IN_ROW : (row + 1) * _LAYERS_IN_ROW]
        for line, text, colour in (
            (0.42, "network that\npredicts", BLUE),
            (1.32, "mapping", GREEN),
            (2.22, "network that\nis predicted", ORANGE),
        ):
            axes.text(-0.1, top + line, text, ha="right", va="center", size=8.5, color=colour)
        for column, name in enumerate(shown):
            _mapping(axes, study, name, 1.55 * column + 0.1, top)
            if column + 1 < len(shown):
                start = 1.55 * column + 1.38
                for height in (top + 0.42, top + 2.22):
                    _arrow(axes, (start, height), (start + 0.27, height))
    return figure


def _mapping(axes: Axes, study: Study, name: str, left: float, top: float) -> None:
    """Draw one layer of both networks and the mapping between them."""
    width, middle = 1.28, left + 0.64
    layer = next(layer for layer in study.layers if layer.name == name)
    first = study.of(name, "sparse_map")[0].task.networks
    for height, network, colour in ((0.2, first[0], BLUE), (2.0, first[1], ORANGE)):
        axes.add_patch(Rectangle((left, top + height), width, 0.44, facecolor="white",
                                 edgecolor=colour, linewidth=1.3))  # fmt: skip
        units = layer.widths[study.networks.index(network)]
        axes.text(middle, top + height + 0.13, shortened(name, 14), ha="center", va="center", size=7.5,
                  weight="bold")  # fmt: skip
        axes.text(
            middle,
            top + height + 0.32,
            "1 unit" if units == 1 else f"{units} units",
            ha="center",
            va="center",
            size=7,
        )
    unexplained = 2.0 * study.value(name, "sparse_map", f"loss_at_{study.settings.penalty:g}")
    explained = min(max(1.0 - unexplained, 0.0), 1.0)
    side, up = 0.5, top + 1.07
    axes.add_patch(Rectangle((left, up + side * (1.0 - explained)), side, side * explained,
                             facecolor=GREEN, alpha=0.55, linewidth=0, gid="explained"))  # fmt: skip
    axes.add_patch(Rectangle((left, up), side, side, facecolor="none", edgecolor=GREEN, linewidth=1.5))  # fmt: skip
    interval = study.interval(name, "sparse_map", f"loss_at_{study.settings.penalty:g}")
    if interval is not None:
        ends = [min(2.0 * end, 1.0) for end in (interval.low, interval.high)]
        axes.plot([left + side] * 2, [up + side * end for end in ends], color=INK, linewidth=2.6,
                  solid_capstyle="butt", gid="interval")  # fmt: skip
    predictors = study.value(name, "sparse_map", f"predictors_at_{study.settings.penalty:g}")
    axes.text(left + 0.56, up + side / 2, f"{100 * unexplained:.0f} % not\nexplained\n{predictors:.1f} units\neach",
              ha="left", va="center", size=7.2, linespacing=1.25, color=INK)  # fmt: skip
    centre = left + side / 2
    _arrow(axes, (centre, top + 0.66), (centre, top + 1.05))
    _arrow(axes, (centre, top + 1.59), (centre, top + 1.98))


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=7, color=FAINT,
                                   linewidth=1.0, shrinkA=0, shrinkB=0))  # fmt: skip


@styled
def mapping_weights(result: TaskResult) -> Figure:
    """Draw a mapping's weights as they are and ordered by best predictor (Li et al. 2016, Figure 6, left).

    Rows are the predicted units, columns those that predict. In the right panel the rows follow the column of their
    largest weight (by size), so that a diagonal means one main predictor each; rows without any weight come last.
    """
    weights = result.arrays["weights"]
    figure, panels = panel_grid(2, 3.5, 3.8)
    limit = float(np.abs(weights).max(initial=0.0)) or 1.0
    a, b = (shortened(name) for name in result.task.networks)
    shown = (
        (weights, "as trained"),
        (weights[best_predictor_order(weights)], "rows by best predictor"),
    )
    image: Any = None
    for axes, (matrix, title) in zip(panels, shown):
        image = axes.imshow(
            matrix, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation=pixels(matrix)
        )
        axes.set_title(title)
        axes.set_xlabel(f"units of {a}, which predict")
        count_units(axes.xaxis, axes.yaxis)
        axes.spines[:].set_visible(False)
    panels[0].set_ylabel(f"units of {b}, predicted")
    figure.colorbar(image, ax=panels, label="weight", shrink=0.8)
    return figure


def best_predictor_order(weights: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the rows in the order of the columns of their largest weights by size, empty rows last."""
    sizes = np.abs(weights)
    best, strength = sizes.argmax(axis=1), sizes.max(axis=1)
    best = np.where(strength > 0.0, best, weights.shape[1])
    return np.lexsort((-strength, best))
