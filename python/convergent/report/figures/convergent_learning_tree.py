"""Figure 7 of Li et al. (2016): the tree of two networks' units over the weights that make it."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from convergent.report.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    nothing_to_draw,
    pixels,
    shortened,
    styled,
)
from convergent.study.result import TaskResult

Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]

_ZOOM = (4, 10)
_SHOWN_ZOOMS = 2
_SEEN = 120  # a branch is too small to be seen below this part of all leaves


@dataclass(frozen=True, slots=True)
class Branch:
    """A merge of the tree: the places of its leaves in their order, and the mean weight that made it."""

    first: int
    last: int
    similarity: float

    @property
    def n_leaves(self) -> int:
        """Return the number of leaves."""
        return self.last - self.first + 1


@styled
def tree_matrix(tree: TaskResult) -> Figure:
    """Draw ``B = [[I, W], [W^T, I]]`` in the order of the tree's leaves, with the tree over it (Figure 7).

    Dark pixels are large weights (darkness goes with the square root); negative ones are as white as none. The
    diagonal has the colours of the networks. Each purple angle is a branch: it spans the leaves that are joined there.
    Branches without any weight between their two parts are not drawn, nor in large layers those of a few leaves.
    Right: two regions of the diagonal, enlarged, with the units' numbers.

    Parameters
    ----------
    tree : TaskResult
        Of "unit_tree".
    """
    matrix, leaves = ordered_matrix(tree), tree.arrays["leaves"]
    branches = branches_of(tree)
    zooms = zoomed_branches(branches, tree.arrays["network"][leaves])
    figure = Figure(figsize=(8.6, 5.6))
    axes = figure.subplot_mosaic(
        [["matrix", "matrix", "0"], ["matrix", "matrix", "1"]],
        width_ratios=[1, 1, 0.95],
    )
    limit = _largest_weight(matrix)
    _draw(axes["matrix"], tree, matrix, branches, limit, len(matrix) / _SEEN)
    axes["matrix"].set_xlabel("units of both networks, in the tree's order")
    axes["matrix"].set_xticks([])
    axes["matrix"].set_yticks([])
    for k in range(_SHOWN_ZOOMS):
        if k < len(zooms):
            _enlarge(
                axes[str(k)], axes["matrix"], tree, matrix, branches, zooms[k], str(k + 1), limit
            )
            axes[str(k)].set_title(f"region {k + 1}")
        else:
            axes[str(k)].axis("off")
    a, b = (shortened(name) for name in tree.task.networks)
    handles = [Patch(color=BLUE, label=f"{a}, which predicts"), Patch(color=ORANGE, label=b),
               Patch(facecolor="white", edgecolor=PURPLE, label="branch"),
               Patch(color="0.35", label=f"weight (black: {limit:.2g})")]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    if limit == 0.0:
        nothing_to_draw(axes["0"], "all weights are 0")
    return figure


def ordered_matrix(tree: TaskResult) -> Doubles:
    """Return B in the order of the tree's leaves."""
    weights = tree.arrays["weights"]
    n_rows, n_columns = weights.shape
    blocks = np.eye(n_rows + n_columns)
    blocks[:n_rows, n_rows:] = weights
    blocks[n_rows:, :n_rows] = weights.T
    leaves = tree.arrays["leaves"]
    ordered: Doubles = blocks[np.ix_(leaves, leaves)]
    return ordered


def branches_of(tree: TaskResult) -> list[Branch]:
    """Return every merge with the places of its leaves, first merge first."""
    place = np.empty(len(tree.arrays["leaves"]), dtype=np.intp)
    place[tree.arrays["leaves"]] = np.arange(len(place))
    spans = [(int(p), int(p)) for p in place]
    branches = []
    for (left, right), similarity in zip(
        tree.arrays["linkage"][:, :2].astype(int).tolist(), tree.arrays["merge_similarity"]
    ):
        first = min(spans[left][0], spans[right][0])
        last = max(spans[left][1], spans[right][1])
        spans.append((first, last))
        branches.append(Branch(first, last, float(similarity)))
    return branches


def zoomed_branches(branches: list[Branch], network: Indices) -> list[Branch]:
    """Return up to two separate branches of a few units of both networks, the largest and strongest ones."""
    candidates = [
        branch
        for branch in branches
        if _ZOOM[0] <= branch.n_leaves <= _ZOOM[1]
        and branch.similarity > 0.0
        and len(set(network[branch.first : branch.last + 1].tolist())) == 2
    ]
    chosen: list[Branch] = []
    for branch in sorted(candidates, key=lambda of: (-of.n_leaves, -of.similarity, of.first)):
        if all(branch.last < other.first or branch.first > other.last for other in chosen):
            chosen.append(branch)
    return sorted(chosen[:_SHOWN_ZOOMS], key=lambda of: of.first)


def _largest_weight(matrix: Doubles) -> float:
    off_diagonal = matrix[~np.eye(len(matrix), dtype=bool)]
    return max(float(off_diagonal.max(initial=0.0)), 0.0)


def _draw(
    axes: Axes,
    tree: TaskResult,
    matrix: Doubles,
    branches: list[Branch],
    limit: float,
    least: float,
) -> None:
    """Draw the matrix and over it the branches of at least so many leaves."""
    n_leaves = len(matrix)
    share = np.clip(matrix / (limit or 1.0), 0.0, 1.0)
    shown = mpl.colormaps["Greys"](
        np.sqrt(share)
    )  # the root, so that small weights are seen at all
    network = tree.arrays["network"][tree.arrays["leaves"]]
    for which, colour in ((0, BLUE), (1, ORANGE)):
        shown[np.flatnonzero(network == which), np.flatnonzero(network == which)] = to_rgba(colour)
    axes.imshow(shown, interpolation=pixels(matrix))
    for branch in branches:
        if branch.similarity > 0.0 and branch.n_leaves >= least:
            axes.plot([branch.first - 0.5, branch.last + 0.5, branch.last + 0.5],
                      [branch.first - 0.5, branch.first - 0.5, branch.last + 0.5],
                      color=PURPLE, linewidth=_line_width(n_leaves), zorder=3)  # fmt: skip
    axes.set_xlim(-0.5, n_leaves - 0.5)
    axes.set_ylim(n_leaves - 0.5, -0.5)


def _line_width(n_leaves: int) -> float:
    return float(np.clip(120.0 / n_leaves, 0.4, 1.6))


def _enlarge(
    axes: Axes,
    whole: Axes,
    tree: TaskResult,
    matrix: Doubles,
    branches: list[Branch],
    region: Branch,
    number: str,
    limit: float,
) -> None:
    """Draw one region of the diagonal with the units' numbers, and frame it in the whole matrix."""
    low, high = region.first, region.last
    _draw(axes, tree, matrix, [b for b in branches if b.n_leaves <= region.n_leaves], limit, 0)
    network, n_rows = tree.arrays["network"], int(np.sum(tree.arrays["network"] == 0))
    leaves = tree.arrays["leaves"][low : high + 1]
    for place, leaf in zip(range(low, high + 1), leaves.tolist()):
        unit = leaf if network[leaf] == 0 else leaf - n_rows
        axes.text(place, place, str(unit), ha="center", va="center", size=6.5, color="white", zorder=4)  # fmt: skip
    for line in axes.get_lines():
        line.set_linewidth(_line_width(region.n_leaves))
    axes.set_xlim(low - 0.7, high + 0.7)
    axes.set_ylim(high + 0.7, low - 0.7)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(GREEN)
    whole.add_patch(Rectangle((low - 1, low - 1), high - low + 2, high - low + 2, fill=False,
                              edgecolor=GREEN, linewidth=1.2, zorder=4, clip_on=False))  # fmt: skip
    whole.text(
        high + 1.5, (low + high) / 2, number, color=GREEN, size=9, weight="bold", va="center"
    )
