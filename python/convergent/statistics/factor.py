"""The triangular factor of the activations of several networks, streaming and mergeable."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convergent import _storage, _validate
from convergent._validate import Floats
from convergent.statistics.triangle_stream import TriangleStream


class Factor:
    """Keep the triangular factor of ``[1 X_1 X_2 ... X_N]`` over a stream of examples.

    ``R^T R`` is the Gram matrix of these columns. Examples are taken in blocks. Where the columns of
    a block are well conditioned, its Gram matrix keeps what there is to know and is added up; where
    they are not (dependent or nearly dependent units), the block itself is reduced by Householder
    reflections, so that distances between spans lose no digits to squaring. The column of ones comes
    first: without the first row and column the same triangle is the factor of the centred
    activations.

    Parameters
    ----------
    widths : sequence of int
        Number of units of each network.
    n_threads : int, optional
        All processors by default. The result does not depend on it.

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
        If `widths` is empty or holds a number below 1, or `n_threads` is below 1.

    Notes
    -----
    With ``p = sum(widths)``, an example costs ``p^2`` operations in a well conditioned block and
    ``2 p^2`` in another; the memory is about ``6 p^2`` float64, whatever the number of examples. A
    block has ``max(4096, 2 p + 2)`` examples and is well conditioned when the Gram matrix of its
    columns, each scaled to norm 1, has an inverse of 1-norm at most 1e5. The result has the same
    bits for any split of the examples into batches, as long as nothing but `update` is called in
    between, and for any number of threads. Dead units are columns of zeros.

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

    def __init__(self, widths: Sequence[int], *, n_threads: int | None = None) -> None:
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
        self._stream = TriangleStream(int(self._starts[-1]), _validate.thread_count(n_threads))

    def __repr__(self) -> str:
        return f"Factor(widths={list(self.widths)}, n_examples={self.n_examples})"

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
        self._stream.take(_beside_ones(matrices))
        self.n_examples += matrices[0].shape[0]
        return self

    def take_block(
        self, matrices: Sequence[Floats], gram_of: Callable[[], NDArray[np.float64]]
    ) -> None:
        """Take in checked matrices at once; `gram_of` returns the Gram matrix of ``[1 X_1 ...]``."""
        self._stream.take_block(_beside_ones(matrices), gram_of)
        self.n_examples += matrices[0].shape[0]

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
        self._stream.merge(other._stream)
        self.n_examples += other.n_examples
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
        columns = np.concatenate([np.arange(self._starts[i], self._starts[i + 1]) for i in chosen])
        whole = self._stream.triangle()
        below = np.ascontiguousarray(whole[1:, columns])
        if chosen != list(range(len(self.widths))):  # in that order it is triangular already
            below = self._stream.reduced(np.zeros((columns.size, columns.size)), [below])
        if center:
            below[:, self._constant(whole[:, columns])] = 0.0
        else:
            below = self._stream.reduced(below, [whole[:1, columns]])
        below *= np.where(np.diag(below) < 0, -1.0, 1.0)[:, np.newaxis]
        return below + 0.0  # no -0.0

    def save(self, path: _storage.AnyPlace) -> None:
        """Write the factor to a file in NumPy's npz format.

        Parameters
        ----------
        path : path or URL
            File to write; it is replaced at once when everything is on disk.
        """
        with _storage.replacing(path) as stream:
            np.savez(
                stream,
                factor_widths=np.array(self.widths, dtype=np.int64),
                n_examples=np.array(self.n_examples, dtype=np.int64),
                triangle=self._stream.triangle(),
            )

    @classmethod
    def load(cls, path: _storage.AnyPlace) -> Factor:
        """Read a factor that `save` has written.

        Parameters
        ----------
        path : path or URL
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
                f"`path` must hold a saved Factor, {path} does not: {error}"
            ) from error
        factor = cls(widths.tolist())
        if triangle.shape != factor._shape or n_examples.shape != ():
            raise ValueError(
                f"`path` must hold a saved Factor, in {path} the triangle has shape "
                f"{triangle.shape} for widths {list(factor.widths)}"
            )
        factor._stream.restart(np.ascontiguousarray(triangle, dtype=np.float64))
        factor.n_examples = int(n_examples)
        return factor

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
        if given.shape != factor._shape:
            raise ValueError(
                f"`triangle` must have shape {factor._shape} for widths "
                f"{list(factor.widths)} and a column of ones, got {given.shape}"
            )
        if np.tril(given, -1).any():
            raise ValueError("`triangle` must be zero below its diagonal, got other values there")
        factor.n_examples = _validate.integer(n_examples, "n_examples", low=1)
        factor._stream.restart(np.array(given, dtype=np.float64, order="C"))
        return factor

    @property
    def _shape(self) -> tuple[int, int]:
        return int(self._starts[-1]), int(self._starts[-1])

    def _constant(self, rows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether nothing but rounding is left of each column once its mean, the first row, is out."""
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


def _beside_ones(matrices: Sequence[Floats]) -> list[Floats]:
    return [np.broadcast_to(1.0, (matrices[0].shape[0], 1)), *matrices]
