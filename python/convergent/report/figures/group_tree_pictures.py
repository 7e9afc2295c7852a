"""Figure S8 of Li et al. (2016): how a large group of units was split, with what the units of its parts see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from convergent.report.figures.convergent_learning_groups import (
    Tree,
    leaves_of,
    split_roots,
    splits_of,
)
from convergent.report.figures.patch_blocks import BLOCK, PITCH, Board, nothing_to_show
from convergent.report.figures.style import FAINT, INK, styled
from convergent.report.figures.unit_groups_pictures import (
    PicturedGroup,
    boxes_key,
    draw_members,
    pictured_groups,
)
from convergent.study.result import TaskResult

if TYPE_CHECKING:
    from convergent.statistics.patches import UnitPatches

_ROOT = 0.7
_LEVEL = 0.45
_WORDS = 1.25
_ROW = BLOCK + 0.15 + 0.3


@styled
def group_tree_pictures(
    result: TaskResult,
    patches_x: UnitPatches,
    patches_y: UnitPatches,
    *,
    root: int | None = None,
    n_groups: int = 8,
    n_units: int = 4,
) -> Figure:
    """Draw the tree of a group that was split, with what the units of its parts see (Li et al. 2016, Figure S8).

    Parameters
    ----------
    result : TaskResult
        Of "unit_groups".
    patches_x, patches_y : UnitPatches
        Of the two networks.
    root : int, optional
        A group that was split, as numbered in the splits; by default the one with the most final groups that
        have pictures of both networks.
    n_groups : int
        Final groups below the root at most, the most alike between the networks; the others are counted.
    n_units : int
        Units shown of each network and group at most; the others are counted.
    """
    tree = splits_of(result)
    pictured = {group.group: group for group in pictured_groups(result, patches_x, patches_y)}
    if root is None:
        root = _fullest(tree, pictured)
    if root is None or root not in tree:
        return nothing_to_show("no split group with image patches of both networks")
    leaves = leaves_of(tree, root)
    best = sorted((g for g in leaves if g in pictured), key=lambda g: -pictured[g].between)
    shown = [g for g in leaves if g in set(best[:n_groups])]
    if not shown:
        return nothing_to_show("no split group with image patches of both networks")
    groups = [pictured[g] for g in shown]
    left = _ROOT + _depth(tree, root) * _LEVEL
    n_blocks = [max(len(g.members[k][:n_units]) for g in groups) for k in (0, 1)]
    width = left + _WORDS + sum(n_blocks) * PITCH + 0.45
    board = Board(width, 0.35 + len(groups) * _ROW, 2 * n_units * len(groups))
    board.words(width - 0.1, 0.14, boxes_key(patches_x, patches_y), 8.5, ha="right")
    for place, group in enumerate(groups):
        y = 0.32 + place * _ROW
        _leaf_words(board, group, left, y)
        draw_members(board, (patches_x, patches_y), group.members, left + _WORDS, y, n_units)
    _draw_tree(board, tree, root, dict(zip(shown, range(len(shown)))), left)
    text = f"{len(leaves)} groups" + (
        f",\n{len(leaves) - len(shown)} not shown" if len(leaves) > len(shown) else ""
    )
    board.words(0.08, 0.2, text, 7.5, ha="left", colour=INK)
    return board.figure


def _leaf_words(board: Board, group: PicturedGroup, x: float, y: float) -> None:
    middle = y + (BLOCK + 0.15) / 2
    sizes = f"{group.sizes[0]} + {group.sizes[1]} units"
    board.words(x + 0.1, middle - 0.1, f"group {group.group}", 8.5, ha="left", weight="bold")
    board.words(x + 0.1, middle + 0.06, f"between {group.between:.2f}", 7.5, ha="left")
    board.words(x + 0.1, middle + 0.2, sizes, 7.5, ha="left")


def _draw_tree(board: Board, tree: Tree, root: int, rows: Mapping[int, int], right: float) -> None:
    """Draw the branches from the root to the rows that are shown, each level further to the right."""

    def height(node: int, x: float) -> float | None:
        if node in rows:
            return 0.32 + rows[node] * _ROW + (BLOCK + 0.15) / 2
        below = [(child, height(child, x + _LEVEL)) for child in tree.get(node, ())]
        ends = [(right if child in rows else x + _LEVEL, y) for child, y in below if y is not None]
        if not ends:
            return None
        heights = [y for _, y in ends]
        middle = float(np.mean([min(heights), max(heights)]))
        stem = x + _LEVEL / 2
        for end, y in ends:
            board.axes.plot([stem, end + 0.05 * (end == right)], [y, y], color=FAINT, linewidth=1.2)
        board.axes.plot([stem, stem], [min(heights), max(heights)], color=FAINT, linewidth=1.2)
        board.axes.plot([x, stem], [middle, middle], color=FAINT, linewidth=1.2)
        return middle

    top = height(root, _ROOT - _LEVEL)
    if top is not None:
        board.axes.plot([_ROOT - _LEVEL], [top], "o", color=INK, markersize=4)


def _depth(tree: Tree, node: int) -> int:
    return 1 + max(_depth(tree, child) for child in tree[node]) if node in tree else 0


def _fullest(tree: Tree, pictured: Mapping[int, PicturedGroup]) -> int | None:
    """Return the first group that no other was split into, with the most final groups that have pictures."""
    roots = split_roots(tree)
    counts = [sum(leaf in pictured for leaf in leaves_of(tree, node)) for node in roots]
    return roots[int(np.argmax(counts))] if any(counts) else None
