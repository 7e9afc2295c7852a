"""Figures of Li et al. (2016): how well single units match between two networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from convergent.report.figures.style import (
    BLUE,
    FAINT,
    ORANGE,
    mean_and_spread,
    shortened,
    styled,
)
from convergent.study.result import TaskResult
from convergent.study.study import Study

_MOST_PANELS = 4


@styled
def match_curves(study: Study, measure: str = "correlation") -> Figure:
    """Draw each layer's unit-to-unit similarities, sorted, under both matchings (Li et al. 2016, Figure 3).

    Units are sorted by their best (semi-) match; the line is the mean over pairs of networks, the band spans from
    the lowest to the highest pair.
    """
    names = [layer.name for layer in study.layers if study.of(layer.name, measure)]
    n_columns = min(max(len(names), 1), _MOST_PANELS)
    n_rows = -(-len(names) // n_columns) if names else 1
    figure = Figure(figsize=(max(4.2, 2.9 * n_columns), 2.75 * n_rows))
    panels = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
    for axes in panels.flat[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(panels.flat, names):
        pairs = study.of(name, measure)
        semi, one = zip(*(_sorted_values(pair) for pair in pairs))
        for curves, colour, label in (
            (semi, ORANGE, "best match"),
            (one, BLUE, "one-to-one match"),
        ):
            _band(axes, list(curves), colour, label)
        if measure == "correlation":
            axes.axhline(0.5, color=FAINT, linewidth=0.8, linestyle=":")
        axes.set_title(shortened(name))
        axes.set_xlabel("units, best matched first")
    unit = "correlation r" if measure == "correlation" else "mutual information (nats)"
    for row in panels:
        row[0].set_ylabel(unit)
    panels[0, 0].legend(loc="lower left")
    return figure


def _band(axes: Any, curves: list[NDArray[Any]], colour: str, label: str) -> None:
    shortest = min(len(curve) for curve in curves)
    mean, low, high = mean_and_spread([curve[:shortest] for curve in curves])
    units = np.arange(1, shortest + 1)
    axes.plot(units, mean, color=colour, label=label)
    axes.fill_between(units, low, high, color=colour, alpha=0.18, linewidth=0)


def _sorted_values(pair: TaskResult) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return semi-match values, highest first, and the one-to-one values in the same order of units."""
    similarity = pair.arrays["similarity"]
    best = similarity[np.arange(len(similarity)), pair.arrays["semi_y"]]
    order = np.argsort(-best, kind="stable")
    matched = np.full(len(similarity), np.nan)
    rows, columns = pair.arrays["one_to_one_x"], pair.arrays["one_to_one_y"]
    matched[rows] = similarity[rows, columns]
    return best[order], matched[order]


@styled
def matched_matrices(pair: TaskResult) -> Figure:
    """Draw a pair's correlation matrix as it is and with y's units in matched order (Li et al. 2016, Figure 1)."""
    similarity = pair.arrays["similarity"]
    rows, columns = pair.arrays["one_to_one_x"], pair.arrays["one_to_one_y"]
    left_over = np.setdiff1d(np.arange(similarity.shape[1]), columns)
    order_x = rows[np.argsort(-similarity[rows, columns], kind="stable")]
    order_x = np.concatenate([order_x, np.setdiff1d(np.arange(similarity.shape[0]), rows)])
    partner = dict(zip(rows.tolist(), columns.tolist()))
    order_y = np.array([partner[unit] for unit in order_x if unit in partner])
    order_y = np.concatenate([order_y, left_over]).astype(int)
    figure = Figure(figsize=(6.6, 3.15))
    panels = figure.subplots(1, 2)
    a, b = (shortened(name) for name in pair.task.networks)
    for axes, matrix, title in (
        (panels[0], similarity, "as trained"),
        (panels[1], similarity[np.ix_(order_x, order_y)], "units matched, best first"),
    ):
        image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        axes.set_title(title)
        axes.set_xlabel(f"units of {b}")
        axes.spines[:].set_visible(False)
    panels[0].set_ylabel(f"units of {a}")
    figure.colorbar(image, ax=panels, label="correlation r", shrink=0.85)
    return figure
