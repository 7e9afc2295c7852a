"""Examples at length one, some at a time, whose inner products are the entries of an RSM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convergent._validate import Floats
from convergent.measures.centred_rows import NetworkRows, row_ranges
from convergent.measures.shared_space import Matrix

_ROUNDINGS = 4.0  # that are left of an example without direction, as in `rsm`


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ExampleDirections(NetworkRows):
    """What `rsm` multiplies: examples at length one, those without direction as zeros.

    Attributes
    ----------
    centre : array of float64, shape (n_examples, 1), or None
        Mean over the units, of the example over its largest value; None for cosines.
    largest, inverse : array of float64, shape (n_examples, 1)
        What each example is divided by so that its squares stay in range, and one over the length
        that is left (0 without direction).
    mean : float
        Mean similarity of two different examples.
    """

    centre: Matrix | None
    largest: Matrix
    inverse: Matrix
    mean: float

    def rows(self, start: int, stop: int) -> Matrix:
        """Return some examples at length one."""
        return _at_length_one(
            self.network[start:stop],
            None if self.centre is None else self.centre[start:stop],
            self.largest[start:stop],
            self.inverse[start:stop],
        )


def _at_length_one(rows: Floats, centre: Matrix | None, largest: Matrix, inverse: Matrix) -> Matrix:
    directions = np.divide(rows, largest, dtype=np.float64)
    if centre is not None:
        directions -= centre
    directions *= inverse
    return directions


def example_directions(network: Floats, kind: str) -> ExampleDirections:
    """Return the examples at length one, "cosine" or "pearson" as in `rsm`."""
    n_examples, n_units = network.shape
    largest, inverse = np.ones((n_examples, 1)), np.zeros((n_examples, 1))
    centre = np.zeros((n_examples, 1)) if kind == "pearson" else None
    rounding = _ROUNDINGS * np.finfo(np.float64).eps * np.sqrt(n_units)
    total, squares = np.zeros(n_units), 0.0
    for start, stop in row_ranges(n_examples, n_units):
        rows, block = network[start:stop], slice(start, stop)
        peak = np.abs(rows).max(axis=1, keepdims=True).astype(np.float64)
        largest[block] = np.where(peak > 0.0, peak, 1.0)
        scaled = np.divide(rows, largest[block], dtype=np.float64)
        if centre is not None:
            centre[block] = scaled.mean(axis=1, keepdims=True)
            scaled -= centre[block]
        lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
        inverse[block] = np.where(lengths > rounding, 1.0 / np.where(lengths, lengths, 1.0), 0.0)
        scaled *= inverse[block]
        total += scaled.sum(axis=0)
        squares += float(np.vdot(scaled, scaled))
    n_pairs = max(n_examples * (n_examples - 1), 1)
    mean = (float(total @ total) - squares) / n_pairs
    return ExampleDirections(network, centre, largest, inverse, mean)
