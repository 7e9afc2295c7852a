"""The correlations from which sparse maps are made, and the checks of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent._validate import Floats
from convergent.measures.correlation import (
    correlate_between,
    correlate_within,
    standardise,
)

Matrix = NDArray[np.float64]
Flags = NDArray[np.bool_]

DEAD_X = "they predict nothing"
DEAD_Y = "nothing predicts them, and their loss is 0"


@dataclass(frozen=True, slots=True)
class MapProblem:
    """What a map from x to y depends on.

    Attributes
    ----------
    c_xx, c_yx : array of float64, shape (n_x, n_x), (n_y, n_x), C order
        Correlations; `c_xx` is exactly symmetric. Rows and columns of dead units are 0.
    dead_x, dead_y : array of bool, shape (n_x,), (n_y,)
    precision : float
        Machine epsilon of the numbers given.
    """

    c_xx: Matrix
    c_yx: Matrix
    dead_x: Flags
    dead_y: Flags
    precision: float

    def losses(self, weights: Matrix) -> Matrix:
        """Return half of the mean squared error of each target, 0 for dead ones."""
        halves = 0.5 * (1.0 - np.einsum("ij,ij->i", weights, self.c_yx + self.residuals(weights)))
        return self.clean_losses(halves)

    def residuals(self, weights: Matrix) -> Matrix:
        """Return the correlations of what is unexplained with the units of x, (n_y, n_x)."""
        return self.c_yx - weights @ self.c_xx

    def clean_losses(self, losses: Matrix) -> Matrix:
        """Return the losses with dead targets, and what is negative by rounding alone, at 0."""
        rounding = (losses < 0.0) & (losses > -1e-9)
        return np.where(self.dead_y | rounding, 0.0, losses)


def map_problem(x: Any, y: Any, given: str) -> MapProblem:
    """Return the problem that activations or correlations pose."""
    _validate.choice(given, "given", ("activations", "correlations"))
    return _from_activations(x, y) if given == "activations" else _from_correlations(x, y)


def _from_activations(x: Any, y: Any) -> MapProblem:
    x_matrix, y_matrix = _validate.activation_pair(x, y)
    n_threads = _validate.thread_count(None)
    x_standard, y_standard = (standardise(units, n_threads) for units in (x_matrix, y_matrix))
    c_xy = correlate_between(x_matrix, x_standard, y_matrix, y_standard, n_threads)
    return MapProblem(
        c_xx=correlate_within(x_matrix, x_standard, n_threads),
        c_yx=np.ascontiguousarray(c_xy.T),
        dead_x=x_standard.dead,
        dead_y=y_standard.dead,
        precision=float(np.finfo(np.float64).eps),
    )


def _from_correlations(x: Any, y: Any) -> MapProblem:
    given_xx, given_xy = _validate.matrix(x, "x"), _validate.matrix(y, "y")
    if given_xx.shape[0] != given_xx.shape[1]:
        raise ValueError(
            "`x` must be square with given='correlations' (the correlations of x with itself), "
            f"got shape {given_xx.shape}"
        )
    if given_xy.shape[0] != given_xx.shape[0]:
        raise ValueError(
            "`y` must have a row for each unit of x with given='correlations' (correlations of x "
            f"with y), got shapes {given_xy.shape} and {given_xx.shape}"
        )
    tolerance = max(_tolerance(given_xx), _tolerance(given_xy))
    c_xx, c_xy = given_xx.astype(np.float64), given_xy.astype(np.float64)
    _refuse_asymmetry(c_xx, tolerance)
    dead_x = _refuse_diagonal(c_xx, c_xy, tolerance)
    _refuse_outside(c_xx, "x", tolerance)
    _refuse_outside(c_xy, "y", tolerance)
    return MapProblem(
        c_xx=np.ascontiguousarray((c_xx + c_xx.T) / 2.0),
        c_yx=np.ascontiguousarray(c_xy.T),
        dead_x=dead_x,
        dead_y=np.logical_not(c_xy.any(axis=0)),
        precision=float(max(np.finfo(given_xx.dtype).eps, np.finfo(given_xy.dtype).eps)),
    )


def _tolerance(matrix: Floats) -> float:
    return 1e-5 if matrix.dtype == np.float32 else 1e-8


def _refuse_asymmetry(c_xx: Matrix, tolerance: float) -> None:
    difference = np.abs(c_xx - c_xx.T)
    i, j = np.unravel_index(int(np.argmax(difference)), c_xx.shape)
    if difference[i, j] > tolerance:
        raise ValueError(
            f"`x` must be symmetric with given='correlations', got {c_xx[i, j]:.8g} at "
            f"({i}, {j}) and {c_xx[j, i]:.8g} at ({j}, {i})"
        )


def _refuse_diagonal(c_xx: Matrix, c_xy: Matrix, tolerance: float) -> Flags:
    """Return which units of x are dead; refuse diagonals other than 0 and 1."""
    diagonal = np.diagonal(c_xx)
    dead: Flags = diagonal == 0.0
    wrong = ~dead & (np.abs(diagonal - 1.0) > tolerance)
    if wrong.any():
        unit = int(np.argmax(wrong))
        raise ValueError(
            "`x` must have a diagonal of 1 (0 for dead units) with given='correlations', got "
            f"{diagonal[unit]:.8g} for unit {unit}"
        )
    related = dead & (c_xx.any(axis=1) | c_xy.any(axis=1))
    if related.any():
        raise ValueError(
            "`x` must have no correlation of a dead unit (diagonal 0) but 0, got others for unit "
            f"{int(np.argmax(related))}"
        )
    return dead


def _refuse_outside(correlations: Matrix, name: str, tolerance: float) -> None:
    worst = np.unravel_index(int(np.argmax(np.abs(correlations))), correlations.shape)
    if abs(correlations[worst]) > 1.0 + tolerance:
        raise ValueError(
            f"`{name}` must lie in [-1, 1] with given='correlations', got "
            f"{correlations[worst]:.8g} at ({worst[0]}, {worst[1]})"
        )
