"""What streams of several networks' activations accept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convergent import _validate

LARGEST = 1e140  # squares and their sums stay finite


def widths_of(widths: Sequence[int]) -> tuple[int, ...]:
    """Return checked numbers of units, one a network."""
    if isinstance(widths, (str, bytes)) or not isinstance(widths, (Sequence, np.ndarray)):
        raise TypeError(f"`widths` must be a sequence of whole numbers, got {widths!r}")
    if len(widths) == 0:
        raise ValueError("`widths` must hold at least one network, got none")
    return tuple(_validate.integer(width, f"widths[{i}]", low=1) for i, width in enumerate(widths))


def batch_of(batch: Sequence[Any], widths: tuple[int, ...]) -> list[_validate.Floats]:
    """Return a checked batch: one finite matrix a network, the same examples, `widths` units."""
    matrices = _validate.activation_list(batch, "batch", min_networks=1, min_examples=1)
    if len(matrices) != len(widths):
        raise ValueError(f"`batch` must hold {len(widths)} networks, got {len(matrices)}")
    for i, (matrix, width) in enumerate(zip(matrices, widths)):
        if matrix.shape[1] != width:
            raise ValueError(f"`batch[{i}]` must have {width} units, got {matrix.shape[1]}")
    return matrices


def refuse_too_large(batch: Sequence[_validate.Floats]) -> None:
    """Refuse numbers whose squares would overflow."""
    for i, matrix in enumerate(batch):
        if matrix.dtype == np.float64 and max(matrix.max(), -matrix.min()) > LARGEST:
            raise ValueError(f"`batch[{i}]` must be below {LARGEST:g} in magnitude")


def refuse_unlike(ours: Any, other: Any) -> None:
    """Refuse to merge objects of another class or of other widths."""
    if not isinstance(other, type(ours)):
        raise TypeError(f"`other` must be {type(ours).__name__}, got {type(other).__name__}")
    if other.widths != ours.widths:
        raise ValueError(
            f"`other` must have the widths {list(ours.widths)}, got {list(other.widths)}"
        )
