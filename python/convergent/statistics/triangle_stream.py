"""Rows in, the triangular factor of all of them out, whatever their number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _core
from convergent._validate import Floats
from convergent.statistics.cholesky import Matrix, scaled_cholesky

_ROWS_PER_COLUMN = 2  # of a block, at least
_MIN_BLOCK_ROWS = 4096


class TriangleStream:
    """Keeps the triangular factor of a stream of rows, taken in blocks of a fixed number of them.

    A block whose columns are well conditioned is kept as its Gram matrix, which is added up; the
    rows of any other are reduced by Householder reflections. After one that was not well
    conditioned, the next ones are reduced without a check: one, then 3, 7, ...
    """

    def __init__(self, n_columns: int, n_threads: int) -> None:
        self._triangle = np.zeros((n_columns, n_columns))
        self._gram: NDArray[np.float64] | None = None  # of the blocks that are not in the triangle
        self._pending: NDArray[np.float64] | None = None  # rows of a block that is not full yet
        self._n_pending = 0
        self._n_failed = self._n_unchecked = 0
        self._n_threads = n_threads
        self._block_rows = max(_MIN_BLOCK_ROWS, _ROWS_PER_COLUMN * n_columns)

    def __getstate__(self) -> dict[str, Any]:
        self.triangle()
        return {**self.__dict__, "_pending": None}

    def take(self, parts: Sequence[Floats]) -> None:
        """Take in rows, given as matrices side by side, float32 or float64."""
        start, n_rows = 0, parts[0].shape[0]
        while start < n_rows:
            stop = min(n_rows, start + self._block_rows - self._n_pending)
            block = [part[start:stop] for part in parts]
            if stop - start == self._block_rows:
                self.take_block(block)
            else:
                self._keep(block)
            start = stop

    def triangle(self) -> NDArray[np.float64]:
        """Return the factor of all rows so far; it is not to be written to."""
        if self._n_pending:
            assert self._pending is not None
            rows = self._pending[: self._n_pending]
            self._n_pending = 0
            if len(rows) >= _ROWS_PER_COLUMN * rows.shape[1]:
                self.take_block([rows])
            else:
                self._triangle = self.reduced(self._triangle, [rows])
        if self._gram is not None:
            factor = scaled_cholesky(self._gram, self._n_threads)
            assert factor is not None  # a sum of well conditioned ones is at least as well
            self._gram = None
            self._triangle = _core.kernels.fold_triangle(self._triangle, factor.unscaled())
        return self._triangle

    def restart(self, triangle: NDArray[np.float64]) -> None:
        """Go on from rows of which only the factor is known."""
        self._triangle, self._gram, self._n_pending = triangle, None, 0

    def merge(self, other: TriangleStream) -> None:
        """Take in all rows of another stream."""
        others = other.triangle()
        self._triangle = _core.kernels.fold_triangle(self.triangle(), others)

    def reduced(
        self, triangle: NDArray[np.float64], parts: Sequence[Floats]
    ) -> NDArray[np.float64]:
        """Return the triangular factor of the triangle over rows, given side by side."""
        folded: NDArray[np.float64] = _core.kernels.fold_examples(
            triangle, parts, None, None, self._n_threads
        )
        return folded

    def _keep(self, parts: Sequence[Floats]) -> None:
        """Put rows into the block that is not full yet."""
        if self._pending is None:
            self._pending = np.empty((self._block_rows, self._triangle.shape[0]))
        stop = self._n_pending + parts[0].shape[0]
        np.concatenate(parts, axis=1, out=self._pending[self._n_pending : stop])
        self._n_pending = stop
        if stop == self._block_rows:
            self._n_pending = 0
            self.take_block([self._pending])

    def take_block(
        self, block: Sequence[Floats], gram_of: Callable[[], Matrix] | None = None
    ) -> None:
        """Take in rows at once, whose Gram matrix `gram_of` returns where that costs less."""
        if self._n_unchecked == 0:
            gram = self._safe_gram(block, gram_of)
            if gram is not None:
                self._gram = gram if self._gram is None else self._gram + gram
                self._n_failed = 0
                return
            self._n_failed = 2 * self._n_failed + 1
            self._n_unchecked = self._n_failed
        else:
            self._n_unchecked -= 1
        self._triangle = self.reduced(self._triangle, block)

    def _safe_gram(
        self, block: Sequence[Floats], gram_of: Callable[[], Matrix] | None
    ) -> Matrix | None:
        """Return the Gram matrix of a block if nothing is lost by it."""
        if gram_of is None:
            gram: Matrix = _core.kernels.cross_products(block, None, self._n_threads)
        else:
            gram = gram_of()
        factor = scaled_cholesky(gram, self._n_threads)
        if factor is None or not factor.is_safe:
            return None
        if any_beside_zero(block, factor.alive):
            return None
        return gram


def any_beside_zero(parts: Sequence[Floats], alive: NDArray[np.bool_]) -> bool:
    """Whether a column is not zero although its square is (its numbers are below 1e-162)."""
    start = 0
    for part in parts:
        dead = np.flatnonzero(~alive[start : start + part.shape[1]])
        start += part.shape[1]
        if dead.size and part[:, dead].any():
            return True
    return False
