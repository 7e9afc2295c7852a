"""Groups of similar units of two networks, many to many, by spectral clustering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convergent import _validate
from convergent.measures.group_splits import Splits, first_groups, number_groups, split_large
from convergent.measures.similarity_graph import SimilarityGraph, similarity_graph

Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class UnitGroups:
    """Groups of units of two networks, those most alike between the networks first.

    *Combined* units are those of x, then those of y: unit j of y is combined unit ``n_x + j``.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> c_xx, c_yy = [[1.0, 0.8], [0.8, 1.0]], np.eye(3)
    >>> groups = cv.unit_groups(c_xx, [[0.7, 0.0, 0.0], [0.6, 0.1, 0.0]], c_yy)
    >>> groups.labels_x, groups.labels_y
    (array([0, 0]), array([ 0, -1, -1]))
    >>> groups.between, groups.within, groups.isolated_y
    (array([0.65]), array([0.95]), array([1, 2]))
    >>> groups.members(0)
    (array([0, 1]), array([0]))
    """

    labels_x: Indices
    """Group of each unit of x, shape (n_x,); -1 for a unit without an edge."""
    labels_y: Indices
    """Group of each unit of y, shape (n_y,); -1 for a unit without an edge."""
    n_groups: int
    """Groups in the end, after large ones were split."""
    n_first: int
    """Groups before that."""
    sizes: Indices
    """Units of x and of y in each group, shape (n_groups, 2)."""
    between: Doubles
    """Mean correlation of a group's units of x with its units of y; 0 if one has none."""
    within: Doubles
    """Mean correlation within x and within y, averaged over the networks that have units there."""
    eigenvalues: Doubles
    """Of the Laplacian of all units, ascending, shape (n_x + n_y,)."""
    n_components: int
    """Components of the graph; a unit without an edge is one."""
    isolated_x: Indices
    """Units of x without an edge, ascending."""
    isolated_y: Indices
    """Units of y without an edge, ascending."""
    order: Indices
    """Combined units, group by group, units without an edge last, shape (n_x + n_y,)."""
    splits: Splits
    """Pairs (node, its children): see the notes of `unit_groups`."""

    def members(self, group: int) -> tuple[Indices, Indices]:
        """Return the units of x and those of y in a group, or in a node of `splits`."""
        n_nodes = self.n_groups + len(self.splits)
        if n_nodes == 0:
            raise ValueError(f"`group` must be a group, got {group!r} and there is none")
        inside, nodes = [], [_validate.integer(group, "group", low=0, high=n_nodes - 1)]
        while nodes:
            node = nodes.pop()
            if node < self.n_groups:
                inside.append(node)
            else:
                nodes.extend(int(child) for child in self.splits[node - self.n_groups][1])
        x, y = np.isin(self.labels_x, inside), np.isin(self.labels_y, inside)
        return np.flatnonzero(x), np.flatnonzero(y)

    def __repr__(self) -> str:
        n_isolated = self.isolated_x.size + self.isolated_y.size
        return (
            f"UnitGroups({self.n_groups} groups of {self.labels_x.size} + {self.labels_y.size} "
            f"units, {n_isolated} without an edge)"
        )


def unit_groups(
    c_xx: ArrayLike,
    c_xy: ArrayLike,
    c_yy: ArrayLike,
    n_groups: int | None = None,
    *,
    threshold: float = 0.2,
    alpha: float | None = None,
    seed: int = 0,
) -> UnitGroups:
    """Group the units of two networks by spectral clustering of their correlations.

    Parameters
    ----------
    c_xx : array of float, shape (n_x, n_x)
        Correlations within the first network; symmetric, finite.
    c_xy : array of float, shape (n_x, n_y)
        Correlations between the networks.
    c_yy : array of float, shape (n_y, n_y)
        Correlations within the second network; symmetric, finite.
    n_groups : int or None
        How many groups to begin with, at most the units that have an edge. None takes the largest
        step between consecutive eigenvalues.
    threshold : float, at least 0
        Two units are joined by an edge if they correlate more than this.
    alpha : float in (0, 1] or None
        Split groups of more than ``alpha * (n_x + n_y)`` units again. None leaves them.
    seed : int
        Of the random starts of k-means.

    Returns
    -------
    UnitGroups
        Sorted by `between`, largest first; of equal ones that of the lowest combined unit first.

    Raises
    ------
    TypeError
        If a matrix is complex, or a number is of another kind.
    ValueError
        If the matrices are not finite or do not fit, `c_xx` or `c_yy` is not symmetric, `n_groups`
        is more than the units with an edge, or a number is out of its range.

    Notes
    -----
    The graph has the correlations above `threshold` as weights W; a unit's correlation with itself
    has no part in it. The embedding is the eigenvectors of ``D - W`` (D the row sums of W, the
    unnormalised Laplacian) with the smallest eigenvalues, as many as groups. An eigenspace is
    taken whole: eigenvectors with the same eigenvalue as the last one take part, too. k-means, the
    best of 20 starts, makes the groups. Units with equal rows there (to 7 decimals) are never parted.

    *Units without an edge* (dead units, those of a kind of their own) belong to no group. In the
    paper each would be a group by itself. *Components*: no group spans two, but for one case: fewer
    groups than components, where each of the largest is a group and the last group holds the rest.

    *Choice of n_groups*: eigenvalues of the units with an edge; the largest step after the k-th
    one, k from the number of components to half these units, and from one more component on where
    one has more than half of them (it would be left whole). Without any such step (all eigenvalues
    equal, or less than four units) each component is a group. Groups of very different sizes, and
    units that many others resemble, blur the step: give the number where you know it.

    *Splits*: a group of more than ``alpha * (n_x + n_y)`` units (``2 alpha S`` in the paper, with S
    units a network) is split by k-means into as few parts as could be small enough, and these again.
    k-means takes the group's rows of the same embedding. Where all of them are equal it takes the
    embedding of the group's own graph. `splits` is the tree: its nodes are the groups (0 to
    ``n_groups - 1``) and, numbered on from there, the groups that were split; ``splits[i]`` is
    ``(n_groups + i, children)``, parents before children.

    *Means*: `within` counts each unit's correlation with itself, as the paper's formula does. A group
    of one network has `between` 0 and the `within` of that network.

    The same input and seed give the same groups on one machine. Time grows with the cube of the
    largest component (an eigenvalue decomposition).

    References
    ----------
    Li et al. (2016), "Convergent Learning", Sections S.3.1 to S.3.5, Figures S5 to S9.

    Examples
    --------
    Two groups, the second with two units of y.

    >>> import numpy as np
    >>> import convergent as cv
    >>> c_xy = np.array([[0.9, 0.1, 0.0], [0.0, 0.6, 0.7]])
    >>> c_yy = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.5], [0.0, 0.5, 1.0]])
    >>> groups = cv.unit_groups(np.eye(2), c_xy, c_yy)
    >>> groups
    UnitGroups(2 groups of 2 + 3 units, 0 without an edge)
    >>> groups.sizes, groups.between
    (array([[1, 1],
           [1, 2]]), array([0.9 , 0.65]))
    """
    blocks = _blocks(c_xx, c_xy, c_yy)
    threshold = _validate.real(threshold, "threshold")
    if threshold < 0.0:
        raise ValueError(f"`threshold` must be at least 0, got {threshold}")
    if alpha is not None:
        alpha = _validate.real(alpha, "alpha")
        if not 0.0 < alpha <= 1.0:
            raise ValueError(f"`alpha` must lie in (0, 1], got {alpha}")
    seed = _validate.integer(seed, "seed", low=0, high=2**32 - 1)
    combined = np.block([[blocks[0], blocks[1]], [blocks[1].T, blocks[2]]])
    weights = np.where(combined > threshold, combined, 0.0)
    np.fill_diagonal(weights, 0.0)
    connected = np.flatnonzero(weights.any(axis=0))
    _check_n_groups(n_groups, connected.size, threshold)
    if connected.size == 0:
        return _result(blocks, None, [], [], 0)
    graph = similarity_graph(weights[np.ix_(connected, connected)])
    groups = first_groups(graph, graph.gap_count() if n_groups is None else n_groups, seed)
    n_first = len(groups)
    splits: list[tuple[int, list[int]]] = []
    if alpha is not None:
        # 0.29 * 100 is a little less than 29.
        limit = alpha * combined.shape[0] + 1e-9
        groups, splits = split_large(graph, groups, limit, seed)
    return _result(blocks, graph, [connected[members] for members in groups], splits, n_first)


def _blocks(c_xx: ArrayLike, c_xy: ArrayLike, c_yy: ArrayLike) -> tuple[Doubles, Doubles, Doubles]:
    between = _validate.matrix(c_xy, "c_xy").astype(np.float64)
    within = []
    for value, name, n_units, side in (
        (c_xx, "c_xx", between.shape[0], "rows"),
        (c_yy, "c_yy", between.shape[1], "columns"),
    ):
        matrix = _validate.matrix(value, name).astype(np.float64)
        if matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"`{name}` must be square, got shape {matrix.shape}")
        if matrix.shape[0] != n_units:
            raise ValueError(
                f"`{name}` must have as many units as `c_xy` has {side}, got {matrix.shape[0]} "
                f"and {n_units}"
            )
        difference = float(np.abs(matrix - matrix.T).max())
        if difference > 1e-6 * max(1.0, float(np.abs(matrix).max())):
            raise ValueError(
                f"`{name}` must be symmetric, got values that differ by up to {difference:.3g}"
            )
        within.append((matrix + matrix.T) / 2.0)
    return within[0], between, within[1]


def _check_n_groups(n_groups: int | None, n_units: int, threshold: float) -> None:
    if n_groups is not None and _validate.integer(n_groups, "n_groups", low=1) > n_units:
        raise ValueError(
            f"`n_groups` must be at most the number of units with an edge, {n_units} at threshold "
            f"{threshold:g}, got {n_groups}"
        )


def _result(
    blocks: tuple[Doubles, Doubles, Doubles],
    graph: SimilarityGraph | None,
    units: list[Indices],
    splits: list[tuple[int, list[int]]],
    n_first: int,
) -> UnitGroups:
    n_x, n_y = blocks[1].shape
    leaves, tree = number_groups(units, splits, [_means(blocks, members) for members in units])
    labels = np.full(n_x + n_y, -1, dtype=np.intp)
    for group, leaf in enumerate(leaves):
        labels[units[leaf]] = group
    means = np.array([_means(blocks, units[leaf]) for leaf in leaves]).reshape(-1, 2)
    isolated = np.flatnonzero(labels < 0)
    zeros = np.zeros(isolated.size)
    sizes = [[np.count_nonzero(units[k] < n_x), np.count_nonzero(units[k] >= n_x)] for k in leaves]
    return UnitGroups(
        labels_x=labels[:n_x],
        labels_y=labels[n_x:],
        n_groups=len(leaves),
        n_first=n_first,
        sizes=np.array(sizes, dtype=np.intp).reshape(-1, 2),
        between=means[:, 0],
        within=means[:, 1],
        eigenvalues=np.concatenate([zeros, graph.eigenvalues]) if graph else zeros,
        n_components=isolated.size + (len(graph.components) if graph else 0),
        isolated_x=isolated[isolated < n_x],
        isolated_y=isolated[isolated >= n_x] - n_x,
        order=np.concatenate([*(units[leaf] for leaf in leaves), isolated]),
        splits=tree,
    )


def _means(blocks: tuple[Doubles, Doubles, Doubles], units: Indices) -> tuple[float, float]:
    """Return the mean correlation between the networks and within them (Section S.3.5)."""
    n_x = blocks[1].shape[0]
    x, y = units[units < n_x], units[units >= n_x] - n_x
    within = [
        float(block[np.ix_(own, own)].mean())
        for block, own in ((blocks[0], x), (blocks[2], y))
        if own.size
    ]
    between = float(blocks[1][np.ix_(x, y)].mean()) if x.size and y.size else 0.0
    return between, sum(within) / max(len(within), 1)
