"""Pearson correlation between units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent._validate import Floats

_DEAD = "their correlations are given as 0"
_BLOCK_VALUES = 1 << 18


@dataclass(frozen=True, slots=True)
class _Standard:
    """How the units of one network are centred and scaled.

    ``scale`` is the power of two that brings a unit's largest magnitude into [0.5, 1), so that no
    square overflows or vanishes; ``mean`` is the mean of the scaled unit.
    """

    scale: NDArray[np.float64]
    mean: NDArray[np.float64]
    dead: NDArray[np.bool_]

    def apply(self, rows: Floats) -> NDArray[np.float64]:
        centred: NDArray[np.float64] = np.multiply(rows, self.scale, dtype=np.float64)
        centred -= self.mean
        return centred


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
    Two passes over blocks of rows, in float64 whatever the input: ranges and means, then products
    of centred values, corrected for the rounding of the means. A large common offset costs no
    accuracy. No float64 copy of the input is made: a block takes 2 MiB, or at the most the size of
    the result and a quarter of the examples.

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
    if y is None or y is x:
        x_matrix = _validate.activations(x, "x")
        x_standard = _standardise(x_matrix)
        _validate.warn_dead_units("x", np.flatnonzero(x_standard.dead), _DEAD)
        return _correlate_within(x_matrix, x_standard)
    x_matrix, y_matrix = _validate.activation_pair(x, y)
    x_standard, y_standard = _standardise(x_matrix), _standardise(y_matrix)
    _validate.warn_dead_units("x", np.flatnonzero(x_standard.dead), _DEAD)
    _validate.warn_dead_units("y", np.flatnonzero(y_standard.dead), _DEAD)
    return _correlate_between(x_matrix, x_standard, y_matrix, y_standard)


def _standardise(x: Floats) -> _Standard:
    """First pass: range and mean of every unit."""
    low, high = x[0].copy(), x[0].copy()
    first = x[0].astype(np.float64)
    total = np.zeros_like(first)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in _blocks(x):
            np.minimum(low, rows.min(axis=0), out=low)
            np.maximum(high, rows.max(axis=0), out=high)
            total += np.subtract(rows, first, dtype=np.float64).sum(axis=0)
    # Where the sum overflows, the first example will do: the second pass corrects the mean.
    total[~np.isfinite(total)] = 0.0
    magnitude = np.maximum(np.abs(low), np.abs(high)).astype(np.float64)
    exponent = np.maximum(np.frexp(magnitude)[1], -1000)  # 2**1074, for subnormals, is no float64
    scale = np.ldexp(1.0, -exponent)
    mean = first * scale + total * scale / x.shape[0]
    return _Standard(scale=scale, mean=mean, dead=low == high)


def _correlate_within(x: Floats, standard: _Standard) -> NDArray[np.float64]:
    """Correlate the units of one network; the rounding error of the means is taken out."""
    n_examples, n_units = x.shape
    products = np.zeros((n_units, n_units))
    block_products = np.empty_like(products)
    sums = np.zeros(n_units)
    for rows in _blocks(x):
        centred = standard.apply(rows)
        sums += centred.sum(axis=0)
        products += np.matmul(centred.T, centred, out=block_products)
    products -= np.outer(sums, sums) / n_examples
    squares = np.diagonal(products).copy()
    result = _normalise(products, squares, squares)
    result[standard.dead, :] = 0.0
    result[:, standard.dead] = 0.0
    np.fill_diagonal(result, np.where(standard.dead, 0.0, 1.0))
    return result


def _correlate_between(
    x: Floats, x_standard: _Standard, y: Floats, y_standard: _Standard
) -> NDArray[np.float64]:
    n_examples, n_x, n_y = x.shape[0], x.shape[1], y.shape[1]
    products = np.zeros((n_x, n_y))
    block_products = np.empty_like(products)
    x_sums, y_sums, x_squares, y_squares = (
        np.zeros(n_x),
        np.zeros(n_y),
        np.zeros(n_x),
        np.zeros(n_y),
    )
    step = min(_block_examples(x), _block_examples(y))
    for start in range(0, n_examples, step):
        x_centred = x_standard.apply(x[start : start + step])
        y_centred = y_standard.apply(y[start : start + step])
        x_sums += x_centred.sum(axis=0)
        y_sums += y_centred.sum(axis=0)
        x_squares += np.einsum("ij,ij->j", x_centred, x_centred)
        y_squares += np.einsum("ij,ij->j", y_centred, y_centred)
        products += np.matmul(x_centred.T, y_centred, out=block_products)
    products -= np.outer(x_sums, y_sums) / n_examples
    x_squares -= x_sums**2 / n_examples
    y_squares -= y_sums**2 / n_examples
    result = _normalise(products, x_squares, y_squares)
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


def _block_examples(x: Floats) -> int:
    n_examples, n_units = int(x.shape[0]), int(x.shape[1])
    return max(1, _BLOCK_VALUES // n_units, min(n_units, n_examples // 4))


def _blocks(x: Floats) -> list[Floats]:
    step = _block_examples(x)
    return [x[start : start + step] for start in range(0, x.shape[0], step)]
