"""Activations in float64, some rows at a time: centred, and in a range in which they can be squared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from convergent import _validate
from convergent._validate import Floats
from convergent.measures.shared_space import Matrix, unit_means

_BLOCK_VALUES = 1 << 20
_ORDINARY = (1e-40, 1e40)  # fourth powers of such numbers stay in range
_DEAD_ULPS = 16.0  # of its mean are left of a constant unit, as in `Moments`
_LEAST_NORM = 1e-120
_EPS = float(np.finfo(np.float64).eps)


class Rows(Protocol):
    """A matrix of the examples of which any rows can be had in float64."""

    @property
    def n_examples(self) -> int:
        """Number of rows."""

    @property
    def width(self) -> int:
        """Number of columns."""

    def rows(self, start: int, stop: int) -> Matrix:
        """Return some rows, float64 (stop - start, width)."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NetworkRows:
    """What rows are made of activations that are read in blocks, never converted as a whole.

    Attributes
    ----------
    network : array of float, shape (n_examples, n_units)
    """

    network: Floats

    @property
    def n_examples(self) -> int:
        """Number of examples."""
        return int(self.network.shape[0])

    @property
    def width(self) -> int:
        """Number of units."""
        return int(self.network.shape[1])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CentredRows(NetworkRows):
    """Activations divided by a number, without the mean of each unit.

    Attributes
    ----------
    mean : array of float64, shape (n_units,)
        Of the divided activations; zeros where they are not centred.
    scale : float
        What they are divided by: 1 for ordinary activations.
    """

    mean: Matrix
    scale: float

    def rows(self, start: int, stop: int) -> Matrix:
        """Return some examples of every unit."""
        return self._part(self.network[start:stop], self.mean)

    def columns(self, start: int, stop: int) -> Matrix:
        """Return some units on every example."""
        return self._part(self.network[:, start:stop], self.mean[start:stop])

    def _part(self, values: Floats, mean: Matrix) -> Matrix:
        if self.scale == 1.0:
            part: Matrix = values - mean
            return part
        part = np.divide(values, self.scale, dtype=np.float64)
        part -= mean
        return part


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MatrixRows:
    """A float64 matrix at hand."""

    matrix: Matrix

    @property
    def n_examples(self) -> int:
        """Number of rows."""
        return int(self.matrix.shape[0])

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.matrix.shape[1])

    def rows(self, start: int, stop: int) -> Matrix:
        """Return a view of some rows."""
        return self.matrix[start:stop]


def centred_rows(network: Floats, *, center: bool = True) -> CentredRows:
    """Return the rows of a network without the units' means; constant units are exactly zero."""
    largest = max(abs(float(network.max())), abs(float(network.min())))
    scale = 1.0 if _ORDINARY[0] < largest < _ORDINARY[1] or largest == 0.0 else largest
    if not center:
        return CentredRows(network, np.zeros(network.shape[1]), scale)
    if scale == 1.0:
        return CentredRows(network, unit_means(network), scale)
    first: Matrix = np.divide(network[0], scale, dtype=np.float64)
    total = np.zeros(network.shape[1])
    for rows in _validate.row_blocks(network):
        total += (np.divide(rows, scale, dtype=np.float64) - first).sum(axis=0)
    return CentredRows(network, first + total / network.shape[0], scale)


def row_ranges(n_examples: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield the first row and the one after the last of blocks of about 8 MB."""
    step = max(1, _BLOCK_VALUES // max(width, 1))
    for start in range(0, n_examples, step):
        yield start, min(start + step, n_examples)


def unit_norms(source: CentredRows) -> Matrix:
    """Return the norm of each unit over the examples, exactly 0 for those that are constant.

    A unit whose standard deviation is at most 16 roundings of its mean is constant.
    """
    norms = np.sqrt(_squares_of_units(source, np.ones(source.width)))
    if float(norms.min()) < _LEAST_NORM:  # squares may have vanished: units at their largest value
        peak = np.zeros(source.width)
        for start, stop in row_ranges(source.n_examples, source.width):
            np.maximum(peak, np.abs(source.rows(start, stop)).max(axis=0), out=peak)
        norms = peak * np.sqrt(_squares_of_units(source, np.where(peak > 0.0, peak, 1.0)))
    rounding = _DEAD_ULPS * _EPS * np.sqrt(source.n_examples)
    return np.where(norms > rounding * np.abs(source.mean), norms, 0.0)


def _squares_of_units(source: CentredRows, divisor: Matrix) -> Matrix:
    squares = np.zeros(source.width)
    for start, stop in row_ranges(source.n_examples, source.width):
        block = source.rows(start, stop)
        if divisor.min() != 1.0 or divisor.max() != 1.0:
            block /= divisor
        squares += np.einsum("eu,eu->u", block, block)
    return squares


def cross_products(x: Rows, y: Rows) -> Matrix:
    """Return ``X^T Y`` of all examples, a block of them at a time."""
    total = np.zeros((x.width, y.width))
    for start, stop in row_ranges(x.n_examples, max(x.width, y.width)):
        total += x.rows(start, stop).T @ y.rows(start, stop)
    return total


def joint_products(x: Rows, y: Rows) -> tuple[Matrix, Matrix, Matrix]:
    """Return ``X^T Y``, ``X^T X`` and ``Y^T Y``, reading every block once."""
    xy = np.zeros((x.width, y.width))
    xx, yy = np.zeros((x.width, x.width)), np.zeros((y.width, y.width))
    for start, stop in row_ranges(x.n_examples, max(x.width, y.width)):
        x_block, y_block = x.rows(start, stop), y.rows(start, stop)
        xx += x_block.T @ x_block
        yy += y_block.T @ y_block
        xy += x_block.T @ y_block
    return xy, xx, yy


def squares_of_examples(source: Rows) -> Matrix:
    """Return the squared norm of each example."""
    squares = np.empty(source.n_examples)
    for start, stop in row_ranges(source.n_examples, source.width):
        block = source.rows(start, stop)
        squares[start:stop] = np.einsum("eu,eu->e", block, block)
    return squares


def square_sum(matrix: Matrix) -> float:
    """Return the sum of the squares of all entries."""
    return float(np.vdot(matrix, matrix))
