"""Centred kernel alignment of every two of many networks, from sums that are formed for all at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convergent._validate import Floats
from convergent.measures.centred_rows import (
    CentredRows,
    centred_rows,
    squares_of_examples,
)
from convergent.measures.kernel_alignment import ROUNDING, AlignmentOptions
from convergent.measures.ordered_work import results_in_order
from convergent.measures.pair_products import (
    DESCRIPTION,
    Progress,
    inner_products,
    tile_sums,
)
from convergent.measures.shared_space import Matrix

_MEDIAN_VALUES = 1 << 28  # of all threads that look for medians, unless one needs more


def alignments(
    networks: Sequence[Floats], options: AlignmentOptions, n_threads: int, progress: Progress
) -> Matrix:
    """Return the index of every two networks, (n_networks, n_networks)."""
    if options.batch_size is None:
        sums = _sums(networks, options, n_threads, progress)
        return _normalised(_relative(*sums) if options.debiased else sums[0])
    batches = options.batches(networks[0].shape[0])

    def of_batch(batch: tuple[int, int]) -> Matrix:
        parts = [network[batch[0] : batch[1]] for network in networks]
        inner, diagonals = _sums(parts, options, 1, lambda *_: None)
        n_examples = diagonals.shape[1]
        norms = np.sqrt(np.diagonal(inner) / (n_examples * (n_examples - 3)))
        hsics: Matrix = _relative(inner, diagonals) * norms * norms[:, np.newaxis]
        return hsics

    total = np.zeros((len(networks), len(networks)))
    for done, hsics in enumerate(results_in_order(batches, of_batch, n_threads)):
        progress(DESCRIPTION, done, len(batches))
        total += hsics
    progress(DESCRIPTION, len(batches), len(batches))
    return _normalised(total)


def alignments_of_products(squares: Matrix) -> Matrix:
    """Return the linear index from ``|X_i^T X_j|^2`` of every two networks."""
    return _normalised(squares)


def _sums(
    networks: Sequence[Floats], options: AlignmentOptions, n_threads: int, progress: Progress
) -> tuple[Matrix, Matrix]:
    """Return the inner products of the centred similarity matrices, and their diagonals."""
    sources = list(results_in_order(networks, centred_rows, n_threads))
    if options.kernel == "rbf":
        return _gaussian_sums(sources, options.bandwidth, n_threads, progress)
    inner = inner_products(sources, n_threads, progress)
    if not options.is_unbiased:
        return inner, np.empty((0, 0))
    return inner, np.stack(list(results_in_order(sources, squares_of_examples, n_threads)))


def _normalised(hsics: Matrix) -> Matrix:
    """Return HSICs over the roots of those of each network with itself; 0 where it has none."""
    own = np.diagonal(hsics)
    roots = np.where(own > 0.0, np.sqrt(np.maximum(own, 0.0)), np.inf)
    return np.clip(hsics / roots / roots[:, np.newaxis], -1.0, 1.0)


def _relative(inner: Matrix, diagonals: Matrix) -> Matrix:
    """Return unbiased HSICs relative to the biased ones' roots; rows of mere rounding are 0."""
    own, n = np.diagonal(inner), diagonals.shape[1]
    norms = np.where(own > 0.0, np.sqrt(own), np.inf)
    diagonals = diagonals / norms[:, np.newaxis]
    traces = diagonals.sum(axis=1)
    hsics: Matrix = inner / norms / norms[:, np.newaxis]
    hsics += np.multiply.outer(traces, traces) / ((n - 1) * (n - 2))
    hsics -= n / (n - 2) * (diagonals @ diagonals.T)
    vanishing = np.diagonal(hsics) <= ROUNDING
    hsics[vanishing] = 0.0
    hsics[:, vanishing] = 0.0
    return hsics


def _gaussian_sums(
    sources: Sequence[CentredRows], bandwidth: float, n_threads: int, progress: Progress
) -> tuple[Matrix, Matrix]:
    """Return the sums of the RBF kernel, whose similarity matrices are centred afterwards.

    A constant is taken out of every similarity first, the kernel's value at the median distance, so
    that the centring has little left to cancel.
    """
    squares = list(results_in_order(sources, squares_of_examples, n_threads))
    n = sources[0].n_examples
    threads = min(n_threads, max(1, _MEDIAN_VALUES // n**2))
    medians = list(results_in_order(list(zip(sources, squares)), _median_distance, threads))
    middle = float(np.exp(-0.5 / bandwidth**2))

    def similar(i: int, tile: Matrix, rows: slice, columns: slice) -> None:
        _distances(tile, squares[i][rows], squares[i][columns])
        if rows == columns:
            np.fill_diagonal(tile, 0.0)
        tile *= -0.5 / bandwidth**2 / medians[i]
        np.exp(tile, out=tile)
        tile -= middle

    sums = tile_sums(sources, similar, n_threads, progress)
    totals = sums.row_sums.sum(axis=1)
    inner = sums.inner - 2.0 / n * (sums.row_sums @ sums.row_sums.T)
    inner += np.multiply.outer(totals, totals) / n**2
    diagonals = sums.diagonals - 2.0 / n * sums.row_sums + totals[:, np.newaxis] / n**2
    own = np.diagonal(inner)
    constant = own <= ROUNDING * np.maximum(np.diagonal(sums.inner), 0.0)
    inner[constant] = 0.0
    inner[:, constant] = 0.0
    return inner, diagonals


def _distances(products: Matrix, row_squares: Matrix, column_squares: Matrix) -> None:
    """Turn inner products into squared distances, in place."""
    products *= -2.0
    products += row_squares[:, np.newaxis]
    products += column_squares
    np.maximum(products, 0.0, out=products)


def _median_distance(of_network: tuple[CentredRows, Matrix]) -> float:
    """Return the median squared distance of all ordered pairs, own ones included (see `cka`)."""
    source, squares = of_network
    n = source.n_examples
    distances = np.empty(n * (n - 1) // 2)
    step = max(1, (1 << 22) // n)
    filled = 0
    for start in range(0, n, step):
        stop = min(start + step, n)
        rows = source.rows(start, stop)
        tile = np.empty((stop - start, stop))
        for first in range(0, stop, step):
            last = min(first + step, stop)
            tile[:, first:last] = rows @ source.rows(first, last).T
        _distances(tile, squares[start:stop], squares[:stop])
        below = tile[np.tri(*tile.shape, k=start - 1, dtype=np.bool_)]
        distances[filled : filled + below.size] = below
        filled += below.size
    # Of n^2 sorted numbers the first n are the examples with themselves, then each pair comes twice.
    middle = {(n**2 - 1) // 2, n**2 // 2}
    places = [max((place - n) // 2, 0) if place >= n else -1 for place in middle]
    median = _mean_of_sorted(distances, places)
    if median > 0.0:
        return median
    apart = distances[distances > 0.0]
    if apart.size == 0:
        return 1.0
    return _mean_of_sorted(apart, [(apart.size - 1) // 2, apart.size // 2])


def _mean_of_sorted(values: Matrix, places: Sequence[int]) -> float:
    """Return the mean of the values at some places once they are sorted; -1 stands for a zero."""
    real = [place for place in places if place >= 0]
    if not real:
        return 0.0
    ordered = np.partition(values, real)
    return float(sum(ordered[place] for place in real) / len(places))
