"""Sums over the examples for every pair of many networks, by products of units or of examples."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from convergent.measures.centred_rows import Rows, row_ranges, square_sum
from convergent.measures.ordered_work import results_in_order
from convergent.measures.shared_space import Matrix

Progress = Callable[[str, int, int], object]
Transform = Callable[[int, Matrix, slice, slice], None]
DESCRIPTION = "index atlas"
_TILE_VALUES = 1 << 24  # of all networks' tiles together: 128 MB a thread
_LARGEST_TILE, _SMALLEST_TILE = 320, 32
_WORKING_VALUES = 1 << 28  # of all threads together, unless one needs more
_BLOCK_UNITS = 2048


@dataclass(frozen=True, slots=True)
class TileSums:
    """Sums over the similarity matrices of the examples, one a network.

    Attributes
    ----------
    inner : array of float64, shape (n_networks, n_networks)
        Inner products of the matrices, both triangles and the diagonal.
    diagonals : array of float64, shape (n_networks, n_examples)
    row_sums : array of float64, shape (n_networks, n_examples)
        Zeros where the similarities were not transformed.
    """

    inner: Matrix
    diagonals: Matrix
    row_sums: Matrix


def inner_products(sources: Sequence[Rows], n_threads: int, progress: Progress) -> Matrix:
    """Return ``|X_i^T X_j|^2`` of every two networks, by the way that needs fewer operations.

    Products of units take ``2 n p_i p_j`` for each pair. Gram matrices of the examples, a tile of
    all networks at a time, take ``n^2 sum p_i`` and ``n^2 M^2 / 2`` for the inner products of M.
    """
    if tiles_are_cheaper(sources[0].n_examples, [source.width for source in sources]):
        return tile_sums(sources, None, n_threads, progress).inner
    return over_pairs(
        sources, lambda i, j, product: (square_sum(product),) * 2, n_threads, progress, whole=True
    )


def tiles_are_cheaper(n_examples: int, widths: Sequence[int]) -> bool:
    """Whether Gram matrices of the examples take fewer operations than products of units."""
    total = sum(widths)
    by_units = n_examples * (total**2 + sum(width**2 for width in widths))
    by_examples = n_examples**2 * (total + len(widths) ** 2 / 2)
    return by_examples < by_units


def tile_sums(
    sources: Sequence[Rows],
    transform: Transform | None,
    n_threads: int,
    progress: Progress,
) -> TileSums:
    """Return sums over all networks' similarity matrices, a tile of examples at a time.

    Parameters
    ----------
    sources : sequence of Rows
        The similarity of two examples is the inner product of their rows.
    transform : callable, optional
        ``transform(network, tile, rows, columns)`` changes a tile of similarities in place.
    n_threads : int
        The result does not depend on it.
    progress : callable
    """
    n_networks, n_examples = len(sources), sources[0].n_examples
    size = _tile_size(n_networks)
    ranges = [slice(a, min(a + size, n_examples)) for a in range(0, n_examples, size)]
    tiles = [
        (rows, columns) for rows in ranges for columns in ranges if columns.start >= rows.start
    ]
    work = _Tiles(sources, transform, min(size, n_examples))
    sums = TileSums(np.zeros((n_networks, n_networks)), *np.zeros((2, n_networks, n_examples)))
    threads = min(n_threads, max(1, _WORKING_VALUES // (n_networks * size**2)))
    for done, (inner, diagonal, of_rows, of_columns) in enumerate(
        results_in_order(tiles, work, threads)
    ):
        progress(DESCRIPTION, done, len(tiles))
        rows, columns = tiles[done]
        sums.inner[:] += inner
        sums.row_sums[:, rows] += of_rows
        if rows.start == columns.start:
            sums.diagonals[:, rows] = diagonal
        else:
            sums.inner[:] += inner  # the tile on the other side of the diagonal
            sums.row_sums[:, columns] += of_columns
    progress(DESCRIPTION, len(tiles), len(tiles))
    return sums


def _tile_size(n_networks: int) -> int:
    size = int(np.sqrt(_TILE_VALUES / n_networks)) // _SMALLEST_TILE * _SMALLEST_TILE
    return min(max(size, _SMALLEST_TILE), _LARGEST_TILE)


class _Tiles:
    """Forms the tile of every network and sums over it; each thread has one place for them."""

    def __init__(self, sources: Sequence[Rows], transform: Transform | None, size: int) -> None:
        self._sources = sources
        self._transform = transform
        self._n_values = len(sources) * size**2
        self._places = threading.local()

    def __call__(self, tile: tuple[slice, slice]) -> tuple[Matrix, Matrix, Matrix, Matrix]:
        similar = self._place(tile)
        for i, source in enumerate(self._sources):
            self._fill(similar[i], source, *tile)
            if self._transform is not None:
                self._transform(i, similar[i], *tile)
        flat = similar.reshape(len(similar), -1)
        inner: Matrix = flat @ flat.T
        diagonal = np.diagonal(similar, axis1=1, axis2=2).copy()
        if self._transform is None:
            return inner, diagonal, np.zeros((1, 1)), np.zeros((1, 1))
        return inner, diagonal, similar.sum(axis=2), similar.sum(axis=1)

    def _place(self, tile: tuple[slice, slice]) -> Matrix:
        if not hasattr(self._places, "values"):
            self._places.values = np.empty(self._n_values)
        shape = (len(self._sources), *(part.stop - part.start for part in tile))
        values: Matrix = self._places.values[: int(np.prod(shape))]
        return values.reshape(shape)

    @staticmethod
    def _fill(similar: Matrix, source: Rows, rows: slice, columns: slice) -> None:
        left = source.rows(rows.start, rows.stop)
        right = left if rows == columns else source.rows(columns.start, columns.stop)
        np.matmul(left, right.T, out=similar)


def over_pairs(
    sources: Sequence[Rows],
    of_pair: Callable[[int, int, Matrix], tuple[float, float]],
    n_threads: int,
    progress: Progress,
    *,
    whole: bool = False,
) -> Matrix:
    """Return a number for each ordered pair of networks, from the products of their columns.

    Parameters
    ----------
    sources : sequence of Rows
    of_pair : callable
        ``of_pair(i, j, X_i^T X_j)`` for i < j returns the numbers of (i, j) and of (j, i).
    n_threads : int
        The result does not depend on it.
    progress : callable
    whole : bool
        Whether pairs of a network with itself are asked for, too; 0 otherwise.

    Notes
    -----
    Networks are taken in blocks of about 2,048 columns, so that each is read once for many others.
    """
    values = np.zeros((len(sources), len(sources)))
    blocks = list(_blocks_of_networks([source.width for source in sources]))
    pieces = list(combinations_with_replacement(blocks, 2))

    def work(piece: tuple[range, range]) -> list[tuple[int, int, tuple[float, float]]]:
        products = _products_of_blocks(sources, *piece)
        pairs = [(i, j) for i in piece[0] for j in piece[1] if i < j or (whole and i == j)]
        return [(i, j, of_pair(i, j, products(i, j))) for i, j in pairs]

    for done, found in enumerate(results_in_order(pieces, work, n_threads)):
        progress(DESCRIPTION, done, len(pieces))
        for i, j, (forward, backward) in found:
            values[i, j], values[j, i] = forward, backward
    progress(DESCRIPTION, len(pieces), len(pieces))
    return values


def _blocks_of_networks(widths: Sequence[int]) -> Iterator[range]:
    start = total = 0
    for i, width in enumerate(widths):
        if total and total + width > _BLOCK_UNITS:
            yield range(start, i)
            start, total = i, 0
        total += width
    yield range(start, len(widths))


def _products_of_blocks(
    sources: Sequence[Rows], left: range, right: range
) -> Callable[[int, int], Matrix]:
    """Return a function that gives the products of a network on the left and one on the right."""
    stops = [np.cumsum([0, *(sources[i].width for i in block)]) for block in (left, right)]
    total = np.zeros((stops[0][-1], stops[1][-1]))
    width = int(max(stops[0][-1], stops[1][-1]))
    for start, stop in row_ranges(sources[0].n_examples, width):
        rows = np.hstack([sources[i].rows(start, stop) for i in left])
        others = rows
        if left != right:
            others = np.hstack([sources[j].rows(start, stop) for j in right])
        total += rows.T @ others

    def products(i: int, j: int) -> Matrix:
        a, b = i - left.start, j - right.start
        return total[stops[0][a] : stops[0][a + 1], stops[1][b] : stops[1][b + 1]]

    return products
