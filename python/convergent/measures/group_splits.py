"""k-means on the embedding of a graph: the first groups, and the splits of large ones."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray

from convergent.measures.similarity_graph import SimilarityGraph, similarity_graph

Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]
Splits = tuple[tuple[int, Indices], ...]

N_STARTS = 20
# Rows that agree to so many decimals are the same unit to k-means. Eigenvectors have length 1.
# k-means works with squared distances, so closer rows would be one to it anyway.
_DECIMALS = 7


def first_groups(graph: SimilarityGraph, n_groups: int, seed: int) -> list[Indices]:
    """Return the units of each of `n_groups` groups, at least 1 and at most the units."""
    components = graph.components
    if n_groups <= len(components):
        # Every cut between components costs nothing, so the spectrum cannot say which to join.
        rest = np.sort(np.concatenate(components[n_groups - 1 :]))
        return [*components[: n_groups - 1], rest]
    return parts(graph.embedding(n_groups), n_groups, seed)


def split_large(
    graph: SimilarityGraph, groups: list[Indices], limit: float, seed: int
) -> tuple[list[Indices], list[tuple[int, list[int]]]]:
    """Split groups of more than `limit` units again and again.

    Returns all groups, the split ones too, and the splits as (group, its parts), parents first.
    """
    points = graph.embedding(len(groups))
    nodes: list[Indices] = list(groups)
    splits: list[tuple[int, list[int]]] = []
    for node, members in enumerate(nodes):  # grows while it is read
        if members.size <= max(limit, 1.0):
            continue
        n_parts = min(math.ceil(members.size / limit), members.size)
        found = parts(points[members], n_parts, seed)
        if len(found) == 1:
            # The embedding of the whole holds nothing about these units; that of their own does.
            inner = similarity_graph(graph.weights[np.ix_(members, members)])
            found = first_groups(inner, n_parts, seed)
        if len(found) > 1:
            splits.append((node, list(range(len(nodes), len(nodes) + len(found)))))
            nodes.extend(members[part] for part in found)
    return nodes, splits


def parts(points: Doubles, n_parts: int, seed: int) -> list[Indices]:
    """Return the rows of each of `n_parts` clusters, or of fewer if fewer rows are distinct."""
    rows, row_of, counts = np.unique(
        np.round(points, _DECIMALS) + 0.0, axis=0, return_inverse=True, return_counts=True
    )
    label = row_of.reshape(-1)
    if n_parts == 1:
        label = np.zeros_like(label)
    elif n_parts < rows.shape[0]:
        label = _k_means(rows, counts, n_parts, seed)[label]
    return [np.flatnonzero(label == part) for part in np.unique(label)]


def _k_means(rows: Doubles, counts: Indices, n_clusters: int, seed: int) -> Indices:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # scikit-learn needs it, too

    means = KMeans(n_clusters, n_init=N_STARTS, algorithm="lloyd", random_state=seed)
    # Threads add up in any order, and ties may then fall one way or the other.
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # Given when it finds fewer clusters than asked for; `parts` then returns fewer.
        warnings.simplefilter("ignore", ConvergenceWarning)
        means.fit(rows, sample_weight=counts.astype(np.float64))
    return np.asarray(means.labels_, dtype=np.intp)


def number_groups(
    units: list[Indices], splits: list[tuple[int, list[int]]], means: list[tuple[float, float]]
) -> tuple[list[int], Splits]:
    """Return the groups that were not split, by their first mean, and the splits renumbered."""
    split = [node for node, _ in splits]
    leaves = [node for node in range(len(units)) if node not in set(split)]
    leaves.sort(key=lambda leaf: (-means[leaf][0], int(units[leaf][0])))
    number = {node: k for k, node in enumerate([*leaves, *split])}
    tree = tuple(
        (number[node], np.array(sorted(number[child] for child in children), dtype=np.intp))
        for node, children in splits
    )
    return leaves, tree
