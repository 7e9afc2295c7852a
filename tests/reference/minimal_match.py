"""Minimal and simple matches by the definitions, each step a fresh maximum match."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, combinations, product

import numpy as np
from numpy.typing import NDArray

from tests.reference.subspace import (
    EXACT,
    Decisions,
    Matrix,
    distances,
    normalised,
    note_margins,
    rank_tolerance,
)

Unit = tuple[str, int]
Codes = NDArray[np.int64]


class Problem:
    """Two networks' units, and which sets of units are matches. Dead units belong to none."""

    def __init__(self, x: Matrix, y: Matrix, epsilon: float) -> None:
        self.live = {"x": np.flatnonzero(x.any(axis=0)), "y": np.flatnonzero(y.any(axis=0))}
        self._columns = {"x": np.zeros(x.shape), "y": np.zeros(y.shape)}
        self._columns["x"][:, self.live["x"]] = normalised(x[:, self.live["x"]])
        self._columns["y"][:, self.live["y"]] = normalised(y[:, self.live["y"]])
        self._tolerances = {
            side: rank_tolerance(columns[:, self.live[side]])
            for side, columns in self._columns.items()
        }
        self.units: list[Unit] = [(side, int(i)) for side in "xy" for i in self.live[side]]
        self._away: dict[tuple[str, frozenset[int]], Matrix] = {}
        self._ranks = Decisions()
        self.set_epsilon(epsilon)

    def set_epsilon(self, epsilon: float) -> None:
        self.epsilon = max(epsilon, EXACT, *self._tolerances.values())
        self._decisions = Decisions()
        self._known: dict[frozenset[Unit], frozenset[Unit]] = {}

    @property
    def margin(self) -> float:
        """How close the closest decision was; 0 when a rank or an exact match was in doubt."""
        return min(self._decisions.margin, self._ranks.margin)

    def away(self, side: str, spanning: Iterable[int]) -> Matrix:
        """Distances of all units of one side from the span of some of the other's."""
        chosen = frozenset(spanning)
        if (side, chosen) not in self._away:
            other = "y" if side == "x" else "x"
            columns = self._columns[other][:, sorted(chosen)]
            self._away[side, chosen] = distances(
                self._columns[side], columns, self._tolerances[other], self._ranks
            )
        return self._away[side, chosen]

    def max_match(self, among: Iterable[Unit]) -> frozenset[Unit]:
        """Algorithm 1 on some of the units."""
        start = frozenset(among)
        if start not in self._known:
            self._known[start] = self._shrink(start)
        return self._known[start]

    def _shrink(self, start: frozenset[Unit]) -> frozenset[Unit]:
        x = sorted(i for side, i in start if side == "x")
        y = sorted(j for side, j in start if side == "y")
        first = True
        while True:
            kept_x = self._near("x", x, y)
            if kept_x == x and not first:
                break
            kept_y = self._near("y", y, kept_x)
            x, first = kept_x, False
            if kept_y == y:
                break
            y = kept_y
        return frozenset([("x", i) for i in x] + [("y", j) for j in y])

    def _near(self, side: str, units: list[int], spanning: list[int]) -> list[int]:
        away = self.away(side, spanning)
        note_margins(away[units], self.epsilon, self._decisions)
        return [unit for unit in units if away[unit] <= self.epsilon]

    def min_match(
        self, unit: Unit, order: list[Unit], among: Iterable[Unit] | None = None
    ) -> frozenset[Unit] | None:
        """Algorithm 2 with an order of the units."""
        match = self.max_match(self.units if among is None else among)
        if unit not in match:
            return None
        for other in order:
            if other in match:
                smaller = self.max_match(match - {other})
                if unit in smaller:
                    match = smaller
        return match

    def all_min_matches(self, unit: Unit) -> set[frozenset[Unit]]:
        """Algorithm 3, literally: leave one unit of each match that was found out."""
        found: list[frozenset[Unit]] = []
        while True:
            for chosen in product(*found):
                match = self.min_match(unit, self.units, set(self.units) - set(chosen))
                if match is not None:
                    found.append(match)
                    break
            else:
                return set(found)

    def matches(self) -> Codes:
        """Every match but the empty one by Definition 1; bit k stands for `units[k]`."""
        sets = {side: subsets(self.live[side]) for side in "xy"}
        members = {
            side: np.array([np.isin(self.live[side], chosen) for chosen in sets[side]])
            for side in "xy"
        }
        near = {}
        for side, other in (("x", "y"), ("y", "x")):
            away = np.array([self.away(side, chosen)[self.live[side]] for chosen in sets[other]])
            note_margins(away.ravel(), self.epsilon, self._decisions)
            near[side] = away <= self.epsilon
        x_near = (near["x"][np.newaxis] | ~members["x"][:, np.newaxis]).all(axis=2)
        y_near = (near["y"][:, np.newaxis] | ~members["y"][np.newaxis]).all(axis=2)
        bits = 2 ** np.arange(len(self.units))
        x_codes, y_codes = np.split(bits, [self.live["x"].size])
        codes = (members["x"] @ x_codes)[:, np.newaxis] + (members["y"] @ y_codes)[np.newaxis]
        found: Codes = codes[x_near & y_near]
        return found[found > 0]

    def named(self, code: int) -> frozenset[Unit]:
        return frozenset(unit for bit, unit in enumerate(self.units) if (code >> bit) & 1)

    def minimal_matches(self, unit: Unit, matches: Codes) -> set[frozenset[Unit]]:
        """Definition 9: matches that hold the unit, none of which holds a smaller one."""
        holding = matches[((matches >> self.units.index(unit)) & 1) == 1]
        holding = holding[np.argsort([code.bit_count() for code in holding.tolist()])]
        minimal = set()
        while holding.size:
            minimal.add(self.named(int(holding[0])))
            holding = holding[(holding & holding[0]) != holding[0]]
        return minimal

    def simple_matches(self, matches: Codes) -> set[frozenset[Unit]]:
        """Definition 4: matches that are not the union of smaller ones."""
        simple = set()
        for match in matches.tolist():
            smaller = matches[((matches & match) == matches) & (matches != match)]
            if np.bitwise_or.reduce(smaller, initial=0) != match:
                simple.add(self.named(match))
        return simple


def subsets(units: NDArray[np.intp]) -> list[tuple[int, ...]]:
    sizes = range(units.size + 1)
    return list(chain.from_iterable(combinations(units.tolist(), size) for size in sizes))
