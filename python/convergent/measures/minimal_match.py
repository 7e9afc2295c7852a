"""Minimal and simple matches: the finest similarity of two networks' subspaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _core, _validate
from convergent.measures.match_results import (
    Match,
    MatchLevels,
    MinMatches,
    SimpleMatches,
    unit_index,
)
from convergent.measures.span import EXACT, ROUNDING, Span

Flags = NDArray[np.bool_]
_SEARCHES_PER_MATCH = 200


@dataclass(frozen=True, slots=True)
class LiveUnits:
    """The units that are not dead, as the kernels count them, and what becomes of the dead ones."""

    x: NDArray[np.intp]
    y: NDArray[np.intp]
    n_x: int
    n_y: int
    spans: tuple[Span, Span] | None
    dead_units: str
    accuracy: float

    @property
    def n_counted(self) -> int:
        """Units that a similarity is a share of."""
        return self.x.size + self.y.size if self.dead_units == "exclude" else self.n_x + self.n_y

    def threshold(self, epsilon: float) -> float:
        """Return the distance up to which a unit counts as matched: rounding is never a distance."""
        assert self.spans is not None
        tolerances = (self.spans[0].tolerance, self.spans[1].tolerance)
        return float(max(epsilon + ROUNDING, EXACT, *tolerances))

    def match(self, members: Flags, epsilon: float, margin: float = np.inf) -> Match:
        """Return the match of live units that `members` flags, x first; dead ones are no part of it."""
        x, y = self.x[members[: self.x.size]], self.y[members[self.x.size :]]
        share = (x.size + y.size) / max(self.n_counted, 1)
        return Match(x, y, share, epsilon, margin, margin > self.accuracy)

    def live_index(self, unit: int) -> int | None:
        """Return where the unit (x first) is among the live ones; None if it is dead."""
        live = np.concatenate([self.x, self.n_x + self.y])
        place = int(np.searchsorted(live, unit))
        return place if place < live.size and live[place] == unit else None

    def name(self, place: int) -> tuple[str, int]:
        """Return ("x", unit) or ("y", unit) of a live unit."""
        if place < self.x.size:
            return "x", int(self.x[place])
        return "y", int(self.y[place - self.x.size])


def levels(live: LiveUnits) -> MatchLevels:
    """Return the smallest epsilon of each unit."""
    of_dead = 0.0 if live.dead_units == "match" else np.inf
    x, y = np.full(live.n_x, of_dead), np.full(live.n_y, of_dead)
    if live.spans is not None:
        x_span, y_span = live.spans
        values = _core.kernels.match_levels(x_span.parts, y_span.parts)
        values = np.where(values <= live.threshold(0.0), 0.0, _tied(values))
        x[live.x], y[live.y] = values[: live.x.size], values[live.x.size :]
    else:
        x[live.x], y[live.y] = 1.0, 1.0
    return MatchLevels(x, y, live.n_counted)


def _tied(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return levels of which those that differ by rounding are equal: each run's largest."""
    order = np.argsort(levels)
    starts = np.diff(levels[order], prepend=-1.0) > ROUNDING
    largest = np.maximum.reduceat(levels[order], np.flatnonzero(starts))
    equal = np.empty_like(levels)
    equal[order] = largest[np.cumsum(starts) - 1]
    return equal


def removal_order(live: LiveUnits, order: Any, seed: int | None) -> NDArray[np.int64]:
    """Return the order in which live units are tried: as given, drawn, or x then y ascending."""
    n_live = live.x.size + live.y.size
    if order is None:
        if seed is None:
            return np.arange(n_live, dtype=np.int64)
        generator = np.random.default_rng(_validate.integer(seed, "seed", low=0))
        return generator.permutation(n_live).astype(np.int64)
    if seed is not None:
        raise ValueError("`order` and `seed` exclude each other, got both")
    units = [unit_index(unit, live.n_x, live.n_y) for unit in order]
    if sorted(units) != list(range(live.n_x + live.n_y)):
        raise ValueError(
            f"`order` must name each of the {live.n_x + live.n_y} units once, got {len(units)} "
            f"names of {len(set(units))} units"
        )
    places = [live.live_index(unit) for unit in units]
    return np.array([place for place in places if place is not None], dtype=np.int64)


def min_match(
    live: LiveUnits, unit: object, epsilon: float, order: Any, seed: int | None
) -> Match | None:
    """Return one minimal match of a unit (Wang et al. 2018, Algorithm 2)."""
    place = live.live_index(unit_index(unit, live.n_x, live.n_y))
    tried = removal_order(live, order, seed)
    if place is None:
        return _match_of_dead_unit(live, unit, epsilon)
    if live.spans is None:
        return None
    wanted = np.zeros(tried.size, dtype=np.bool_)
    wanted[place] = True
    members, *_, margin = _core.kernels.minimal_matches(
        live.spans[0].parts,
        live.spans[1].parts,
        live.threshold(epsilon),
        wanted.tolist(),
        tried[np.newaxis],
        1,
        None,
    )
    return live.match(members[0], epsilon, margin) if len(members) else None


def _match_of_dead_unit(live: LiveUnits, unit: object, epsilon: float) -> Match | None:
    """Return the match that a zero vector makes by itself: it lies in the span of nothing."""
    if live.dead_units != "match":
        return None
    place = unit_index(unit, live.n_x, live.n_y)
    x = np.array([place] if place < live.n_x else [], dtype=np.intp)
    y = np.array([place - live.n_x] if place >= live.n_x else [], dtype=np.intp)
    return Match(x, y, 1 / live.n_counted, epsilon)


def all_min_matches(live: LiveUnits, unit: object, epsilon: float, limit: int) -> MinMatches:
    """Return the minimal matches of a unit (Wang et al. 2018, Algorithm 3)."""
    limit = _validate.integer(limit, "limit", low=1)
    place = live.live_index(unit_index(unit, live.n_x, live.n_y))
    if place is None:
        match = _match_of_dead_unit(live, unit, epsilon)
        return MinMatches(() if match is None else (match,), True)
    if live.spans is None:
        return MinMatches((), True)
    members, complete, margin = _core.kernels.all_minimal_matches(
        live.spans[0].parts,
        live.spans[1].parts,
        live.threshold(epsilon),
        place,
        removal_order(live, None, None)[np.newaxis],
        limit,
        _SEARCHES_PER_MATCH * limit,
    )
    return MinMatches(tuple(live.match(row, epsilon, margin) for row in members), complete)


def simple_matches(
    live: LiveUnits,
    epsilon: float,
    n_orders: int,
    seed: int,
    n_threads: int | None,
    progress: Callable[[str, int, int], object] | None,
) -> SimpleMatches:
    """Return the distinct minimal matches of all units for several orders.

    Units outside the maximum match need no search, so that a search may end short of its total; the
    last call of `progress` says that it has ended.
    """
    n_orders = _validate.integer(n_orders, "n_orders", low=1)
    seed = _validate.integer(seed, "seed", low=0)
    n_threads = _validate.thread_count(n_threads)
    n_live = live.x.size + live.y.size
    if live.spans is None:
        return SimpleMatches((), np.zeros(0, dtype=np.intp), {}, True)
    generator = np.random.default_rng(seed)
    orders = np.stack([generator.permutation(n_live) for _ in range(n_orders)]).astype(np.int64)
    total = n_orders * n_live
    tick = None if progress is None else lambda n: progress("simple matches", n, total)
    members, _, of_units, halted, margin = _core.kernels.minimal_matches(
        live.spans[0].parts,
        live.spans[1].parts,
        live.threshold(epsilon),
        [True] * n_live,
        orders,
        n_threads,
        tick,
    )
    if progress is not None and not halted:
        progress("simple matches", total, total)
    found = _merged(live, members, of_units, epsilon, margin, not halted)
    return found if live.dead_units != "match" else _with_dead(live, found, epsilon)


def _with_dead(live: LiveUnits, found: SimpleMatches, epsilon: float) -> SimpleMatches:
    """Add the matches that dead units make, each by itself, in front."""
    dead = [("x", unit) for unit in np.setdiff1d(np.arange(live.n_x), live.x).tolist()]
    dead += [("y", unit) for unit in np.setdiff1d(np.arange(live.n_y), live.y).tolist()]
    alone = [_match_of_dead_unit(live, unit, epsilon) for unit in dead]
    matches = (*(match for match in alone if match is not None), *found.matches)
    of_unit: dict[tuple[str, int], tuple[int, ...]] = {unit: (i,) for i, unit in enumerate(dead)}
    of_unit |= {
        unit: tuple(len(dead) + i for i in places) for unit, places in found.of_unit.items()
    }
    sizes = np.concatenate([np.ones(len(dead), dtype=np.intp), found.sizes])
    return SimpleMatches(matches, sizes, of_unit, found.complete)


def _merged(
    live: LiveUnits,
    members: Flags,
    of_units: Sequence[Sequence[int]],
    epsilon: float,
    margin: float,
    complete: bool,
) -> SimpleMatches:
    codes = [code.tobytes() for code in np.packbits(members, axis=1)]
    first: dict[bytes, int] = {}
    for row, code in enumerate(codes):
        first.setdefault(code, row)
    counts = np.count_nonzero(members, axis=1).astype(np.intp)
    ranking = sorted(
        first.values(), key=lambda row: (counts[row], np.flatnonzero(members[row]).tolist())
    )
    place = {codes[row]: new for new, row in enumerate(ranking)}
    of_unit: dict[tuple[str, int], set[int]] = {}
    for code, units in zip(codes, of_units):
        for unit in units:
            of_unit.setdefault(live.name(unit), set()).add(place[code])
    matches = tuple(live.match(members[row], epsilon, margin) for row in ranking)
    sizes = counts[ranking]
    named = {unit: tuple(sorted(found)) for unit, found in sorted(of_unit.items())}
    return SimpleMatches(matches, sizes, named, complete)
