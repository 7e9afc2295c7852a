"""Figures of Li et al. (2016), Sections S.1 and S.4: what single units do, and which of them every network has."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from convergent.report.figures.style import (
    BLUE,
    INK,
    ORANGE,
    count_units,
    first_of_rows,
    layer_axis,
    layers_width,
    nothing_to_draw,
    panel_grid,
    shortened,
    styled,
)
from convergent.study.result import TaskResult
from convergent.study.study import Study

_MOST_NAMED = 8


@styled
def activation_scatter(pair: TaskResult) -> Figure:
    """Draw the activations of the best and the worst matched units against each other (Li et al. 2016, Figure S1).

    Blue: the pairs with the highest correlation; orange: those with the lowest. One dot an example, drawn at random.
    """
    pairs = pair.arrays.get("scatter_pairs", np.zeros((0, 2), dtype=np.int64))
    figure, panels = panel_grid(len(pairs), 2.35, 2.3)
    if not len(pairs):
        nothing_to_draw(panels[0], "no responses to show")
    a, b = (shortened(name, 16) for name in pair.task.networks)
    n_best = int(pair.arrays["scatter_n_best"]) if len(pairs) else 0
    for k, (axes, (unit_x, unit_y)) in enumerate(zip(panels, pairs.tolist())):
        x, y = pair.arrays["scatter_x"][k], pair.arrays["scatter_y"][k]
        axes.plot(x, y, ".", color=BLUE if k < n_best else ORANGE, markersize=2.2, alpha=0.35,
                  markeredgewidth=0, rasterized=True)  # fmt: skip
        axes.set_title(f"r = {pair.arrays['similarity'][unit_x, unit_y]:.2f}", size=9.5)
        axes.set_xlabel(f"{a}, unit {unit_x}")
        axes.set_ylabel(f"{b}, unit {unit_y}")
        axes.locator_params(nbins=4)
    return figure


@styled
def mean_activations(study: Study) -> Figure:
    """Draw the mean activation of every unit, most active first, one line a network (Li et al. 2016, Figure S10).

    The axis is logarithmic where no mean is negative; units that are never active end the line.
    """
    names = study.layers_with("activations")
    figure, panels = panel_grid(len(names), 2.75, 2.6)
    colours = network_colours(len(study.networks))
    for axes, name in zip(panels, names):
        (result,) = study.of(name, "activations")
        means = [np.sort(mean)[::-1] for mean in unit_means(result)]
        low = min(float(mean.min()) for mean in means)
        high = max(float(mean.max()) for mean in means)
        logarithmic = low >= 0.0 and high > 0.0
        for mean, network in zip(means, result.task.networks):
            shown = np.where(mean > 0.0, mean, np.nan) if logarithmic else mean
            axes.plot(np.arange(1, len(mean) + 1), shown, linewidth=1.3, label=shortened(network),
                      color=colours[study.networks.index(network)],
                      marker="o" if len(mean) == 1 else None)  # fmt: skip
        axes.set_yscale("log" if logarithmic else "linear")
        axes.set_title(shortened(name))
        axes.set_xlabel("units, most active first")
        count_units(axes.xaxis)
    for axes in first_of_rows(panels):
        axes.set_ylabel("mean activation")
    if names and len(study.networks) <= _MOST_NAMED:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def unit_means(result: TaskResult) -> list[NDArray[np.float64]]:
    """Return the mean activation of each unit, one array a network."""
    return [result.arrays[f"mean_{i}"] for i in range(len(result.task.networks))]


def network_colours(n_networks: int) -> list[Any]:
    """Return one colour a network: distinct ones for a few, shades for many."""
    if n_networks <= _MOST_NAMED:
        return [mpl.colormaps["Dark2"](i) for i in range(n_networks)]
    return [mpl.colormaps["viridis"](v) for v in np.linspace(0.0, 0.9, n_networks)]


@styled
def recurring_units(study: Study) -> Figure:
    """Draw in how many other networks the units have a counterpart, and how many recur in all, over layers.

    Bars: all units of all networks, by the number of other networks that have a unit matched to them. Line: sets of
    units, one of each network, that are all matched to each other, as a share of the narrowest network's units.
    """
    names = study.layers_with("recurring_units")
    figure = Figure(figsize=(layers_width(len(names)), 3.1))
    axes = figure.subplots()
    n_others = len(study.networks) - 1
    shares = np.array([_shares(study, name, n_others) for name in names]).reshape(-1, n_others + 1)
    colours = [mpl.colormaps["Blues"](v) for v in np.linspace(0.08, 0.75, n_others + 1)]
    below = np.zeros(len(names))
    for count in range(n_others, -1, -1):
        axes.bar(np.arange(len(names)), shares[:, count], 0.6, below, color=colours[count],
                 label=_counted_label(count, n_others))  # fmt: skip
        below += shares[:, count]
    recurring = [study.value(name, "recurring_units", "share") for name in names]
    axes.plot(range(len(names)), recurring, color=INK, marker="o", markersize=5, linewidth=1.4,
              label="recur in all networks")  # fmt: skip
    axes.set_ylim(0.0, 1.03)
    axes.set_xlim(-0.6, max(len(names) - 0.4, 0.6))
    axes.set_xlabel("layer, from input to output")
    axes.set_ylabel("share of units")
    layer_axis(axes, names)
    _short_legend(axes, n_others)
    return figure


def _shares(study: Study, name: str, n_others: int) -> NDArray[np.float64]:
    (result,) = study.of(name, "recurring_units")
    counts = [result.arrays[f"n_networks_{i}"] for i in range(len(result.task.networks))]
    every = np.concatenate(counts)
    return np.bincount(every, minlength=n_others + 1) / every.size


def _counted_label(count: int, n_others: int) -> str:
    if count == n_others:
        return (
            "matched in the other network" if n_others == 1 else f"matched in all {n_others} others"
        )
    return "in no other" if count == 0 else f"in {count}"


def _short_legend(axes: Axes, n_others: int) -> None:
    """Name the line and the bars, or of many bars those at the ends."""
    handles, labels = axes.get_legend_handles_labels()
    line = labels.index("recur in all networks")
    bars = [k for k in range(len(labels)) if k != line]
    if n_others + 1 > _MOST_NAMED:
        bars = [bars[0], bars[len(bars) // 2], bars[-1]]
    chosen = [line, *bars]
    axes.legend([handles[k] for k in chosen], [labels[k] for k in chosen],
                loc="center left", bbox_to_anchor=(1.0, 0.5))  # fmt: skip
