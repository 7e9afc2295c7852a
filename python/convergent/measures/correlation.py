"""Pearson correlation between units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _core, _validate
from convergent._validate import Floats

_DEAD = "their correlations are given as 0"
_SAFE = 1e70  # squares of squares of such magnitudes and ranges, summed, are finite and not 0


@dataclass(frozen=True, slots=True)
class Standard:
    """How the units of one network are scaled and centred.

    ``lines`` are three numbers a unit: a power of two, 1 unless products of the unit's values might
    overflow or vanish, the mean of the scaled unit, and what rounding took from that mean.
    """

    lines: NDArray[np.float64]
    dead: NDArray[np.bool_]


def correlation(x: Any, y: Any = None) -> NDArray[np.float64]:
    """Correlate each unit of `x` with each unit of `y`, or of `x` itself.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units_x), (n_examples, n_units_y)
        Activations; each column is one unit. Without `y`, the units of `x` are correlated with each
        other.

    Returns
    -------
    array of float64, shape (n_units_x, n_units_y)
        Pearson correlations in [-1, 1]. Rows and columns of constant units are 0. Without `y` the
        matrix is symmetric and its diagonal is exactly 1 for every unit that varies.

    Raises
    ------
    ValueError
        If `x` and `y` differ in examples, hold NaN or infinity, or are no matrices of at least two
        examples.
    TypeError
        If an array is complex.

    Warns
    -----
    DeadUnitWarning
        Once for each array that has constant units. A unit is constant if all its values are equal,
        bit for bit.

    Notes
    -----
    Two passes, in float64 whatever the input: ranges and means, then products of centred values; the
    means are kept to twice the digits of a float64. A large common offset costs no accuracy. No
    float64 copy of the input is made: a block takes 8 MiB (more beyond 4,096 units). All processors
    are used; the result does not depend on their number. It costs ``n_units_x**2`` operations an
    example without `y`, ``2 n_units_x n_units_y`` with it.

    References
    ----------
    Li et al. (2016), Section 2.2, the between-network correlation matrix.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> x = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0]])
    >>> cv.correlation(x)
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    n_threads = _validate.thread_count(None)
    if y is None or y is x:
        x_matrix = _validate.activations(x, "x")
        x_standard = standardise(x_matrix, n_threads)
        _validate.warn_dead_units("x", np.flatnonzero(x_standard.dead), _DEAD)
        return correlate_within(x_matrix, x_standard, n_threads)
    x_matrix, y_matrix = _validate.activation_pair(x, y)
    x_standard, y_standard = (standardise(units, n_threads) for units in (x_matrix, y_matrix))
    _validate.warn_dead_units("x", np.flatnonzero(x_standard.dead), _DEAD)
    _validate.warn_dead_units("y", np.flatnonzero(y_standard.dead), _DEAD)
    return correlate_between(x_matrix, x_standard, y_matrix, y_standard, n_threads)


def standardise(x: Floats, n_threads: int) -> Standard:
    """Return how units are scaled and centred: a pass for their ranges and means."""
    low, high, mean, rest = _core.kernels.unit_summary(x, None, n_threads)
    scale = np.ones_like(mean)
    magnitude = np.maximum(np.abs(low), np.abs(high))
    with np.errstate(over="ignore"):
        odd = (magnitude > _SAFE) | ((high - low < 1 / _SAFE) & (low < high))
    if odd.any():
        exponent = np.maximum(np.frexp(magnitude[odd])[1], -1000)  # 2**1074 is no float64
        scale[odd] = np.ldexp(1.0, -exponent)
        scaled = np.stack([scale, np.zeros_like(scale), np.zeros_like(scale)])
        mean, rest = _core.kernels.unit_summary(x, scaled, n_threads)[2:]
    return Standard(np.stack([scale, mean, rest]), low == high)


def correlate_within(x: Floats, standard: Standard, n_threads: int) -> NDArray[np.float64]:
    """Return the correlations of the units of one network, as `correlation` describes them."""
    products = _core.kernels.cross_products([x], [standard.lines], n_threads)
    squares = np.diagonal(products).copy()
    result = _normalise(products.T, squares, squares)
    result[standard.dead, :] = 0.0
    result[:, standard.dead] = 0.0
    np.fill_diagonal(result, np.where(standard.dead, 0.0, 1.0))
    return result


def correlate_between(
    x: Floats, x_standard: Standard, y: Floats, y_standard: Standard, n_threads: int
) -> NDArray[np.float64]:
    """Return the correlations between two networks' units, as `correlation` describes them."""
    # The products come in Fortran order: those of y with x are in the order of the result.
    products, y_squares, x_squares = _core.kernels.products_between(
        y, x, y_standard.lines, x_standard.lines, n_threads
    )
    result = _normalise(products.T, x_squares, y_squares)
    result[x_standard.dead, :] = 0.0
    result[:, y_standard.dead] = 0.0
    return result


def _normalise(
    products: NDArray[np.float64], x_squares: NDArray[np.float64], y_squares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Divide by the roots of the squares, in place; the caller overwrites constant units."""
    scale = np.outer(x_squares, y_squares)
    scale[scale <= 0] = 1.0
    products /= np.sqrt(scale, out=scale)
    return np.clip(products, -1.0, 1.0, out=products)
