"""Streaming means and co-moments of several networks' units over the same examples."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _storage, _validate

FORMAT = "convergent.Moments/1"
_BLOCK_BYTES = 1 << 22
_LARGEST = 1e140  # squares and their sums stay finite
_DEAD_ULPS = 16.0

Float64 = NDArray[np.float64]


class Moments:
    """Joint count, means and co-moments of ``[X_1 ... X_N]`` over a stream of examples.

    Accumulates in float64. Examples are gathered into blocks of fixed size, each block is centred
    by its own mean and merged (Chan, Golub and LeVeque), so nothing cancels, and the batches' sizes
    change no bit as long as no statistic is read in between (reading settles the block that is not
    full yet). Memory: half of ``sum(widths)**2`` numbers and one block of about 4 MiB.

    Parameters
    ----------
    widths : sequence of int
        Number of units of each network.

    Raises
    ------
    ValueError
        If `widths` is empty or holds a number below 1.

    Notes
    -----
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

    def __init__(self, widths: Sequence[int]) -> None:
        self._widths = widths_of(widths)
        self._n_settled = 0
        self._means = [np.zeros(width) for width in self._widths]
        n_networks = len(self._widths)
        self._products = {
            (i, j): np.zeros((self._widths[i], self._widths[j]))
            for i in range(n_networks)
            for j in range(i, n_networks)
        }
        rows = int(np.clip(_BLOCK_BYTES // (8 * sum(self._widths)), 256, 4096))
        # The extra row carries the step of the mean into the same matrix product.
        self._block = [np.empty((rows + 1, width)) for width in self._widths]
        self._n_pending = 0

    def __repr__(self) -> str:
        return f"Moments(widths={list(self._widths)}, n_examples={self.n_examples})"

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of units of each network."""
        return self._widths

    @property
    def n_examples(self) -> int:
        """Number of examples seen."""
        return self._n_settled + self._n_pending

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
        for i, matrix in enumerate(batch):
            if matrix.dtype == np.float64 and max(matrix.max(), -matrix.min()) > _LARGEST:
                raise ValueError(f"`batch[{i}]` must be below {_LARGEST:g} in magnitude")
        n_rows = batch[0].shape[0]
        capacity = self._block[0].shape[0] - 1
        start = 0
        while start < n_rows:
            take = min(capacity - self._n_pending, n_rows - start)
            for block, matrix in zip(self._block, batch):
                block[self._n_pending : self._n_pending + take] = matrix[start : start + take]
            self._n_pending += take
            start += take
            if self._n_pending == capacity:
                self._settle()
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
        total = self._n_settled + other._n_settled
        steps = [theirs - ours for ours, theirs in zip(self._means, other._means)]
        factor = self._n_settled * (other._n_settled / total)
        for (i, j), product in self._products.items():
            product += other._products[i, j]
            product += np.multiply.outer(factor * steps[i], steps[j])
        for mean, step in zip(self._means, steps):
            mean += step * (other._n_settled / total)
        self._n_settled = total
        return self

    def _settle(self) -> None:
        """Merge the rows of the block into the totals."""
        n_rows = self._n_pending
        if n_rows == 0:
            return
        total = self._n_settled + n_rows
        for block, mean in zip(self._block, self._means):
            rows = block[:n_rows]
            first = rows[0].copy()
            rows -= first  # a constant unit becomes exact zeros
            shift = rows.mean(axis=0)
            rows -= shift
            step = (first + shift) - mean if self._n_settled else first + shift
            block[n_rows] = step * np.sqrt(self._n_settled * (n_rows / total))
            mean += step * (n_rows / total)
        for (i, j), product in self._products.items():
            product += self._block[i][: n_rows + 1].T @ self._block[j][: n_rows + 1]
        self._n_settled = total
        self._n_pending = 0

    def mean(self, network: int | None = None) -> Float64:
        """Return the mean of each unit, float64 (widths[network],); None: all networks in a row."""
        self._require(1)
        self._settle()
        if network is None:
            return np.concatenate(self._means)
        return self._means[self._index(network, "network")].copy()

    def std(self, network: int | None = None) -> Float64:
        """Return the standard deviation of each unit (divisor ``n_examples - 1``), as `mean` does.

        It is exactly 0 for dead units.
        """
        self._require(2)
        if network is None:
            return np.concatenate([self.std(i) for i in range(len(self._widths))])
        i = self._index(network, "network")
        self._settle()
        spread = np.sqrt(np.diagonal(self._products[i, i]) / (self._n_settled - 1))
        spread[self.dead_units(i)] = 0.0
        return spread

    def dead_units(self, network: int) -> NDArray[np.intp]:
        """Return the indices of the units of a network that are constant up to rounding."""
        self._require(1)
        i = self._index(network, "network")
        self._settle()
        squares = np.diagonal(self._products[i, i])
        rounding = _DEAD_ULPS * np.finfo(np.float64).eps * np.abs(self._means[i])
        dead = np.sqrt(squares / self._n_settled) <= rounding
        return np.flatnonzero(dead | (squares < np.finfo(np.float64).tiny))

    def cross_product(self, i: int, j: int, *, center: bool = True) -> Float64:
        """Return ``X_i^T X_j``, of centred units if `center`: float64 (widths[i], widths[j])."""
        self._require(1)
        i, j = self._index(i, "i"), self._index(j, "j")
        self._settle()
        product = self._products[i, j].copy() if i <= j else self._products[j, i].T.copy()
        if not center:
            product += np.multiply.outer(self._n_settled * self._means[i], self._means[j])
        return product

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
        squares = np.diagonal(self._products[network, network])
        alive = np.ones(squares.shape, dtype=bool)
        alive[self.dead_units(network)] = False
        inverse = np.zeros(squares.shape)
        inverse[alive] = 1.0 / np.sqrt(squares[alive])
        return inverse

    def _index(self, value: int, name: str) -> int:
        return _validate.integer(value, name, low=0, high=len(self._widths) - 1)

    def _require(self, n_examples: int) -> None:
        if self.n_examples < n_examples:
            raise ValueError(f"there must be at least {n_examples} examples, got {self.n_examples}")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write an ``.npz`` file (no pickle): whole or not at all; return its path."""
        self._settle()
        arrays: dict[str, NDArray[Any]] = dict(self._saved_arrays())
        _storage.write_arrays(
            path,
            FORMAT,
            {"widths": np.array(self._widths), "n_examples": np.array(self._n_settled), **arrays},
        )
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Moments:
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
            for name, target in moments._saved_arrays():
                target[...] = _storage.shaped(arrays[name], target.shape)
        except (KeyError, ValueError, TypeError) as error:
            raise ValueError(f"{path} must hold {FORMAT}: {error}") from error
        return moments

    def _saved_arrays(self) -> Iterator[tuple[str, Float64]]:
        for i, mean in enumerate(self._means):
            yield f"mean_{i}", mean
        for (i, j), product in self._products.items():
            yield f"product_{i}_{j}", product


def widths_of(widths: Sequence[int]) -> tuple[int, ...]:
    """Return checked numbers of units, one a network."""
    if isinstance(widths, (str, bytes)) or not isinstance(widths, (Sequence, np.ndarray)):
        raise TypeError(f"`widths` must be a sequence of whole numbers, got {widths!r}")
    if len(widths) == 0:
        raise ValueError("`widths` must hold at least one network, got none")
    return tuple(_validate.integer(width, f"widths[{i}]", low=1) for i, width in enumerate(widths))


def batch_of(batch: Sequence[Any], widths: tuple[int, ...]) -> list[_validate.Floats]:
    """Return a checked batch: one finite matrix a network, the same examples, `widths` units."""
    matrices = _validate.activation_list(batch, "batch", min_networks=1, min_examples=1)
    if len(matrices) != len(widths):
        raise ValueError(f"`batch` must hold {len(widths)} networks, got {len(matrices)}")
    for i, (matrix, width) in enumerate(zip(matrices, widths)):
        if matrix.shape[1] != width:
            raise ValueError(f"`batch[{i}]` must have {width} units, got {matrix.shape[1]}")
    return matrices


def refuse_unlike(ours: Any, other: Any) -> None:
    """Refuse to merge objects of another class or of other widths."""
    if not isinstance(other, type(ours)):
        raise TypeError(f"`other` must be {type(ours).__name__}, got {type(other).__name__}")
    if other.widths != ours.widths:
        raise ValueError(
            f"`other` must have the widths {list(ours.widths)}, got {list(other.widths)}"
        )
