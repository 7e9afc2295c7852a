"""Figures of Li et al. (2016) that show what groups of units see: Figures S6, S7 and S8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from convergent.report.figures.patch_blocks import (
    BLOCK,
    PITCH,
    Board,
    nothing_to_show,
    with_pictures,
)
from convergent.report.figures.style import BLUE, FAINT, shortened, styled
from convergent.study.result import TaskResult

if TYPE_CHECKING:
    from convergent.statistics.patches import UnitPatches

_BETWEEN_NETWORKS = 0.26
_MARGIN = 0.14
_TITLE = 0.24
_UNITS = 0.15
_ROW = _TITLE + _UNITS + BLOCK + 0.2


@dataclass(frozen=True, slots=True)
class PicturedGroup:
    """A group of units of two networks, and those of its members that have pictures."""

    group: int
    between: float
    within: float
    sizes: tuple[int, int]
    members: tuple[list[int], list[int]]


@styled
def group_pictures(
    result: TaskResult,
    patches_x: UnitPatches,
    patches_y: UnitPatches,
    *,
    n_groups: int = 12,
    n_units: int = 4,
) -> Figure:
    """Draw the groups that are most alike between two networks with what their units see (Li et al. 2016, S6 and S7).

    Parameters
    ----------
    result : TaskResult
        Of "unit_groups".
    patches_x, patches_y : UnitPatches
        Of the two networks. Groups without a picture on either side are left out.
    n_groups : int
        Groups at most, highest mean correlation between the networks first.
    n_units : int
        Units shown of each network and group at most; the others are counted.
    """
    groups = pictured_groups(result, patches_x, patches_y)[:n_groups]
    if not groups:
        return nothing_to_show("no group with image patches of both networks")
    n_left, n_right = (max(len(g.members[k][:n_units]) for g in groups) for k in (0, 1))
    half = 2 * _MARGIN + (n_left + n_right) * PITCH + _BETWEEN_NETWORKS
    n_columns = min(2, len(groups))
    n_rows = -(-len(groups) // n_columns)
    board = Board(
        max(n_columns * half, 4.2),
        0.3 + n_rows * _ROW,
        sum(len(of[:n_units]) for g in groups for of in g.members),
    )
    board.words(_MARGIN, 0.14, boxes_key(patches_x, patches_y), 8.5, ha="left")
    for place, group in enumerate(groups):
        x, y = (place // n_rows) * half + _MARGIN, 0.3 + (place % n_rows) * _ROW
        sizes = f"{group.sizes[0]} + {group.sizes[1]} units"
        board.words(x, y + 0.1, f"group {group.group}", 8.5, ha="left", weight="bold")
        text = f"between {group.between:.2f}, within {group.within:.2f}, {sizes}"
        board.words(x + 0.72, y + 0.1, text, 8.0, ha="left")
        draw_members(board, (patches_x, patches_y), group.members, x, y + _TITLE, n_units)
    return board.figure


def boxes_key(patches_x: UnitPatches, patches_y: UnitPatches) -> str:
    """Return what tells the networks' units apart where `draw_members` drew them."""
    return (
        f"in dashed boxes: {shortened(patches_x.network)}; without: {shortened(patches_y.network)}"
    )


def draw_members(
    board: Board,
    networks: tuple[UnitPatches, UnitPatches],
    members: tuple[list[int], list[int]],
    x: float,
    y: float,
    n_units: int,
) -> float:
    """Draw units of both networks in a row, the first network's in a dashed box; return the row's right end."""
    for k, (patches, units) in enumerate(zip(networks, members)):
        start = x
        for unit in units[:n_units]:
            board.words(x + BLOCK / 2, y + _UNITS / 2, f"{unit}", 7.0)
            board.block(patches, unit, x, y + _UNITS)
            x += PITCH
        if k == 0:
            frame = FancyBboxPatch(
                (start - 0.04, y), x - start - PITCH + BLOCK + 0.08, BLOCK + _UNITS + 0.04,
                boxstyle="round,pad=0,rounding_size=0.05", fill=False, linestyle="--",
                edgecolor=BLUE, linewidth=0.9)  # fmt: skip
            board.axes.add_patch(frame)
            x += _BETWEEN_NETWORKS - PITCH + BLOCK
        if len(units) > n_units:
            board.words(
                x - (_BETWEEN_NETWORKS if k == 0 else PITCH - BLOCK) , y + BLOCK + _UNITS + 0.12,
                f"+ {len(units) - n_units}", 7.0, ha="right", colour=FAINT)  # fmt: skip
    return x


def pictured_groups(
    result: TaskResult, patches_x: UnitPatches, patches_y: UnitPatches
) -> list[PicturedGroup]:
    """Return the groups with pictures of both networks, the most alike between networks first."""
    arrays = result.arrays
    found = []
    for group in np.argsort(-arrays["between"], kind="stable"):
        of_x, of_y = (np.flatnonzero(arrays[key] == group) for key in ("labels_x", "labels_y"))
        members = (with_pictures(of_x, patches_x), with_pictures(of_y, patches_y))
        if all(members):
            found.append(
                PicturedGroup(
                    int(group),
                    float(arrays["between"][group]),
                    float(arrays["within"][group]),
                    (len(of_x), len(of_y)),
                    members,
                )
            )
    return found
