"""Moments and factor of the same examples, which share the products of their units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convergent._validate import Floats
from convergent.statistics.batches import refuse_too_large
from convergent.statistics.factor import Factor
from convergent.statistics.moments import Moments
from convergent.statistics.row_blocks import RowBlocks

_MIN_BLOCK_ROWS = 4096
_MIRRORED = 64  # columns at a time


class JointSums:
    """Streams examples into moments and a factor at once, at hardly more than the cost of one.

    The centred products of a block are what the moments need; with the block's means they are the
    Gram matrix that the factor needs.

    Parameters
    ----------
    widths : sequence of int
        Number of units of each network.
    n_threads : int, optional
        All processors by default. The result does not depend on it.

    Examples
    --------
    >>> import numpy as np
    >>> from convergent.statistics.joint_sums import JointSums
    >>> sums = JointSums([1, 1])
    >>> sums.update_checked([np.array([[3.0], [4.0]]), np.array([[1.0], [0.0]])])
    >>> sums.settle()
    >>> sums.factor.triangle().round(3)
    array([[5. , 0.6],
           [0. , 0.8]])
    """

    def __init__(self, widths: Sequence[int], *, n_threads: int | None = None) -> None:
        self.moments = Moments(widths, n_threads=n_threads)
        self.factor = Factor(widths, n_threads=n_threads)
        n_units = sum(self.moments.widths)
        rows = max(_MIN_BLOCK_ROWS, 2 * n_units + 2)
        self._blocks = RowBlocks(self.moments.widths, rows)
        self._products = np.empty((n_units, n_units), order="F")

    def update_checked(self, batch: Sequence[Floats]) -> None:
        """Add examples: finite floats of the right shapes."""
        refuse_too_large(batch)
        for block in self._blocks.take(batch):
            self._add_block(block)

    def settle(self) -> None:
        """Bring the examples of the block that is not full yet into moments and factor."""
        if self._blocks.n_kept:
            rest = self._blocks.rest()
            self.moments.update_checked(rest)
            self.factor.take(rest)

    def _add_block(self, block: Sequence[Floats]) -> None:
        self._products[...] = 0.0
        mean = self.moments.add_block(block, self._products)
        self.factor.take_block(block, lambda: self._gram(mean, len(block[0])))

    def _gram(self, mean: NDArray[np.float64], n_examples: int) -> NDArray[np.float64]:
        """Return the Gram matrix of a column of ones and the units."""
        gram = np.empty((mean.size + 1, mean.size + 1), order="F")
        gram[0, 0] = n_examples
        gram[0, 1:] = gram[1:, 0] = n_examples * mean
        units = gram[1:, 1:]
        np.multiply.outer(mean, n_examples * mean, out=units)
        units += self._products
        for start in range(0, mean.size, _MIRRORED):
            stop = start + _MIRRORED
            units[stop:, start:stop] = units[start:stop, stop:].T
            diagonal = units[start:stop, start:stop]
            diagonal[...] = np.triu(diagonal) + np.triu(diagonal, 1).T
        return gram
