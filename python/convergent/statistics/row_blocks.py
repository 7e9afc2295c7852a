"""Blocks of a fixed number of rows, whatever the batches that the rows come in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from convergent._validate import Floats


class RowBlocks:
    """Cuts a stream of rows, given as matrices side by side, into blocks.

    A block that lies within one batch is handed on as it is; rows that do not fill one are kept,
    as float64, until others do.

    Parameters
    ----------
    widths : sequence of int
        Columns of each matrix.
    block_rows : int
        Rows of a block.
    """

    def __init__(self, widths: Sequence[int], block_rows: int) -> None:
        self._widths = tuple(widths)
        self._block_rows = block_rows
        self._kept: NDArray[np.float64] | None = None
        self.n_kept = 0

    def take(self, parts: Sequence[Floats]) -> Iterator[list[Floats]]:
        """Yield the blocks that these rows fill; each is to be used before the next is asked for."""
        start, n_rows = 0, parts[0].shape[0]
        while start < n_rows:
            stop = min(n_rows, start + self._block_rows - self.n_kept)
            rows = [part[start:stop] for part in parts]
            if stop - start == self._block_rows:
                yield rows
            else:
                self._keep(rows)
                if self.n_kept == self._block_rows:
                    yield self.rest()
            start = stop

    def rest(self) -> list[Floats]:
        """Return the rows kept and forget them; they are to be used before others are taken."""
        assert self._kept is not None
        rows = self._kept[: self.n_kept]
        self.n_kept = 0
        return list(np.split(rows, np.cumsum(self._widths)[:-1], axis=1))

    def _keep(self, parts: Sequence[Floats]) -> None:
        if self._kept is None:
            self._kept = np.empty((self._block_rows, sum(self._widths)))
        stop = self.n_kept + parts[0].shape[0]
        np.concatenate(parts, axis=1, out=self._kept[self.n_kept : stop])
        self.n_kept = stop
