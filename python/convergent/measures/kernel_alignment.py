"""HSIC of two networks, from products of units or from similarities of examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convergent import _validate
from convergent._validate import Floats
from convergent.measures.centred_rows import (
    centred_rows,
    joint_products,
    square_sum,
    squares_of_examples,
)
from convergent.measures.shared_space import Matrix

KERNELS = ("linear", "rbf")
ROUNDING = 1e-14  # of an HSIC relative to the squared norm of the similarity matrix
LEAST_UNBIASED = 4
"""Examples that the unbiased estimate needs."""

Hsics = tuple[float, float, float]
"""Of x with y, of x with x and of y with y."""


@dataclass(frozen=True, slots=True)
class AlignmentOptions:
    """How the index is computed; see `cka`."""

    kernel: str = "linear"
    debiased: bool = False
    bandwidth: float = 0.5
    batch_size: int | None = None

    def __post_init__(self) -> None:
        _validate.choice(self.kernel, "kernel", KERNELS)
        _validate.flag(self.debiased, "debiased")
        if _validate.real(self.bandwidth, "bandwidth") <= 0.0:
            raise ValueError(f"`bandwidth` must be positive, got {self.bandwidth}")
        if self.batch_size is not None:
            _validate.integer(self.batch_size, "batch_size", low=LEAST_UNBIASED)

    @property
    def is_unbiased(self) -> bool:
        """Whether the unbiased estimate is asked for."""
        return self.debiased or self.batch_size is not None

    @property
    def least_examples(self) -> int:
        """How many examples there must be."""
        return LEAST_UNBIASED if self.is_unbiased else 2

    def batches(self, n_examples: int) -> list[tuple[int, int]]:
        """Return the first example and the one after the last of each batch."""
        size = self.batch_size or n_examples
        ends = ((start, min(start + size, n_examples)) for start in range(0, n_examples, size))
        return [(start, stop) for start, stop in ends if stop - start >= LEAST_UNBIASED]


@dataclass(frozen=True, slots=True)
class CentredSums:
    """What both estimates of HSIC need to know of two centred similarity matrices.

    Attributes
    ----------
    inner : tuple of float
        The matrices' inner product, and the square of the norm of each.
    x_diagonal, y_diagonal : array of float64, shape (n_examples,)
        Similarity of each example to itself; empty where only the biased estimate is wanted.
    """

    inner: Hsics
    x_diagonal: Matrix
    y_diagonal: Matrix

    def relative(self, debiased: bool) -> Hsics:
        """Return HSICs over the norms of the matrices; 0 where only rounding is left."""
        x_norm, y_norm = np.sqrt(self.inner[1]), np.sqrt(self.inner[2])
        x_divisor, y_divisor = x_norm or 1.0, y_norm or 1.0
        xy, xx, yy = self.inner[0] / x_divisor / y_divisor, float(x_norm > 0), float(y_norm > 0)
        if debiased:
            x, y = self.x_diagonal / x_divisor, self.y_diagonal / y_divisor
            xy, xx, yy = xy + bias(x, y), xx + bias(x, x), yy + bias(y, y)
        return float(xy), xx if xx > ROUNDING else 0.0, yy if yy > ROUNDING else 0.0

    def unbiased(self) -> Hsics:
        """Return the unbiased HSICs (Song et al. 2012, Equation 5)."""
        between, xx, yy = self.relative(debiased=True)
        n_examples = self.x_diagonal.size
        x_norm, y_norm = np.sqrt(self.inner[1:]) / np.sqrt(n_examples * (n_examples - 3))
        return float(between * x_norm * y_norm), float(xx * x_norm**2), float(yy * y_norm**2)


def bias(x_diagonal: Matrix, y_diagonal: Matrix) -> float:
    """Return what turns the inner product of centred matrices into the unbiased estimate."""
    n = x_diagonal.size
    traces = float(x_diagonal.sum()) * float(y_diagonal.sum())
    return traces / ((n - 1) * (n - 2)) - n / (n - 2) * float(x_diagonal @ y_diagonal)


def alignment(hsics: Hsics) -> float:
    """Return the index; 0 where the HSIC of a network with itself vanishes."""
    between, xx, yy = hsics
    if min(xx, yy) <= 0.0:
        return 0.0
    return float(np.clip(between / np.sqrt(xx) / np.sqrt(yy), -1.0, 1.0))


def centred_sums(
    x: Floats, y: Floats, kernel: str, bandwidth: float, debiased: bool
) -> CentredSums:
    """Return the sums of two networks by the cheaper way: products of units, or of examples."""
    if kernel == "linear" and x.shape[0] > max(x.shape[1], y.shape[1]):
        return _sums_of_units(x, y, debiased)
    first, second = (similarity_matrix(m, kernel, bandwidth) for m in (x, y))
    inner = float(np.vdot(first, second)), square_sum(first), square_sum(second)
    return CentredSums(inner, np.diagonal(first).copy(), np.diagonal(second).copy())


def _sums_of_units(x: Floats, y: Floats, debiased: bool) -> CentredSums:
    x_rows, y_rows = centred_rows(x), centred_rows(y)
    products = joint_products(x_rows, y_rows)
    nothing = np.empty(0)
    return CentredSums(
        (square_sum(products[0]), square_sum(products[1]), square_sum(products[2])),
        squares_of_examples(x_rows) if debiased else nothing,
        squares_of_examples(y_rows) if debiased else nothing,
    )


def similarity_matrix(network: Floats, kernel: str, bandwidth: float) -> Matrix:
    """Return the doubly centred similarity of the examples."""
    source = centred_rows(network)
    centred = source.rows(0, source.n_examples)
    products: Matrix = centred @ centred.T
    if kernel == "linear":
        return products
    squares = np.diagonal(products).copy()
    distances = np.maximum(squares[:, None] + squares[None, :] - 2.0 * products, 0.0)
    np.fill_diagonal(distances, 0.0)
    median = float(np.median(distances))
    if median == 0.0:
        if not distances.any():
            return np.zeros_like(distances)
        median = float(np.median(distances[distances > 0.0]))
    similarity = np.exp(distances / (-2.0 * bandwidth**2 * median))
    similarity -= similarity.mean(axis=0)
    similarity -= similarity.mean(axis=1, keepdims=True)
    return similarity
