"""Simple matches: growth with the units, and Algorithm 2 run for each unit by itself.

The largest sizes take minutes and run with ``--long`` only; `bench.plot_growth` draws the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

import convergent as cv
from bench.harness import Session
from tests.reference.match_problems import EPSILON, Maker, low_rank, planted_groups
from tests.reference.minimal_match import Problem, Unit

Matches = dict[Unit, frozenset[Unit]]


FAMILIES: dict[str, Maker] = {"low rank": low_rank, "planted groups": planted_groups}


def run(session: Session) -> None:
    """Race one order of all units, then Algorithm 2 as printed."""
    for name, make in FAMILIES.items():
        for n_units in (64, 128, 256, 512, 1024, *([2048] if session.long else [])):
            matcher = cv.SubspaceMatcher(*make(n_units))
            session.race(
                race_title(name, n_units),
                {
                    "convergent, 2 threads": partial(matcher.simple_matches, EPSILON, n_threads=2),
                    "convergent, 1 thread": partial(matcher.simple_matches, EPSILON, n_threads=1),
                },
                _same,
                warm_up=n_units <= 256,
                limit="a removal is one elimination step: n_rows (n_rows + n_others) multiply-adds on each side",
            )
        for n_units in (16, 32, *([64] if session.long else [])):
            _literal(session, name, n_units, 4 * n_units)
        if session.long:
            _literal(session, name, 64, 2_000)


def race_title(name: str, n_units: int) -> str:
    """Return what a size of a family is called among the results."""
    return f"simple matches, {name}, {n_units} + {n_units} units, one order"


def _same(ours: cv.SimpleMatches, theirs: cv.SimpleMatches) -> None:
    assert ours.of_unit == theirs.of_unit
    assert [m.x.tolist() for m in ours.matches] == [m.x.tolist() for m in theirs.matches]
    assert [m.y.tolist() for m in ours.matches] == [m.y.tolist() for m in theirs.matches]


def _literal(session: Session, name: str, n_units: int, n_examples: int) -> None:
    """Algorithm 2 as printed for every unit, once remembering what units share."""
    x, y = FAMILIES[name](n_units, n_examples)
    order = np.random.default_rng(0).permutation(2 * n_units)
    matcher = cv.SubspaceMatcher(x, y)
    contenders: dict[str, Callable[[], Matches]] = {
        "convergent, 2 threads": lambda: _of_units(matcher.simple_matches(EPSILON, n_threads=2)),
        "literal, what is known kept": lambda: _by_definition(Problem(x, y, EPSILON), order),
        "literal": lambda: _by_definition(Forgetful(x, y, EPSILON), order),
    }
    next(iter(contenders.values()))()  # ours is too short to be timed cold
    session.race(
        f"Algorithm 2 for each unit, {name}, {n_units} + {n_units} units"
        + ("" if n_examples == 4 * n_units else f", {n_examples:,} examples"),
        contenders,
        _equal,
        warm_up=False,
        limit="the literal runs are whole, every unit of both networks",
    )


def _of_units(found: cv.SimpleMatches) -> Matches:
    members: Matches = {}
    for unit, (place,) in found.of_unit.items():
        match = found.matches[place]
        members[unit] = frozenset(
            [("x", int(i)) for i in match.x] + [("y", int(j)) for j in match.y]
        )
    return members


def _by_definition(problem: Problem, order: NDArray[np.int64]) -> Matches:
    units = [problem.units[i] for i in order]
    found = {unit: problem.min_match(unit, units) for unit in problem.units}
    return {unit: match for unit, match in found.items() if match is not None}


def _equal(ours: Matches, theirs: Matches) -> None:
    assert ours == theirs


class Forgetful(Problem):
    """Computes each maximum match anew, as Algorithm 2 is printed."""

    def max_match(self, among: Iterable[Unit]) -> frozenset[Unit]:
        """Algorithm 1 on some of the units."""
        self._known.clear()
        self._away.clear()
        return super().max_match(among)
