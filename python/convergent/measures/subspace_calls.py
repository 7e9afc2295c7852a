"""Subspace matches of two arrays in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convergent.measures.match_results import Match, SimpleMatches
from convergent.measures.subspace import SubspaceMatcher


@overload
def max_match(
    x: ArrayLike, y: ArrayLike, epsilon: float, *, dead_units: str = ..., center: bool = ...
) -> Match: ...


@overload
def max_match(
    x: ArrayLike,
    y: ArrayLike,
    epsilon: Sequence[float] | NDArray[np.floating[Any]],
    *,
    dead_units: str = ...,
    center: bool = ...,
) -> list[Match]: ...


def max_match(
    x: ArrayLike,
    y: ArrayLike,
    epsilon: float | Sequence[float] | NDArray[np.floating[Any]],
    *,
    dead_units: str = "exclude",
    center: bool = False,
) -> Match | list[Match]:
    """Return the largest pair of unit sets that span each other within `epsilon`.

    The same as ``SubspaceMatcher(x, y, ...).max_match(epsilon)``, where everything is described.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units_x), (n_examples, n_units_y)
        Activations; each column is one unit.
    epsilon : float in [0, 1), or a sequence of them
        Largest relative distance ``dist(z, span) / |z|`` (dimensionless).
    dead_units : {"exclude", "match", "unmatched"}
        What is made of units that are zero in every example.
    center : bool
        Whether the mean of each unit is taken out first.

    Returns
    -------
    Match, or list of Match in the order of `epsilon`

    Raises
    ------
    TypeError, ValueError
        As `SubspaceMatcher` and its method `max_match`.

    References
    ----------
    Wang et al. (2018), Definitions 1 and 3, Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((20, 3))
    >>> match = cv.max_match(x, x[:, [2, 0]] @ np.array([[1.0, 1.0], [1.0, -1.0]]), 0.0)
    >>> match.x, match.y, match.similarity
    (array([0, 2]), array([0, 1]), 0.8)
    """
    return SubspaceMatcher(x, y, dead_units=dead_units, center=center).max_match(epsilon)


def simple_matches(
    x: ArrayLike,
    y: ArrayLike,
    epsilon: float,
    *,
    n_orders: int = 1,
    seed: int = 0,
    n_threads: int | None = None,
    progress: Callable[[str, int, int], object] | None = None,
    dead_units: str = "exclude",
    center: bool = False,
) -> SimpleMatches:
    """Return the simple matches of two networks' units.

    The same as ``SubspaceMatcher(x, y, ...).simple_matches(epsilon, ...)``, where everything is described.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units_x), (n_examples, n_units_y)
        Activations; each column is one unit.
    epsilon : float in [0, 1)
    n_orders, seed, n_threads : int
        As in the method.
    progress : callable, optional
        As in the method: shows how far the search is, and may stop it.
    dead_units : {"exclude", "match", "unmatched"}
    center : bool

    Returns
    -------
    SimpleMatches

    References
    ----------
    Wang et al. (2018), Definition 4, Theorem 10.

    Examples
    --------
    Two networks that carry the same two directions, the second one mixed:

    >>> import convergent as cv
    >>> x = [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    >>> y = [[1.0, 1.0], [1.0, -1.0], [0.0, 0.0]]
    >>> cv.simple_matches(x, y, 0.1).sizes
    array([4])
    """
    matcher = SubspaceMatcher(x, y, dead_units=dead_units, center=center, n_threads=n_threads)
    return matcher.simple_matches(
        epsilon, n_orders=n_orders, seed=seed, n_threads=n_threads, progress=progress
    )
