"""Figures of Li et al. (2016), Section S.3: groups of units of both networks, many to many."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from convergent.report.figures.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    count_units,
    first_of_rows,
    nothing_to_draw,
    panel_grid,
    pixels,
    shortened,
    styled,
)
from convergent.study.result import TaskResult
from convergent.study.study import Study

Doubles = NDArray[np.float64]
Tree = dict[int, list[int]]

_MOST_LEAVES = 24
_ROW = 0.24


@styled
def group_blocks(groups: TaskResult, correlation: TaskResult) -> Figure:
    """Draw the correlations of both networks' units, group by group (Li et al. 2016, Figure S5).

    Green outlines are groups with units of both networks, grey ones groups of one network. The most alike groups
    come first, units without a group last.

    Parameters
    ----------
    groups, correlation : TaskResult
        Of "unit_groups" and of "correlation", for the same two networks.
    """
    combined = combined_correlations(correlation)
    order = groups.arrays["order"]
    figure = Figure(figsize=(6.2, 5.4))
    axes = figure.subplots()
    matrix = combined[np.ix_(order, order)]
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, interpolation=pixels(matrix))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    a, b = (shortened(name) for name in groups.task.networks)
    axes.set_xlabel(f"units of {a} and {b}, group by group")
    start = 0
    for of_x, of_y in groups.arrays["sizes"].tolist():
        size = of_x + of_y
        axes.add_patch(Rectangle((start - 0.5, start - 0.5), size, size, fill=False,
                                 edgecolor=GREEN if of_x and of_y else FAINT,
                                 linewidth=1.3 if of_x and of_y else 0.8))  # fmt: skip
        start += size
    figure.colorbar(image, ax=axes, label="correlation r", shrink=0.8)
    handles = [Patch(facecolor="none", edgecolor=GREEN, label="group of both networks"),
               Patch(facecolor="none", edgecolor=FAINT, label="group of one network")]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def combined_correlations(correlation: TaskResult) -> Doubles:
    """Return the correlations of all units of both networks, those of the first one before the others."""
    arrays = correlation.arrays
    between = arrays["similarity"]
    return np.block([[arrays["within_x"], between], [between.T, arrays["within_y"]]])


@styled
def group_hierarchy(groups: TaskResult) -> Figure:
    """Draw how a large group was split again and again, with the units of each part (Li et al. 2016, Figure S8).

    Shown is the split group with most units. Bars are units: blue of the first network, orange of the second.
    """
    tree = splits_of(groups)
    root = largest_split(groups, tree)
    figure = Figure(figsize=(7.2, 1.6))
    axes = figure.subplots()
    axes.axis("off")
    if root is None:
        nothing_to_draw(axes, "no group was split")
        return figure
    sizes = node_sizes(groups, tree)
    leaves, n_left_out = _some_leaves(leaves_of(tree, root), sizes)
    figure.set_size_inches(7.2, max(_ROW * (len(leaves) + 3), 1.6))
    depth = _draw_node(axes, tree, sizes, leaves, root, 0)[1]
    axes.set_xlim(-0.6, 2.0 * depth + 4.2)
    axes.set_ylim(len(leaves) + (0.4 if n_left_out else -0.4), -0.9)
    if n_left_out:
        text = f"and {n_left_out} smaller groups"
        axes.text(2.0 * depth + 0.15, len(leaves) - 0.1, text, size=8, va="center")
    a, b = (shortened(name) for name in groups.task.networks)
    handles = [Patch(color=BLUE, label=f"units of {a}"), Patch(color=ORANGE, label=f"units of {b}")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def splits_of(groups: TaskResult) -> Tree:
    """Return the parts of each group that was split."""
    tree: Tree = {}
    for parent, child in groups.arrays["splits"].tolist():
        tree.setdefault(parent, []).append(child)
    return tree


def split_roots(tree: Tree) -> list[int]:
    """Return the groups that were split and are no part of another."""
    parts = {child for children in tree.values() for child in children}
    return [node for node in tree if node not in parts]


def leaves_of(tree: Tree, node: int) -> list[int]:
    """Return the final groups below a node, from the first part down."""
    if node not in tree:
        return [node]
    return [leaf for child in tree[node] for leaf in leaves_of(tree, child)]


def node_sizes(groups: TaskResult, tree: Tree) -> dict[int, tuple[int, int]]:
    """Return the units of both networks in each final group and in each group that was split."""
    sizes = {k: (x, y) for k, (x, y) in enumerate(groups.arrays["sizes"].tolist())}

    def size(node: int) -> tuple[int, int]:
        if node not in sizes:
            parts = [size(child) for child in tree[node]]
            sizes[node] = (sum(x for x, _ in parts), sum(y for _, y in parts))
        return sizes[node]

    for node in tree:
        size(node)
    return sizes


def largest_split(groups: TaskResult, tree: Tree) -> int | None:
    """Return the group with most units of those that were split and are no part of another."""
    sizes = node_sizes(groups, tree)
    return max(split_roots(tree), key=lambda node: (sum(sizes[node]), -node), default=None)


def _some_leaves(
    leaves: list[int], sizes: dict[int, tuple[int, int]]
) -> tuple[dict[int, int], int]:
    """Return the row of each leaf that is drawn (the largest ones, in the tree's order), and how many are not."""
    by_size = sorted(leaves, key=lambda leaf: (-sum(sizes[leaf]), leaf))[:_MOST_LEAVES]
    drawn = [leaf for leaf in leaves if leaf in by_size]
    return {leaf: row for row, leaf in enumerate(drawn)}, len(leaves) - len(drawn)


def _draw_node(
    axes: Axes,
    tree: Tree,
    sizes: dict[int, tuple[int, int]],
    rows: dict[int, int],
    node: int,
    level: int,
) -> tuple[float | None, int]:
    """Draw a node and what is below it; return its height (None if nothing of it is drawn) and the deepest level."""
    x, (of_x, of_y) = 2.0 * level, sizes[node]
    if node not in tree:
        if node not in rows:
            return None, level
        y = float(rows[node])
        end = _unit_bar(axes, x, y, of_x, of_y)
        axes.text(end + 0.15, y, f"group {node}: {of_x} + {of_y}", size=7.5, va="center")
        return y, level
    below = [_draw_node(axes, tree, sizes, rows, child, level + 1) for child in tree[node]]
    heights = [height for height, _ in below if height is not None]
    if not heights:
        return None, level
    y = (min(heights) + max(heights)) / 2.0
    joint = x + 1.7
    axes.plot([joint, joint], [min(heights), max(heights)], color=FAINT, linewidth=1.0)
    axes.plot([x + 0.75, joint], [y, y], color=FAINT, linewidth=1.0)
    for child, (height, _) in zip(tree[node], below):
        if height is not None:
            end = x + (2.3 if child in tree else 2.0)
            axes.plot([joint, end], [height, height], color=FAINT, linewidth=1.0, zorder=0)
    axes.text(x + 0.7, y, f"{of_x} + {of_y}", size=8, va="center", ha="right", color=INK,
              bbox={"facecolor": "white", "edgecolor": FAINT, "pad": 2.0})  # fmt: skip
    return y, max(deepest for _, deepest in below)


def _unit_bar(axes: Axes, x: float, y: float, of_x: int, of_y: int) -> float:
    """Draw one bar a unit, narrow ones where there are many, and return where they end."""
    total = of_x + of_y
    each = min(0.2, 2.2 / total)
    for k in range(total):
        axes.add_patch(Rectangle((x + 0.05 + k * each, y - 0.3), 0.85 * each, 0.6, linewidth=0,
                                 facecolor=BLUE if k < of_x else ORANGE))  # fmt: skip
    return x + 0.05 + total * each


@styled
def group_similarity(study: Study) -> Figure:
    """Draw each group's similarity between and within the networks, most alike first (Li et al. 2016, Figure S9).

    Line: mean correlation between the networks; dots: within them. Groups of one network have 0 between. One line
    and one set of dots a pair of networks.
    """
    names = study.layers_with("unit_groups")
    figure, panels = panel_grid(len(names), 2.75, 2.6, sharey=True)
    for axes, name in zip(panels, names):
        pairs = study.of(name, "unit_groups")
        strength = max(0.15, 0.9 / len(pairs) ** 0.5)
        for k, pair in enumerate(pairs):
            order = np.argsort(-pair.arrays["between"], kind="stable")
            ranks = np.arange(1, len(order) + 1)
            axes.plot(ranks, pair.arrays["within"][order], ".", color=ORANGE, alpha=strength, markersize=4,
                      markeredgewidth=0, rasterized=True, label="within the networks" if k == 0 else None)  # fmt: skip
            axes.plot(ranks, pair.arrays["between"][order], color=BLUE, alpha=strength, linewidth=1.4,
                      marker="." if len(order) < 20 else None, markersize=4,
                      label="between the networks" if k == 0 else None)  # fmt: skip
        axes.set_title(shortened(name))
        axes.set_xlabel("groups, most alike first")
        axes.set_ylim(-0.03, 1.03)
        count_units(axes.xaxis)
        if not any(len(pair.arrays["between"]) for pair in pairs):
            axes.text(0.5, 0.5, "no groups", transform=axes.transAxes, ha="center", va="center")
            axes.set_xticks([])
    for axes in first_of_rows(panels):
        axes.set_ylabel("mean correlation")
    if names:
        handles, labels = panels[0].get_legend_handles_labels()
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=2)
        for handle in legend.legend_handles:
            if handle is not None:
                handle.set_alpha(1.0)
    return figure
