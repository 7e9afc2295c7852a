"""What the units of one network span, and how far another network's units are from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convergent import _core

Matrix = NDArray[np.float64]
SpanParts = tuple[Matrix, NDArray[np.intp], Matrix, Matrix, float]
EXACT = 1e-10  # relative distances below count as none, so that rounding is no distance
_EPS = float(np.finfo(np.float64).eps)
_CLEARLY_INDEPENDENT = 1e3  # times the rank tolerance
_CLEAR_DISTANCE = 1e-6  # of a unit from the span of others
_POWER_STEPS = 40
ROUNDING = 1e-12  # differences between relative distances up to here count as none


@dataclass(frozen=True, slots=True)
class Span:
    """Units of one network in a basis of their span, with the other network's units beside them.

    Attributes
    ----------
    triangle : array of float64, shape (rank, n_units)
        Units in the order `order`, in the basis; its first `rank` columns are upper triangular.
    order : array of int, shape (n_units,)
        Units with the basis units first.
    coefficients : array of float64, shape (rank, n_others)
        The other network's units, projected on the basis.
    residuals : array of float64, shape (n_others,)
        Squared distances of the other network's units from the span.
    tolerance : float
        Distance below which a unit counts as lying in the span of others.
    """

    triangle: Matrix
    order: NDArray[np.intp]
    coefficients: Matrix
    residuals: Matrix
    tolerance: float

    @property
    def parts(self) -> SpanParts:
        """The span as the kernels take it."""
        return self.triangle, self.order, self.coefficients, self.residuals, self.tolerance


def both_spans(
    triangle: Matrix, n_x: int, n_examples: int, *, least_tolerance: float = 0.0, n_threads: int = 1
) -> tuple[Span, Span]:
    """Return the spans of both networks' units out of their joint triangular factor.

    Parameters
    ----------
    triangle : array of float64, shape (n_x + n_y, n_x + n_y)
        Upper triangular factor of ``[X Y]``, every column of norm 1.
    n_x : int
        Units of x.
    n_examples : int
        Number of examples behind the factor; it sets the rank tolerance.
    least_tolerance : float
        A larger rank tolerance, where the factor is known to be less exact.
    n_threads : int
    """
    swapped = _swapped(triangle, n_x, n_threads)
    n_y = triangle.shape[1] - n_x
    return (
        _leading_span(triangle, n_x, n_examples, least_tolerance, n_threads),
        _leading_span(swapped, n_y, n_examples, least_tolerance, n_threads),
    )


def independent_first(gram: Matrix) -> NDArray[np.intp]:
    """Return an order of units, given by their Gram matrix, with clearly independent ones first."""
    norms = np.sqrt(np.diag(gram))
    norms[norms == 0.0] = 1.0
    return _by_pivoting(gram / norms / norms[:, np.newaxis])[0]


def _by_pivoting(gram: Matrix) -> tuple[NDArray[np.intp], int]:
    from scipy.linalg import lapack

    _, pivots, rank, _ = lapack.dpstrf(np.asfortranarray(gram), tol=_CLEAR_DISTANCE**2)
    return (pivots - 1).astype(np.intp), int(rank)


def _swapped(triangle: Matrix, n_x: int, n_threads: int) -> Matrix:
    """Return the triangular factor of ``[Y X]``."""
    start = np.zeros(triangle.shape)
    n_y = triangle.shape[1] - n_x
    start[:n_y, :n_y] = triangle[n_x:, n_x:]
    rows = [triangle[:n_x, n_x:], triangle[:n_x, :n_x]]
    swapped: Matrix = _core.kernels.fold_examples(start, rows, None, None, n_threads)
    return swapped


def _leading_span(
    triangle: Matrix, n_units: int, n_examples: int, least_tolerance: float, n_threads: int
) -> Span:
    """Return the span of the first `n_units` columns; the others are the other network's units.

    Where units depend on others, those that clearly do not have to come first. What the rest has
    outside their span is small, and a QR factorization with pivoting decides there.
    """
    units = triangle[:n_units, :n_units]
    tolerance = max(rank_tolerance(units, n_examples), least_tolerance)
    order = np.arange(n_units, dtype=np.intp)
    n_clear = _count_clear(units, tolerance)
    if n_clear is None:
        order, n_clear = _by_pivoting(units.T @ units)
        start = np.zeros(triangle.shape)
        start[n_units:, n_units:] = triangle[n_units:, n_units:]
        rows = [units[:, order], triangle[:n_units, n_units:]]
        triangle = _core.kernels.fold_examples(start, rows, None, None, n_threads)
        units = triangle[:n_units, :n_units]
    others, below = triangle[:n_units, n_units:], triangle[n_units:, n_units:]
    residuals = np.einsum("ij,ij->j", below, below)
    rank = n_units
    if n_clear < n_units:
        units, others = units.copy(), others.copy()
        pivots = _reduce_rest(units, others, n_clear)
        order[n_clear:] = order[n_clear:][pivots]
        rank = n_clear + int(np.count_nonzero(np.abs(np.diag(units)[n_clear:]) > tolerance))
        residuals += np.einsum("ij,ij->j", others[rank:], others[rank:])
    return Span(
        triangle=np.asfortranarray(units[:rank]),
        order=order,
        coefficients=np.asfortranarray(others[:rank]),
        residuals=residuals,
        tolerance=tolerance,
    )


def _count_clear(units: Matrix, tolerance: float) -> int | None:
    """Return how many columns, from the front, are clearly independent; None if others are, too."""
    from scipy.linalg import lapack

    n_units = units.shape[1]
    near = np.abs(np.diag(units)) <= _CLEAR_DISTANCE
    n_clear = int(np.argmax(near)) if near.any() else n_units
    if np.abs(units[n_clear:, n_clear:]).max(initial=0.0) > 10.0 * _CLEAR_DISTANCE:
        return None
    if n_clear == 0:
        return 0
    clear = np.asfortranarray(units[:n_clear, :n_clear])
    reciprocal, _ = lapack.dtrcon(clear, norm="1")
    # The 1-norm of the inverse, over the root of the number of units, bounds its 2-norm from below
    # and times the root from above; the margin covers both, and LAPACK's estimate.
    least = float(reciprocal) * float(np.abs(clear).sum(axis=0).max()) / np.sqrt(n_clear)
    return n_clear if least > _CLEARLY_INDEPENDENT * tolerance else None


def _reduce_rest(units: Matrix, others: Matrix, n_clear: int) -> NDArray[np.intp]:
    """Reduce the columns from `n_clear` on by a QR factorization with pivoting, in place."""
    from scipy.linalg import lapack

    n_rest = units.shape[1] - n_clear
    rest = np.asfortranarray(units[n_clear:, n_clear:])
    reduced, pivots, tau, _, info = lapack.dgeqp3(rest, lwork=64 * (n_rest + 1))
    assert info == 0
    rotated, _, info = lapack.dormqr(
        "L", "T", reduced, tau, others[n_clear:], lwork=64 * others.shape[1]
    )
    assert info == 0
    units[:n_clear, n_clear:] = units[:n_clear, n_clear:][:, pivots - 1]
    units[n_clear:, n_clear:] = np.triu(reduced)
    others[n_clear:] = rotated
    return np.asarray(pivots - 1, dtype=np.intp)


def rank_tolerance(units: Matrix, n_examples: int) -> float:
    """Return NumPy's rank tolerance for units given in some orthonormal frame."""
    return float(max(n_examples, units.shape[1]) * _EPS * _largest_singular_value(units))


def _largest_singular_value(matrix: Matrix) -> float:
    """Return it to a percent or so, which is enough for a tolerance, by power iteration."""
    vector: Matrix = np.asarray(np.random.default_rng(0).standard_normal(matrix.shape[1]))
    value = 0.0
    for _ in range(_POWER_STEPS):
        vector = np.asarray(vector / np.linalg.norm(vector))
        image: Matrix = matrix @ vector
        value = float(np.linalg.norm(image))
        if value == 0.0:
            break
        vector = image @ matrix
    return value
