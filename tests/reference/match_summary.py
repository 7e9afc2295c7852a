"""Summaries of matchings and units that recur, by definition: every unit and every tuple looked at."""

from __future__ import annotations

from itertools import product
from typing import Any

from numpy.typing import NDArray

Matrix = NDArray[Any]
Pairs = list[tuple[int, int]]


def unit_order(similarity: Matrix, semi: Pairs) -> list[int]:
    """Return the rows from the best semi-match to the worst; of equal ones the lowest first."""
    left = list(range(similarity.shape[0]))
    order = []
    while left:
        best = left[0]
        for i in left:
            if similarity[semi[i]] > similarity[semi[best]]:
                best = i
        order.append(best)
        left.remove(best)
    return order


def agreement(semi: Pairs, one_to_one: Pairs) -> float:
    """Return the share of rows with the same partner in both."""
    same = 0
    for pair in semi:
        same += pair in one_to_one
    return same / len(semi)


def unmatched(similarity: Matrix, threshold: float) -> float:
    """Return the share of rows without an entry above the threshold."""
    alone = 0
    for i in range(similarity.shape[0]):
        if not any(similarity[i, j] > threshold for j in range(similarity.shape[1])):
            alone += 1
    return float(alone / similarity.shape[0])


def value_of(similarities: dict[tuple[int, int], Matrix], i: int, u: int, j: int, v: int) -> float:
    """Return the similarity of unit u of network i and unit v of network j."""
    return float(similarities[i, j][u, v] if i < j else similarities[j, i][v, u])


def recurring(
    similarities: dict[tuple[int, int], Matrix],
    matches: dict[tuple[int, int], Pairs],
    widths: list[int],
    threshold: float | None,
) -> tuple[list[tuple[tuple[int, ...], float]], list[list[int]]]:
    """Return the tuples that are matched all round with their weakest value, and the counts.

    matches: the pairs of units that were matched, for each pair of networks.
    """
    n_networks = len(widths)

    def matched(i: int, u: int, j: int, v: int) -> bool:
        pair = ((u, v), matches[i, j]) if i < j else ((v, u), matches[j, i])
        strong = threshold is None or value_of(similarities, i, u, j, v) > threshold
        return pair[0] in pair[1] and strong

    found = []
    for units in product(*(range(width) for width in widths)):
        if all(matched(i, units[i], j, units[j]) for i in range(n_networks) for j in range(i)):
            weakest = min(
                value_of(similarities, i, units[i], j, units[j])
                for i in range(n_networks)
                for j in range(i)
            )
            found.append((units, weakest))
    found.sort(key=lambda entry: (-entry[1], entry[0]))
    counts = []
    for i in range(n_networks):
        counts.append(
            [
                sum(
                    any(matched(i, u, j, v) for v in range(widths[j]))
                    for j in range(n_networks)
                    if j != i
                )
                for u in range(widths[i])
            ]
        )
    return found, counts
