"""How alike two networks are once one has been turned onto the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from convergent import _validate
from convergent._validate import Floats
from convergent.measures.centred_rows import (
    Rows,
    centred_rows,
    cross_products,
    row_ranges,
    square_sum,
    unit_norms,
)
from convergent.measures.directions import Directions, unit_directions
from convergent.measures.shared_space import Matrix

KINDS = ("similarity", "angular", "euclidean")
NEAR = 0.999  # similarities above it say too little about distances: 1 - s has lost digits


class Shape:
    """A network without its units' means, as Procrustes problems take it.

    Attributes
    ----------
    units : CentredRows
    reduced : Rows
        Of at most as many columns as there are examples, with the same products of the examples.
    size : float
        Frobenius norm of both.
    """

    def __init__(self, network: Floats) -> None:
        self.units = centred_rows(network)
        self.reduced: Rows = self.units
        if self.units.width > self.units.n_examples:
            self.reduced = self.principal
        self.size = float(np.linalg.norm(unit_norms(self.units)))

    @property
    def norm(self) -> float:
        """Frobenius norm of the centred activations."""
        return self.size * self.units.scale

    @cached_property
    def principal(self) -> PrincipalRows:
        """The network's principal components."""
        return PrincipalRows(unit_directions(self.units, equal_units=False))


def procrustes(x: Any, y: Any, *, kind: str = "similarity") -> float:
    """Return how alike, or how far apart, two networks are after the best rotation.

    With centred `X` and `Y`, and the nuclear norm (the sum of the singular values) of ``X^T Y``:
    the similarity is that norm over ``|X| |Y|``, the angular distance its arc cosine, the Euclidean
    distance ``min |X - Y Q|`` over orthogonal `Q`.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units_x), (n_examples, n_units_y)
        Activations; each column is one unit. Different widths are as padded with units that are
        zero.
    kind : {"similarity", "angular", "euclidean"}
        "similarity" lies in [0, 1]. "angular", in [0, pi / 2], and "euclidean", which also tells
        sizes apart, are metrics: symmetric, 0 for networks that are alike up to a rotation, and
        with a triangle inequality.

    Returns
    -------
    float
        Rotations, reflections and constants added to the units change nothing; for "similarity" and
        "angular" neither does one scale for all units. Dead units contribute nothing. If all units
        of a network are constant, there is a DeadUnitWarning: the similarity is 0, the angle pi / 2,
        and the Euclidean distance the other network's norm.

    Raises
    ------
    TypeError
        If an array is complex.
    ValueError
        If `x` and `y` differ in examples, have fewer than two, or hold NaN or infinity; for
        "euclidean" also if a norm is beyond float64.

    Notes
    -----
    Costs ``2 n_examples n_units_x n_units_y`` operations and the singular values of a matrix of at
    most (n_units_x, n_units_y) and at most (n_examples, n_examples). Distances do not cancel: where
    the similarity is above .999, they are those of the examples turned onto each other. With about
    as many examples as units any two networks are alike; compare with shuffled examples.

    References
    ----------
    Williams et al. (2021), Generalized shape metrics on neural representations, Section 2, with the
    group of orthogonal maps; Schoenemann (1966) for the solution.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    >>> round(cv.procrustes(x, 2.0 * x @ turn + 1.0), 12)
    1.0
    >>> bool(cv.procrustes(x, x @ turn, kind="euclidean") < 1e-12)
    True
    """
    _validate.choice(kind, "kind", KINDS)
    first, second = (Shape(network) for network in _validate.activation_pair(x, y))
    check_sizes([first, second], "xy", kind)
    return shape_value(first, second, cross_products(first.reduced, second.reduced), kind)


def check_sizes(shapes: Sequence[Shape], names: Sequence[str], kind: str) -> None:
    """Give one warning for each network without variance; refuse a norm that is no float64."""
    for name, shape in zip(names, shapes):
        if kind == "euclidean" and not np.isfinite(shape.norm):
            raise ValueError(
                f"`{name}` must have a norm below 1.8e308, got values up to {shape.units.scale:g}"
            )
        if shape.size == 0.0:
            units = np.arange(shape.units.width)
            _validate.warn_dead_units(name, units, "its similarity to any network is 0")


def shape_value(x: Shape, y: Shape, products: Matrix, kind: str) -> float:
    """Return the index of two networks from the products of their reduced rows."""
    similarity = similarity_of_products(products, x.size, y.size)
    if kind == "similarity":
        return similarity
    chord = None if similarity <= NEAR else _chord(x, y)
    return distance_of(similarity, chord, x.norm, y.norm, kind)


def similarity_of_products(products: Matrix, x_size: float, y_size: float) -> float:
    """Return the nuclear norm of the products over the networks' norms; 0 if one has none."""
    from scipy.linalg import svdvals

    if min(x_size, y_size) == 0.0:
        return 0.0
    values = svdvals(products, check_finite=False)
    return float(np.clip(values.sum() / x_size / y_size, 0.0, 1.0))


def distance_of(
    similarity: float, chord: float | None, x_norm: float, y_norm: float, kind: str
) -> float:
    """Return the distance; `chord` is that of the networks at norm 1, where it is known by itself."""
    if chord is None:
        chord = float(np.sqrt(2.0 * (1.0 - similarity)))
        angle = float(np.arccos(similarity))
    else:
        angle = 2.0 * float(np.arcsin(min(chord / 2.0, 1.0)))
    if kind == "angular":
        return angle
    largest = max(x_norm, y_norm)
    if largest == 0.0:
        return 0.0
    a, b = x_norm / largest, y_norm / largest
    return float(largest * np.sqrt((a - b) ** 2 + a * b * chord**2))


def _chord(x: Shape, y: Shape) -> float:
    """Return the distance of the networks at norm 1, turned onto each other.

    The rotations come from products of directions times strengths, which keep their relative size:
    in ``X^T Y`` itself weak directions drown. The distance then is a sum of squares.
    """
    first, second = x.principal, y.principal
    u, v = _singular_vectors(cross_products(first, second) / x.size / y.size)
    squares, width = 0.0, max(u.shape[0], v.shape[0])
    for start, stop in row_ranges(x.units.n_examples, max(x.units.width, y.units.width)):
        apart = np.zeros((stop - start, width))
        apart[:, : u.shape[0]] = first.rows(start, stop) @ (u / x.size)
        apart[:, : v.shape[0]] -= second.rows(start, stop) @ (v / y.size)
        squares += square_sum(apart)
    return float(np.sqrt(squares))


def _singular_vectors(products: Matrix) -> tuple[Matrix, Matrix]:
    """Return all left and right singular vectors, right for weak rows and columns, too (Jacobi)."""
    from scipy.linalg import lapack

    if products.shape[0] < products.shape[1]:
        v, u = _singular_vectors(products.T)
        return u, v
    _, u, v, _, _, info = lapack.dgejsv(products, joba=2, jobu=1, jobv=0)
    if info != 0:  # no convergence
        from scipy.linalg import svd

        u, _, vt = svd(products, check_finite=False)
        return u, vt.T
    return u, v


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PrincipalRows:
    """A network's directions times their strengths."""

    directions: Directions

    @property
    def n_examples(self) -> int:
        """Number of examples."""
        return self.directions.n_examples

    @property
    def width(self) -> int:
        """Number of directions."""
        return self.directions.width

    def rows(self, start: int, stop: int) -> Matrix:
        """Return some examples of every component."""
        components: Matrix = self.directions.rows(start, stop) * self.directions.strengths
        return components
