"""Every argument check, and its message: the name, the rule, the value found."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent._warnings import DeadUnitWarning

Floats = NDArray[np.float32] | NDArray[np.float64]

_BLOCK_BYTES = 1 << 22


def activations(
    value: Any, name: str, *, min_examples: int = 2, check_finite: bool = True
) -> Floats:
    """Return `value` as a finite float32 or float64 matrix, copied only if its dtype is another.

    Without `check_finite` the caller has a pass of its own that finds what is not.
    """
    array = numbers(value, name)
    if array.ndim != 2:
        hint = "; reshape one unit to (n_examples, 1)" if array.ndim == 1 else ""
        raise ValueError(
            f"`{name}` must be two-dimensional (n_examples, n_units), got shape {array.shape}{hint}"
        )
    if array.shape[1] == 0 or array.shape[0] == 0:
        raise ValueError(f"`{name}` must not be empty, got shape {array.shape}")
    if array.shape[0] < min_examples:
        raise ValueError(
            f"`{name}` must have at least {min_examples} examples, got {array.shape[0]}"
        )
    matrix = as_float(array)
    if check_finite:
        refuse_non_finite(matrix, name)
    return matrix


def activation_pair(x: Any, y: Any, *, min_examples: int = 2) -> tuple[Floats, Floats]:
    """Return `x` and `y` as matrices of the same examples."""
    x_matrix = activations(x, "x", min_examples=min_examples)
    y_matrix = activations(y, "y", min_examples=min_examples)
    if x_matrix.shape[0] != y_matrix.shape[0]:
        raise ValueError(
            f"`y` must have as many examples as `x`, got {y_matrix.shape[0]} and "
            f"{x_matrix.shape[0]} (shapes {y_matrix.shape} and {x_matrix.shape})"
        )
    return x_matrix, y_matrix


def activation_list(
    values: Any,
    name: str,
    *,
    min_networks: int = 2,
    min_examples: int = 2,
    labels: Sequence[str] | None = None,
    check_finite: bool = True,
) -> list[Floats]:
    """Return a list of matrices of the same examples, one a network; `labels` name them."""
    if isinstance(values, np.ndarray) and values.ndim != 3:
        raise ValueError(
            f"`{name}` must be a list of matrices, one a network, got an array of shape "
            f"{values.shape}"
        )
    if not isinstance(values, (Sequence, np.ndarray)) or isinstance(values, (str, bytes)):
        raise TypeError(f"`{name}` must be a list of matrices, got {type(values).__name__}")
    if len(values) < min_networks:
        raise ValueError(f"`{name}` must hold at least {min_networks} networks, got {len(values)}")
    labels = labels or [str(i) for i in range(len(values))]
    matrices = [
        activations(value, f"{name}[{label}]", min_examples=min_examples, check_finite=check_finite)
        for label, value in zip(labels, values)
    ]
    for label, matrix in zip(labels, matrices):
        if matrix.shape[0] != matrices[0].shape[0]:
            raise ValueError(
                f"`{name}[{label}]` must have as many examples as `{name}[{labels[0]}]`, got "
                f"{matrix.shape[0]} and {matrices[0].shape[0]}"
            )
    return matrices


def matrix(value: Any, name: str) -> Floats:
    """Return `value` as a finite, non-empty float matrix that need not be activations."""
    array = numbers(value, name)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"`{name}` must be a non-empty matrix, got shape {array.shape}")
    result = as_float(array)
    refuse_non_finite(result, name, columns="column")
    return result


def costs(value: Any, name: str) -> Floats:
    """Return `value` as an aligned float matrix that may be empty and hold infinities.

    Numbers of at most 16 bits become float32, which holds them exactly.
    """
    array = numbers(value, name)
    if array.ndim != 2:
        raise ValueError(f"`{name}` must be two-dimensional, got shape {array.shape}")
    if max(array.shape) >= 2**31:
        raise ValueError(
            f"`{name}` must have fewer than 2**31 rows and columns, got shape {array.shape}"
        )
    if array.dtype.itemsize <= 2:
        return array.astype(np.float32)
    result = as_float(array)
    return result if result.flags.aligned else result.copy()


def numbers(value: Any, name: str) -> NDArray[Any]:
    """Return `value` as an array of real numbers of any shape."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"`{name}` must be an array of numbers: {error}") from error
    if array.dtype.kind == "c":
        raise TypeError(f"`{name}` must be real, got complex values ({array.dtype})")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"`{name}` must be an array of numbers, got dtype {array.dtype}")
    return array


def image_array(value: Any, name: str) -> NDArray[Any]:
    """Return activations of images as they are: real numbers, two or four axes."""
    array = numbers(value, name)
    if array.ndim not in (2, 4) or array.size == 0:
        raise ValueError(
            f"`{name}` must be (n_images, n_units) or (n_images, n_channels, height, width), "
            f"not empty, got shape {array.shape}"
        )
    return array


def as_float(array: NDArray[Any]) -> Floats:
    """Return float32 and float64 arrays as they are, others (native byte order, float64) as a copy."""
    if array.dtype in (np.float32, np.float64) and array.dtype.isnative:
        return array
    if array.dtype.newbyteorder("=") == np.float32:
        return array.astype(np.float32)
    return array.astype(np.float64)


def refuse_non_finite(array: Floats, name: str, columns: str = "unit") -> None:
    """Raise ValueError if a matrix holds NaN or infinity; needs no memory to speak of."""
    n_bad, first = 0, -1
    for rows in row_blocks(array):
        finite = np.isfinite(rows)
        if not finite.all():
            n_bad += int(finite.size - np.count_nonzero(finite))
            bad_columns = np.flatnonzero(~finite.all(axis=0))
            first = int(bad_columns[0]) if first < 0 else min(first, int(bad_columns[0]))
    if n_bad:
        raise ValueError(
            f"`{name}` must be finite, got {n_bad} NaN or infinite values, the first in "
            f"{columns} {first}"
        )


def row_blocks(array: Floats, block_bytes: int = _BLOCK_BYTES) -> list[Floats]:
    """Return views of consecutive rows, each of about `block_bytes`."""
    row_bytes = max(1, array.shape[1] * array.itemsize)
    step = max(1, block_bytes // row_bytes)
    return [array[start : start + step] for start in range(0, array.shape[0], step)]


def integer(value: Any, name: str, *, low: int, high: int | None = None) -> int:
    """Return a whole number in [low, high]."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"`{name}` must be a whole number, got {value!r}")
    if value < low or (high is not None and value > high):
        rule = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"`{name}` must be {rule}, got {value}")
    return int(value)


def real(value: Any, name: str) -> float:
    """Return a finite real number."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise TypeError(f"`{name}` must be a real number, got {value!r}")
    if not np.isfinite(value):
        raise ValueError(f"`{name}` must be finite, got {value!r}")
    return float(value)


def epsilon(value: Any, name: str = "epsilon") -> float:
    """Return a relative distance in [0, 1)."""
    number = real(value, name)
    if not 0.0 <= number < 1.0:
        raise ValueError(f"`{name}` must lie in [0, 1), got {number}")
    return number


def epsilons(value: Any) -> list[float]:
    """Return relative distances in [0, 1), of a single number or a sequence."""
    if not isinstance(value, (Sequence, np.ndarray)) or isinstance(value, (str, bytes)):
        return [epsilon(value)]
    if np.ndim(value) != 1:
        raise ValueError(f"`epsilon` must be a number or a sequence, got shape {np.shape(value)}")
    return [epsilon(number, f"epsilon[{i}]") for i, number in enumerate(value)]


def flag(value: Any, name: str) -> bool:
    """Return True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"`{name}` must be True or False, got {value!r}")
    return bool(value)


def choice(value: Any, name: str, options: Sequence[str]) -> str:
    """Return one of the strings `options`."""
    if not isinstance(value, str) or value not in options:
        listed = ", ".join(repr(option) for option in options)
        raise ValueError(f"`{name}` must be one of {listed}, got {value!r}")
    return value


def thread_count(value: int | None) -> int:
    """Return how many threads to use; None takes all processors that this process may use."""
    if value is None:
        return available_processors()
    return integer(value, "n_threads", low=1)


def available_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def warn_dead_units(name: str, units: NDArray[np.intp], consequence: str) -> None:
    """Give one DeadUnitWarning that lists the constant units of an array."""
    if units.size == 0:
        return
    listed = ", ".join(str(unit) for unit in units[:8]) + (", ..." if units.size > 8 else "")
    warnings.warn(
        f"`{name}` has {units.size} constant or dead units ({listed}): {consequence}",
        DeadUnitWarning,
        stacklevel=3,
    )
