"""Spans out of the Gram matrix of both networks' units, where no digits are lost by it."""

from __future__ import annotations

import numpy as np

from convergent import _core
from convergent.measures.span import Matrix, Span, rank_tolerance
from convergent.statistics.cholesky import ScaledCholesky, scaled_cholesky

ACCURACY = 1e-10  # of relative distances
_LARGEST_INVERSE = 1e4
_HOPELESS_INVERSE = 1e7
_UNIT_ROUNDING = float(np.finfo(np.float64).eps) / 2
_STRIP = 128  # examples that the kernel adds up before it rounds to the sum
_CAUTION = 20.0  # times the error that roundings of either sign add up to


def is_hopeless(gram: Matrix, n_x: int, n_threads: int) -> bool:
    """Whether the units of either network are too dependent for their Gram matrix to do.

    It may be the Gram matrix of some of the examples: then the answer is a good guess.
    """
    for part in (gram[:n_x, :n_x], gram[n_x:, n_x:]):
        factor = scaled_cholesky(part, n_threads)
        if factor is None or factor.inverse_norm > _HOPELESS_INVERSE:
            return True
    return False


def both_spans_of_gram(
    gram: Matrix, n_x: int, n_examples: int, n_threads: int
) -> tuple[Span, Span] | None:
    """Return the spans of both networks' units; None where `ACCURACY` could be missed.

    Parameters
    ----------
    gram : array of float64, shape (n_x + n_y, n_x + n_y)
        Of units none of which is dead.
    n_x : int
        Units of x.
    n_examples : int
        Number of examples behind it.

    Notes
    -----
    With coefficients b of a unit on the other network's, independent errors of size e in the
    entries of the Gram matrix change the squared distance by about ``e (1 + |b|^2)``, hence the
    distance d by half of that over d. The error grows with the root of the number of roundings;
    measured ones stay below 0.4 times ``u (sqrt(n_examples / 128) + sqrt(n_units)) (1 + |b|)^2``, u
    the unit rounding, of which twenty times are allowed for.
    """
    x = scaled_cholesky(gram[:n_x, :n_x], n_threads)
    y = scaled_cholesky(gram[n_x:, n_x:], n_threads)
    if x is None or y is None or max(x.inverse_norm, y.inverse_norm) > _LARGEST_INVERSE:
        return None
    cross = gram[:n_x, n_x:] / x.norms[:, np.newaxis]
    cross /= y.norms
    span_x = _span_of(x, cross, n_examples, n_threads)
    if span_x is None:
        return None
    span_y = _span_of(y, cross.T, n_examples, n_threads)
    return None if span_y is None else (span_x, span_y)


def _span_of(own: ScaledCholesky, cross: Matrix, n_examples: int, n_threads: int) -> Span | None:
    n_units = own.norms.size
    coefficients, residuals, weights = _core.kernels.project_on_triangle(
        own.triangle, np.asfortranarray(cross), n_threads
    )
    rounding = _UNIT_ROUNDING * (np.sqrt(n_examples / _STRIP) + np.sqrt(n_units))
    error = _CAUTION * rounding * (1.0 + weights) ** 2
    if not (residuals > 0.0).all() or (error > 2.0 * ACCURACY * np.sqrt(residuals)).any():
        return None
    return Span(
        triangle=own.triangle,
        order=np.arange(n_units, dtype=np.intp),
        coefficients=coefficients,
        residuals=residuals,
        tolerance=rank_tolerance(own.triangle, n_examples),
    )


def triangle_of_gram(gram: Matrix, least_distance: float) -> Matrix:
    """Return the rows of a factor of a Gram matrix of units of norm 1, shape (rank, n_units).

    A unit within `least_distance` of the span of others counts as lying in it.
    """
    from scipy.linalg import lapack

    factor, pivots, rank, _ = lapack.dpstrf(np.asfortranarray(gram), tol=least_distance**2)
    rows = np.zeros((rank, gram.shape[1]))
    rows[:, pivots - 1] = np.triu(factor)[:rank]
    return rows
