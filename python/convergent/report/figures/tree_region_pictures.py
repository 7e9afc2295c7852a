"""The right of Figure 7 of Li et al. (2016): what the units of small branches of the tree see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from convergent.report.figures.convergent_learning_tree import branches_of, zoomed_branches
from convergent.report.figures.patch_blocks import (
    BLOCK,
    LINE,
    PITCH,
    Board,
    nothing_to_show,
    shared_contents,
)
from convergent.report.figures.style import BLUE, ORANGE, shortened, styled
from convergent.study.result import TaskResult

if TYPE_CHECKING:
    from convergent.statistics.patches import UnitPatches

_LEFT = 1.2
_TITLE = 0.36


@styled
def tree_region_pictures(
    result: TaskResult, patches_x: UnitPatches, patches_y: UnitPatches
) -> Figure:
    """Draw what the units of two small branches see, in the tree's order (Li et al. 2016, Figure 7, right).

    The branches are those that `tree_matrix` enlarges. Numbers of units of the first network are blue, those of the
    second orange; deconvolutions stand below the patches where both networks have them.

    Parameters
    ----------
    result : TaskResult
        Of "unit_tree".
    patches_x, patches_y : UnitPatches
        Of the predicting and of the predicted network.
    """
    regions = region_units(result)
    if not regions:
        return nothing_to_show("no small branch with units of both networks")
    networks = (patches_x, patches_y)
    contents = shared_contents(*networks)
    tall = _TITLE + len(contents) * LINE + 0.12
    n_most = max(len(units) for units in regions)
    board = Board(
        max(_LEFT + n_most * PITCH + 0.06, 4.4),
        0.3 + len(regions) * tall,
        len(contents) * sum(len(units) for units in regions),
    )
    _legend(board, networks)
    for row, units in enumerate(regions):
        y = 0.3 + row * tall + _TITLE
        board.words(0.08, y + BLOCK / 2, f"region {row + 1}", 8.5, ha="left", weight="bold")
        for place, (side, unit) in enumerate(units):
            x = _LEFT + place * PITCH
            colour = (BLUE, ORANGE)[side]
            board.words(x + BLOCK / 2, y - 0.1, f"unit {unit}", 7.5, colour=colour, weight="bold")
            board.stack(networks[side], unit, x, y, contents)
    return board.figure


def region_units(result: TaskResult) -> list[list[tuple[int, int]]]:
    """Return the units of each enlarged branch as (0 or 1 for the network, unit), in the tree's order."""
    leaves, network = result.arrays["leaves"], result.arrays["network"]
    n_rows = int(np.sum(network == 0))
    regions = []
    for branch in zoomed_branches(branches_of(result), network[leaves]):
        inside = leaves[branch.first : branch.last + 1].tolist()
        regions.append([(int(network[k]), k - n_rows * int(network[k])) for k in inside])
    return regions


def _legend(board: Board, networks: tuple[UnitPatches, UnitPatches]) -> None:
    for place, (patches, colour) in enumerate(zip(networks, (BLUE, ORANGE))):
        x = 0.08 + 2.1 * place
        board.axes.add_patch(Rectangle((x, 0.1), 0.12, 0.1, facecolor=colour, linewidth=0))
        board.words(x + 0.18, 0.155, f"units of {shortened(patches.network)}", 8.5, ha="left")
