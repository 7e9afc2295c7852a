"""The triangular factor out of a Gram matrix, where the units allow it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

LARGEST_SAFE_INVERSE = 1e5
_LEAST_SQUARE, _LARGEST_SQUARE = 1e-280, 1e280  # beyond, sums of squares lose units or overflow


@dataclass(frozen=True, slots=True)
class ScaledCholesky:
    """Cholesky factor of a Gram matrix whose units were scaled to norm 1.

    Attributes
    ----------
    triangle : array of float64, shape (n_alive, n_alive), Fortran order
        Upper triangular, of the units that are not dead.
    norms : array of float64, shape (n_units,)
        Norm of each unit; 0 for dead ones.
    alive : array of bool, shape (n_units,)
        Which units are not dead.
    inverse_norm : float
        1-norm of the inverse of the scaled Gram matrix (LAPACK's estimate); 1 over it is a lower
        bound of the least eigenvalue.
    """

    triangle: Matrix
    norms: Matrix
    alive: NDArray[np.bool_]
    inverse_norm: float

    @property
    def is_safe(self) -> bool:
        """Whether the factor is as good as one by reflections for every use that is made of it."""
        return self.inverse_norm <= LARGEST_SAFE_INVERSE

    def unscaled(self) -> Matrix:
        """Return the factor of the Gram matrix itself, C order; dead units are columns of zeros."""
        n_units = self.norms.size
        triangle = np.zeros((n_units, n_units))
        places = np.flatnonzero(self.alive)
        triangle[np.ix_(places, places)] = self.triangle * self.norms[places]
        return triangle


def scaled_cholesky(gram: Matrix) -> ScaledCholesky | None:
    """Factor a Gram matrix; None when it is not positive definite or its range is too wide.

    Parameters
    ----------
    gram : array of float64, shape (n_units, n_units)
        Symmetric. A unit whose diagonal is exactly zero is dead.

    Notes
    -----
    The factor is the exact one of units that were changed by about the rounding of the Gram matrix
    divided by its least eigenvalue's root (units of norm 1): digits are lost to squaring, which is
    why the condition is told.
    """
    from scipy.linalg import lapack

    squares = np.diag(gram)
    alive = squares != 0.0
    usable = (squares[alive] > _LEAST_SQUARE) & (squares[alive] < _LARGEST_SQUARE)
    if not usable.all():  # NaN fails too
        return None
    norms = np.sqrt(squares)
    scaled = np.asfortranarray(gram[np.ix_(alive, alive)])
    scaled /= norms[alive]
    scaled /= norms[alive][:, np.newaxis]
    if scaled.size == 0:
        return ScaledCholesky(scaled, norms, alive, 1.0)
    one_norm = float(np.abs(scaled).sum(axis=0).max())
    triangle, info = lapack.dpotrf(scaled, lower=0, clean=1, overwrite_a=1)
    if info != 0:
        return None
    reciprocal, info = lapack.dpocon(triangle, one_norm)
    if info != 0 or not reciprocal > 0.0:
        return None
    return ScaledCholesky(triangle, norms, alive, 1.0 / (float(reciprocal) * one_norm))
