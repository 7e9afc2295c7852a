"""Streaming means and co-moments of several networks' units over the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convergent import _core, _storage, _validate
from convergent.statistics.batches import batch_of, refuse_too_large, refuse_unlike, widths_of
from convergent.statistics.row_blocks import RowBlocks

FORMAT = "convergent.Moments/1"
_BLOCK_VALUES = 1 << 21
_BLOCK_ROWS = (1024, 4096)  # at least, at most
_DEAD_ULPS = 16.0

Float64 = NDArray[np.float64]


class Moments:
    """Joint count, means and co-moments of ``[X_1 ... X_N]`` over a stream of examples.

    Accumulates in float64. Examples are taken in blocks of a fixed number; each block is centred by
    its own mean and merged (Chan, Golub and LeVeque), so that nothing cancels, neither under a
    large offset nor when the mean drifts.

    Parameters
    ----------
    widths : sequence of int
        Number of units of each network.
    n_threads : int, optional
        All processors by default. The result does not depend on it.

    Raises
    ------
    TypeError
        If `widths` is not a sequence of whole numbers.
    ValueError
        If `widths` is empty or holds a number below 1, or `n_threads` is below 1.

    Notes
    -----
    With ``p = sum(widths)``, an example costs ``p^2`` operations: only one half of the symmetric
    matrix is computed. The memory is ``p^2`` float64 and a block, whatever the number of examples;
    a block has 2 million numbers, but at least 1,024 and at most 4,096 examples. The result has the
    same bits for any split of the examples into batches, as long as no statistic is read in between
    (reading settles the block that is not full yet), for any memory order and for any number of
    threads.

    A unit is dead if its standard deviation is at most 16 float64 roundings of its mean (or its sum
    of squares underflows). Correlations with a dead unit, its own included, are 0.

    References
    ----------
    Li et al. (2016), Section 3.1. Chan, Golub and LeVeque (1983), Algorithms for computing the
    sample variance.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> x = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    >>> moments = cv.Moments([2, 1]).update([x, 2.0 * x[:, :1]])
    >>> moments.mean(0)
    array([1., 1.])
    >>> moments.correlation(0, 1)
    array([[1.],
           [0.]])
    """

    def __init__(self, widths: Sequence[int], *, n_threads: int | None = None) -> None:
        self._widths = widths_of(widths)
        self._n_threads = _validate.thread_count(n_threads)
        n_units = sum(self._widths)
        stops = [int(stop) for stop in np.cumsum(self._widths)]
        self._columns = [slice(a, b) for a, b in zip([0, *stops], stops)]
        self._n_settled = 0
        self._mean = np.zeros(n_units)
        self._rest = np.zeros(n_units)  # what rounding takes from the mean
        self._products = np.zeros((n_units, n_units), order="F")  # its upper triangle
        rows = int(np.clip(_BLOCK_VALUES // n_units, *_BLOCK_ROWS))
        self._blocks = RowBlocks(self._widths, rows)
        self._is_whole = True

    def __repr__(self) -> str:
        return f"Moments(widths={list(self._widths)}, n_examples={self.n_examples})"

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of units of each network."""
        return self._widths

    @property
    def n_examples(self) -> int:
        """Number of examples seen."""
        return self._n_settled + self._blocks.n_kept

    def update(self, batch: Sequence[Any]) -> Moments:
        """Add a batch of examples.

        Parameters
        ----------
        batch : sequence of arrays of float, shape (n_examples, widths[i])
            Activations of each network for the same examples; float32 or float64, read only.

        Returns
        -------
        Moments
            This object.

        Raises
        ------
        ValueError
            If the shapes do not fit, or a value is NaN, infinite or beyond 1e140. Nothing is added
            then.
        """
        return self.update_checked(batch_of(batch, self._widths))

    def update_checked(self, batch: Sequence[_validate.Floats]) -> Moments:
        """Add a batch that the caller has checked as `update` would."""
        refuse_too_large(batch)
        self._refuse_partial()
        for block in self._blocks.take(batch):
            self.add_block(block)
        return self

    def merge(self, other: Moments) -> Moments:
        """Add the examples that another object has seen; `other` keeps its value.

        Raises
        ------
        TypeError
            If `other` is no `Moments`.
        ValueError
            If its widths differ.
        """
        refuse_unlike(self, other)
        self._settle()
        other._settle()
        if other._n_settled == 0:
            return self
        self._is_whole = False
        self._products += other._products
        self._add_means(other._mean, other._rest, other._n_settled)
        self._is_whole = True
        return self

    def _settle(self) -> None:
        """Merge the rows of the block that is not full yet into the totals."""
        self._refuse_partial()
        if self._blocks.n_kept:
            self.add_block(self._blocks.rest())

    def _refuse_partial(self) -> None:
        if not self._is_whole:
            raise RuntimeError("the moments lack part of an update that was interrupted")

    def add_block(
        self, parts: Sequence[_validate.Floats], products: Float64 | None = None
    ) -> Float64:
        """Merge the checked rows of a block, centred by their own means, into the totals.

        The centred products are also added to the upper triangle of `products`, if given, float64
        in Fortran order; the means are returned.
        """
        self._is_whole = False
        kernels, n_threads = _core.kernels, self._n_threads
        means = [np.array(kernels.unit_summary(part, None, n_threads)[2:]) for part in parts]
        standards = [np.concatenate([np.ones_like(mean[:1]), mean]) for mean in means]
        target = self._products if products is None else products
        kernels.add_cross_products(parts, standards, target, n_threads)
        if products is not None:
            self._products += products
        mean: Float64
        mean, rest = np.concatenate(means, axis=1)
        self._add_means(mean, rest, parts[0].shape[0])
        self._is_whole = True
        return mean

    def _add_means(self, mean: Float64, rest: Float64, n_examples: int) -> None:
        """Merge the means of other examples, whose centred products have been added already."""
        total = self._n_settled + n_examples
        if self._n_settled:
            step = (mean - self._mean) + (rest - self._rest)
            row = step * np.sqrt(self._n_settled * (n_examples / total))
            _core.kernels.add_cross_products(
                [row[np.newaxis]], None, self._products, self._n_threads
            )
            mean, rest = _two_sum(self._mean, step * (n_examples / total) + self._rest)
        self._mean, self._rest, self._n_settled = mean, rest, total

    def mean(self, network: int | None = None) -> Float64:
        """Return the mean of each unit, float64 (widths[network],); None: all networks in a row."""
        self._require(1)
        self._settle()
        if network is None:
            return self._mean.copy()
        return self._mean[self._columns[self._index(network, "network")]].copy()

    def std(self, network: int | None = None) -> Float64:
        """Return the standard deviation of each unit (divisor ``n_examples - 1``), as `mean` does.

        It is exactly 0 for dead units.
        """
        self._require(2)
        if network is None:
            return np.concatenate([self.std(i) for i in range(len(self._widths))])
        i = self._index(network, "network")
        self._settle()
        spread = np.sqrt(self._squares(i) / (self._n_settled - 1))
        spread[self.dead_units(i)] = 0.0
        return spread

    def dead_units(self, network: int) -> NDArray[np.intp]:
        """Return the indices of the units of a network that are constant up to rounding."""
        self._require(1)
        i = self._index(network, "network")
        self._settle()
        squares = self._squares(i)
        rounding = _DEAD_ULPS * np.finfo(np.float64).eps * np.abs(self._mean[self._columns[i]])
        dead = np.sqrt(squares / self._n_settled) <= rounding
        return np.flatnonzero(dead | (squares < np.finfo(np.float64).tiny))

    def cross_product(self, i: int, j: int, *, center: bool = True) -> Float64:
        """Return ``X_i^T X_j``, of centred units if `center`: float64 (widths[i], widths[j])."""
        self._require(1)
        i, j = self._index(i, "i"), self._index(j, "j")
        self._settle()
        product = self._product(i, j) if i <= j else self._product(j, i).T.copy()
        if not center:
            means = [self._mean[self._columns[network]] for network in (i, j)]
            product += np.multiply.outer(self._n_settled * means[0], means[1])
        return product

    def _product(self, i: int, j: int) -> Float64:
        """Return a copy of the centred products of networks ``i <= j``."""
        stored = self._products[self._columns[i], self._columns[j]]
        if i < j:
            return stored.copy()
        product = np.triu(stored)
        product += np.triu(stored, 1).T
        return product

    def _squares(self, network: int) -> Float64:
        return np.diagonal(self._products)[self._columns[network]]

    def covariance(self, i: int, j: int) -> Float64:
        """Return the covariances of the units of two networks (divisor ``n_examples - 1``).

        Raises
        ------
        ValueError
            If there are fewer than two examples, or no such network.
        """
        self._require(2)
        product = self.cross_product(i, j)
        product /= self._n_settled - 1
        return product

    def correlation(self, i: int, j: int) -> Float64:
        """Return Pearson correlations between two networks' units: float64 (widths[i], widths[j]).

        Values lie in [-1, 1]; rows and columns of dead units are 0.

        Raises
        ------
        ValueError
            If there are fewer than two examples, or no such network.
        """
        self._require(2)
        i, j = self._index(i, "i"), self._index(j, "j")
        if i > j:
            return np.ascontiguousarray(self.correlation(j, i).T)
        product = self.cross_product(i, j)
        product *= self._inverse_norms(i)[:, np.newaxis]
        product *= self._inverse_norms(j)
        return np.clip(product, -1.0, 1.0, out=product)

    def _inverse_norms(self, network: int) -> Float64:
        squares = self._squares(network)
        alive = np.ones(squares.shape, dtype=bool)
        alive[self.dead_units(network)] = False
        inverse = np.zeros(squares.shape)
        inverse[alive] = 1.0 / np.sqrt(squares[alive])
        return inverse

    def _index(self, value: int, name: str) -> int:
        return _validate.integer(value, name, low=0, high=len(self._widths) - 1)

    def _require(self, n_examples: int) -> None:
        self._refuse_partial()
        if self.n_examples < n_examples:
            raise ValueError(f"there must be at least {n_examples} examples, got {self.n_examples}")

    def save(self, path: _storage.AnyPlace) -> _storage.Place:
        """Write an ``.npz`` file (no pickle): whole or not at all; return its path."""
        self._settle()
        arrays = {
            "widths": np.array(self._widths),
            "n_examples": np.array(self._n_settled),
            **{f"mean_{i}": self._mean[columns] for i, columns in enumerate(self._columns)},
            **{f"rest_{i}": self._rest[columns] for i, columns in enumerate(self._columns)},
            **{f"product_{i}_{j}": self._product(i, j) for i, j in self._pairs()},
        }
        _storage.write_arrays(path, FORMAT, arrays)
        return _storage.place(path)

    @classmethod
    def load(cls, path: _storage.AnyPlace) -> Moments:
        """Read a file that `save` made.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is truncated, or no file of moments.
        """
        arrays = _storage.read_arrays(path, FORMAT)
        try:
            moments = cls([int(width) for width in arrays["widths"]])
            moments._n_settled = int(arrays["n_examples"])
            for i, columns in enumerate(moments._columns):
                mean = moments._mean[columns]
                mean[:] = _storage.shaped(arrays[f"mean_{i}"], mean.shape)
                if f"rest_{i}" in arrays:  # older files have none
                    moments._rest[columns] = _storage.shaped(arrays[f"rest_{i}"], mean.shape)
            for i, j in moments._pairs():
                product = moments._products[moments._columns[i], moments._columns[j]]
                product[:] = _storage.shaped(arrays[f"product_{i}_{j}"], product.shape)
        except (KeyError, ValueError, TypeError) as error:
            raise ValueError(f"{path} must hold {FORMAT}: {error}") from error
        return moments

    @classmethod
    def from_products(
        cls, widths: Sequence[int], n_examples: int, mean: ArrayLike, products: ArrayLike
    ) -> Moments:
        """Return the moments of examples that were summed up elsewhere, such as on a GPU.

        Parameters
        ----------
        widths : sequence of int
            Number of units of each network.
        n_examples : int
            Number of examples that the sums stand for.
        mean : array of float, shape (sum(widths),)
            Mean of each unit, all networks in a row. Copied.
        products : array of float, shape (sum(widths), sum(widths))
            ``Z^T Z`` of the centred units of all networks side by side, of which the upper triangle
            is used. Copied.

        Raises
        ------
        TypeError
            If `widths` is not a sequence of whole numbers or an array is complex.
        ValueError
            If an array has another shape or holds NaN or infinity, the diagonal of `products` holds
            a negative number, or `n_examples` is below 1.

        Examples
        --------
        >>> import convergent as cv
        >>> cv.Moments.from_products([1, 1], 3, [2.0, 0.0], [[8.0, 2.0], [2.0, 4.0]]).covariance(0, 1)
        array([[1.]])
        """
        moments = cls(widths)
        n_units = moments._mean.size
        given = _validate.matrix(products, "products")
        if given.shape != (n_units, n_units):
            raise ValueError(
                f"`products` must have shape {(n_units, n_units)} for widths "
                f"{list(moments.widths)}, got {given.shape}"
            )
        least = float(np.diagonal(given).min())
        if least < 0:
            raise ValueError(f"`products` must have no negative diagonal, got {least:g} in it")
        means = _validate.numbers(mean, "mean")
        if means.shape != (n_units,):
            raise ValueError(f"`mean` must have shape {(n_units,)}, got {means.shape}")
        moments._mean[:] = _validate.matrix(means[np.newaxis], "mean")[0]
        moments._products[:] = given
        moments._n_settled = _validate.integer(n_examples, "n_examples", low=1)
        return moments

    def _pairs(self) -> list[tuple[int, int]]:
        return list(combinations_with_replacement(range(len(self._widths)), 2))


def _two_sum(a: Float64, b: Float64) -> tuple[Float64, Float64]:
    """Return the sum of two arrays and what rounding took from it (Knuth)."""
    total = a + b
    taken = total - a
    return total, (a - (total - taken)) + (b - taken)
