"""Simple matches: growth with the units, and Algorithm 2 run for each unit by itself."""

from __future__ import annotations

import time

import numpy as np

import convergent as cv
from bench.harness import Session
from tests.reference.match_problems import EPSILON, low_rank, planted_groups
from tests.reference.minimal_match import Problem


def run(session: Session) -> None:
    """Race one order of all units."""
    for name, make in (("low rank", low_rank), ("planted groups", planted_groups)):
        for n_units in (64, 128, 256, 512):
            matcher = cv.SubspaceMatcher(*make(n_units))
            session.race(
                f"simple matches, {name}, {n_units} + {n_units} units, one order",
                {
                    "convergent, 2 threads": lambda: matcher.simple_matches(EPSILON, n_threads=2),
                    "convergent, 1 thread": lambda: matcher.simple_matches(EPSILON, n_threads=1),
                },
                _same,
                runs=1 if n_units > 256 else session.runs,
                limit="a removal is one elimination step: n_rows (n_rows + n_others) multiply-adds on each side",
            )
    _literal(16)


def _same(ours: cv.SimpleMatches, theirs: cv.SimpleMatches) -> None:
    assert ours.of_unit == theirs.of_unit
    assert [m.x.tolist() for m in ours.matches] == [m.x.tolist() for m in theirs.matches]


def _literal(n_units: int) -> None:
    """Algorithm 2 as printed for every unit; a figure a unit, since the whole takes too long."""
    x, y = planted_groups(n_units)
    problem = Problem(x, y, EPSILON)
    generator = np.random.default_rng(0)
    order = [problem.units[i] for i in generator.permutation(2 * n_units)]
    start = time.perf_counter()
    expected = {unit: problem.min_match(unit, order) for unit in problem.units}
    literal = time.perf_counter() - start
    matcher = cv.SubspaceMatcher(x, y)
    start = time.perf_counter()
    found = matcher.simple_matches(EPSILON)
    ours = time.perf_counter() - start
    for unit, places in found.of_unit.items():
        match = found.matches[places[0]]
        members = {("x", int(i)) for i in match.x} | {("y", int(j)) for j in match.y}
        assert members == expected[unit]
    print(
        f"\nAlgorithm 2 for each unit by itself, {n_units} + {n_units} units: literal "
        f"{literal:.2f} s, shared {ours * 1e3:.2f} ms, x {literal / ours:.0f}"
    )
