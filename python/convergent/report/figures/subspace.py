"""Figures of Wang et al. (2018): how much of two layers spans the same space."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from convergent.report.figures.style import (
    FAINT,
    layer_axis,
    layer_colours,
    mean_and_spread,
    shortened,
    styled,
)
from convergent.study.study import Study


@styled
def similarity_over_layers(study: Study) -> Figure:
    """Draw the maximum matching similarity over layers, one line an epsilon (Wang et al. 2018, Figure 1).

    Lines are means over pairs of networks, bars span from the lowest to the highest pair.
    """
    names = [layer.name for layer in study.layers if study.of(layer.name, "max_match")]
    epsilons = study.settings.epsilons
    colours = mpl.colormaps["viridis"](np.linspace(0.05, 0.85, len(epsilons)))
    figure = Figure(figsize=(max(5.2, 0.9 * len(names) + 2.6), 3.3))
    axes = figure.subplots()
    positions = np.arange(len(names))
    for shift, epsilon, colour in zip(np.linspace(-0.06, 0.06, len(epsilons)), epsilons, colours):
        values = [study.values(n, "max_match", f"similarity_at_{epsilon:g}") for n in names]
        mean = np.array([np.mean(v) for v in values])
        spread = [
            mean - [min(v) for v in values],
            np.array([max(v) for v in values]) - mean,
        ]
        axes.errorbar(
            positions + shift,
            mean,
            yerr=spread,
            color=colour,
            marker="o",
            markersize=4,
            capsize=2.5,
            label=f"ε = {epsilon:g}",
        )
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(-0.4, max(len(names) - 0.6, 0.4))
    axes.set_ylabel("maximum matching similarity s(ε)")
    layer_axis(axes, names)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@styled
def similarity_curves(study: Study) -> Figure:
    """Draw the maximum matching similarity for every epsilon, one curve a layer.

    Each curve is the mean over pairs of networks, its band spans from the lowest to the highest pair; dotted lines
    mark the epsilons of the table.
    """
    names = [layer.name for layer in study.layers if study.of(layer.name, "max_match")]
    figure = Figure(figsize=(5.8, 3.3))
    axes = figure.subplots()
    for epsilon in study.settings.epsilons:
        axes.axvline(epsilon, color=FAINT, linewidth=0.8, linestyle=":")
    for name, colour in zip(names, layer_colours(len(names))):
        pairs = study.of(name, "max_match")
        epsilons = pairs[0].arrays["curve_epsilon"]
        mean, low, high = mean_and_spread([pair.arrays["curve_similarity"] for pair in pairs])
        axes.plot(epsilons, mean, color=colour, label=shortened(name))
        axes.fill_between(epsilons, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("ε (relative residual)")
    axes.set_ylabel("maximum matching similarity s(ε)")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
