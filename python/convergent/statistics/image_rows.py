"""Rows of numbers that are appended to, in memory while they are few and in a file after that."""

from __future__ import annotations

import tempfile
import weakref
from typing import IO

import numpy as np
from numpy.typing import NDArray

MEMORY_BYTES = 1 << 24

Float32 = NDArray[np.float32]


class ImageRows:
    """Keeps the rows of a stream in its order, at most `memory_bytes` of them in memory.

    Further ones go to a file in the folder for temporary files (``TMPDIR``), which nobody else sees
    and which the system removes when nothing uses it any more.

    Parameters
    ----------
    width : int
        Numbers in a row.
    memory_bytes : int
        Most memory to take.

    Examples
    --------
    >>> import numpy as np
    >>> from convergent.statistics.image_rows import ImageRows
    >>> rows = ImageRows(2, memory_bytes=8)
    >>> for number in (1.0, 2.0):
    ...     rows.append(np.full((1, 2), number, dtype=np.float32))
    >>> rows.joined()
    array([[1., 1.],
           [2., 2.]], dtype=float32)
    """

    def __init__(self, width: int, memory_bytes: int = MEMORY_BYTES) -> None:
        self._width = width
        self._memory_bytes = memory_bytes
        self._n_rows = 0
        self._chunks: list[Float32] = []
        self._file: IO[bytes] | None = None

    def append(self, rows: Float32) -> None:
        """Add rows, float32 (n_rows, width) in C order, which are not to be changed afterwards."""
        self._n_rows += len(rows)
        if self._file is None:
            self._chunks.append(rows)
            if 4 * self._n_rows * self._width <= self._memory_bytes:
                return
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- it lives as long as this object
            weakref.finalize(self, self._file.close)
            for chunk in self._chunks:
                self._file.write(chunk.data)
            self._chunks.clear()
        else:
            self._file.write(rows.data)

    def joined(self) -> Float32:
        """Return all rows so far; those in a file as memory that is mapped, read-only."""
        shape = (self._n_rows, self._width)
        if self._file is not None:
            self._file.flush()
            mapped = np.memmap(self._file, dtype=np.float32, mode="r", shape=shape)
            return mapped.view(np.ndarray)
        self._chunks[:] = [np.concatenate(self._chunks)]
        return self._chunks[0]
