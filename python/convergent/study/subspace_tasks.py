"""What a study computes of Wang et al. (2018): maximum matches and simple matches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convergent.measures.match_results import Match, MatchLevels, SimpleMatches
from convergent.measures.matching_similarity import drawn_examples, summarise
from convergent.measures.subspace import SubspaceMatcher
from convergent.study.layer import Arrays, Layer, Scalars

if TYPE_CHECKING:
    from convergent.study.result import TaskResult

CURVE_POINTS = 201
_SECONDS_BEFORE_PROGRESS = 2.0


def max_match_task(layer: Layer, i: int, j: int) -> tuple[Scalars, Arrays]:
    """Find the largest sets of units that span each other (Wang et al. 2018, Algorithm 1).

    With the authors' convention the positions are drawn several times from the row sample. A unit then belongs to a
    match if it does in half of the draws, and has the level that half of the draws do not exceed.
    """
    settings = layer.settings
    matches: list[list[Match]] = []
    levels: list[MatchLevels] = []
    for matcher in _matchers(layer, i, j):
        matches.append(matcher.max_match(list(settings.epsilons)))
        levels.append(matcher.levels())
    draws = np.array([[match.similarity for match in draw] for draw in matches])
    similarity = summarise(settings.epsilons, draws)
    scalars = {
        f"similarity_at_{epsilon:g}": float(value)
        for epsilon, value in zip(settings.epsilons, similarity.mean)
    }
    n_x, n_y = layer.statistics.widths[i], layer.statistics.widths[j]
    curve = np.linspace(0.0, 1.0, CURVE_POINTS)
    arrays = {
        "epsilons": similarity.epsilons,
        "similarity": similarity.mean,
        "similarity_std": similarity.std,
        "similarity_draws": draws,
        "in_x": np.mean([_flags(draw, "x", n_x) for draw in matches], axis=0) >= 0.5,
        "in_y": np.mean([_flags(draw, "y", n_y) for draw in matches], axis=0) >= 0.5,
        "levels_x": _median([of.x for of in levels]),
        "levels_y": _median([of.y for of in levels]),
        "curve_epsilon": curve,
        "curve_similarity": np.mean([of.similarity(curve) for of in levels], axis=0),
    }
    return scalars, arrays


def simple_matches_task(layer: Layer, i: int, j: int) -> tuple[Scalars, Arrays]:
    """Find the simple matches of all positions (Wang et al. 2018, Section 5.2).

    An epsilon at which more units match than the settings allow is not searched; `unsearched` names it.
    """
    settings = layer.settings
    matcher = layer.matcher(i, j)
    matches = matcher.max_match(list(settings.epsilons))
    n_matched = np.array([match.x.size + match.y.size for match in matches])
    searched = n_matched <= settings.max_matched
    found: dict[int, SimpleMatches] = {}
    for k in np.flatnonzero(searched).tolist():
        found[k] = _searched(layer, matcher, settings.epsilons[k])
    n_x, n_y = layer.statistics.widths[i], layer.statistics.widths[j]
    counts = {"x": np.zeros((len(matches), n_x), dtype=np.int64)}
    counts["y"] = np.zeros((len(matches), n_y), dtype=np.int64)
    for k, simple in found.items():
        for (side, unit), places in simple.of_unit.items():
            counts[side][k, unit] = len(places)
    arrays = {
        "epsilons": np.array(settings.epsilons),
        "n_matched": n_matched,
        "searched": searched,
        "epsilon_index": np.array([k for k, s in found.items() for _ in s.matches], dtype=np.int64),
        "sizes_x": np.array([m.x.size for s in found.values() for m in s.matches], dtype=np.int64),
        "sizes_y": np.array([m.y.size for s in found.values() for m in s.matches], dtype=np.int64),
        "matches_of_x": counts["x"],
        "matches_of_y": counts["y"],
    }
    return _sizes_in_numbers(layer.settings.epsilons, found), arrays


def _searched(layer: Layer, matcher: SubspaceMatcher, epsilon: float) -> SimpleMatches:
    progress = _LongWork(layer.progress)
    simple = matcher.simple_matches(
        epsilon,
        n_orders=layer.settings.n_orders,
        seed=layer.settings.seed,
        n_threads=layer.n_threads,
        progress=progress,
    )
    if not simple.complete:  # not kept, so that the next run searches again
        raise ValueError(f"the search for simple matches at epsilon {epsilon:g} was stopped")
    progress.finish()
    return simple


def unsearched(result: TaskResult, max_matched: int) -> list[str]:
    """Return why simple matches were not searched at some epsilons; empty if they were at all of them."""
    if result.task.measure != "simple_matches" or result.arrays["searched"].all():
        return []
    left_out = ~result.arrays["searched"]
    epsilons = ", ".join(f"{epsilon:g}" for epsilon in result.arrays["epsilons"][left_out])
    n_matched = ", ".join(str(n) for n in result.arrays["n_matched"][left_out])
    return [
        f"not searched at epsilon {epsilons}, where {n_matched} units match (`max_matched` is {max_matched})"
    ]


def _sizes_in_numbers(epsilons: Sequence[float], found: dict[int, SimpleMatches]) -> Scalars:
    scalars = {}
    for k, simple in found.items():
        scalars[f"n_matches_at_{epsilons[k]:g}"] = float(simple.sizes.size)
        if simple.sizes.size:
            scalars[f"median_size_at_{epsilons[k]:g}"] = float(np.median(simple.sizes))
    return scalars


def _matchers(layer: Layer, i: int, j: int) -> Iterator[SubspaceMatcher]:
    """Yield the matcher of all positions, or one a draw."""
    if layer.settings.convention == "all":
        yield layer.matcher(i, j)
    else:
        yield from _of_draws(layer, i, j)


def _of_draws(layer: Layer, i: int, j: int) -> Iterator[SubspaceMatcher]:
    rows, settings = layer.statistics.rows, layer.settings
    if not rows:
        raise ValueError("the statistics were collected without the positions view")
    for drawn in drawn_examples(
        len(rows[i]), settings.n_positions, settings.n_draws, settings.seed
    ):
        yield SubspaceMatcher(rows[i][drawn], rows[j][drawn])


def _flags(matches: list[Match], side: str, n_units: int) -> NDArray[np.bool_]:
    """Return which units of a network belong to the match of each epsilon."""
    flags = np.zeros((len(matches), n_units), dtype=np.bool_)
    for row, match in zip(flags, matches):
        row[match.x if side == "x" else match.y] = True
    return flags


def _median(levels: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the lower median of each unit's levels, which may be infinite."""
    median: NDArray[np.float64] = np.sort(np.stack(levels), axis=0)[(len(levels) - 1) // 2]
    return median


class _LongWork:
    """Passes on the progress of a search that takes longer than a moment, and then also its end."""

    def __init__(self, progress: Callable[[str, int, int], object]) -> None:
        self._progress = progress
        self._start = time.monotonic()
        self._shown: tuple[str, int] | None = None

    def __call__(self, description: str, done: int, total: int) -> object:
        if time.monotonic() - self._start < _SECONDS_BEFORE_PROGRESS:
            return None
        self._shown = (description, total)
        return self._progress(description, done, total)

    def finish(self) -> None:
        if self._shown is not None:
            description, total = self._shown
            self._progress(description, total, total)
