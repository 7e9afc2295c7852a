"""The triangular factor out of a Gram matrix, where the units allow it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convergent import _core

Matrix = NDArray[np.float64]

LARGEST_SAFE_INVERSE = 1e5


@dataclass(frozen=True, slots=True)
class ScaledCholesky:
    """Cholesky factor of a Gram matrix whose units were scaled to norm 1.

    It is the exact factor of units that were changed by about the rounding of the Gram matrix
    divided by the root of its least eigenvalue: digits are lost to squaring.

    Attributes
    ----------
    triangle : array of float64, shape (n_alive, n_alive), Fortran order
        Upper triangular, of the units that are not dead.
    norms : array of float64, shape (n_units,)
        Norm of each unit; 0 for dead ones.
    inverse_norm : float
        1-norm of the inverse of the scaled Gram matrix (an estimate, hardly ever below a third of
        it); 1 over it is a lower bound of the least eigenvalue.
    """

    triangle: Matrix
    norms: Matrix
    inverse_norm: float

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which units are not dead."""
        return self.norms > 0.0

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


def scaled_cholesky(gram: Matrix, n_threads: int = 1) -> ScaledCholesky | None:
    """Factor a Gram matrix; None when it is not positive definite or its range is too wide.

    Parameters
    ----------
    gram : array of float64, shape (n_units, n_units)
        Symmetric. A unit whose diagonal is exactly zero is dead.
    n_threads : int
    """
    found = _core.kernels.scaled_cholesky(np.asfortranarray(gram), n_threads)
    return None if found is None else ScaledCholesky(*found)
