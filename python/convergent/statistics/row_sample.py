"""A uniform sample of the examples of a stream, the same for any batch size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _storage, _validate
from convergent.statistics.batches import batch_of, refuse_unlike, widths_of

FORMAT = "convergent.RowSample/1"
_DRAWS_PER_COUNTER = 4


class RowSample:
    """Seeded uniform sample without replacement of the rows of a stream, paired over networks.

    Row number ``t`` of the stream has a priority that depends on the seed and on ``t`` only (the
    counter-based generator Philox); the `n_rows` smallest priorities are kept. So the sample is the
    same for any batch size, and parts of a stream that were read apart can be merged.

    Parameters
    ----------
    n_rows : int
        Number of rows to keep; a shorter stream is kept whole.
    widths : sequence of int
        Number of units of each network.
    seed : int
        Not negative; the same seed draws the same rows.
    first_row : int
        Number in the whole stream of the first row that this object will see.

    Examples
    --------
    >>> import numpy as np
    >>> from convergent.statistics import RowSample
    >>> x = np.arange(10.0)[:, np.newaxis]
    >>> sample = RowSample(3, [1, 1], seed=0).update([x, -x])
    >>> bool((sample.rows[0] == -sample.rows[1]).all()), sample.rows[0].shape
    (True, (3, 1))
    """

    def __init__(
        self, n_rows: int, widths: Sequence[int], seed: int, *, first_row: int = 0
    ) -> None:
        self._n_rows = _validate.integer(n_rows, "n_rows", low=1)
        self._widths = widths_of(widths)
        self._seed = _validate.integer(seed, "seed", low=0, high=2**63 - 1)
        self._first_row = _validate.integer(first_row, "first_row", low=0)
        self._n_seen = 0
        self._n_kept = 0
        self._priorities = np.empty(self._n_rows, dtype=np.uint64)
        self._indices = np.empty(self._n_rows, dtype=np.int64)
        self._rows = [np.empty((self._n_rows, width), dtype=np.float32) for width in self._widths]

    def __repr__(self) -> str:
        return (
            f"RowSample(widths={list(self._widths)}, n_rows={self._n_kept} "
            f"of {self._n_seen}, seed={self._seed})"
        )

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of units of each network."""
        return self._widths

    @property
    def n_seen(self) -> int:
        """Number of rows of the stream that this object has seen."""
        return self._n_seen

    @property
    def indices(self) -> NDArray[np.int64]:
        """Numbers in the stream of the rows kept, ascending."""
        return np.sort(self._indices[: self._n_kept])

    @property
    def rows(self) -> list[NDArray[np.float32]]:
        """The rows kept, in the stream's order: float32 (n_kept, widths[i]) of each network."""
        order = np.argsort(self._indices[: self._n_kept])
        return [rows[order] for rows in self._rows]

    def update(self, batch: Sequence[Any]) -> RowSample:
        """Take the next rows of the stream.

        Parameters
        ----------
        batch : sequence of arrays of float, shape (n_rows, widths[i])
            The same examples in every network.

        Returns
        -------
        RowSample
            This object.

        Raises
        ------
        ValueError
            If the shapes do not fit, or a value is NaN, infinite, or (of the rows kept) beyond
            float32.
        """
        return self.update_checked(batch_of(batch, self._widths))

    def update_checked(self, batch: Sequence[_validate.Floats]) -> RowSample:
        """Take the next rows, which the caller has checked as `update` would."""
        n_new = batch[0].shape[0]
        start = self._first_row + self._n_seen
        self._keep_best(
            row_priorities(self._seed, start, n_new),
            np.arange(start, start + n_new, dtype=np.int64),
            batch,
        )
        self._n_seen += n_new
        return self

    def merge(self, other: RowSample) -> RowSample:
        """Add a sample of the rows that follow in the stream; `other` keeps its value.

        Raises
        ------
        TypeError
            If `other` is no `RowSample`.
        ValueError
            If its widths, seed or `n_rows` differ, or if its `first_row` is not the row after the
            last one seen.
        """
        refuse_unlike(self, other)
        for name in ("seed", "n_rows"):
            ours, theirs = getattr(self, f"_{name}"), getattr(other, f"_{name}")
            if ours != theirs:
                raise ValueError(f"`other` must have `{name}` {ours}, got {theirs}")
        following = self._first_row + self._n_seen
        if other._first_row != following:
            raise ValueError(
                f"`other` must start at row {following}, got `first_row` {other._first_row}"
            )
        kept = other._n_kept
        rows = [theirs[:kept] for theirs in other._rows]
        self._keep_best(other._priorities[:kept], other._indices[:kept], rows)
        self._n_seen += other._n_seen
        return self

    def _keep_best(
        self,
        priorities: NDArray[np.uint64],
        indices: NDArray[np.int64],
        batch: Sequence[_validate.Floats],
    ) -> None:
        """Write candidates that belong to the sample into free slots and over evicted rows."""
        n_kept = self._n_kept
        candidates = np.flatnonzero(priorities < self._threshold())
        joint = np.concatenate([self._priorities[:n_kept], priorities[candidates]])
        n_best = min(self._n_rows, joint.size)
        best = np.ones(joint.size, dtype=bool)
        if joint.size > n_best:
            best[np.argpartition(joint, n_best)[n_best:]] = False
        chosen = candidates[best[n_kept:]]
        if chosen.size == 0:
            return
        new_rows = [_as_float32(values[chosen], i) for i, values in enumerate(batch)]
        slots = np.concatenate([np.flatnonzero(~best[:n_kept]), np.arange(n_kept, n_best)])
        for rows, values in zip(self._rows, new_rows):
            rows[slots] = values
        self._priorities[slots] = priorities[chosen]
        self._indices[slots] = indices[chosen]
        self._n_kept = n_best

    def _threshold(self) -> np.uint64:
        """Return the priority that a row must stay below to enter the sample."""
        if self._n_kept < self._n_rows:
            return np.uint64(2**64 - 1)
        return np.uint64(self._priorities.max())

    def save(self, path: _storage.AnyPlace) -> _storage.Place:
        """Write an ``.npz`` file (no pickle): whole or not at all; return its path."""
        numbers = (self._n_rows, self._seed, self._first_row, self._n_seen)
        kept = self._n_kept
        _storage.write_arrays(
            path,
            FORMAT,
            {
                "widths": np.array(self._widths),
                "numbers": np.array(numbers, dtype=np.int64),
                "priorities": self._priorities[:kept],
                "indices": self._indices[:kept],
                **{f"rows_{i}": rows[:kept] for i, rows in enumerate(self._rows)},
            },
        )
        return _storage.place(path)

    @classmethod
    def load(cls, path: _storage.AnyPlace) -> RowSample:
        """Read a file that `save` made.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is truncated, or no file of a row sample.
        """
        arrays = _storage.read_arrays(path, FORMAT)
        try:
            n_rows, seed, first_row, n_seen = (int(number) for number in arrays["numbers"])
            widths = [int(width) for width in arrays["widths"]]
            sample = cls(n_rows, widths, seed, first_row=first_row)
            sample._n_seen = n_seen
            sample._n_kept = kept = min(n_rows, n_seen)
            sample._priorities[:kept] = _storage.shaped(arrays["priorities"], (kept,))
            sample._indices[:kept] = _storage.shaped(arrays["indices"], (kept,))
            for i, rows in enumerate(sample._rows):
                rows[:kept] = _storage.shaped(arrays[f"rows_{i}"], (kept, widths[i]))
        except (KeyError, ValueError, TypeError) as error:
            raise ValueError(f"{path} must hold {FORMAT}: {error}") from error
        return sample


def row_priorities(seed: int, start: int, n_rows: int) -> NDArray[np.uint64]:
    """Return the priorities of rows ``start ... start + n_rows - 1`` of a stream."""
    generator = np.random.Philox(key=seed)
    generator.advance(start // _DRAWS_PER_COUNTER)
    skipped = start % _DRAWS_PER_COUNTER
    draws: NDArray[np.uint64] = generator.random_raw(skipped + n_rows)
    return draws[skipped:]


def _as_float32(values: _validate.Floats, network: int) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        converted = values.astype(np.float32, copy=False)
    if not np.isfinite(converted).all():
        raise ValueError(
            f"`batch[{network}]` must fit float32, got {np.abs(values).max():g} in magnitude"
        )
    return converted
