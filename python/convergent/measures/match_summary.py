"""What a matrix of similarities says about single units: the published summaries of Section 3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convergent import _validate
from convergent.measures.assignment import UnitMatch, match_units

Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class MatchSummary:
    """The matchings of two networks' units, and what is reported of them.

    Examples
    --------
    >>> import convergent as cv
    >>> summary = cv.match_summary([[0.9, 0.8], [0.7, 0.1], [0.2, 0.3]])
    >>> summary.order, summary.sorted_semi, summary.sorted_one_to_one
    (array([0, 1, 2]), array([0.9, 0.7, 0.3]), array([0.8, 0.7, nan]))
    """

    semi: UnitMatch
    """For each unit of x the most similar of y."""
    one_to_one: UnitMatch
    """The assignment of greatest total."""
    mutual: UnitMatch
    """Pairs of which each is the other's most similar."""
    mean_semi: float
    """Mean similarity of the pairs of `semi`."""
    mean_one_to_one: float
    """Mean similarity of the pairs of `one_to_one`."""
    agreement: float
    """Share of the units of x that have the same partner in both."""
    unmatched: float
    """Share of the units of x that no unit of y resembles by more than the threshold; NaN without one."""
    threshold: float | None
    """The threshold that was asked for."""
    order: Indices
    """Units of x from the best to the worst match in `semi`, shape (n_units_x,); ties: lowest index."""
    sorted_semi: Doubles
    """Values of `semi` in that order."""
    sorted_one_to_one: Doubles
    """Values of `one_to_one` in that order, NaN for units that stay alone."""
    best: Indices
    """The first `n_shown` units of `order`."""
    worst: Indices
    """The last `n_shown` units of `order`; the last one is the worst."""

    def __repr__(self) -> str:
        unmatched = "" if self.threshold is None else f", unmatched={self.unmatched:.3f}"
        return (
            f"MatchSummary({self.order.size} units, mean_semi={self.mean_semi:.3f}, "
            f"mean_one_to_one={self.mean_one_to_one:.3f}, agreement={self.agreement:.3f}{unmatched})"
        )


def match_summary(
    similarity: ArrayLike, *, threshold: float | None = 0.5, n_shown: int = 8
) -> MatchSummary:
    """Match the units of two networks in all three ways and summarise the matches.

    Parameters
    ----------
    similarity : array of float, shape (n_units_x, n_units_y)
        Correlation, mutual information or another similarity: finite, larger is more alike.
    threshold : float or None
        A unit of x whose best value is not above it counts as unmatched. None, for similarities
        without such a value (mutual information): `unmatched` is NaN.
    n_shown : int
        How many units `best` and `worst` list; all units where there are fewer.

    Returns
    -------
    MatchSummary

    Raises
    ------
    TypeError
        If `similarity` is complex, `threshold` no number or `n_shown` no whole number.
    ValueError
        If `similarity` is not a finite, non-empty matrix, `threshold` is not finite, or `n_shown`
        is less than 1.

    Notes
    -----
    Dead units count: their values are those of their rows, 0 for correlations, so that they come
    among the worst and are unmatched at any threshold from 0 on. One exact assignment is the cost.

    References
    ----------
    Li et al. (2016), "Convergent Learning", Section 3, Figures 2 and 3.

    Examples
    --------
    >>> import convergent as cv
    >>> cv.match_summary([[0.9, 0.8], [0.7, 0.1]])
    MatchSummary(2 units, mean_semi=0.800, mean_one_to_one=0.750, agreement=0.500, unmatched=0.000)
    """
    matrix = _validate.matrix(similarity, "similarity")
    if threshold is not None:
        threshold = _validate.real(threshold, "threshold")
    n_shown = _validate.integer(n_shown, "n_shown", low=1)
    semi, one_to_one, mutual = (match_units(matrix, k) for k in ("semi", "one_to_one", "mutual"))
    n_units = semi.x.size
    order = np.argsort(-semi.values, kind="stable")
    own = np.full(n_units, np.nan)
    own[one_to_one.x] = one_to_one.values
    same = np.count_nonzero(semi.y[one_to_one.x] == one_to_one.y)
    return MatchSummary(
        semi=semi,
        one_to_one=one_to_one,
        mutual=mutual,
        mean_semi=float(semi.values.mean()),
        mean_one_to_one=float(one_to_one.values.mean()),
        agreement=float(same / n_units),
        unmatched=np.nan if threshold is None else float(np.mean(semi.values <= threshold)),
        threshold=threshold,
        order=order,
        sorted_semi=semi.values[order],
        sorted_one_to_one=own[order],
        best=order[:n_shown],
        worst=order[-n_shown:],
    )
