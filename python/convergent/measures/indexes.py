"""Single numbers for how alike two representations are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent._validate import Floats
from convergent.measures.shared_space import Matrix, unit_means

_ROUNDING = 1e-14
_BLOCK_VALUES = 1 << 20


def cka(
    x: Any, y: Any, kernel: str = "linear", debiased: bool = False, *, bandwidth: float = 0.5
) -> float:
    """Return the centred kernel alignment of two networks.

    ``HSIC(x, y) / sqrt(HSIC(x, x) HSIC(y, y))`` of the centred similarity matrices of the examples.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units_x), (n_examples, n_units_y)
        Activations; each column is one unit.
    kernel : {"linear", "rbf"}
        Inner products, or ``exp(-d^2 / (2 s^2))``, where ``s^2`` is ``bandwidth^2`` times the
        median squared distance of all pairs (each example with itself among them; only the pairs
        that are apart, should that median be 0).
    debiased : bool
        The unbiased estimate of HSIC, which is near 0 for independent networks however few the
        examples.
    bandwidth : float
        For the RBF kernel, in median distances.

    Returns
    -------
    float
        In [0, 1]; the debiased value may be negative. Rotations of the units, one scale for all of
        them and constants added to them change nothing. Dead units contribute nothing; if all units
        of a network are constant, the value is 0, with a DeadUnitWarning. 0 also where the debiased
        HSIC of a network with itself vanishes.

    Raises
    ------
    TypeError
        If an array is complex or `bandwidth` no number.
    ValueError
        If `x` and `y` differ in examples, hold NaN or infinity, or have fewer than four examples
        where `debiased`.

    Notes
    -----
    Linear: with more examples than units from the cross-products of the units, in blocks of
    examples and without a float64 copy; otherwise, and for the RBF kernel, from two (n_examples,
    n_examples) matrices and one float64 copy of the activations.

    References
    ----------
    Kornblith et al. (2019), Equations 3 and 4; Song et al. (2012), Equation 5, for the unbiased
    estimate.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(cv.cka(x, 3.0 * x[:, ::-1] + 1.0), 12)
    1.0
    """
    _validate.choice(kernel, "kernel", ("linear", "rbf"))
    width = _validate.real(bandwidth, "bandwidth")
    if width <= 0.0:
        raise ValueError(f"`bandwidth` must be positive, got {bandwidth}")
    networks = _validate.activation_pair(x, y, min_examples=4 if debiased else 2)
    if _warn_if_constant(networks):
        return 0.0
    if kernel == "linear" and networks[0].shape[0] > max(m.shape[1] for m in networks):
        return _alignment(*_hsic_of_units(*networks, debiased))
    x_similarity, y_similarity = (_similarity_matrix(m, kernel, width) for m in networks)
    return _alignment(*_hsic_of_examples(x_similarity, y_similarity, debiased))


def _warn_if_constant(networks: tuple[Floats, Floats]) -> bool:
    """Give one warning for each network without variance, and tell whether there was one."""
    found = False
    for name, network in zip("xy", networks):
        if all(bool(np.all(rows == network[0])) for rows in _validate.row_blocks(network)):
            _validate.warn_dead_units(name, np.arange(network.shape[1]), "the index is 0")
            found = True
    return found


def _alignment(hsic_xy: float, hsic_xx: float, hsic_yy: float) -> float:
    """Return the index from HSICs relative to the norms of the similarity matrices."""
    if min(hsic_xx, hsic_yy) <= _ROUNDING:
        return 0.0
    return float(np.clip(hsic_xy / np.sqrt(hsic_xx) / np.sqrt(hsic_yy), -1.0, 1.0))


def _scale(network: Floats) -> float:
    """Return what to divide by so that fourth powers stay in range: 1 for ordinary activations."""
    largest = max(abs(float(network.max())), abs(float(network.min())))
    return 1.0 if 1e-40 < largest < 1e40 else largest


def _centred(rows: Floats, mean: Matrix, scale: float) -> Matrix:
    block: Matrix = rows - mean
    if scale != 1.0:
        block /= scale
    return block


def _hsic_of_units(x: Floats, y: Floats, debiased: bool) -> tuple[float, float, float]:
    """Return the linear HSIC of x with y, x with x and y with y, relative to their norms."""
    x_mean, x_scale, y_mean, y_scale = unit_means(x), _scale(x), unit_means(y), _scale(y)
    xx, yy = np.zeros((x.shape[1],) * 2), np.zeros((y.shape[1],) * 2)
    xy = np.zeros((x.shape[1], y.shape[1]))
    x_squares, y_squares = np.empty(x.shape[0]), np.empty(y.shape[0])
    step = max(1, _BLOCK_VALUES // max(x.shape[1], y.shape[1]))
    for first in range(0, x.shape[0], step):
        rows = slice(first, first + step)
        x_block, y_block = _centred(x[rows], x_mean, x_scale), _centred(y[rows], y_mean, y_scale)
        xx += x_block.T @ x_block
        yy += y_block.T @ y_block
        xy += x_block.T @ y_block
        if debiased:
            x_squares[rows] = np.einsum("eu,eu->e", x_block, x_block)
            y_squares[rows] = np.einsum("eu,eu->e", y_block, y_block)
    sums = _square_sum(xy), _square_sum(xx), _square_sum(yy)
    return _relative(sums, (x_squares, y_squares), debiased)


def _hsic_of_examples(x: Matrix, y: Matrix, debiased: bool) -> tuple[float, float, float]:
    """Return the same from centred similarity matrices of the examples."""
    sums = float(np.vdot(x, y)), _square_sum(x), _square_sum(y)
    return _relative(sums, (np.diagonal(x), np.diagonal(y)), debiased)


def _relative(
    sums: tuple[float, float, float],
    diagonals: tuple[NDArray[np.float64], NDArray[np.float64]],
    debiased: bool,
) -> tuple[float, float, float]:
    """Return HSICs from the inner products of centred similarities and their diagonals.

    All are relative to the norms of the similarity matrices, so that the biased ones of a network
    with itself are 1.
    """
    norms = np.sqrt(sums[1]), np.sqrt(sums[2])
    hsic = []
    for total, a, b in zip(sums, (0, 0, 1), (1, 0, 1)):
        value = total / norms[a] / norms[b]
        if debiased:
            first, second = diagonals[a] / norms[a], diagonals[b] / norms[b]
            n, trace = first.size, float(first.sum()) * float(second.sum())
            value += trace / ((n - 1) * (n - 2)) - n / (n - 2) * float(first @ second)
        hsic.append(float(value))
    return hsic[0], hsic[1], hsic[2]


def _similarity_matrix(network: Floats, kernel: str, bandwidth: float) -> Matrix:
    """Return the doubly centred similarity of the examples."""
    centred = _centred(network, unit_means(network), _scale(network))
    products: Matrix = centred @ centred.T
    if kernel == "linear":
        return products
    squares = np.diagonal(products).copy()
    distances = np.maximum(squares[:, None] + squares[None, :] - 2.0 * products, 0.0)
    np.fill_diagonal(distances, 0.0)
    median = float(np.median(distances))
    if median == 0.0:
        median = float(np.median(distances[distances > 0.0]))
    similarity = np.exp(distances / (-2.0 * bandwidth**2 * median))
    similarity -= similarity.mean(axis=0)
    similarity -= similarity.mean(axis=1, keepdims=True)
    return similarity


def _square_sum(matrix: Matrix) -> float:
    return float(np.vdot(matrix, matrix))
