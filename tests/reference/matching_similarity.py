"""The maximum matching similarity by its definition, from rows that are named one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.reference import subspace

Matrix = NDArray[np.float64]


def positions(maps: NDArray[Any]) -> Matrix:
    """Every position of every image of (n_images, n_channels, height, width) as one row."""
    n_images, n_channels, height, width = maps.shape
    rows = []
    for image in range(n_images):
        for row in range(height):
            for column in range(width):
                rows.append([float(maps[image, unit, row, column]) for unit in range(n_channels)])
    return np.array(rows)


def similarity(
    x: Matrix,
    y: Matrix,
    rows: Sequence[int],
    epsilon: float,
    dead_units: str,
    decisions: subspace.Decisions,
) -> float:
    """Share of the units in the maximum match of some rows, dead units treated one by one."""
    x, y = x[list(rows)], y[list(rows)]
    n_units = int(x.shape[1] + y.shape[1])
    live_x = [unit for unit in range(x.shape[1]) if any(value != 0.0 for value in x[:, unit])]
    live_y = [unit for unit in range(y.shape[1]) if any(value != 0.0 for value in y[:, unit])]
    matched = 0
    if live_x and live_y:
        in_x, in_y = subspace.max_match(x[:, live_x], y[:, live_y], epsilon, decisions)
        matched = len(in_x) + len(in_y)
    n_live = len(live_x) + len(live_y)
    if dead_units == "exclude":
        return matched / max(n_live, 1)
    if dead_units == "match":
        matched += n_units - n_live
    return matched / n_units
