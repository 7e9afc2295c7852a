"""What the subspace matches return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convergent.measures.span import ROUNDING

Units = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Match:
    """Units of two networks whose activations span each other within `epsilon`.

    Attributes
    ----------
    x, y : array of int
        Units of each network that belong to the match, ascending.
    similarity : float in [0, 1]
        Share of the units of both networks that belong to it.
    epsilon : float
        Largest relative distance ``dist(z, span) / |z|`` (dimensionless).
    margin : float
        How close the closest decision on the way was: the least ``|distance - epsilon|``.
    certain : bool
        Whether the distances were accurate enough for every decision. Moments (see
        `SubspaceMatcher.from_moments`) may leave one open; activations hardly ever do.

    Examples
    --------
    >>> import convergent as cv
    >>> match = cv.max_match([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]], [[2.0], [0.0], [0.0]], 0.1)
    >>> match.x, match.y
    (array([0]), array([0]))
    """

    x: Units
    y: Units
    similarity: float
    epsilon: float
    margin: float = np.inf
    certain: bool = True

    def __repr__(self) -> str:
        doubt = "" if self.certain else ", not certain"
        return (
            f"Match(epsilon={self.epsilon:g}, {self.x.size} + {self.y.size} units, "
            f"similarity={self.similarity:.3f}{doubt})"
        )


@dataclass(frozen=True, slots=True)
class MatchLevels:
    """The smallest epsilon at which each unit belongs to the maximum match.

    Maximum matches are nested: the one for an epsilon is the set of units whose level is at most
    that epsilon. Levels that differ by rounding (1e-12) are equal.

    Attributes
    ----------
    x, y : array of float64, shape (n_units,)
        Level of each unit of each network; 0 for an exact match, infinity for dead units that
        count as unmatched or are left out.
    n_counted : int
        Units that the similarity is a share of.

    Examples
    --------
    >>> import convergent as cv
    >>> x, y = [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [[1.0], [0.0], [0.75]]
    >>> levels = cv.SubspaceMatcher(x, y).levels()
    >>> levels.x.round(3), levels.y.round(3)
    (array([0.6, 1. ]), array([0.6]))
    >>> levels.similarity([0.5, 0.7]).round(3)
    array([0.   , 0.667])
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    n_counted: int

    def __repr__(self) -> str:
        finite = np.concatenate([self.x, self.y])
        finite = finite[np.isfinite(finite)]
        if finite.size == 0:
            return f"MatchLevels({self.x.size} + {self.y.size} units, none finite)"
        return (
            f"MatchLevels({self.x.size} + {self.y.size} units, {finite.min():.3g} to "
            f"{finite.max():.3g})"
        )

    def similarity(self, epsilon: ArrayLike) -> NDArray[np.float64]:
        """Return the maximum matching similarity s(epsilon) for any epsilons, in their shape."""
        levels = np.sort(np.concatenate([self.x, self.y]))
        limits = np.asarray(epsilon, dtype=np.float64) + ROUNDING  # as the matches themselves
        counts = np.searchsorted(levels, limits, side="right")
        return np.asarray(counts / max(self.n_counted, 1), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class MinMatches:
    """All minimal matches of one unit, as far as they were found.

    Attributes
    ----------
    matches : tuple of Match
        In the order in which they were found, none twice.
    complete : bool
        Whether there are no others. False when a limit ended the search.

    Examples
    --------
    The second unit of `x` is twofold in `y`, so it has two minimal matches.

    >>> import numpy as np
    >>> import convergent as cv
    >>> basis = np.eye(4)
    >>> matcher = cv.SubspaceMatcher(basis[:, :2], basis[:, [1, 1, 2]])
    >>> found = matcher.all_min_matches(("x", 1), 0.1)
    >>> sorted(match.y.tolist() for match in found.matches), found.complete
    ([[0], [1]], True)
    """

    matches: tuple[Match, ...]
    complete: bool

    def __repr__(self) -> str:
        return f"MinMatches({len(self.matches)} matches, complete={self.complete})"


@dataclass(frozen=True, slots=True)
class SimpleMatches:
    """Simple matches: those that are no union of smaller ones.

    Attributes
    ----------
    matches : tuple of Match
        Distinct, by size and then by their units.
    sizes : array of int, shape (n_matches,)
        Units in each match, of both networks together.
    of_unit : dict from ("x" or "y", unit) to tuple of int
        For each unit of the maximum match, which matches were found as its minimal ones.
    complete : bool
        Whether every unit was searched in every order. False when `progress` stopped the search.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> basis = np.eye(4)
    >>> y = np.column_stack([basis[:, 0] + basis[:, 1], basis[:, 0] - basis[:, 1], basis[:, 2]])
    >>> found = cv.simple_matches(basis[:, :3], y, 0.1)
    >>> [(match.x.tolist(), match.y.tolist()) for match in found.matches]
    [([2], [2]), ([0, 1], [0, 1])]
    >>> found.sizes
    array([2, 4])
    """

    matches: tuple[Match, ...]
    sizes: NDArray[np.intp]
    of_unit: dict[tuple[str, int], tuple[int, ...]] = field(repr=False)
    complete: bool = True

    def __repr__(self) -> str:
        middle = f", median size {np.median(self.sizes):g}" if self.sizes.size else ""
        return f"SimpleMatches({len(self.matches)} matches{middle}, complete={self.complete})"


def unit_index(unit: object, n_x: int, n_y: int) -> int:
    """Return the index of ("x", i) or ("y", j) among the units of both networks, x first."""
    if not (isinstance(unit, Sequence) and len(unit) == 2 and unit[0] in ("x", "y")):
        raise ValueError(f'`unit` must be ("x", index) or ("y", index), got {unit!r}')
    side, index = unit
    if isinstance(index, (bool, np.bool_)) or not isinstance(index, (int, np.integer)):
        raise TypeError(f"`unit` must name a whole number, got {index!r}")
    n_units = n_x if side == "x" else n_y
    if not 0 <= index < n_units:
        raise ValueError(f"`unit` must name one of the {n_units} units of {side}, got {index}")
    return int(index) if side == "x" else n_x + int(index)
