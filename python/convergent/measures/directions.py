"""Orthonormal directions that the units of a network span, in the space of the examples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convergent import _core
from convergent.measures.centred_rows import CentredRows, joint_products, row_ranges, unit_norms
from convergent.measures.shared_space import Matrix

MOMENTS_ACCURACY = 1e-6  # singular values below this share of the largest drown in squares
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Directions:
    """Left singular vectors of a network's units, of which any examples can be had.

    Attributes
    ----------
    strengths : array of float64, shape (n_directions,)
        Singular values of the units (of the units at norm 1, if they were taken so), falling.
    loadings : array of float64, shape (n_directions, n_units)
        The units are the directions times these.
    n_free : int
        Dimensions that the examples leave: their number, one less without the means.
    weights : array of float64, shape (n_units, n_directions), or None
        The directions are the units times these; None where the directions themselves are kept.
    source : CentredRows, or None
        The units; None where only their products are known.
    basis : array of float64, shape (n_examples, n_directions), or None
        The directions, where there are no more examples than units.
    """

    strengths: Matrix
    loadings: Matrix
    n_free: int
    weights: Matrix | None = None
    source: CentredRows | None = None
    basis: Matrix | None = None

    @property
    def n_examples(self) -> int:
        """Number of examples."""
        if self.basis is not None:
            return int(self.basis.shape[0])
        assert self.source is not None
        return self.source.n_examples

    @property
    def width(self) -> int:
        """Number of directions."""
        return int(self.strengths.size)

    @property
    def is_everything(self) -> bool:
        """Whether no dimension of the examples is left out."""
        return self.width >= self.n_free

    def rows(self, start: int, stop: int) -> Matrix:
        """Return some examples of every direction."""
        if self.basis is not None:
            return self.basis[start:stop]
        assert self.source is not None
        assert self.weights is not None
        return self.source.rows(start, stop) @ self.weights

    def of_variance(self, share: float) -> Directions:
        """Return the fewest leading directions that hold this share of the variance."""
        if self.width == 0:
            return self
        held = np.cumsum((self.strengths / self.strengths[0]) ** 2)
        return self._first(min(int(np.searchsorted(held, share * held[-1])) + 1, self.width))

    def _first(self, n_kept: int) -> Directions:
        return replace(
            self,
            strengths=self.strengths[:n_kept],
            loadings=self.loadings[:n_kept],
            weights=None if self.weights is None else self.weights[:, :n_kept],
            basis=None if self.basis is None else self.basis[:, :n_kept],
        )


def unit_directions(
    source: CentredRows, *, equal_units: bool, center: bool = True, n_threads: int = 1
) -> Directions:
    """Return the directions of a network by Householder reflections of its examples or its units.

    Parameters
    ----------
    source : CentredRows
    equal_units : bool
        Whether each unit is taken at norm 1, so that the rank does not depend on their scales.
    center : bool
        Whether `source` lacks the means.
    n_threads : int
        The result does not depend on it.
    """
    norms = unit_norms(source)
    n_free = source.n_examples - int(center)
    alive = np.flatnonzero(norms)
    if alive.size == 0:
        nothing = np.zeros((0, source.width))
        return Directions(np.zeros(0), nothing, n_free, nothing.T, source)
    divisor = norms[alive] if equal_units else np.full(alive.size, norms.max())
    unit = 1.0 if equal_units else float(norms.max())
    if source.n_examples > alive.size:
        triangle = _triangle_of_examples(source, alive, divisor, n_threads)
        strengths, vt = _singular(triangle, source.n_examples, n_free)
        weights = np.zeros((source.width, strengths.size))
        weights[alive] = (vt.T / strengths) / divisor[:, np.newaxis]
        loadings = np.zeros((strengths.size, source.width))
        loadings[:, alive] = strengths[:, np.newaxis] * vt * divisor
        return Directions(unit * strengths, loadings, n_free, weights, source)
    triangle = _triangle_of_units(source, alive, divisor, n_threads)
    strengths, vt = _singular(triangle, alive.size, n_free)
    basis = np.ascontiguousarray(vt.T)
    loadings = np.zeros((strengths.size, source.width))
    for start, stop in row_ranges(source.width, source.n_examples):
        loadings[:, start:stop] = vt @ source.columns(start, stop)
    return Directions(unit * strengths, loadings, n_free, basis=basis)


def directions_of_moments(
    products: Matrix, alive: NDArray[np.bool_], n_free: int, *, equal_units: bool
) -> Directions:
    """Return the directions of units of which only the centred products are known.

    The eigenvalues are squares: directions weaker than 1e-6 of the strongest one count as none.
    """
    from scipy.linalg import eigh

    norms = np.where(alive, np.sqrt(np.diagonal(products)), 0.0)
    live = np.flatnonzero(norms)
    if live.size == 0:
        nothing = np.zeros((0, norms.size))
        return Directions(np.zeros(0), nothing, n_free, nothing.T)
    divisor = norms[live] if equal_units else np.full(live.size, norms.max())
    unit = 1.0 if equal_units else float(norms.max())
    values, vectors = eigh(products[np.ix_(live, live)] / divisor / divisor[:, np.newaxis])
    values, vectors = values[::-1], vectors[:, ::-1]
    rank = int(np.count_nonzero(values > MOMENTS_ACCURACY**2 * values[0]))
    rank = min(rank, n_free)
    strengths = np.sqrt(values[:rank])
    weights, loadings = np.zeros((norms.size, rank)), np.zeros((rank, norms.size))
    weights[live] = (vectors[:, :rank] / strengths) / divisor[:, np.newaxis]
    loadings[:, live] = strengths[:, np.newaxis] * vectors[:, :rank].T * divisor
    return Directions(unit * strengths, loadings, n_free, weights)


def _triangle_of_examples(
    source: CentredRows, alive: NDArray[np.intp], divisor: Matrix, n_threads: int
) -> Matrix:
    triangle = np.zeros((alive.size, alive.size))
    for start, stop in row_ranges(source.n_examples, source.width):
        block = source.rows(start, stop)
        if alive.size < source.width:
            block = block[:, alive]
        block /= divisor
        triangle = _core.kernels.fold_examples(triangle, [block], None, None, n_threads)
    return triangle


def _triangle_of_units(
    source: CentredRows, alive: NDArray[np.intp], divisor: Matrix, n_threads: int
) -> Matrix:
    """Return the triangle of the transposed network: its units stand for examples."""
    divisors = np.ones(source.width)
    divisors[alive] = divisor
    kept = np.zeros(source.width, dtype=np.bool_)
    kept[alive] = True
    triangle = np.zeros((source.n_examples, source.n_examples))
    for start, stop in row_ranges(source.width, source.n_examples):
        units = (source.columns(start, stop) / divisors[start:stop]).T[kept[start:stop]]
        if units.size:
            units = np.ascontiguousarray(units)
            triangle = _core.kernels.fold_examples(triangle, [units], None, None, n_threads)
    return triangle


def _singular(triangle: Matrix, n_rows: int, n_free: int) -> tuple[Matrix, Matrix]:
    """Return singular values and right vectors, without what is below the rank tolerance."""
    from scipy.linalg import svd

    _, values, vt = svd(triangle, full_matrices=False, check_finite=False)
    tolerance = max(n_rows, triangle.shape[1]) * _EPS * values[0]
    rank = min(int(np.count_nonzero(values > tolerance)), n_free)
    return values[:rank], vt[:rank]


def between(x: Directions, y: Directions) -> tuple[Matrix, Matrix, Matrix]:
    """Return the products of two networks' directions, and the loadings that go with them.

    Weak directions, recomputed from the units, are orthonormal only to their own accuracy; they are
    made so by the factors of their Gram matrices. A network beside itself gives the identity.
    """
    return orthonormalised(*joint_products(x, y), x.loadings, y.loadings)


def orthonormalised(
    xy: Matrix, xx: Matrix, yy: Matrix, x_loadings: Matrix, y_loadings: Matrix
) -> tuple[Matrix, Matrix, Matrix]:
    """Return the products and the loadings of directions once they are orthonormal."""
    from scipy.linalg import solve_triangular

    x_factor, y_factor = np.linalg.cholesky(xx), np.linalg.cholesky(yy)
    half = solve_triangular(x_factor, xy, lower=True, check_finite=False)
    products: Matrix = solve_triangular(y_factor, half.T, lower=True, check_finite=False).T
    return products, x_factor.T @ x_loadings, y_factor.T @ y_loadings


def orthonormal_basis(directions: Directions) -> tuple[Matrix, Matrix]:
    """Return all examples of a network's directions, orthonormal, and the loadings with them."""
    from scipy.linalg import solve_triangular

    if directions.basis is not None:
        return directions.basis, directions.loadings
    factor = np.linalg.cholesky(joint_products(directions, directions)[0])
    basis = np.empty((directions.n_examples, directions.width))
    for start, stop in row_ranges(directions.n_examples, directions.width):
        rows = directions.rows(start, stop)
        basis[start:stop] = solve_triangular(factor, rows.T, lower=True, check_finite=False).T
    return basis, factor.T @ directions.loadings
