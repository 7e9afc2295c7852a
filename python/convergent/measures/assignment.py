"""Pairing the units of two networks: assignment of greatest total, row by row, or mutual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convergent import _core, _validate

Indices = NDArray[np.intp]
Doubles = NDArray[np.float64]

KINDS = ("one_to_one", "semi", "mutual")


@dataclass(frozen=True, slots=True, eq=False)
class UnitMatch:
    """Pairs of units, one from each network, in the order of `x`.

    Examples
    --------
    >>> import convergent as cv
    >>> match = cv.match_units([[0.1, 0.9], [0.8, 0.7]])
    >>> match.x, match.y, match.values
    (array([0, 1]), array([1, 0]), array([0.9, 0.8]))
    """

    x: Indices
    """Units of the first network, ascending, shape (n_pairs,)."""
    y: Indices
    """Their partners in the second network, shape (n_pairs,)."""
    values: Doubles
    """Similarity of each pair, shape (n_pairs,)."""
    total: float
    """Sum of `values`."""

    def __repr__(self) -> str:
        return f"UnitMatch({self.x.size} pairs, total {self.total:.6g})"


@overload
def assign(
    cost: ArrayLike, *, maximize: bool = ..., return_duals: Literal[False] = ...
) -> tuple[Indices, Indices]: ...


@overload
def assign(
    cost: ArrayLike, *, maximize: bool = ..., return_duals: Literal[True]
) -> tuple[Indices, Indices, Doubles, Doubles]: ...


@overload
def assign(
    cost: ArrayLike, *, maximize: bool = ..., return_duals: bool
) -> tuple[Indices, Indices] | tuple[Indices, Indices, Doubles, Doubles]: ...


def assign(
    cost: ArrayLike, *, maximize: bool = False, return_duals: bool = False
) -> tuple[Indices, Indices] | tuple[Indices, Indices, Doubles, Doubles]:
    """Return the pairs of rows and columns of least total cost, exactly.

    Takes the place of `scipy.optimize.linear_sum_assignment`.

    Parameters
    ----------
    cost : array of float, int or bool, shape (n_rows, n_columns)
        ``+inf`` forbids a pair (``-inf`` with `maximize`). On the longer side some stay alone.
    maximize : bool
        Look for the greatest total instead.
    return_duals : bool
        Return the proof as well.

    Returns
    -------
    rows, columns : array of int, shape (min(n_rows, n_columns),)
        Pair k is ``(rows[k], columns[k])``; `rows` ascends.
    u, v : array of float64, shape (n_rows,), (n_columns,)
        Only with `return_duals`: ``u[i] + v[j] <= cost[i, j]`` everywhere, equal on the pairs.
        With more columns than rows ``v <= 0``, and ``v[j] == 0`` where j stays alone; with more
        rows than columns the same holds of `u`; of a square matrix neither sign is fixed. So
        ``u.sum() + v.sum()`` is the total, and no assignment costs less. With `maximize` all
        signs turn round (``>=``). The signs and zeros are exact, the rest holds up to the
        rounding of sums of costs.

    Raises
    ------
    TypeError
        If `cost` is complex, or a flag is not a bool.
    ValueError
        If `cost` is not a matrix of numbers, holds NaN or the infinity that does not forbid, or
        if the forbidden pairs leave no assignment.

    Notes
    -----
    Of each row only the cheapest columns are looked at, with a bound for all others, and the whole
    row again only where these do not decide; so the answer is exact. Where lists do not pay (ties
    everywhere, rows that all want the same) the whole matrix is searched: time at worst
    proportional to ``min**2 * max`` of the two sides. Of several optimal assignments one is
    returned, always the same for the same array in the same memory order; a constant matrix gives
    the identity. An empty matrix has an empty answer.

    float32 and float64 are read where they lie, and computed with in double precision. One copy is
    made of other dtypes (bool, float16 and whole numbers up to 16 bits as float32, all others as
    float64), and one of a matrix whose longer side is not the contiguous one (a tall matrix in C
    order, a wide one in Fortran order, any with gaps). Other memory: a few vectors, and lists of
    the cheapest entries, which take a fraction of what the matrix does.

    References
    ----------
    Jonker and Volgenant (1987), "A shortest augmenting path algorithm for dense and sparse linear
    assignment problems", Computing 38.
    Volgenant (1996), "Linear and semi-assignment problems: a core oriented approach", Computers &
    Operations Research 23.

    Examples
    --------
    >>> import convergent as cv
    >>> rows, columns, u, v = cv.assign([[4, 1, 3], [2, 0, 5], [3, 2, 2]], return_duals=True)
    >>> columns
    array([1, 0, 2])
    >>> float(u.sum() + v.sum())
    5.0
    """
    maximize = _validate.flag(maximize, "maximize")
    return_duals = _validate.flag(return_duals, "return_duals")
    matrix = _validate.costs(cost, "cost")
    status, column_of_row, u, v = _core.kernels.assign(matrix, maximize, return_duals)
    if status == "invalid":
        raise ValueError(_describe_invalid(matrix, maximize))
    if status == "infeasible":
        raise ValueError(
            f"`cost` must allow {min(matrix.shape)} pairs, got a matrix of shape {matrix.shape} "
            f"whose {np.count_nonzero(np.isinf(matrix))} forbidden pairs leave fewer"
        )
    rows = np.flatnonzero(column_of_row >= 0)
    columns = column_of_row[rows].astype(np.intp, copy=False)
    return (rows, columns) if u is None or v is None else (rows, columns, u, v)


def match_units(
    similarity: ArrayLike, kind: Literal["one_to_one", "semi", "mutual"] = "one_to_one"
) -> UnitMatch:
    """Match the units of two networks by their similarities.

    Parameters
    ----------
    similarity : array of float, shape (n_units_x, n_units_y)
        Correlation, mutual information or another similarity: finite, larger is more alike.
    kind : {"one_to_one", "semi", "mutual"}
        ``"one_to_one"``: the assignment of greatest total, ``min(n_units_x, n_units_y)`` pairs.
        ``"semi"``: for each unit of x the most similar of y, which may serve several.
        ``"mutual"``: the pairs of which each is the other's most similar.
        Of equally similar ones the lowest index is the most similar.

    Returns
    -------
    UnitMatch
        `x` ascending, `y`, `values` (float64) and their `total`.

    Raises
    ------
    TypeError
        If `similarity` is complex.
    ValueError
        If `similarity` is not a finite, non-empty matrix, or `kind` is another.

    Notes
    -----
    Dead units have rows or columns of zeros and are matched like any other: one-to-one they take
    what the others leave, and the most similar of a row of zeros is unit 0.

    References
    ----------
    Li et al. (2016), "Convergent Learning", Section 3 (bipartite semi-matching and matching).

    Examples
    --------
    >>> import convergent as cv
    >>> similarity = [[0.9, 0.8], [0.7, 0.1]]
    >>> cv.match_units(similarity)
    UnitMatch(2 pairs, total 1.5)
    >>> cv.match_units(similarity).y, cv.match_units(similarity, "semi").y
    (array([1, 0]), array([0, 0]))
    """
    matrix = _validate.matrix(similarity, "similarity")
    _validate.choice(kind, "kind", KINDS)
    if kind == "one_to_one":
        x, y = assign(matrix, maximize=True)
    else:
        x, y = np.arange(matrix.shape[0]), np.argmax(matrix, axis=1)
        if kind == "mutual":
            x = np.flatnonzero(np.argmax(matrix, axis=0)[y] == x)
            y = y[x]
    values = matrix[x, y].astype(np.float64)
    return UnitMatch(x, y, values, float(values.sum()))


def match_agreement(similarity: ArrayLike) -> float:
    """Return the share of x units whose semi-match is also their one-to-one match.

    Parameters
    ----------
    similarity : array of float, shape (n_units_x, n_units_y)
        As for `match_units`.

    Returns
    -------
    float in [0, 1]
        Over all units of x; those that stay alone one-to-one (more units in x than in y) count
        as not agreeing.

    Raises
    ------
    TypeError
        If `similarity` is complex.
    ValueError
        If `similarity` is not a finite, non-empty matrix.

    Notes
    -----
    Dead units count; their matches are those that `match_units` states.

    References
    ----------
    Li et al. (2016), "Convergent Learning", Section 3.

    Examples
    --------
    >>> import convergent as cv
    >>> cv.match_agreement([[0.9, 0.8], [0.7, 0.1]])
    0.5
    """
    one_to_one = match_units(similarity, "one_to_one")
    semi = match_units(similarity, "semi")
    return float(np.count_nonzero(semi.y[one_to_one.x] == one_to_one.y) / semi.x.size)


def _describe_invalid(matrix: _validate.Floats, maximize: bool) -> str:
    wrong, forbidding = (np.inf, "-inf") if maximize else (-np.inf, "+inf")
    wrong_name = "+inf" if maximize else "-inf"
    n_bad, first, first_row, row = 0, (-1, -1), 0, 0
    for rows in _validate.row_blocks(matrix):
        bad = np.isnan(rows) | (rows == wrong)
        if n_bad == 0 and bad.any():
            row, column = np.argwhere(bad)[0]
            first = (first_row + int(row), int(column))
        n_bad += int(np.count_nonzero(bad))
        first_row += rows.shape[0]
    return (
        f"`cost` must not hold NaN or {wrong_name} (only {forbidding}, which forbids a pair), got "
        f"{n_bad} such values, the first {matrix[first]} at row {first[0]}, column {first[1]}"
    )
