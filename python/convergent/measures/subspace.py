"""Subspace match: which units of two networks span each other (Wang et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from convergent import _core, _validate
from convergent.measures import minimal_match
from convergent.measures.factored_pair import FactoredPair
from convergent.measures.match_results import (
    Match,
    MatchLevels,
    MinMatches,
    SimpleMatches,
)
from convergent.measures.stability import Stability, stability


class SubspaceMatcher(FactoredPair):
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
    n_threads : int, optional
        For the factorization; all processors by default. The result does not depend on it.

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
    Relative distances are right to 1e-10, whatever the scale of each unit, and one up to 1e-12
    above epsilon counts as epsilon. Where no digits are lost
    by it (the units of each network are well conditioned, and none lies almost in the other
    network's span), they come from the units' cross-products, in ``n_examples (n_x + n_y)^2``
    operations; else from a Householder QR, in twice as many. Linearly dependent units
    are normal input: ranks are decided with NumPy's tolerance, ``max(n_examples, n_units) *
    2.2e-16`` times the largest singular value of the network's units, each scaled to norm 1. Memory
    beside the arrays: about ``6 (n_x + n_y)^2`` float64, or 16 with dependent units.

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
            Called about twenty times a second, and at the end, as ``progress(description, done,
            total)``; `done` counts pairs of a unit and an order. When it returns False the search
            ends within a second, and the result is what has been found, with ``complete`` False.
            What it raises ends the search too.

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

        Examples
        --------
        Progress as plain lines; without `stream` it is a bar on a terminal.

        >>> import io
        >>> import numpy as np
        >>> from convergent import SubspaceMatcher
        >>> from convergent.progress import progress
        >>> lines = io.StringIO()
        >>> with progress(stream=lines) as report:
        ...     matcher = SubspaceMatcher(np.eye(5)[:, :3], np.eye(5)[:, 1:3])
        ...     found = matcher.simple_matches(0.1, n_orders=2, progress=report)
        >>> found.sizes, lines.getvalue().splitlines()[-1]
        (array([2, 2]), 'simple matches: 10/10')
        """
        return minimal_match.simple_matches(
            self._live, _validate.epsilon(epsilon), n_orders, seed, n_threads, progress
        )

    def stability(self, epsilon: float) -> Stability:
        """Return how far the networks are from having several minimal matches of one unit.

        Parameters
        ----------
        epsilon : float in [0, 1)

        Returns
        -------
        Stability
            Bounds of the two quantities of Theorem 14, and whether they make each unit's minimal
            match unique.

        Raises
        ------
        TypeError, ValueError
            If epsilon is not a number, or lies outside [0, 1).

        Notes
        -----
        Costs a few products of matrices of ``(n_x + n_y)^2`` numbers and, for each unit, one least
        squares problem. Every set of units is looked at where there are at most 12.

        References
        ----------
        Wang et al. (2018), Section 4, Theorem 14.
        """
        return stability(self._live, _validate.epsilon(epsilon))

    def _max_matches(self, epsilons: list[float]) -> list[Match]:
        live = self._live
        members = np.zeros((len(epsilons), live.x.size + live.y.size), dtype=np.bool_)
        margins = np.full(len(epsilons), np.inf)
        if live.spans is not None:
            thresholds = np.array([live.threshold(epsilon) for epsilon in epsilons])
            descending = np.argsort(-thresholds, kind="stable")
            x, y = live.spans
            in_x, in_y, closest = _core.kernels.max_match(x.parts, y.parts, thresholds[descending])
            members[descending] = np.hstack([in_x, in_y])
            margins[descending] = closest
        return [
            self._with_dead(live.match(row, epsilon, float(margin)))
            for row, epsilon, margin in zip(members, epsilons, margins)
        ]

    def _with_dead(self, match: Match) -> Match:
        if self._live.dead_units != "match":
            return match
        x, y = np.union1d(match.x, self.dead_x), np.union1d(match.y, self.dead_y)
        share = (x.size + y.size) / (self.n_x + self.n_y)
        return replace(match, x=x, y=y, similarity=share)
