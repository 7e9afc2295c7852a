"""The tree of the units of two networks that the weights of a mapping make."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convergent import _validate

Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class UnitTree:
    """Average linkage of the units of two networks by the weights between them.

    The leaves are numbered as the rows and columns of ``B = [[I, W], [W^T, I]]``: first the
    `n_rows` units that are rows of the weights, then those that are columns.

    Examples
    --------
    >>> import convergent as cv
    >>> tree = cv.unit_tree([[0.0, 0.9], [0.5, 0.3]])
    >>> tree.leaves, tree.network[tree.leaves]
    (array([0, 3, 1, 2]), array([0, 1, 0, 1]))
    >>> tree.similarity
    array([[1. , 0.9, 0. , 0. ],
           [0.9, 1. , 0.3, 0. ],
           [0. , 0.3, 1. , 0.5],
           [0. , 0. , 0.5, 1. ]])
    """

    linkage: Doubles
    """The merges in SciPy's format, shape (n_leaves - 1, 4): the two merged, distance, leaves."""
    leaves: Indices
    """Leaves from left to right, shape (n_leaves,); indices into B."""
    network: Indices
    """0 for each leaf that is a row of the weights, 1 for a column, in the order of B."""
    n_rows: int
    """Leaves of the first network."""
    peak: float
    """Similarity at distance 0: 1, or the largest weight where that is more."""
    merge_similarity: Doubles
    """Average weight at each merge, descending, shape (n_leaves - 1,): `peak` less the distance."""
    joined_share: float
    """Share of the merges of two leaves that join the two networks."""
    _weights: Doubles = field(repr=False)

    @property
    def similarity(self) -> Doubles:
        """B in the order of `leaves`, shape (n_leaves, n_leaves); made when asked for."""
        return _block_matrix(self._weights)[np.ix_(self.leaves, self.leaves)]

    def __repr__(self) -> str:
        n_columns = self.network.size - self.n_rows
        return f"UnitTree({self.n_rows} + {n_columns} units, joined_share={self.joined_share:.3f})"


def unit_tree(weights: ArrayLike) -> UnitTree:
    """Join the units of two networks into a tree, those with the largest weights first.

    Parameters
    ----------
    weights : array of float, shape (n_rows, n_columns)
        Weights W of a mapping: rows are the units of one network, columns those of the other.
        Signed; a negative weight keeps units apart.

    Returns
    -------
    UnitTree

    Raises
    ------
    TypeError
        If `weights` is complex.
    ValueError
        If `weights` is not a finite, non-empty matrix.

    Notes
    -----
    Average linkage on ``B = [[I, W], [W^T, I]]``: again and again the two clusters are merged whose
    units have the largest average entry of B. This is average linkage on the distance ``1 - B``.
    Weights may exceed 1, and SciPy draws no negative distances, so the distance is
    ``peak - B`` with ``peak = max(1, largest weight)``. The merges are the same for every peak.

    Units without weights (dead units) join last, at similarity 0 or below. There, and wherever
    averages are equal, the order of the merges says nothing. SciPy decides it, always in the same
    way. The transposed weights give the same tree with the networks exchanged, but ties and
    the sides of the branches may differ.

    Time grows with ``(n_rows + n_columns)**2``; memory: four matrices of that size.

    References
    ----------
    Li et al. (2016), "Convergent Learning", Section 4 and Figure 7. There the rows are Net1, the
    network that predicts, and the columns Net2, the one that is predicted.

    Examples
    --------
    >>> import convergent as cv
    >>> tree = cv.unit_tree([[0.0, 0.9], [0.5, 0.3]])
    >>> tree
    UnitTree(2 + 2 units, joined_share=1.000)
    >>> tree.merge_similarity
    array([0.9  , 0.5  , 0.075])
    """
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    matrix = np.array(_validate.matrix(weights, "weights"), dtype=np.float64, order="C")
    n_rows, n_columns = matrix.shape
    peak = max(1.0, float(matrix.max()))
    distances = squareform(peak - _block_matrix(matrix), checks=False)
    linkage = np.asarray(hierarchy.linkage(distances, "average"), dtype=np.float64)
    leaves = np.asarray(hierarchy.leaves_list(linkage), dtype=np.intp)
    network = np.repeat(np.arange(2), (n_rows, n_columns))
    merged = linkage[:, :2].astype(np.intp)
    pairs = merged[(merged < network.size).all(axis=1)]
    joined = float(np.mean(network[pairs[:, 0]] != network[pairs[:, 1]]))
    return UnitTree(
        linkage, leaves, network, n_rows, peak, peak - linkage[:, 2], joined, _weights=matrix
    )


def _block_matrix(weights: Doubles) -> Doubles:
    n_rows, n_columns = weights.shape
    blocks = np.eye(n_rows + n_columns)
    blocks[:n_rows, n_rows:] = weights
    blocks[n_rows:, :n_rows] = weights.T
    return blocks
