"""Figure 2 of Wang et al. (2018): how many units the simple matches take."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from convergent.report.figures.style import INK, shortened, styled
from convergent.report.figures.subspace import epsilon_colours
from convergent.study.study import Study

_MOST_COLUMNS = 4
_LEAST_OF_AXIS = 16
_STRIPE = "#eef1f4"


@styled
def simple_match_sizes(study: Study) -> Figure:
    """Draw the distribution of the simple matches' sizes, one panel a layer (Wang et al. 2018, Figure 2).

    Bars are shares of the simple matches of all pairs of networks, one colour an epsilon. The classes double in width:
    2, 3 to 4, 5 to 8 units of both networks, and so on.
    """
    names = study.layers_with("simple_matches")
    n_columns = min(max(len(names), 1), _MOST_COLUMNS)
    n_rows = -(-len(names) // n_columns) if names else 1
    figure = Figure(figsize=(max(4.6, 2.5 * n_columns + 0.6), 2.35 * n_rows + 0.5))
    panels = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
    for axes in panels.flat[len(names) :]:
        axes.set_visible(False)
    sizes = {name: sizes_by_epsilon(study, name) for name in names}
    largest = max(
        _LEAST_OF_AXIS, *(max(of, default=0) for d in sizes.values() for of in d.values()), 0
    )
    for axes, name in zip(panels.flat, names):
        _bars(axes, sizes[name], largest, len(study.settings.epsilons))
        _heading(axes, study, name, sizes[name])
    for row in panels:
        row[0].set_ylabel("share of\nsimple matches")
    for axes in panels.flat[max(len(names) - n_columns, 0) : len(names)]:
        axes.set_xlabel("units in the match")
    colours = epsilon_colours(len(study.settings.epsilons))
    legend_columns = min(len(colours), 3 if n_columns == 1 else 6)
    handles = [
        Patch(color=colour, label=f"ε = {epsilon:g}")
        for colour, epsilon in zip(colours, study.settings.epsilons)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns)
    return figure


def sizes_by_epsilon(study: Study, layer: str) -> dict[int, NDArray[np.int64]]:
    """Return, for each epsilon that was searched, the sizes of the simple matches of all pairs."""
    pairs = study.of(layer, "simple_matches")
    found = {}
    for k in range(len(study.settings.epsilons)):
        searched = [pair.arrays for pair in pairs if pair.arrays["searched"][k]]
        if searched:
            found[k] = np.concatenate(
                [(a["sizes_x"] + a["sizes_y"])[a["epsilon_index"] == k] for a in searched]
            )
    return found


def size_classes(largest: int) -> list[tuple[int, int]]:
    """Return the first and last size of each class: 1 to 2, 3 to 4, 5 to 8, and so on."""
    classes = [(1, 2)]
    while classes[-1][1] < largest:
        last = classes[-1][1]
        classes.append((last + 1, 2 * last))
    return classes


def _bars(axes: Axes, sizes: dict[int, NDArray[np.int64]], largest: int, n_epsilons: int) -> None:
    classes = size_classes(largest)
    present = [k for k, of in sizes.items() if of.size]
    width = 0.84 / max(len(present), 1)
    colours = epsilon_colours(n_epsilons)
    for place, k in enumerate(present):
        shares = [np.mean((sizes[k] >= low) & (sizes[k] <= high)) for low, high in classes]
        left = np.arange(len(classes)) - 0.42 + place * width
        axes.bar(left, shares, width, align="edge", color=colours[k])
    labels = ["2", *(f"{low}–{high}" for low, high in classes[1:])]
    axes.set_xticks(range(len(classes)), labels, rotation=45, ha="right", rotation_mode="anchor")
    for i in range(0, len(classes), 2):  # so that a bar beside its tick still belongs to it
        axes.axvspan(i - 0.5, i + 0.5, color=_STRIPE, zorder=0, linewidth=0)
    axes.set_xlim(-0.5, len(classes) - 0.5)
    axes.set_ylim(0.0, 1.03)
    axes.set_yticks([0.0, 0.5, 1.0])


def _heading(axes: Axes, study: Study, name: str, sizes: dict[int, NDArray[np.int64]]) -> None:
    """Title a panel with its layer, how many matches it shows, and what was not searched."""
    n_matches = sum(of.size for of in sizes.values())
    lines = ["1 match" if n_matches == 1 else f"{n_matches:,} matches"]
    left_out = [f"{e:g}" for k, e in enumerate(study.settings.epsilons) if k not in sizes]
    if left_out:
        lines.append(f"not searched: ε = {', '.join(left_out)}")
    axes.set_title(shortened(name) + "\n" * len(lines), size=9.5)
    axes.text(
        0.5, 1.02, "\n".join(lines), transform=axes.transAxes, ha="center", va="bottom", size=8.5
    )
    if not n_matches and sizes:
        axes.text(0.5, 0.5, "no simple match", transform=axes.transAxes, ha="center", color=INK)
