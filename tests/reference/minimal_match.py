"""Minimal and simple matches by the definitions, each step a fresh maximum match."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, combinations, product

import numpy as np

from tests.reference.subspace import EXACT, Decisions, Matrix, distances, normalised, rank_tolerance

Unit = tuple[str, int]


class Problem:
    """Two networks' units (none dead), and which sets of units are matches."""

    def __init__(self, x: Matrix, y: Matrix, epsilon: float) -> None:
        self.x, self.y = normalised(x), normalised(y)
        self.x_tolerance, self.y_tolerance = rank_tolerance(self.x), rank_tolerance(self.y)
        self.epsilon = max(epsilon, EXACT, self.x_tolerance, self.y_tolerance)
        self.decisions = Decisions()
        self.units: list[Unit] = [("x", i) for i in range(x.shape[1])]
        self.units += [("y", j) for j in range(y.shape[1])]
        self._known: dict[frozenset[Unit], frozenset[Unit]] = {}

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
            kept_x = self._near(x, self.x, self.y[:, y], self.y_tolerance)
            if kept_x == x and not first:
                break
            kept_y = self._near(y, self.y, self.x[:, kept_x], self.x_tolerance)
            x, first = kept_x, False
            if kept_y == y:
                break
            y = kept_y
        return frozenset([("x", i) for i in x] + [("y", j) for j in y])

    def _near(self, units: list[int], own: Matrix, other: Matrix, tolerance: float) -> list[int]:
        if not units:
            return []
        away = distances(own[:, units], other, tolerance, self.decisions)
        self.decisions.note(float(np.abs(away - self.epsilon).min()))
        return [unit for unit, distance in zip(units, away) if distance <= self.epsilon]

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

    def matches(self) -> list[frozenset[Unit]]:
        """Every match but the empty one, by enumeration."""
        sets = chain.from_iterable(
            combinations(self.units, n) for n in range(1, len(self.units) + 1)
        )
        return [chosen for chosen in map(frozenset, sets) if self.max_match(chosen) == chosen]

    def minimal_matches(self, unit: Unit) -> set[frozenset[Unit]]:
        """Definition 9: matches that hold the unit, none of which holds a smaller one."""
        holding = [match for match in self.matches() if unit in match]
        return {match for match in holding if not any(other < match for other in holding)}

    def simple_matches(self) -> set[frozenset[Unit]]:
        """Definition 4: matches that are not the union of smaller ones."""
        matches = self.matches()
        return {
            match
            for match in matches
            if frozenset().union(*(other for other in matches if other < match)) != match
        }

    def levels(self, epsilons: Iterable[float]) -> dict[float, frozenset[Unit]]:
        """The maximum match of each epsilon by itself."""
        result = {}
        for epsilon in epsilons:
            self.epsilon = max(epsilon, EXACT, self.x_tolerance, self.y_tolerance)
            self._known = {}
            result[epsilon] = self.max_match(self.units)
        return result
