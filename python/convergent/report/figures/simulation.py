"""Figures of Lu et al. (2018), Figure 2: are transformations found that are known?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from convergent.report.figures.style import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    first_of_rows,
    panel_grid,
    pixels,
    styled,
)
from convergent.simulation.one_run import QUANTITIES
from convergent.simulation.simulation import Simulation

_SPACES = (("shared", BLUE, "shared space"), ("native", ORANGE, "native space"))
_PANELS = (
    ("within", "within networks,\nnative space"),
    ("between_shared", "between networks,\nshared space"),
    ("between_native", "between networks,\nnative space"),
)


@styled
def simulation_bars(simulations: Sequence[Simulation]) -> Figure:
    """Draw how well similarities between copies reproduce those within, in both spaces, one panel a simulation (2A).

    Bars are means over runs, lines their 95 % bootstrap intervals.
    """
    figure, panels = panel_grid(len(simulations), 2.9, 3.1, sharey=True)
    for axes, simulation in zip(panels, simulations):
        for (space, colour, label), shift in zip(_SPACES, (-0.2, 0.2)):
            found = [simulation.interval(f"{method}_{space}") for method in ("linear", "rank")]
            heights = [interval.estimate for interval in found]
            reach = [
                [interval.estimate - interval.low for interval in found],
                [interval.high - interval.estimate for interval in found],
            ]
            positions = np.arange(2) + shift
            axes.bar(positions, heights, 0.36, color=colour, label=label)
            axes.errorbar(positions, heights, reach, color=INK, linewidth=1.4, linestyle="", capsize=3)  # fmt: skip
        axes.set_xticks([0, 1], ["linear", f"rank\n({simulation.settings.rank.capitalize()})"])
        axes.axhline(0, color=FAINT, linewidth=0.8)
        axes.set_title(_title(simulation))
    for axes in first_of_rows(panels):
        axes.set_ylabel("correlation of similarities\nbetween and within networks")
    low = min(0.0, *(axes.get_ylim()[0] for axes in panels))
    panels[0].set_ylim(low, 1.04)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _title(simulation: Simulation) -> str:
    noise = simulation.settings.noise
    return f"{simulation.settings.kind} copies" + (f",\nnoise {noise:g}" if noise else "")


@styled
def simulation_rsms(simulation: Simulation) -> Figure:
    """Draw the mean similarity matrices of the first run, on one colour scale (Figure 2B)."""
    figure = Figure(figsize=(8.6, 2.95))
    panels = figure.subplots(1, 3)
    matrices = [getattr(simulation.rsms, name) for name, _ in _PANELS]
    limit = max(float(np.abs(matrix).max()) for matrix in matrices) or 1.0
    for axes, matrix, (_, title) in zip(panels, matrices, _PANELS):
        image = axes.imshow(
            matrix, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation=pixels(matrix)
        )
        axes.set_title(title)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        _classes(axes, simulation.labels)
    what = "examples" if simulation.labels is None else "examples, by class"
    panels[0].set_ylabel(what, labelpad=8)
    figure.colorbar(image, ax=list(panels), label="similarity", shrink=0.8)
    return figure


def _classes(axes: Axes, labels: NDArray[np.intp] | None) -> None:
    """Name the classes along the x axis and draw a line between them."""
    if labels is None:
        axes.set_xlabel("examples")
        return
    edges = np.flatnonzero(labels[1:] != labels[:-1]) + 0.5
    axes.hlines(edges, -0.5, len(labels) - 0.5, color="white", linewidth=0.9)
    axes.vlines(edges, -0.5, len(labels) - 0.5, color="white", linewidth=0.9)
    ends = np.concatenate([[-0.5], edges, [len(labels) - 0.5]])
    names = [f"class {labels[int(start + 0.5)]}" for start in ends[:-1]]
    axes.set_xticks((ends[:-1] + ends[1:]) / 2.0, names)
    axes.tick_params(axis="x", length=0)


@styled
def simulation_noise(simulations: Sequence[Simulation]) -> Figure:
    """Draw the agreement over the noise of the copies, one panel a kind of transformation.

    Bands are 95 % bootstrap intervals over runs; dashed lines are rank correlations.
    """
    kinds = list(dict.fromkeys(simulation.settings.kind for simulation in simulations))
    figure, panels = panel_grid(len(kinds), 3.1, 3.1, sharey=True)
    for axes, kind in zip(panels, kinds):
        of_kind = sorted(
            (s for s in simulations if s.settings.kind == kind), key=lambda s: s.settings.noise
        )
        noise = [simulation.settings.noise for simulation in of_kind]
        for quantity in QUANTITIES:
            method, space = quantity.split("_")
            colour, name = next((c, label) for s, c, label in _SPACES if s == space)
            found = [simulation.interval(quantity) for simulation in of_kind]
            style = "-" if method == "linear" else "--"
            axes.plot(noise, [i.estimate for i in found], f"o{style}", color=colour, markersize=4,
                      label=f"{name}, {method}")  # fmt: skip
            axes.fill_between(
                noise, [i.low for i in found], [i.high for i in found], color=colour, alpha=0.15,
                linewidth=0,
            )  # fmt: skip
        axes.set_title(f"{kind} copies")
        axes.set_xlabel("noise, standard deviations\nof the activations")
        axes.axhline(0, color=FAINT, linewidth=0.8)
    for axes in first_of_rows(panels):
        axes.set_ylabel("correlation of similarities\nbetween and within networks")
    panels[0].set_ylim(min(0.0, *(axes.get_ylim()[0] for axes in panels)), 1.04)
    lines = panels[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=2, handlelength=3.5)
    return figure
