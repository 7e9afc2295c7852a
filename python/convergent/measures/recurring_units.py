"""Units that every one of several networks has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convergent import _validate
from convergent.measures.assignment import match_units

Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]
Pair = tuple[int, int]

KINDS = ("mutual", "one_to_one")


@dataclass(frozen=True, slots=True, eq=False)
class RecurringUnits:
    """Sets of units, one of each network, that are all matched to each other.

    Examples
    --------
    >>> import convergent as cv
    >>> same, other = [[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [0.2, 0.3]]
    >>> found = cv.recurring_units({(0, 1): same, (0, 2): other, (1, 2): other})
    >>> found.units, found.weakest
    (array([[0, 0, 0]]), array([0.9]))
    >>> found.n_networks
    (array([2, 1]), array([2, 1]), array([2, 0]))
    """

    units: Indices
    """A row for each set, a column for each network, shape (n_found, n_networks)."""
    weakest: Doubles
    """Least similarity within each set, descending, shape (n_found,)."""
    n_networks: tuple[Indices, ...]
    """For each network, in how many others each of its units is matched, shape (n_units,) each."""
    kind: str
    """How pairs of networks were matched."""
    threshold: float | None
    """The value that each match had to exceed."""

    def __repr__(self) -> str:
        return f"RecurringUnits({self.weakest.size} in all {len(self.n_networks)} networks)"


def recurring_units(
    similarities: Mapping[Pair, ArrayLike],
    *,
    threshold: float | None = 0.5,
    kind: Literal["mutual", "one_to_one"] = "mutual",
) -> RecurringUnits:
    """Return the units that recur in all networks.

    A unit recurs when each network has one unit such that all of them are matched to each other.

    Parameters
    ----------
    similarities : mapping from (i, j) to array of float, shape (n_units_i, n_units_j)
        For every pair ``i < j`` of the networks 0 to N - 1: correlation, mutual information or
        another similarity, finite, larger is more alike.
    threshold : float or None
        Only matches with a larger similarity count. None counts all.
    kind : {"mutual", "one_to_one"}
        How two networks are matched, as in `match_units`.

    Returns
    -------
    RecurringUnits
        Sets by their weakest similarity, strongest first; of equal ones that of the lower unit of
        network 0 first.

    Raises
    ------
    TypeError
        If `similarities` is no mapping, holds complex numbers, or `threshold` is no number.
    ValueError
        If a pair is missing or is none, if the matrices of a network differ in its number of units,
        if one is not a finite, non-empty matrix, `threshold` is not finite, or `kind` is another.

    Notes
    -----
    Each unit belongs to one set at most. Matched all round is a strict demand: in a chain
    ``a - b - c`` without the match of a and c, no unit recurs. `n_networks` counts what is there: a
    unit of a set has N - 1, but N - 1 does not make a set, since the partners may disagree.
    A dead unit has similarity 0 to all, which no threshold from 0 on lets pass.

    References
    ----------
    Li et al. (2016), "Convergent Learning", Section 3: a core of features is learned by every
    network. The paper shows it for two networks; this is the same for more.

    Examples
    --------
    >>> import convergent as cv
    >>> networks = [[0.9, 0.1], [0.2, 0.8]]
    >>> cv.recurring_units({(0, 1): networks, (0, 2): networks, (1, 2): networks})
    RecurringUnits(2 in all 3 networks)
    """
    matrices, widths = _pairs(similarities)
    _validate.choice(kind, "kind", KINDS)
    if threshold is not None:
        threshold = _validate.real(threshold, "threshold")
    # partner[i, j][u]: the unit of j that unit u of i is matched with, or -1.
    partner: dict[Pair, Indices] = {}
    values: dict[Pair, Doubles] = {}
    for (i, j), matrix in matrices.items():
        match = match_units(matrix, kind)
        kept = slice(None) if threshold is None else match.values > threshold
        partner[i, j], partner[j, i] = np.full(widths[i], -1), np.full(widths[j], -1)
        partner[i, j][match.x[kept]] = match.y[kept]
        partner[j, i][match.y[kept]] = match.x[kept]
        values[i, j] = np.full(widths[i], np.nan)
        values[i, j][match.x] = match.values
    units = _all_round(partner, widths)
    weakest = np.full(units.shape[0], np.inf)
    for i, j in matrices:
        weakest = np.minimum(weakest, values[i, j][units[:, i]])
    order = np.argsort(-weakest, kind="stable")
    networks = range(len(widths))
    counts = tuple(
        np.stack([partner[i, j] >= 0 for j in networks if j != i]).sum(axis=0, dtype=np.intp)
        for i in networks
    )
    return RecurringUnits(units[order], weakest[order], counts, kind, threshold)


def _all_round(partner: dict[Pair, Indices], widths: list[int]) -> Indices:
    """Return the sets that are matched all round, by their unit of network 0."""
    others = range(1, len(widths))
    units = np.column_stack([np.arange(widths[0]), *(partner[0, j] for j in others)])
    units = units[(units >= 0).all(axis=1)]
    for j, k in combinations(others, 2):
        units = units[partner[j, k][units[:, j]] == units[:, k]]
    return units


def _pairs(similarities: Any) -> tuple[dict[Pair, _validate.Floats], list[int]]:
    """Return the matrix of every pair of networks, and the number of units of each network."""
    if not isinstance(similarities, Mapping):
        raise TypeError(
            "`similarities` must be a mapping from pairs (i, j) of networks to matrices, got "
            f"{type(similarities).__name__}"
        )
    for key in similarities:
        if not _is_pair(key):
            raise ValueError(
                "`similarities` must have pairs (i, j) of whole numbers with 0 <= i < j as keys, "
                f"got {key!r}"
            )
    n_networks = 1 + max((j for _, j in similarities), default=1)
    for pair in combinations(range(n_networks), 2):
        if pair not in similarities:
            raise ValueError(
                f"`similarities` must hold every pair of the {n_networks} networks, got none for "
                f"{pair}"
            )
    matrices: dict[Pair, _validate.Floats] = {}
    widths: dict[int, int] = {}
    for i, j in combinations(range(n_networks), 2):
        name = f"similarities[{i}, {j}]"
        matrices[i, j] = _validate.matrix(similarities[i, j], name)
        for network, width in zip((i, j), matrices[i, j].shape):
            if widths.setdefault(network, width) != width:
                raise ValueError(
                    f"`{name}` must have as many units of network {network} as the other pairs, "
                    f"got {width} and {widths[network]}"
                )
    return matrices, [widths[network] for network in range(n_networks)]


def _is_pair(key: Any) -> bool:
    return (
        isinstance(key, tuple)
        and len(key) == 2
        and all(isinstance(k, (int, np.integer)) and not isinstance(k, bool) for k in key)
        and 0 <= key[0] < key[1]
    )
