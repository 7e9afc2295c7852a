"""Figures of Li et al. (2016) that show what matched units see: Figures 2, 6, S2, S4, S11 and S12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from convergent.report.figures.convergent_learning_units import unit_means
from convergent.report.figures.patch_blocks import (
    BLOCK,
    LINE,
    PITCH,
    Board,
    Content,
    has_pictures,
    nothing_to_show,
    shared_contents,
    with_pictures,
)
from convergent.report.figures.style import BLUE, FAINT, INK, ORANGE, styled
from convergent.study.result import TaskResult

if TYPE_CHECKING:
    from convergent.statistics.patches import UnitPatches

T = TypeVar("T")

NAMES = 1.2
"""Inches left of the blocks, for the networks' names."""
SIGNIFICANT = 3e-5
"""Smallest absolute weight that counts as not zero."""

_GAP = 0.34
_TEXT_LINE = 0.17
_NO_PICTURES = "no unit with image patches"


@styled
def best_and_worst_matches(
    result: TaskResult, patches_x: UnitPatches, patches_y: UnitPatches, *, n_shown: int = 8
) -> Figure:
    """Draw the best and the worst semi-matched units with what they see (Li et al. 2016, Figures 2, S2 and S4).

    Parameters
    ----------
    result : TaskResult
        Of "correlation" or "mutual_information".
    patches_x, patches_y : UnitPatches
        Of the two networks. Only pairs of which both units have pictures are shown; deconvolutions stand below the
        patches where both networks have them.
    n_shown : int
        Pairs at each end; where there are fewer than twice as many, each pair is shown once.
    """
    best, worst = ends_of_matches(result, patches_x, patches_y, n_shown)
    if not best:
        return nothing_to_show(_NO_PICTURES)
    contents = shared_contents(patches_x, patches_y)
    step = len(contents) * LINE - (LINE - BLOCK)
    board = Board(
        _width(len(best), len(worst)),
        0.3 + 2 * (step + _TEXT_LINE) + 2.2 * _TEXT_LINE,
        2 * len(contents) * (len(best) + len(worst)),
    )
    top = 0.3 + 2 * _TEXT_LINE
    rows = ((patches_x, top), (patches_y, top + step + 0.12))
    for patches, y in rows:
        board.name(y, patches.network)
    for x, (i, j, value) in zip(_places(len(best), len(worst)), [*best, *worst]):
        board.words(x + BLOCK / 2, top - 1.5 * _TEXT_LINE, f"{value:.3f}", 8.5, weight="bold")
        board.words(x + BLOCK / 2, top - 0.5 * _TEXT_LINE, f"unit {i}", 7.0)
        for (patches, y), unit in zip(rows, (i, j)):
            board.stack(patches, unit, x, y, contents)
        board.words(x + BLOCK / 2, rows[1][1] + step + 0.5 * _TEXT_LINE, f"unit {j}", 7.0)
    _headings(board, len(best), len(worst), "best matches", "worst matches")
    return board.figure


def ends_of_matches(
    result: TaskResult, patches_x: UnitPatches, patches_y: UnitPatches, n_shown: int
) -> tuple[list[tuple[int, int, float]], list[tuple[int, int, float]]]:
    """Return the best and the worst semi-matches (unit of x, unit of y, value), each from better to worse."""
    similarity, partners = result.arrays["similarity"], result.arrays["semi_y"]
    values = similarity[np.arange(len(similarity)), partners]
    order = np.argsort(-values, kind="stable")
    seen = set(has_pictures(patches_y).tolist())
    pairs = [
        (unit, int(partners[unit]), float(values[unit]))
        for unit in with_pictures(order, patches_x)
        if int(partners[unit]) in seen
    ]
    return _ends(pairs, n_shown)


@styled
def few_to_one(
    result: TaskResult,
    patches_x: UnitPatches,
    patches_y: UnitPatches,
    *,
    weights: NDArray[np.float64] | None = None,
    units: Sequence[int] | None = None,
    n_units: int = 4,
    n_predictors: int = 3,
) -> Figure:
    """Draw units of the second network below the units of the first that predict them (Li et al. 2016, Figure 6).

    Parameters
    ----------
    result : TaskResult
        Of "sparse_map".
    patches_x, patches_y : UnitPatches
        Of the predicting and of the predicted network.
    weights : array of float, shape (n_y, n_x), optional
        Weights to draw instead of those that `result` holds for its chosen penalty.
    units : sequence of int, optional
        Units of the second network; by default `n_units` whose `n_predictors`-th weight is largest, so that all
        predictors shown matter.
    n_predictors : int
        Predictors of each unit at most, the largest absolute weights first; the rest is counted.
    """
    matrix = chosen_weights(result) if weights is None else weights
    examples = predictors_of(matrix, patches_x, patches_y, units, n_units, n_predictors)
    if not examples:
        return nothing_to_show(_NO_PICTURES)
    contents = shared_contents(patches_x, patches_y)
    tall = len(contents) * LINE
    board = Board(
        NAMES + len(examples) * (n_predictors * PITCH + _GAP),
        0.15 + 2 * tall + 0.75 + 3 * _TEXT_LINE,
        len(examples) * (n_predictors + 1) * len(contents),
    )
    board.name(0.15 + _TEXT_LINE, patches_x.network)
    board.name(0.15 + _TEXT_LINE + tall + 0.75, patches_y.network)
    for place, (target, predictors, n_more) in enumerate(examples):
        left = NAMES + place * (n_predictors * PITCH + _GAP)
        centre = left + (n_predictors * PITCH - PITCH + BLOCK) / 2
        _example(board, (patches_x, patches_y), contents, target, predictors, left, centre)
        if n_more:
            text = f"and {n_more} more" if n_more > 0 else ""
            board.words(left + n_predictors * PITCH, 0.12, text, 7.0, ha="right", colour=FAINT)
    return board.figure


def _example(
    board: Board,
    networks: tuple[UnitPatches, UnitPatches],
    contents: list[Content],
    target: int,
    predictors: list[tuple[int, float]],
    left: float,
    centre: float,
) -> None:
    """Draw one predicted unit, its predictors above it and an arrow with the weight from each of them."""
    top, tall = 0.15 + _TEXT_LINE, len(contents) * LINE
    below = top + tall + 0.75
    left += (2 * centre - 2 * left - len(predictors) * PITCH + PITCH - BLOCK) / 2
    for k, (unit, weight) in enumerate(predictors):
        x = left + k * PITCH
        board.words(x + BLOCK / 2, top - 0.5 * _TEXT_LINE, f"unit {unit}", 7.0)
        board.stack(networks[0], unit, x, top, contents)
        start, end = (
            (x + BLOCK / 2, top + tall),
            (centre + 0.11 * (k - (len(predictors) - 1) / 2), below - 0.03),
        )
        board.axes.annotate("", end, start, arrowprops={
            "arrowstyle": "-|>", "color": BLUE if weight > 0 else ORANGE, "linewidth": 1.1,
            "shrinkA": 0, "shrinkB": 0})  # fmt: skip
        middle = (0.8 * start[0] + 0.2 * end[0], 0.8 * start[1] + 0.2 * end[1])
        board.axes.text(*middle, f"{weight:.3f}", size=8, ha="center", va="center", color=INK,
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0})  # fmt: skip
    board.stack(networks[1], target, centre - BLOCK / 2, below, contents)
    board.words(centre, below + tall + 0.4 * _TEXT_LINE, f"unit {target}", 7.0)


def chosen_weights(result: TaskResult) -> NDArray[np.float64]:
    """Return a sparse map's weights (n_y, n_x), those that the study keeps for drawing."""
    return np.asarray(result.arrays["weights"], dtype=np.float64)


def predictors_of(
    weights: NDArray[np.float64],
    patches_x: UnitPatches,
    patches_y: UnitPatches,
    units: Sequence[int] | None,
    n_units: int,
    n_predictors: int,
) -> list[tuple[int, list[tuple[int, float]], int]]:
    """Return units of y, each with its (unit, weight) of x, strongest first, and how many more are not zero."""
    sizes = np.abs(weights)
    order = np.argsort(-sizes, axis=1, kind="stable")
    if units is None:
        last = min(n_predictors, weights.shape[1]) - 1
        weakest = np.take_along_axis(sizes, order[:, last : last + 1], axis=1)[:, 0]
        ranked = np.argsort(-weakest, kind="stable")
    else:
        ranked = np.asarray(units, dtype=np.int64)
    seen_x = set(has_pictures(patches_x).tolist())
    examples = []
    for target in with_pictures(ranked, patches_y):
        strong = [int(unit) for unit in order[target] if sizes[target, unit] > SIGNIFICANT]
        shown = strong[:n_predictors]
        if shown and (units is not None or seen_x.issuperset(shown)):
            pairs = [(unit, float(weights[target, unit])) for unit in shown]
            examples.append((target, pairs, len(strong) - len(shown)))
    return examples if units is not None else examples[:n_units]


@styled
def most_and_least_active(
    result: TaskResult,
    patches: Mapping[str, UnitPatches],
    *,
    n_shown: int = 8,
) -> Figure:
    """Draw each network's most and least active units with what they see (Li et al. 2016, Figures S11 and S12).

    Parameters
    ----------
    result : TaskResult
        Of "activations".
    patches : mapping of str to UnitPatches
        Of each network to draw, one row each in this order. Units without pictures, dead ones among them, are left out.
    n_shown : int
        Units at each end; where there are fewer than twice as many, each unit is shown once.
    """
    means = dict(zip(result.task.networks, unit_means(result)))
    ends = {
        name: ends_of_activity(means[name], of_network, n_shown)
        for name, of_network in patches.items()
        if name in means
    }
    ends = {name: (most, least) for name, (most, least) in ends.items() if most}
    if not ends:
        return nothing_to_show(_NO_PICTURES)
    n_most = max(len(most) for most, _ in ends.values())
    n_least = max(len(least) for _, least in ends.values())
    row = BLOCK + 2.9 * _TEXT_LINE
    board = Board(_width(n_most, n_least), 0.35 + len(ends) * row, len(ends) * (n_most + n_least))
    places = _places(n_most, n_least)
    for k, (name, (most, least)) in enumerate(ends.items()):
        y = 0.35 + k * row + 2 * _TEXT_LINE
        board.name(y, name)
        columns = [*places[: len(most)], *places[len(places) - len(least) :]]
        for x, (unit, value) in zip(columns, [*most, *least]):
            board.words(x + BLOCK / 2, y - 1.5 * _TEXT_LINE, f"{value:.3g}", 8.5, weight="bold")
            board.words(x + BLOCK / 2, y - 0.5 * _TEXT_LINE, f"unit {unit}", 7.0)
            board.block(patches[name], unit, x, y)
    _headings(board, n_most, n_least, "highest mean activation", "lowest mean activation")
    return board.figure


def ends_of_activity(
    means: NDArray[np.float64], patches: UnitPatches, n_shown: int
) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """Return the most and the least active units (unit, mean), each from more to less active."""
    order = np.argsort(-np.asarray(means), kind="stable")
    return _ends([(unit, float(means[unit])) for unit in with_pictures(order, patches)], n_shown)


def _ends(ranked: list[T], n_shown: int) -> tuple[list[T], list[T]]:
    """Return the first and the last `n_shown`, nothing twice."""
    n_first = min(n_shown, -(-len(ranked) // 2))
    n_last = min(n_shown, len(ranked) - n_first)
    return ranked[:n_first], ranked[len(ranked) - n_last :]


def _places(n_left: int, n_right: int) -> list[float]:
    """Return the left edges of blocks in two groups."""
    right = NAMES + n_left * PITCH + _GAP
    return [NAMES + k * PITCH for k in range(n_left)] + [right + k * PITCH for k in range(n_right)]


def _width(n_left: int, n_right: int) -> float:
    return max(NAMES + (n_left + n_right) * PITCH + (_GAP if n_right else 0.0) + 0.06, 3.6)


def _headings(board: Board, n_left: int, n_right: int, left: str, right: str) -> None:
    """Write what the two groups are, and three dots between them."""
    places = _places(n_left, n_right)
    board.words(places[0], 0.14, left, 9.5, ha="left", weight="bold")
    if n_right:
        board.words(places[-1] + BLOCK, 0.14, right, 9.5, ha="right", weight="bold")
        x = (places[n_left - 1] + BLOCK + places[n_left]) / 2
        board.words(x, board.figure.get_figheight() / 2, "…", 14.0, colour=FAINT)
