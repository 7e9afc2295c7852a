"""Figures of Lu et al. (2018): one shared space for all networks."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convergent.report.figures.style import BLUE, FAINT, GREEN, ORANGE, layer_axis, styled
from convergent.study.result import TaskResult
from convergent.study.study import Study


@styled
def rsm_panels(result: TaskResult) -> Figure:
    """Draw similarity matrices within networks, between networks in the shared and native space (Figure 1B)."""
    keys = {
        "rsm_within": "within networks",
        "rsm_between_shared": "between, shared space",
        "rsm_between_native": "between, native space",
    }
    present = [key for key in keys if key in result.arrays]
    figure = Figure(figsize=(2.55 * len(present) + 0.8, 2.75))
    panels = np.atleast_1d(figure.subplots(1, len(present)))
    limit = float(np.quantile(np.abs(result.arrays["rsm_within"]), 0.995)) or 1.0
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
    panels[0].set_ylabel("examples, by class")
    figure.colorbar(image, ax=list(panels), label="similarity", shrink=0.8)
    return figure


def _class_lines(axes: Axes, result: TaskResult) -> None:
    if "labels" not in result.arrays:
        return
    labels = result.arrays["labels"][result.arrays["shown"]]
    edges = np.flatnonzero(np.diff(labels)) + 0.5
    axes.hlines(edges, -0.5, len(labels) - 0.5, color="white", linewidth=0.4)
    axes.vlines(edges, -0.5, len(labels) - 0.5, color="white", linewidth=0.4)


@styled
def agreement_bars(study: Study) -> Figure:
    """Draw how well the shared space aligns the networks, layer by layer (Figures 2A and 3).

    Left: correlation of between- and within-network similarity matrices; right: variance explained on held-out
    examples (the dark part leaves the judged network out of the shared response).
    """
    names = study.layers_with("shared_response")
    figure = Figure(figsize=(max(7.2, 1.7 * len(names) + 2.0), 3.1))
    left, right = figure.subplots(1, 2)
    positions = np.arange(len(names))

    def bars(
        axes: Axes, quantity: str, shift: float, width: float, colour: str, label: str
    ) -> None:
        heights = [study.value(name, "shared_response", quantity) for name in names]
        axes.bar(positions + shift, heights, width, color=colour, label=label)

    bars(left, "agreement", -0.2, 0.36, BLUE, "shared space")
    bars(left, "agreement_native", 0.2, 0.36, ORANGE, "native space")
    left.set_title("between- vs within-network similarity")
    left.set_ylabel("correlation of the matrices")
    bars(right, "variance_explained", -0.2, 0.36, GREEN, "all networks")
    bars(right, "variance_explained_leave_one_out", 0.2, 0.36, FAINT, "judged one left out")
    right.set_title("held-out variance explained")
    right.set_ylabel("share of variance")
    for axes in (left, right):
        layer_axis(axes, names)
        low = min(0.0, *axes.get_ylim())
        axes.set_ylim(low, 1.0)
        axes.axhline(0, color=FAINT, linewidth=0.8)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return figure
