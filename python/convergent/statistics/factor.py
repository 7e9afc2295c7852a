"""The triangular factor of the activations of several networks, streaming and mergeable."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convergent import _core, _storage, _validate
from convergent._validate import Floats

_BLOCK_FACTOR = 2  # rows kept before they are folded into the triangle, per column
_MIN_BLOCK_ROWS = 512


class Factor:
    """Keep the triangular factor of ``[1 X_1 X_2 ... X_N]`` over a stream of examples.

    ``R^T R`` is the Gram matrix of these columns, and `R` comes from Householder reflections of
    the examples themselves, so that distances between spans lose no digits to squaring. The column
    of ones comes first: without the first row and column the same triangle is the factor of the
    centred activations.

    Parameters
    ----------
    widths : sequence of int
        Number of units of each network.

    Attributes
    ----------
    widths : tuple of int
        Number of units of each network.
    n_examples : int
        Examples seen so far.

    Raises
    ------
    TypeError
        If `widths` is not a sequence of whole numbers.
    ValueError
        If `widths` is empty or holds a number below 1.

    Notes
    -----
    With ``p = sum(widths)``, an example costs ``2 p^2`` operations and the memory is about
    ``4 p^2`` float64, whatever the number of examples. The result has the same bits for any split
    of the examples into batches, as long as nothing but `update` is called in between. Dead units
    are columns of zeros.

    Examples
    --------
    >>> import numpy as np
    >>> from convergent.statistics.factor import Factor
    >>> x, y = np.array([[3.0], [4.0]]), np.array([[1.0], [0.0]])
    >>> factor = Factor([1, 1]).update([x, y])
    >>> factor.triangle().round(3)
    array([[5. , 0.6],
           [0. , 0.8]])
    """

    def __init__(self, widths: Sequence[int]) -> None:
        if isinstance(widths, (str, bytes)) or not isinstance(widths, (Sequence, np.ndarray)):
            raise TypeError(
                f"`widths` must be a sequence of whole numbers, got {type(widths).__name__}"
            )
        if len(widths) == 0:
            raise ValueError("`widths` must name at least one network, got none")
        self.widths = tuple(
            _validate.integer(width, f"widths[{i}]", low=1) for i, width in enumerate(widths)
        )
        self.n_examples = 0
        self._starts = np.concatenate([[1], 1 + np.cumsum(self.widths)])
        n_columns = int(self._starts[-1])
        self._triangle = np.zeros((n_columns, n_columns))
        self._pending: NDArray[np.float64] | None = None  # rows not yet in the triangle
        self._n_pending = 0

    def __repr__(self) -> str:
        return f"Factor(widths={list(self.widths)}, n_examples={self.n_examples})"

    def __getstate__(self) -> dict[str, Any]:
        self._fold()
        return {**self.__dict__, "_pending": None}

    def update(self, activations: Sequence[ArrayLike]) -> Factor:
        """Take in more examples.

        Parameters
        ----------
        activations : sequence of array of float, shape (n_examples, widths[i])
            One array a network, the same examples in the same order; float32 or float64, any
            memory order. Read in blocks of rows, never converted as a whole.

        Returns
        -------
        Factor
            This object.

        Raises
        ------
        TypeError
            If an array is complex or `activations` is not a sequence.
        ValueError
            If an array has another width than its network or another number of examples than the
            first one, is empty, or holds NaN or infinity. Nothing is taken in then.
        """
        matrices = _validate.activation_list(
            activations, "activations", min_networks=1, min_examples=1
        )
        if len(matrices) != len(self.widths):
            raise ValueError(
                f"`activations` must hold {len(self.widths)} networks, got {len(matrices)}"
            )
        for i, (matrix, width) in enumerate(zip(matrices, self.widths)):
            if matrix.shape[1] != width:
                raise ValueError(
                    f"`activations[{i}]` must have {width} units, got {matrix.shape[1]}"
                )
        return self.take(matrices)

    def take(self, matrices: Sequence[Floats]) -> Factor:
        """Take in matrices that have been checked already (finite floats of the right shapes)."""
        self._append(matrices)
        self.n_examples += matrices[0].shape[0]
        return self

    def merge(self, other: Factor) -> Factor:
        """Take in the examples of another factor of the same widths.

        Parameters
        ----------
        other : Factor
            Factor of other examples; its numbers stay as they are.

        Returns
        -------
        Factor
            This object.

        Raises
        ------
        TypeError
            If `other` is not a Factor.
        ValueError
            If its widths differ.
        """
        if not isinstance(other, Factor):
            raise TypeError(f"`other` must be a Factor, got {type(other).__name__}")
        if other.widths != self.widths:
            raise ValueError(
                f"`other` must have widths {list(self.widths)}, got {list(other.widths)}"
            )
        other._fold()
        n_examples = other.n_examples
        self._fold()
        self._triangle = _fold(self._triangle, other._triangle)
        self.n_examples += n_examples
        return self

    def triangle(
        self, networks: Sequence[int] | None = None, *, center: bool = False
    ) -> NDArray[np.float64]:
        """Return the triangular factor of the columns of some networks.

        Parameters
        ----------
        networks : sequence of int, optional
            Networks in the order wanted, such as ``(0, 3)``; all by default.
        center : bool
            Whether the mean of each unit is taken out first.

        Returns
        -------
        array of float64, shape (p, p)
            Upper triangular `R` with no negative number on its diagonal; ``R^T R`` is the (centred)
            Gram matrix of the `p` columns. Rank deficient if the columns are. With `center`, a unit
            whose centred norm is rounding (``10 sqrt(n_examples) 2.2e-16`` of its norm) is
            constant: its column is zero.

        Raises
        ------
        TypeError
            If `networks` is not a sequence of whole numbers.
        ValueError
            If it is empty or names a network that is not there, or if no example has been taken
            in yet.
        """
        chosen = self._chosen(networks)
        if self.n_examples == 0:
            raise ValueError("the factor must have taken in examples, got none")
        self._fold()
        columns = np.concatenate([np.arange(self._starts[i], self._starts[i + 1]) for i in chosen])
        below = np.ascontiguousarray(self._triangle[1:, columns])
        if chosen != list(range(len(self.widths))):  # in that order it is triangular already
            below = _fold(np.zeros((columns.size, columns.size)), below)
        if center:
            below[:, self._constant(columns)] = 0.0
        else:
            below = _fold(below, self._triangle[:1, columns].copy())
        below *= np.where(np.diag(below) < 0, -1.0, 1.0)[:, np.newaxis]
        return below + 0.0  # no -0.0

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the factor to a file in NumPy's npz format.

        Parameters
        ----------
        path : path-like
            File to write; it is replaced at once when everything is on disk.
        """
        self._fold()
        with _storage.replacing(path) as stream:
            np.savez(
                stream,
                factor_widths=np.array(self.widths, dtype=np.int64),
                n_examples=np.array(self.n_examples, dtype=np.int64),
                triangle=self._triangle,
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Factor:
        """Read a factor that `save` has written.

        Parameters
        ----------
        path : path-like
            File to read. No pickle in it is ever executed.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file does not hold a factor.
        """
        try:
            content = _storage.read_arrays(path)
            widths = content["factor_widths"]
            n_examples = content["n_examples"]
            triangle = content["triangle"]
        except (KeyError, _storage.UnreadableFileError) as error:
            raise ValueError(
                f"`path` must hold a saved Factor, {os.fspath(path)} does not"
            ) from error
        factor = cls(widths.tolist())
        if triangle.shape != factor._triangle.shape or n_examples.shape != ():
            raise ValueError(
                f"`path` must hold a saved Factor, in {os.fspath(path)} the triangle has shape "
                f"{triangle.shape} for widths {list(factor.widths)}"
            )
        factor._triangle = np.ascontiguousarray(triangle, dtype=np.float64)
        factor.n_examples = int(n_examples)
        return factor

    def _constant(self, columns: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether nothing but rounding is left of each column once its mean is taken out."""
        rows = self._triangle[:, columns]
        scale = np.abs(rows).max(axis=0)
        rows = rows / np.where(scale > 0, scale, 1.0)
        rounding = 10.0 * np.sqrt(self.n_examples) * np.finfo(np.float64).eps
        constant: NDArray[np.bool_] = np.linalg.norm(rows[1:], axis=0) <= rounding * np.linalg.norm(
            rows, axis=0
        )
        return constant

    def _chosen(self, networks: Sequence[int] | None) -> list[int]:
        last = len(self.widths) - 1
        if networks is None:
            return list(range(last + 1))
        if isinstance(networks, (str, bytes)) or not isinstance(networks, (Sequence, np.ndarray)):
            raise TypeError(
                f"`networks` must be a sequence of whole numbers, got {type(networks).__name__}"
            )
        if len(networks) == 0:
            raise ValueError("`networks` must name at least one network, got none")
        return [
            _validate.integer(network, f"networks[{i}]", low=0, high=last)
            for i, network in enumerate(networks)
        ]

    def _append(self, matrices: Sequence[Floats]) -> None:
        n_columns = self._triangle.shape[0]
        if self._pending is None:
            n_rows = max(_MIN_BLOCK_ROWS, _BLOCK_FACTOR * n_columns)
            self._pending = np.empty((n_rows, n_columns))
        pending = self._pending
        start, n_examples = 0, matrices[0].shape[0]
        while start < n_examples:
            stop = min(n_examples, start + pending.shape[0] - self._n_pending)
            rows = slice(self._n_pending, self._n_pending + stop - start)
            pending[rows, 0] = 1.0
            for matrix, column, width in zip(matrices, self._starts, self.widths):
                pending[rows, column : column + width] = matrix[start:stop]
            self._n_pending, start = rows.stop, stop
            if self._n_pending == pending.shape[0]:
                self._fold()

    def _fold(self) -> None:
        """Bring the rows kept so far into the triangle."""
        if self._n_pending:
            assert self._pending is not None
            rows = self._pending[: self._n_pending]
            self._triangle = _fold(self._triangle, rows)
            self._n_pending = 0

    @classmethod
    def from_triangle(cls, widths: Sequence[int], triangle: ArrayLike, n_examples: int) -> Factor:
        """Return the factor of examples whose triangle was computed elsewhere, such as on a GPU.

        Parameters
        ----------
        widths : sequence of int
            Number of units of each network.
        triangle : array of float, shape (1 + sum(widths), 1 + sum(widths))
            Upper triangular `R` with the Gram matrix of ``[1 X_1 ... X_N]``, the column of ones
            first; signs of rows do not matter. Copied.
        n_examples : int
            Number of examples that it stands for.

        Returns
        -------
        Factor

        Raises
        ------
        TypeError
            If `widths` is not a sequence of whole numbers or `triangle` is complex.
        ValueError
            If `triangle` has another shape, is not upper triangular, or holds NaN or infinity, or
            `n_examples` is below 1.

        Examples
        --------
        >>> import numpy as np
        >>> from convergent.statistics.factor import Factor
        >>> rows = np.array([[1.0, 3.0], [1.0, 4.0], [1.0, 5.0]])
        >>> Factor.from_triangle([1], np.linalg.qr(rows)[1], 3).triangle(center=True).round(3)
        array([[1.414]])
        """
        factor = cls(widths)
        given = _validate.matrix(triangle, "triangle")
        if given.shape != factor._triangle.shape:
            raise ValueError(
                f"`triangle` must have shape {factor._triangle.shape} for widths "
                f"{list(factor.widths)} and a column of ones, got {given.shape}"
            )
        if np.tril(given, -1).any():
            raise ValueError("`triangle` must be zero below its diagonal, got other values there")
        factor.n_examples = _validate.integer(n_examples, "n_examples", low=1)
        factor._triangle = np.array(given, dtype=np.float64, order="C")
        return factor


def _fold(triangle: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the triangular factor of ``[triangle; rows]``."""
    folded: NDArray[np.float64] = _core.kernels.fold_rows(triangle, rows)
    return folded
