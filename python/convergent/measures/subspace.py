"""Subspace match: which units of two networks span each other (Wang et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convergent import _core, _validate
from convergent.measures import minimal_match
from convergent.measures.match_results import (
    Match,
    MatchLevels,
    MinMatches,
    SimpleMatches,
    Units,
)
from convergent.measures.span import span
from convergent.statistics.factor import Factor

DEAD_UNITS = ("exclude", "match", "unmatched")
LEFT_OUT = "they are left out of matches and of the similarity"


class SubspaceMatcher:
    """Find subspace matches between the units of two networks.

    The activations are factored once; every match then costs a small fraction of that.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units_x), (n_examples, n_units_y)
        Activations; each column is one unit. They are read in blocks of rows and not kept.
    dead_units : {"exclude", "match", "unmatched"}
        What is made of units that are zero in every example (constant ones, with `center`). They
        lie in every span, so by Definition 1 they belong to every maximum match (``"match"``).
        ``"exclude"`` leaves them out of the match and of the similarity, with one
        `DeadUnitWarning` a network; ``"unmatched"`` leaves them out of the match and counts them
        as units, as the authors' program does.
    center : bool
        Whether the mean of each unit is taken out first (an intercept). The paper does not.

    Attributes
    ----------
    n_x, n_y : int
        Number of units of each network, dead ones included.
    dead_x, dead_y : array of int
        Dead units of each network.

    Raises
    ------
    TypeError
        If an array is complex.
    ValueError
        If `x` and `y` differ in examples, have fewer than two, hold NaN or infinity or no units,
        or if `dead_units` is none of the three.

    Notes
    -----
    Distances are as accurate as those of a Householder QR, whatever the scale of each unit.
    Linearly dependent units are normal input: ranks are decided with NumPy's tolerance,
    ``max(n_examples, n_units) * 2.2e-16`` times the largest singular value of the network's units,
    each scaled to norm 1. Factoring costs ``2 n_examples (n_x + n_y)^2`` operations, and memory
    of about ``16 (n_x + n_y)^2`` float64 beside the arrays.

    References
    ----------
    Wang et al. (2018), Towards Understanding Learning Representations, Definitions 1 and 3,
    Algorithm 1.

    Examples
    --------
    The first unit of `y` is a mixture of both units of `x`, the second one is not.

    >>> import numpy as np
    >>> import convergent as cv
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> y = np.array([[1.0, 0.0], [0.2, 0.0], [0.0, 1.0]])
    >>> matcher = cv.SubspaceMatcher(x, y)
    >>> matcher.max_match(0.25)
    Match(epsilon=0.25, 1 + 1 units, similarity=0.500)
    >>> [match.similarity for match in matcher.max_match([0.1, 0.25])]
    [0.0, 0.5]
    """

    def __init__(
        self, x: ArrayLike, y: ArrayLike, *, dead_units: str = "exclude", center: bool = False
    ) -> None:
        _validate.choice(dead_units, "dead_units", DEAD_UNITS)
        x_matrix, y_matrix = _validate.activation_pair(x, y)
        factor = Factor((x_matrix.shape[1], y_matrix.shape[1]))
        factor.take([x_matrix, y_matrix])
        triangle = factor.triangle(center=center)
        self._prepare(triangle, x_matrix.shape[1], factor.n_examples, dead_units)
        for name, units in self._left_out():
            _validate.warn_dead_units(name, units, LEFT_OUT)

    @classmethod
    def from_factor(
        cls, triangle: ArrayLike, n_x: int, *, n_examples: int, dead_units: str = "exclude"
    ) -> SubspaceMatcher:
        """Return the matcher of activations of which only the triangular factor is known.

        Parameters
        ----------
        triangle : array of float, shape (n_x + n_y, n_x + n_y)
            Upper triangular factor of ``[X Y]``, such as ``Factor.triangle((i, j))``. Units that
            are dead are columns of zeros.
        n_x : int
            How many of the columns are units of x.
        n_examples : int
            Number of examples behind the factor; it sets the rank tolerance.
        dead_units : {"exclude", "match", "unmatched"}
            As in the class.

        Raises
        ------
        TypeError
            If `triangle` is complex, or a number is not whole.
        ValueError
            If `triangle` is not a finite, square, upper triangular matrix, `n_x` leaves a network
            without units, or `n_examples` is below 1.
        """
        _validate.choice(dead_units, "dead_units", DEAD_UNITS)
        factor = np.asarray(_validate.matrix(triangle, "triangle"), dtype=np.float64)
        if factor.shape[0] != factor.shape[1]:
            raise ValueError(f"`triangle` must be square, got shape {factor.shape}")
        if np.tril(factor, -1).any():
            raise ValueError("`triangle` must be zero below its diagonal, got other values there")
        if factor.shape[0] < 2:
            raise ValueError(f"`triangle` must hold units of two networks, got {factor.shape[0]}")
        n_x = _validate.integer(n_x, "n_x", low=1, high=factor.shape[1] - 1)
        matcher = cls.__new__(cls)
        n_examples = _validate.integer(n_examples, "n_examples", low=1)
        matcher._prepare(factor, n_x, n_examples, dead_units)
        for name, units in matcher._left_out():
            _validate.warn_dead_units(name, units, LEFT_OUT)
        return matcher

    def __repr__(self) -> str:
        return (
            f"SubspaceMatcher({self.n_x} + {self.n_y} units, "
            f"{self.dead_x.size} + {self.dead_y.size} dead)"
        )

    @overload
    def max_match(self, epsilon: float) -> Match: ...

    @overload
    def max_match(self, epsilon: Sequence[float] | NDArray[np.floating[Any]]) -> list[Match]: ...

    def max_match(
        self, epsilon: float | Sequence[float] | NDArray[np.floating[Any]]
    ) -> Match | list[Match]:
        """Return the largest pair of unit sets that span each other within `epsilon`.

        Parameters
        ----------
        epsilon : float in [0, 1), or a sequence of them
            Largest relative distance of a unit from the span of the other network's units in the
            match. Below 1e-10 (or the rank tolerance, if that is larger) the match is the exact
            one: a distance up to there is rounding.

        Returns
        -------
        Match, or list of Match in the order of `epsilon`
            The maximum match; both sides empty when nothing matches. The similarity is 0 when no
            unit counts (all are dead and excluded).

        Raises
        ------
        TypeError
            If an epsilon is not a number.
        ValueError
            If it lies outside [0, 1).

        References
        ----------
        Wang et al. (2018), Definitions 1 and 3, Algorithm 1 (with the relative distance of
        Definition 1, and with the first pass over y always run).
        """
        matches = self._max_matches(_validate.epsilons(epsilon))
        return matches if isinstance(epsilon, (Sequence, np.ndarray)) else matches[0]

    @overload
    def similarity(self, epsilon: float) -> float: ...

    @overload
    def similarity(
        self, epsilon: Sequence[float] | NDArray[np.floating[Any]]
    ) -> NDArray[np.float64]: ...

    def similarity(
        self, epsilon: float | Sequence[float] | NDArray[np.floating[Any]]
    ) -> float | NDArray[np.float64]:
        """Return the maximum matching similarity: the share of units in the maximum match.

        Parameters
        ----------
        epsilon : float in [0, 1), or a sequence of them

        Returns
        -------
        float, or array of float64, shape (n_epsilons,)

        Raises
        ------
        TypeError, ValueError
            As `max_match`.

        References
        ----------
        Wang et al. (2018), Section 5.1.
        """
        matches = self.max_match(epsilon)
        if isinstance(matches, Match):
            return matches.similarity
        return np.array([match.similarity for match in matches], dtype=np.float64)

    def levels(self) -> MatchLevels:
        """Return the smallest epsilon at which each unit belongs to the maximum match.

        Returns
        -------
        MatchLevels
            The maximum match of every epsilon at once, and with it the whole curve s(epsilon).

        Notes
        -----
        Peels the units off by their distances, largest first, as a core decomposition does: the
        level is the smallest distance removed so far. Costs about as much as a few maximum matches.
        Dead units have level 0 with ``dead_units="match"``, else infinity.

        References
        ----------
        Wang et al. (2018), Definition 3; the matches for growing epsilon are nested.
        """
        return minimal_match.levels(self._live)

    def min_match(
        self,
        unit: tuple[str, int],
        epsilon: float,
        *,
        order: Sequence[tuple[str, int]] | None = None,
        seed: int | None = None,
    ) -> Match | None:
        """Return one minimal match that contains a unit; None if the maximum match does not.

        Parameters
        ----------
        unit : ("x", index) or ("y", index)
        epsilon : float in [0, 1)
        order : sequence of units, optional
            The order in which units are tried for removal: each unit of both networks once. By
            default x ascending, then y ascending.
        seed : int, optional
            Draws the order instead.

        Raises
        ------
        TypeError, ValueError
            If the unit, epsilon or order is none.

        References
        ----------
        Wang et al. (2018), Definition 9, Algorithm 2.
        """
        return minimal_match.min_match(self._live, unit, _validate.epsilon(epsilon), order, seed)

    def all_min_matches(
        self, unit: tuple[str, int], epsilon: float, *, limit: int = 64
    ) -> MinMatches:
        """Return all minimal matches that contain a unit, or the first `limit` of them.

        Parameters
        ----------
        unit : ("x", index) or ("y", index)
        epsilon : float in [0, 1)
        limit : int
            Most matches to find. There can be exponentially many; the number of searches is
            bounded too (200 a match), and the result says whether the search came to its end.

        Returns
        -------
        MinMatches

        References
        ----------
        Wang et al. (2018), Algorithm 3.
        """
        return minimal_match.all_min_matches(self._live, unit, _validate.epsilon(epsilon), limit)

    def simple_matches(
        self,
        epsilon: float,
        *,
        n_orders: int = 1,
        seed: int = 0,
        n_threads: int | None = None,
        progress: Callable[[str, int, int], object] | None = None,
    ) -> SimpleMatches:
        """Return the simple matches: those found as a minimal match of some unit in some order.

        Parameters
        ----------
        epsilon : float in [0, 1)
        n_orders : int
            Random orders of removal; each may find others. Every unit is searched in every order.
        seed : int
            For the orders.
        n_threads : int, optional
            All processors by default. The result does not depend on it.
        progress : callable, optional
            Called about twenty times a second as ``progress(description, done, total)``; when it
            returns False the search ends and the result is what has been found.

        Returns
        -------
        SimpleMatches

        Notes
        -----
        All units share their work until a removal tells them apart, which makes the cost about that
        of one search for each distinct match.

        References
        ----------
        Wang et al. (2018), Definition 4, Theorem 10, Section 5.2.
        """
        return minimal_match.simple_matches(
            self._live, _validate.epsilon(epsilon), n_orders, seed, n_threads, progress
        )

    def _prepare(self, triangle: NDArray[np.float64], n_x: int, n_examples: int, dead: str) -> None:
        scale = np.abs(triangle).max(axis=0)
        alive = scale > 0.0
        self.n_x, self.n_y = n_x, triangle.shape[1] - n_x
        self.dead_x = np.flatnonzero(~alive[:n_x])
        self.dead_y = np.flatnonzero(~alive[n_x:])
        live_x, live_y = np.flatnonzero(alive[:n_x]), np.flatnonzero(alive[n_x:])
        spans = None
        if live_x.size and live_y.size:
            columns = triangle[:, alive] / scale[alive]
            columns /= np.linalg.norm(columns, axis=0)
            x, y = np.split(columns, [live_x.size], axis=1)
            spans = (span(x[:n_x], y, n_examples), span(y, x, n_examples))
        self._live = minimal_match.LiveUnits(live_x, live_y, self.n_x, self.n_y, spans, dead)

    def _left_out(self) -> list[tuple[str, Units]]:
        if self._live.dead_units != "exclude":
            return []
        return [("x", self.dead_x), ("y", self.dead_y)]

    def _max_matches(self, epsilons: list[float]) -> list[Match]:
        live = self._live
        members = np.zeros((len(epsilons), live.x.size + live.y.size), dtype=np.bool_)
        if live.spans is not None:
            thresholds = np.array([live.threshold(epsilon) for epsilon in epsilons])
            descending = np.argsort(-thresholds, kind="stable")
            x, y = live.spans
            in_x, in_y = _core.kernels.max_match(x.parts, y.parts, thresholds[descending])
            members[descending] = np.hstack([in_x, in_y])
        return [
            self._with_dead(live.match(row, epsilon)) for row, epsilon in zip(members, epsilons)
        ]

    def _with_dead(self, match: Match) -> Match:
        if self._live.dead_units != "match":
            return match
        x, y = np.union1d(match.x, self.dead_x), np.union1d(match.y, self.dead_y)
        return Match(x, y, (x.size + y.size) / (self.n_x + self.n_y), match.epsilon)
