"""Figures of Li et al. (2016), Section 3: how well single units match between two networks."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from convergent.report.figures.intervals import draw_band, draw_means
from convergent.report.figures.style import (
    BLUE,
    FAINT,
    ORANGE,
    count_units,
    first_of_rows,
    layer_axis,
    layers_width,
    panel_grid,
    pixels,
    shortened,
    styled,
)
from convergent.study.result import TaskResult
from convergent.study.study import Study

Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]

_MATCHINGS = (("mean_semi", ORANGE, "best match"), ("mean_one_to_one", BLUE, "one-to-one match"))
_AXIS = {"correlation": "correlation r", "mutual_information": "mutual information (nats)"}
_BOUNDS = {"correlation": (-1.0, 1.0), "mutual_information": (0.0, np.inf)}
_PANEL = 2.75


@styled
def match_curves(study: Study, measure: str = "correlation") -> Figure:
    """Draw each layer's unit-to-unit similarities, sorted, under both matchings (Li et al. 2016, Figures 3 and S3).

    Units are sorted by their best (semi-) match; the line is the mean over pairs of networks, the band its 95 %
    interval (networks being drawn; each unit's alone), from three networks on.
    """
    names = study.layers_with(measure)
    figure, panels = panel_grid(len(names), _PANEL, _PANEL, sharey=True)
    for axes, name in zip(panels, names):
        for matching, colour, label in ((0, ORANGE, "best match"), (1, BLUE, "one-to-one match")):
            band = study.band(name, measure, partial(_sorted_values, matching=matching),
                              bounds=_BOUNDS[measure])  # fmt: skip
            units = np.arange(1.0, len(band.mean) + 1.0)
            axes.plot(units, band.mean, color=colour, label=label,
                      marker="o" if len(units) == 1 else None)  # fmt: skip
            draw_band(axes, units, band, colour=colour)
        if measure == "correlation":
            axes.axhline(0.5, color=FAINT, linewidth=0.8, linestyle=":")
        axes.set_title(shortened(name))
        axes.set_xlabel("units, best matched first")
        count_units(axes.xaxis)
    for axes in first_of_rows(panels):
        axes.set_ylabel(_AXIS[measure])
    if names:
        panels[0].legend(loc="lower left")
    return figure


def _sorted_values(pair: TaskResult, matching: int) -> Doubles:
    """Return the values of the semi-match (0), highest first, or of the one-to-one match (1) in the same order."""
    similarity = pair.arrays["similarity"]
    best = similarity[np.arange(len(similarity)), pair.arrays["semi_y"]]
    order = np.argsort(-best, kind="stable")
    if matching == 0:
        return np.asarray(best[order], dtype=np.float64)
    matched = np.full(len(similarity), np.nan)
    rows, columns = pair.arrays["one_to_one_x"], pair.arrays["one_to_one_y"]
    matched[rows] = similarity[rows, columns]
    return matched[order]


@styled
def mean_matches(study: Study, measure: str = "correlation") -> Figure:
    """Draw the mean similarity of matched units over layers, under both matchings (Li et al. 2016, Figure 4).

    Lines are means over pairs of networks, bars their 95 % intervals (networks being drawn) from three networks on,
    small dots single pairs. Dotted: the same with the examples of one network shuffled.
    """
    names = study.layers_with(measure)
    figure = Figure(figsize=(layers_width(len(names)), 3.0))
    axes = figure.subplots()
    positions = np.arange(len(names))
    for shift, (quantity, colour, label) in zip((-0.06, 0.06), _MATCHINGS):
        chance = [study.value(name, measure, f"{quantity}_shuffled") for name in names]
        if np.isfinite(chance).all():
            axes.plot(positions, chance, ":", color=colour, linewidth=1.0, zorder=0,
                      label=f"{label}, shuffled")  # fmt: skip
        pairs = [study.values(name, measure, quantity) for name in names]
        for position, values in zip(positions, pairs):
            dots = np.full(len(values), position + shift)
            axes.plot(dots, values, ".", color=colour, alpha=0.45, markersize=3.5, zorder=1)
        draw_means(axes, study, names, measure, quantity, positions + shift, colour=colour, label=label)  # fmt: skip
    axes.set_xlim(-0.5, max(len(names) - 0.5, 0.5))
    low, high = axes.get_ylim()
    axes.set_ylim(min(0.0, low), max(1.0, high) if measure == "correlation" else high)
    axes.set_xlabel("layer, from input to output")
    axes.set_ylabel("mean " + _AXIS[measure].replace(" (", "\n("))
    layer_axis(axes, names)
    handles, labels = axes.get_legend_handles_labels()  # lines come before those with bars
    n_shuffled = sum(label.endswith("shuffled") for label in labels)
    axes.legend(handles[n_shuffled:] + handles[:n_shuffled], labels[n_shuffled:] + labels[:n_shuffled],
                loc="center left", bbox_to_anchor=(1.0, 0.5))  # fmt: skip
    return figure


@styled
def correlation_matrices(pair: TaskResult) -> Figure:
    """Draw correlations within both networks, between them, and between them in matched order (Figure 1).

    In the last panel the pairs of the one-to-one match lie on the diagonal, best first; units that stay alone come
    last. Dead units are blank. Results of older versions hold no matrices within networks; their panels are left out.
    """
    similarity, dead_x, dead_y = _between(pair)
    order_x, order_y = matched_orders(pair)
    a, b = (shortened(name, 16) for name in pair.task.networks)
    shown = [
        (similarity, "between, as trained", a, b),
        (similarity[np.ix_(order_x, order_y)], "between, matched", a, b),
    ]
    if "within_x" in pair.arrays:
        within_x = _blank(pair.arrays["within_x"], dead_x, dead_x)
        within_y = _blank(pair.arrays["within_y"], dead_y, dead_y)
        shown = [(within_x, f"within {a}", a, a), (within_y, f"within {b}", b, b), *shown]
    figure, panels = panel_grid(len(shown), 2.62, 2.75)
    for axes, (matrix, title, rows, columns) in zip(panels, shown):
        image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, interpolation=pixels(matrix))
        axes.set_title(title, size=9.5)
        axes.set_xlabel(f"units of {columns}")
        axes.set_ylabel(f"units of {rows}")
        axes.spines[:].set_visible(False)
        count_units(axes.xaxis, axes.yaxis)
    figure.colorbar(image, ax=panels, label="correlation r", shrink=0.8)
    return figure


def matched_orders(pair: TaskResult) -> tuple[Indices, Indices]:
    """Return the units of both networks so that those matched one to one share a place, best first."""
    similarity = pair.arrays["similarity"]
    rows, columns = pair.arrays["one_to_one_x"], pair.arrays["one_to_one_y"]
    best_first = np.argsort(-similarity[rows, columns], kind="stable")
    alone_x = np.setdiff1d(np.arange(similarity.shape[0]), rows)
    alone_y = np.setdiff1d(np.arange(similarity.shape[1]), columns)
    order_x = np.concatenate([rows[best_first], alone_x]).astype(np.intp)
    order_y = np.concatenate([columns[best_first], alone_y]).astype(np.intp)
    return order_x, order_y


def _between(pair: TaskResult) -> tuple[Doubles, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the correlations between the networks without those of dead units, and who is dead."""
    similarity = pair.arrays["similarity"]
    if "within_x" in pair.arrays:
        dead_x = np.diagonal(pair.arrays["within_x"]) == 0.0
        dead_y = np.diagonal(pair.arrays["within_y"]) == 0.0
    else:
        dead_x, dead_y = ~similarity.any(axis=1), ~similarity.any(axis=0)
    return _blank(similarity, dead_x, dead_y), dead_x, dead_y


def _blank(
    matrix: Doubles, dead_rows: NDArray[np.bool_], dead_columns: NDArray[np.bool_]
) -> Doubles:
    blank = np.array(matrix, dtype=np.float64)
    blank[dead_rows] = np.nan
    blank[:, dead_columns] = np.nan
    return blank
