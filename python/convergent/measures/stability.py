"""When a unit's minimal match is unique: independence and stability (Wang et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convergent.measures.minimal_match import LiveUnits
from convergent.measures.span import Matrix, Span

Flags = NDArray[np.bool_]
_FEW = 12  # so many units have few enough subsets to look at each of them
_STEPS = 64  # units that a search for an unstable subset removes at most
_BORDER = 1e-9  # a distance within this share of epsilon may be on either side of it


@dataclass(frozen=True, slots=True)
class Stability:
    """How far two networks are from having several minimal matches of one unit.

    By Theorem 14 each unit has at most one minimal match if both networks' units are
    theta-strongly linearly independent and (epsilon, lambda)-stable with
    ``lambda = 2 / sin(theta) + 1``. Both are minima over exponentially many sets of units, so each
    is given by a bound that is certain and one that some set of units attains.

    Attributes
    ----------
    epsilon : float
        Largest relative distance ``dist(z, span) / |z|`` within a match. Below 1e-10 (or the rank
        tolerance, if that is larger) the match is exact, and that number stands for epsilon here.
    theta, theta_upper : float in [0, pi/2], radians
        The smallest angle between what two disjoint sets of units of one network span is at least
        `theta` and at most `theta_upper`, over both networks. 0 if units are linearly dependent;
        pi/2 if each network has one unit.
    gap, gap_upper : float
        The smallest ratio of a distance to epsilon, among the distances above epsilon of a unit
        from the span of any set of the other network's units, is at least `gap` and at most
        `gap_upper`: the networks are (epsilon, lambda)-stable for every lambda below `gap`. It
        cannot exceed ``1 / epsilon``, which the empty set attains. 1 where nothing is certain.
    required_gap : float
        ``2 / sin(theta) + 1``, what the theorem asks for; infinite for `theta` 0.
    x, y : array of float64, shape (n_units,)
        Certain gap of each unit; infinite for dead units, which belong to no set.
    unique : bool
        Whether each unit is sure to have at most one minimal match. False does not say that a unit
        has several, only that the theorem does not exclude it.

    Notes
    -----
    Where a network is all dead, nothing can match: `unique` is True, though nothing is known of
    the other network's angle (`theta` 0, `theta_upper` pi/2).

    References
    ----------
    Wang et al. (2018), Section 4, Theorem 14; for ``epsilon = 0`` also Theorem 12.

    Examples
    --------
    Twins with little noise; the third unit of each network is its own.

    >>> import numpy as np
    >>> import convergent as cv
    >>> x = np.eye(5)[:, :3]
    >>> y = np.column_stack([x[:, 0], x[:, 1], np.eye(5)[:, 3]]) + 0.01 * np.eye(5)[:, [4, 3, 2]]
    >>> stability = cv.SubspaceMatcher(x, y).stability(0.1)
    >>> stability
    Stability(epsilon=0.1, theta>=1.56, gap>=10 of 3, unique=True)
    >>> cv.SubspaceMatcher(x, y[:, [0, 0, 1]]).stability(0.1).unique
    False
    """

    epsilon: float
    theta: float
    theta_upper: float
    gap: float
    gap_upper: float
    required_gap: float
    x: Matrix
    y: Matrix
    unique: bool

    def __repr__(self) -> str:
        return (
            f"Stability(epsilon={self.epsilon:g}, theta>={self.theta:.3g}, gap>={self.gap:.3g} of "
            f"{self.required_gap:.3g}, unique={self.unique})"
        )


def stability(live: LiveUnits, epsilon: float) -> Stability:
    """Return bounds of the angle and of the gap that Theorem 14 asks for."""
    x, y = np.full(live.n_x, np.inf), np.full(live.n_y, np.inf)
    if live.spans is None:
        # Distances from the span of nothing; without units on one side nothing matches.
        gap = 1.0 / epsilon if epsilon > 0.0 else np.inf
        x[live.x], y[live.y] = gap, gap
        return Stability(epsilon, 0.0, np.pi / 2, gap, gap, np.inf, x, y, True)
    threshold = live.threshold(epsilon)
    angles = [_angle(span) for span in live.spans]
    theta, theta_upper = min(low for low, _ in angles), min(high for _, high in angles)
    y_low, y_high = _gaps(live.spans[0], threshold)
    x_low, x_high = _gaps(live.spans[1], threshold)
    x[live.x], y[live.y] = x_low, y_low
    gap = float(min(x_low.min(), y_low.min()))
    gap_upper = float(min(x_high.min(), y_high.min()))
    required = 2.0 / float(np.sin(theta)) + 1.0 if theta > 0.0 else np.inf
    return Stability(
        epsilon, theta, theta_upper, gap, gap_upper, required, x, y, bool(gap > required)
    )


def _angle(span: Span) -> tuple[float, float]:
    """Return a lower and an upper bound of the angle between spans of disjoint sets of units.

    Disjoint sets that leave units out have no smaller angle than a partition of all units. With
    the units in the columns of R and a partition in the signs s, ``R diag(s) / R`` reflects one
    side's span along the other's, and its norm is the cotangent of half their angle. The norm is
    at most R's condition number (which is Wielandt's inequality), and that of R with its columns
    scaled, which s commutes with.
    """
    rank, n_units = span.triangle.shape
    if n_units == 1:
        return np.pi / 2, np.pi / 2
    if rank < n_units:
        return 0.0, 0.0
    units, duals = span.triangle, _inverse(span.triangle)
    lengths = np.linalg.norm(duals, axis=1)
    # One unit against all others: the cotangents of the angle and, in sum, of half of it.
    attained = float((np.linalg.norm(duals - units.T, axis=1) + lengths).max())
    bound = np.inf
    for scale in (np.ones(n_units), np.sqrt(lengths), lengths):
        scaled = duals / scale[:, np.newaxis]
        squares, directions = np.linalg.eigh(scaled @ scaled.T)
        bound = min(bound, _norm(units * scale) * float(np.sqrt(squares[-1])))
        signs = np.where(directions[:, -1] > 0.0, 1.0, -1.0)
        attained = max(attained, _norm(units * signs @ duals))
    if n_units <= _FEW:
        bound = attained = _largest_reflection(units, duals)
    # The factor is exact for units that differ from those given by at most the tolerance.
    rounding = span.tolerance * _norm(duals)
    if rounding >= 1.0:
        bound = np.inf
    lower = 2.0 * np.arctan((1.0 - rounding) / (bound + rounding))
    upper = 2.0 * np.arctan(min((1.0 + rounding) / max(attained - rounding, 1.0), 1.0))
    return float(lower), float(upper)


def _inverse(triangle: Matrix) -> Matrix:
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(triangle, np.eye(len(triangle))), dtype=np.float64)


def _norm(matrix: Matrix) -> float:
    return float(np.sqrt(np.linalg.eigvalsh(matrix @ matrix.T)[-1]))


def _largest_reflection(units: Matrix, duals: Matrix) -> float:
    """Return the cotangent of half the smallest angle of any partition of a few units."""
    n_units = units.shape[1]
    partitions = np.arange(1, 2 ** (n_units - 1))  # the last unit's side is given
    signs = 1.0 - 2.0 * (partitions[:, np.newaxis] >> np.arange(n_units) & 1)
    reflections = units * signs[:, np.newaxis, :] @ duals
    return float(np.linalg.norm(reflections, ord=2, axis=(1, 2)).max())


def _gaps(span: Span, epsilon: float) -> tuple[Matrix, Matrix]:
    """Return lower and upper bounds of each other unit's gap, all shape (n_others,).

    Distances only grow when units leave. Let N be the units that may leave alone. If all of N may
    leave together, then so may every subset of N, and every other subset is at least as far as the
    one unit outside N that it lacks: the gap is that of the nearest such unit, exactly. If N is
    small, its subsets are looked at one by one. Otherwise nothing is certain and a search finds a
    subset just above epsilon.
    """
    spanning = _Spanning(span)
    growth = (spanning.duals @ span.coefficients) ** 2
    inside, outside = (epsilon * (1.0 - _BORDER)) ** 2, (epsilon * (1.0 + _BORDER)) ** 2
    low, high = np.empty(len(span.residuals)), np.empty(len(span.residuals))
    crowded = spanning.growth_bound(span.coefficients, growth + span.residuals <= inside)
    for unit, (near, alone) in enumerate(zip(span.residuals, growth.T)):
        seen = np.concatenate([[1.0, near], near + alone])
        fits = near + alone <= inside
        target = span.coefficients[:, unit]
        sure = bool(near > inside or not fits.any())
        if not sure and near + crowded[unit] <= inside:
            sure = near + spanning.growth(fits, target) <= inside
        if not sure and np.count_nonzero(fits) <= _FEW:
            seen = np.append(seen, near + spanning.growths_of_subsets(fits, target))
            sure = True
        elif not sure:
            seen = np.append(
                seen, near + spanning.growth_above(fits, target, near, inside, outside)
            )
        sure = sure and (spanning.independent or near > inside)
        low[unit] = max(seen[seen > inside].min() / epsilon**2, 1.0) if sure else 1.0
        high[unit] = seen[seen > outside].min() / epsilon**2
    return np.sqrt(low), np.sqrt(high)


class _Spanning:
    """Units of one network, and how far another unit moves from their span when some leave.

    With units that are dependent this is about a basis of them: the others have left already.

    Attributes
    ----------
    units : array of float64, shape (rank, rank)
        Units of the basis, in columns.
    duals : array of float64, shape (rank, rank)
        In rows, for each unit the direction of norm 1 that leaves the span with it. When a set of
        units leaves, what a unit has in the span of their directions joins its distance.
    independent : bool
    """

    def __init__(self, span: Span) -> None:
        rank = len(span.triangle)
        self.units = span.triangle[:, :rank]
        self.duals = _inverse(self.units)
        self.duals /= np.linalg.norm(self.duals, axis=1)[:, np.newaxis]
        self.independent = rank == span.order.size
        self._products = self.duals @ self.duals.T

    def growth_bound(self, targets: Matrix, leaving: Flags) -> Matrix:
        """Return a lower bound of the growth for each target, by its part in one direction."""
        parts = np.where(leaving, self.duals @ targets, 0.0)
        squares = (parts**2).sum(axis=0)
        norms = (parts * (self._products @ parts)).sum(axis=0)
        bounds = np.zeros(len(squares))
        np.divide(squares**2, norms, out=bounds, where=norms > 0.0)
        return bounds

    def growth(self, leaving: Flags, target: Matrix) -> float:
        """Return by how much the squared distance grows: from those who leave or stay, the fewer."""
        if 2 * np.count_nonzero(leaving) <= leaving.size:
            return float(((np.linalg.qr(self.duals[leaving].T)[0].T @ target) ** 2).sum())
        basis = np.linalg.qr(self.units[:, ~leaving])[0]
        rest = target - basis @ (basis.T @ target)
        rest -= basis @ (basis.T @ rest)  # once more: the first step leaves rounding
        return float((rest**2).sum())

    def growths_of_subsets(self, leaving: Flags, target: Matrix) -> Matrix:
        """Return the growth for every subset, shape (2**n_leaving,), by Gram-Schmidt on all."""
        growths, rest, targets = np.zeros(1), self.duals[np.newaxis, leaving], target[np.newaxis]
        for _ in range(np.count_nonzero(leaving)):
            axis, others = rest[:, :1], rest[:, 1:]
            axis = axis / np.linalg.norm(axis, axis=2, keepdims=True)
            along = (targets * axis[:, 0]).sum(axis=1)
            without = others - (others * axis).sum(axis=2, keepdims=True) * axis
            growths = np.concatenate([growths, growths + along**2])
            targets = np.concatenate([targets, targets - along[:, np.newaxis] * axis[:, 0]])
            rest = np.concatenate([others, without])
        return growths

    def growth_above(
        self, leaving: Flags, target: Matrix, near: float, inside: float, outside: float
    ) -> Matrix:
        """Return the smallest growth above the border that a search met, shape (0,) or (1,).

        The largest that fits leaves first, so that few steps come close to the border; a pivoted
        Cholesky factorization tells what each unit would add.
        """
        left, room, free = self.duals @ target, np.ones(leaving.size), leaving.copy()
        rows = np.empty((_STEPS, leaving.size))
        total, nearest = near, np.inf
        removed: list[int] = []
        best: list[int] = []
        for step in range(_STEPS):
            after = total + left**2 / room
            above = np.where(free & (after > outside), after, np.inf)
            if above.min() < nearest:
                nearest, best = float(above.min()), [*removed, int(above.argmin())]
            fitting = np.where(free & (after <= inside), after, -1.0)
            pivot = int(fitting.argmax())
            if fitting[pivot] < 0.0:
                break
            root = np.sqrt(room[pivot])
            rows[step] = (self._products[pivot] - rows[:step, pivot] @ rows[:step]) / root
            total, along = fitting[pivot], left[pivot] / root
            left -= along * rows[step]
            room = np.maximum(room - rows[step] ** 2, np.finfo(np.float64).eps)
            free[pivot] = False
            removed.append(pivot)
        if not best:
            return np.empty(0)
        chosen = np.zeros(leaving.size, dtype=np.bool_)
        chosen[best] = True
        return np.array([self.growth(chosen, target)])
