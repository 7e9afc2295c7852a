"""Figures of similarity indexes: every network against every other."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from convergent.report.figures.style import shortened, styled
from convergent.study.study import Study

_MOST_WRITTEN = 6
_COLUMNS = 4


@styled
def network_matrices(study: Study, measure: str = "cka", quantity: str = "linear") -> Figure:
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
            for i, j in np.ndindex(matrix.shape):
                colour = "black" if matrix[i, j] > 0.6 else "white"
                axes.text(
                    j, i, f"{matrix[i, j]:.2f}", ha="center", va="center", color=colour, size=8
                )
    if image is not None:
        figure.colorbar(image, ax=list(panels.flat), label="linear CKA", shrink=0.8)
    return figure


def _mean_in_words(study: Study, name: str, measure: str, quantity: str) -> str:
    interval = study.interval(name, measure, quantity)
    ends = "" if interval is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
    return f"mean {study.value(name, measure, quantity):.2f}{ends}"
