"""The two views of a module's output, one number at a time from the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def positions(output: Array, units: str, mask: Array | None = None) -> Array:
    """Every position of every image in reading order, or every token, one row of units each."""
    rows = []
    for image, values in enumerate(output):
        if values.ndim == 1:
            rows.append(values)
            continue
        shape = values.shape[1:] if units == "second" else values.shape[:-1]
        for place in np.ndindex(*shape):
            if mask is not None and not mask[image][place]:
                continue
            row = values[(slice(None), *place)] if units == "second" else values[place]
            rows.append(row)
    return np.array(rows)


def images(output: Array, units: str) -> Array:
    """Every image as a row: all places of the first unit, all places of the second, and so on."""
    rows = []
    for values in output:
        n_units = values.shape[0] if units == "second" or values.ndim == 1 else values.shape[-1]
        row: list[float] = []
        for unit in range(n_units):
            if values.ndim == 1:
                row.append(values[unit])
                continue
            shape = values.shape[1:] if units == "second" else values.shape[:-1]
            for place in np.ndindex(*shape):
                row.append(values[(unit, *place)] if units == "second" else values[(*place, unit)])
        rows.append(row)
    return np.array(rows)
