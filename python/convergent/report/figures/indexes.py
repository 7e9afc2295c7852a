"""Figures of similarity indexes: every network against every other."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from convergent.report.figures.style import pixels, shortened, styled
from convergent.study.result import TaskResult
from convergent.study.study import Study

_MOST_WRITTEN = 6
_COLUMNS = 4
_MOST_NAMED = 24  # rows of an atlas whose networks are named, too
_MOST_MEANS = 12  # layers whose means are written out


@styled
def network_matrices(
    study: Study, measure: str = "cka", quantity: str = "linear", label: str = "linear CKA"
) -> Figure:
    """Draw an index of every pair of networks as one matrix a layer.

    Above each matrix: the mean over pairs, and its 95 % interval (networks being drawn) from three networks on.
    """
    names = study.layers_with(measure)
    n_columns = min(max(len(names), 1), _COLUMNS)
    n_rows = -(-len(names) // n_columns) if names else 1
    figure = Figure(figsize=(2.6 * n_columns + 0.9, 2.7 * n_rows))
    panels = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes in panels.flat[len(names) :]:
        axes.set_visible(False)
    index = {network: i for i, network in enumerate(study.networks)}
    image = None
    for axes, name in zip(panels.flat, names):
        matrix = np.eye(len(index))
        for result in study.of(name, measure):
            i, j = (index[network] for network in result.task.networks)
            matrix[i, j] = matrix[j, i] = result.scalars[quantity]
        image = axes.imshow(matrix, cmap="magma", vmin=0, vmax=1)
        axes.set_title(f"{shortened(name)}\n")
        axes.text(0.5, 1.03, _mean_in_words(study, name, measure, quantity), transform=axes.transAxes,
                  ha="center", va="bottom", size=8.5)  # fmt: skip
        labels = [shortened(network, 10) for network in study.networks]
        axes.set_xticks(range(len(index)), labels, rotation=45, ha="right")
        axes.set_yticks(range(len(index)), labels if axes in panels[:, 0] else [])
        axes.spines[:].set_visible(False)
        if len(index) <= _MOST_WRITTEN:
            _write_values(axes, matrix)
    if image is not None:
        figure.colorbar(image, ax=list(panels.flat), label=label, shrink=0.8)
    return figure


def _mean_in_words(study: Study, name: str, measure: str, quantity: str) -> str:
    interval = study.interval(name, measure, quantity)
    ends = "" if interval is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
    return f"mean {study.value(name, measure, quantity):.2f}{ends}"


@styled
def layer_atlas(result: TaskResult) -> Figure:
    """Draw linear CKA of every network and layer, and its mean over networks for every two layers.

    Left: all networks and layers, grouped by layer, the networks in one order within each group. Right: mean over
    pairs of different networks (Kornblith et al. 2019, Figure 2).

    Parameters
    ----------
    result : TaskResult
        Of the measure "cka_atlas".
    """
    names = [str(name) for name in result.arrays["layer_names"]]
    figure = Figure(figsize=(11.0, 5.3))
    left, right = figure.subplots(1, 2)
    order = np.argsort([names.index(name) for name in result.arrays["layers"]], kind="stable")
    values = result.arrays["values"][np.ix_(order, order)]
    image = left.imshow(values, cmap="magma", vmin=0, vmax=1, interpolation=pixels(values))
    left.set_title("every network and layer")
    groups = [np.flatnonzero(result.arrays["layers"][order] == name) for name in names]
    _group_labels(left, names, groups)
    if len(values) <= _MOST_NAMED:
        _network_labels(left, [str(name) for name in result.arrays["networks"][order]])
    means = result.arrays["layer_means"]
    right.imshow(np.nan_to_num(means), cmap="magma", vmin=0, vmax=1)
    right.set_title("mean over pairs of networks")
    _group_labels(right, names, [np.array([i]) for i in range(len(names))])
    right.set_yticks([])
    if len(names) <= _MOST_MEANS:
        _write_values(right, means)
    for axes in (left, right):
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    figure.colorbar(image, ax=right, label="linear CKA", shrink=0.75)
    return figure


def _group_labels(axes: Axes, names: list[str], groups: list[NDArray[np.intp]]) -> None:
    """Name each group of rows and columns at its middle, and draw lines between groups."""
    centres = [float(group.mean()) for group in groups]
    labels = [shortened(name, 18) for name in names]
    crowded = sum(len(label) for label in labels) > 50
    axes.set_xticks(
        centres, labels, rotation=45 if crowded else 0, ha="right" if crowded else "center"
    )
    axes.set_yticks(centres, labels)
    if max(group.size for group in groups) > 1:
        n_rows = groups[-1][-1] + 1
        edges = [group[0] - 0.5 for group in groups[1:]]
        axes.hlines(edges, -0.5, n_rows - 0.5, color="white", linewidth=1.0)
        axes.vlines(edges, -0.5, n_rows - 0.5, color="white", linewidth=1.0)


def _network_labels(axes: Axes, networks: list[str]) -> None:
    """Name the network of each row on the right-hand side."""
    side = axes.secondary_yaxis("right")
    side.set_yticks(range(len(networks)), [shortened(name, 10) for name in networks], size=7)
    side.tick_params(length=0)
    side.spines[:].set_visible(False)


def _write_values(axes: Axes, values: NDArray[np.float64]) -> None:
    for i, j in np.ndindex(values.shape):
        if not np.isnan(values[i, j]):
            colour = "black" if values[i, j] > 0.6 else "white"
            axes.text(j, i, f"{values[i, j]:.2f}", ha="center", va="center", color=colour, size=8)
