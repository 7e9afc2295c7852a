"""Figures of Wang et al. (2018): how much of two layers spans the same space."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from convergent.report.figures.intervals import draw_band, draw_means
from convergent.report.figures.style import (
    BLUE,
    FAINT,
    INK,
    layer_axis,
    layers_width,
    shortened,
    styled,
)
from convergent.study.study import Study

LEVEL_BINS = 40
_HALF_WIDTH = 0.42
_DOTS_BESIDE = 0.03


def epsilon_colours(n_epsilons: int) -> list[Any]:
    """Return one colour an epsilon, dark for the strictest; in order also for the colour-blind."""
    return [mpl.colormaps["viridis"](v) for v in np.linspace(0.0, 0.85, n_epsilons)]


@styled
def similarity_over_layers(study: Study) -> Figure:
    """Draw the maximum matching similarity over layers, one line an epsilon (Wang et al. 2018, Figure 1).

    Lines are means over pairs of networks, bars their 95 % intervals (networks being drawn) from three networks
    on, small dots the single pairs.
    """
    names = study.layers_with("max_match")
    epsilons = study.settings.epsilons
    figure = Figure(figsize=(layers_width(len(names)), 3.3))
    axes = figure.subplots()
    positions = np.arange(len(names))
    shifts = 0.08 * (np.arange(len(epsilons)) - (len(epsilons) - 1) / 2)
    for shift, epsilon, colour in zip(shifts, epsilons, epsilon_colours(len(epsilons))):
        pairs = [study.values(n, "max_match", f"similarity_at_{epsilon:g}") for n in names]
        for position, values in zip(positions, pairs):
            dots = np.full(len(values), position + shift + _DOTS_BESIDE)
            axes.plot(dots, values, ".", color=colour, alpha=0.45, markersize=3.5, zorder=1)
        draw_means(axes, study, names, "max_match", f"similarity_at_{epsilon:g}", positions + shift,
                   colour=colour, label=f"ε = {epsilon:g}", markersize=4.5)  # fmt: skip
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(-0.5, max(len(names) - 0.5, 0.5))
    axes.set_xlabel("layer, from input to output")
    axes.set_ylabel("maximum matching\nsimilarity s(ε)")
    layer_axis(axes, names)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@styled
def similarity_curves(study: Study) -> Figure:
    """Draw the maximum matching similarity for every epsilon, one curve a layer.

    Each curve is the mean over pairs of networks, its band the 95 % interval of each point (networks being drawn) from
    three networks on; dotted lines mark the epsilons of the table.
    """
    names = study.layers_with("max_match")
    figure = Figure(figsize=(6.2, max(3.3, 0.21 * len(names) + 0.6)))
    axes = figure.subplots()
    for epsilon in study.settings.epsilons:
        axes.axvline(epsilon, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
    for i, (name, colour) in enumerate(zip(names, _layer_colours(len(names)))):
        epsilons = study.of(name, "max_match")[0].arrays["curve_epsilon"]
        band = study.band(name, "max_match", lambda pair: pair.arrays["curve_similarity"],
                          bounds=(0.0, 1.0))  # fmt: skip
        style = ("-", "--")[i % 2]
        axes.plot(epsilons, band.mean, color=colour, linestyle=style, label=shortened(name))
        draw_band(axes, epsilons, band, colour=colour, alpha=0.15)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("ε (relative residual)")
    axes.set_ylabel("maximum matching\nsimilarity s(ε)")
    if names:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="layer")
    return figure


@styled
def unit_levels(study: Study) -> Figure:
    """Draw how the units' levels spread in each layer: the smallest epsilon at which each of them is matched.

    Each shape is a histogram of the units of all networks in all pairs, as wide as its fullest class allows; the line
    across is the median. Dead units have no level and are left out.
    """
    names = study.layers_with("max_match")
    figure = Figure(figsize=(layers_width(len(names)), 3.3))
    axes = figure.subplots()
    for epsilon in study.settings.epsilons:
        axes.axhline(epsilon, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
    for position, name in enumerate(names):
        _level_shape(axes, position, pooled_levels(study, name))
    axes.set_xlim(-0.6, max(len(names) - 0.4, 0.6))
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("layer, from input to output")
    axes.set_ylabel("level of a unit\n(smallest ε that matches it)")
    layer_axis(axes, names)
    return figure


def pooled_levels(study: Study, layer: str) -> NDArray[np.float64]:
    """Return the levels of all living units of a layer, of both networks of every pair."""
    pairs = study.of(layer, "max_match")
    levels = np.concatenate(
        [pair.arrays[key] for pair in pairs for key in ("levels_x", "levels_y")]
    )
    living: NDArray[np.float64] = levels[np.isfinite(levels)]
    return living


def _level_shape(axes: Axes, position: int, levels: NDArray[np.float64]) -> None:
    if not levels.size:
        axes.text(position, 0.75, "no living\nunit", ha="center", va="center", size=8.5)
        return
    counts, edges = np.histogram(levels, bins=LEVEL_BINS, range=(0.0, 1.0))
    half = _HALF_WIDTH * counts / counts.max()
    axes.stairs(position + half, edges, baseline=position - half, orientation="horizontal",
                fill=True, color=BLUE, alpha=0.55, linewidth=0)  # fmt: skip
    axes.hlines(np.median(levels), position - 0.3, position + 0.3, color=INK, linewidth=1.6)


def _layer_colours(n_layers: int) -> list[Any]:
    """Return one colour a layer, from input to output, all dark enough on white."""
    return [mpl.colormaps["plasma"](v) for v in np.linspace(0.0, 0.8, n_layers)]
