"""Products of the entries of similarity matrices, streamed: all that correlations of their mixtures need."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from convergent.measures.rsm import ROUNDING
from convergent.measures.shared_space import Matrix

_TILE_BYTES = 1 << 25
_LARGEST_TILE = 192
_RANKED_AT_ONCE = 1 << 19


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PairProducts:
    """Products of the centred lower-triangle entries of pairs' and of networks' similarity matrices."""

    pairs: Matrix
    """Of each pair's inter-network RSM with every other's, (n_pairs, n_pairs)."""
    mixed: Matrix
    """Of each pair's inter-network RSM with each network's RSM, (n_pairs, n_networks)."""
    within: Matrix
    """Of each network's RSM with every other's, (n_networks, n_networks)."""
    n_entries: int
    """Entries in a lower triangle."""
    sampled_pairs: Matrix
    """Some entries of each pair, (n_pairs, n_sampled), the same ones for all."""
    sampled_within: Matrix
    """The same entries of each network, (n_networks, n_sampled)."""

    def linear(self, pair_weights: Matrix, network_weights: Matrix) -> Matrix:
        """Return the correlation of weighted means, (n_resamples,), of weights with one row a resample."""
        least = self.n_entries * ROUNDING**2
        mixed = np.sum((pair_weights @ self.mixed) * network_weights, axis=1)
        squares = [
            np.sum((weights @ products) * weights, axis=1)
            for weights, products in ((pair_weights, self.pairs), (network_weights, self.within))
        ]
        lengths = np.sqrt(np.maximum(squares[0], 0.0)) * np.sqrt(np.maximum(squares[1], 0.0))
        varies = (squares[0] > least) & (squares[1] > least)
        correlations: Matrix = np.zeros(len(mixed))
        np.divide(mixed, lengths, out=correlations, where=varies)
        return np.clip(correlations, -1.0, 1.0, out=correlations)

    def rank(self, pair_weights: Matrix, network_weights: Matrix) -> Matrix:
        """Return the rank correlation of weighted means over the sampled entries."""
        correlations = np.empty(len(pair_weights))
        step = max(1, _RANKED_AT_ONCE // self.sampled_within.shape[1])
        for start in range(0, len(pair_weights), step):
            rows = slice(start, start + step)
            between = _ranks_of_rows(pair_weights[rows] @ self.sampled_pairs)
            within = _ranks_of_rows(network_weights[rows] @ self.sampled_within)
            correlations[rows] = np.sum(between * within, axis=1)
        return np.clip(correlations, -1.0, 1.0, out=correlations)


def _ranks_of_rows(values: Matrix) -> Matrix:
    """Return each row's ranks, centred and of length one; zeros if it varies by rounding only."""
    from scipy.stats import rankdata

    ranks: Matrix = rankdata(values, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    varies = np.ptp(values, axis=1) > ROUNDING * np.abs(values).max(axis=1)
    ranks[~varies] = 0.0
    ranks[varies] /= np.linalg.norm(ranks[varies], axis=1, keepdims=True)
    return ranks


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StreamedRsms:
    """What one pass over the similarity matrices of all pairs of networks leaves."""

    products: PairProducts
    between: Matrix
    """Mean inter-network RSM over the pairs, (n_examples, n_examples), symmetric."""
    within: Matrix
    """Mean RSM over the networks, (n_examples, n_examples), symmetric."""


def stream_rsms(
    directions: list[Matrix], reference: list[Matrix], sampled: NDArray[np.intp]
) -> StreamedRsms:
    """Go through the RSMs of all pairs and of all reference networks in tiles.

    `directions`: examples of length one, all of one width; `reference`: the same examples in spaces
    of their own; `sampled`: which entries of the strict lower triangle to keep, as positions in the
    rows laid one after the other. The tiles of all matrices together take at most 32 MiB, or what
    one entry of each takes.
    """
    n_examples, n_networks = directions[0].shape[0], len(directions)
    first, second = np.tril_indices(n_networks, -1)
    means = _lower_means(directions, reference, first, second)
    side = int(np.clip(np.sqrt(_TILE_BYTES / 8 / len(means)), 1, _LARGEST_TILE))
    stacked = np.stack(directions)
    between, within = np.empty((n_examples, n_examples)), np.empty((n_examples, n_examples))
    products = np.zeros((len(means), len(means)))
    kept = np.empty((len(means), sampled.size))
    places = _TilePlaces(n_examples, side, sampled)
    for rows, columns in places.tiles():
        tile = _tile(stacked, reference, rows, columns, first, second)
        between[rows, columns] = tile[: first.size].mean(axis=0)
        within[rows, columns] = tile[first.size :].mean(axis=0)
        entries = tile.reshape(len(means), -1)
        here, there = places.sampled_in(rows, columns)
        kept[:, here] = entries[:, there]
        lower = entries - means[:, None]
        if rows == columns:
            lower = lower[:, np.tril(np.ones(tile.shape[1:], dtype=np.bool_), -1).ravel()]
        products += lower @ lower.T
    of_pairs, of_networks = slice(first.size), slice(first.size, None)
    found = PairProducts(
        products[of_pairs, of_pairs],
        products[of_pairs, of_networks],
        products[of_networks, of_networks],
        n_examples * (n_examples - 1) // 2,
        kept[of_pairs],
        kept[of_networks],
    )
    return StreamedRsms(found, _mirrored(between), _mirrored(within))


def _tile(
    stacked: NDArray[np.float64],
    reference: list[Matrix],
    rows: slice,
    columns: slice,
    first: NDArray[np.intp],
    second: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Return the tile of every matrix, (n_pairs + n_networks, n_rows, n_columns).

    The matrix of a pair is the mean of both orders, whose entry (r, c) is that of (c, r).
    """
    n_networks, _, n_units = stacked.shape
    left, right = stacked[:, rows], stacked[:, columns]
    similarity = left.reshape(-1, n_units) @ right.reshape(-1, n_units).T
    similarity = similarity.reshape(n_networks, left.shape[1], n_networks, right.shape[1])
    tile = np.empty((first.size + n_networks, left.shape[1], right.shape[1]))
    tile[: first.size] = similarity[first, :, second] + similarity[second, :, first]
    tile[: first.size] *= 0.5
    for of, network in zip(tile[first.size :], reference):
        np.matmul(network[rows], network[columns].T, out=of)
    return tile


def _lower_means(
    directions: list[Matrix],
    reference: list[Matrix],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
) -> Matrix:
    """Return the mean of each matrix over its strict lower triangle, without forming any."""
    n_examples = directions[0].shape[0]
    totals = [network.sum(axis=0) for network in directions]
    sums = [
        totals[i] @ totals[j] - np.vdot(directions[i], directions[j]) for i, j in zip(first, second)
    ]
    sums += [
        np.vdot(network.sum(axis=0), network.sum(axis=0)) - np.vdot(network, network)
        for network in reference
    ]
    means: Matrix = np.array(sums) / (n_examples * (n_examples - 1))
    return means


def _mirrored(matrix: Matrix) -> Matrix:
    """Write the lower triangle into the upper one, in place."""
    for i in range(len(matrix)):
        matrix[i, i + 1 :] = matrix[i + 1 :, i]
    np.clip(matrix, -1.0, 1.0, out=matrix)
    result: Matrix = matrix
    return result


class _TilePlaces:
    """Which tiles cover the lower triangle, and where in them the sampled entries lie."""

    def __init__(self, n_examples: int, side: int, sampled: NDArray[np.intp]) -> None:
        self._n_examples, self._side = n_examples, side
        self._rows, self._columns = lower_places(sampled)
        tile = self._number(self._rows, self._columns)
        self._order = np.argsort(tile, kind="stable")
        self._tile = tile[self._order]

    def _number(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.intp]:
        n_tiles = -(-self._n_examples // self._side)
        return (rows // self._side) * n_tiles + columns // self._side

    def tiles(self) -> list[tuple[slice, slice]]:
        """Return rows and columns of each tile on or below the diagonal."""
        ends = [*range(0, self._n_examples, self._side), self._n_examples]
        parts = [slice(start, end) for start, end in pairwise(ends)]
        return [(rows, columns) for i, rows in enumerate(parts) for columns in parts[: i + 1]]

    def sampled_in(self, rows: slice, columns: slice) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return which sampled entries lie in a tile, and where in its rows laid one after the other."""
        number = self._number(np.array([rows.start]), np.array([columns.start]))[0]
        low, high = np.searchsorted(self._tile, [number, number + 1])
        here = self._order[low:high]
        width = columns.stop - columns.start
        there = (self._rows[here] - rows.start) * width + self._columns[here] - columns.start
        return here, there


def lower_places(positions: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return row and column of entries of the strict lower triangle, given in the order of its rows."""
    rows = ((1.0 + np.sqrt(8.0 * positions + 1.0)) / 2.0).astype(np.intp)
    rows -= rows * (rows - 1) // 2 > positions  # where the root was rounded up
    rows += rows * (rows + 1) // 2 <= positions  # or down
    return rows, positions - rows * (rows - 1) // 2
