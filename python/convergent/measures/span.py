"""What the units of one network span, and how far another network's units are from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
SpanParts = tuple[Matrix, NDArray[np.intp], Matrix, Matrix, float]
EXACT = 1e-10  # relative distances below count as none, so that rounding is no distance
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


def span(units: Matrix, others: Matrix, n_examples: int) -> Span:
    """Return the span of `units` by a QR factorization with column pivoting.

    Parameters
    ----------
    units : array of float64, shape (n_rows, n_units)
        Units of one network, each of norm 1, in any orthonormal frame.
    others : array of float64, shape (n_rows or more, n_others)
        Units of the other network in the same frame, whose further rows are orthogonal to `units`.
    n_examples : int
        Number of examples that the frame stands for; it sets the rank tolerance.
    """
    from scipy.linalg import lapack

    n_rows, n_units = units.shape
    tolerance = max(n_examples, n_units) * np.finfo(np.float64).eps * _largest_singular_value(units)
    reduced, pivots, tau, _, info = lapack.dgeqp3(units, lwork=64 * (n_units + 1))
    assert info == 0
    rank = int(np.count_nonzero(np.abs(np.diag(reduced)) > tolerance))
    rotated, _, info = lapack.dormqr(
        "L", "T", reduced[:, :rank], tau[:rank], others[:n_rows], lwork=64 * others.shape[1]
    )
    assert info == 0
    residuals = (rotated[rank:] ** 2).sum(axis=0) + (others[n_rows:] ** 2).sum(axis=0)
    return Span(
        triangle=np.asfortranarray(np.triu(reduced[:rank])),
        order=(pivots - 1).astype(np.intp),
        coefficients=np.asfortranarray(rotated[:rank]),
        residuals=residuals,
        tolerance=tolerance,
    )


def _largest_singular_value(matrix: Matrix) -> float:
    # All eigenvalues: LAPACK's search for the last one alone can fail where they are all but equal.
    return float(np.sqrt(np.linalg.eigvalsh(matrix.T @ matrix)[-1]))
