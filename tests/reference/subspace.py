"""Subspace matches by the definitions, one decomposition a step."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
EXACT = 1e-10


@dataclass
class Decisions:
    """How close the closest decision was; 0 when a rank or an exact match was in doubt."""

    margin: float = field(default=np.inf)

    def note(self, margin: float) -> None:
        self.margin = min(self.margin, margin)


def rank_tolerance(units: Matrix) -> float:
    """NumPy's rank tolerance."""
    largest = float(np.linalg.svd(units, compute_uv=False)[0])
    return float(max(units.shape) * np.finfo(np.float64).eps * largest)


def normalised(units: Matrix) -> Matrix:
    scaled = units.astype(np.float64) / np.abs(units).max(axis=0)
    unit_norm: Matrix = scaled / np.linalg.norm(scaled, axis=0)
    return unit_norm


def distances(units: Matrix, spanning: Matrix, tolerance: float, decisions: Decisions) -> Matrix:
    """Distances of the columns of `units` from the span of the columns of `spanning`."""
    if spanning.shape[1] == 0:
        norms: Matrix = np.linalg.norm(units, axis=0)
        return norms
    left, values, _ = np.linalg.svd(spanning, full_matrices=False)
    if ((values > tolerance / 4) & (values < 1e-6)).any():
        decisions.note(0.0)
    basis = left[:, values > tolerance]
    rest = units - basis @ (basis.T @ units)
    rest = rest - basis @ (basis.T @ rest)  # once more: the first step leaves rounding
    rest_norms: Matrix = np.linalg.norm(rest, axis=0)
    return rest_norms


def max_match(
    x: Matrix, y: Matrix, epsilon: float, decisions: Decisions
) -> tuple[list[int], list[int]]:
    """Algorithm 1, relative, the first pass over y always run. No unit may be dead."""
    x, y = normalised(x), normalised(y)
    x_tolerance, y_tolerance = rank_tolerance(x), rank_tolerance(y)
    threshold = max(epsilon, EXACT, x_tolerance, y_tolerance)
    x_units, y_units = list(range(x.shape[1])), list(range(y.shape[1]))
    first = True
    while True:
        from_y = distances(x[:, x_units], y[:, y_units], y_tolerance, decisions)
        note_margins(from_y, threshold, decisions)
        x_kept = [unit for unit, d in zip(x_units, from_y) if d <= threshold]
        changed = len(x_kept) < len(x_units)
        x_units = x_kept
        if not changed and not first:
            return x_units, y_units
        first = False
        from_x = distances(y[:, y_units], x[:, x_units], x_tolerance, decisions)
        note_margins(from_x, threshold, decisions)
        y_kept = [unit for unit, d in zip(y_units, from_x) if d <= threshold]
        if len(y_kept) == len(y_units):
            return x_units, y_units
        y_units = y_kept


def note_margins(found: Matrix, threshold: float, decisions: Decisions) -> None:
    for distance in found:
        if threshold > EXACT:
            decisions.note(abs(float(distance) - threshold))
        elif threshold / 1000 < distance < threshold * 1000:
            decisions.note(0.0)


def all_matches(x: Matrix, y: Matrix, epsilon: float, decisions: Decisions) -> list[frozenset[int]]:
    """Every match but the empty one, by enumeration; units of y count on from those of x."""
    x, y = normalised(x), normalised(y)
    x_tolerance, y_tolerance = rank_tolerance(x), rank_tolerance(y)
    threshold = max(epsilon, EXACT, x_tolerance, y_tolerance)
    n_x, n_y = x.shape[1], y.shape[1]
    matches = []
    for flags in product([False, True], repeat=n_x + n_y):
        x_part = x[:, [i for i in range(n_x) if flags[i]]]
        y_part = y[:, [i for i in range(n_y) if flags[n_x + i]]]
        if not any(flags):
            continue
        from_y = distances(x_part, y_part, y_tolerance, decisions)
        from_x = distances(y_part, x_part, x_tolerance, decisions)
        note_margins(np.concatenate([from_x, from_y]), threshold, decisions)
        if (from_y <= threshold).all() and (from_x <= threshold).all():
            matches.append(frozenset(i for i, flag in enumerate(flags) if flag))
    return matches


def simple_matches(matches: list[frozenset[int]]) -> list[frozenset[int]]:
    """Definition 4: the matches that are not a union of smaller ones."""
    return [
        match
        for match in matches
        if match != frozenset().union(*(other for other in matches if other < match))
    ]
