"""Representational similarity of examples, within networks and between them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from convergent import _validate
from convergent._validate import Floats
from convergent._warnings import DeadUnitWarning
from convergent.measures.shared_response import SharedResponseModel
from convergent.measures.shared_space import Matrix, shared_activations, unit_means, weight_list

KINDS = ("cosine", "pearson")
ROUNDING = 16.0 * np.finfo(np.float64).eps
"""Similarities that differ by no more than this are the same."""


def rsm(x: Any, kind: str = "cosine") -> Matrix:
    """Return the similarity of every two examples of one network.

    Parameters
    ----------
    x : array of float, shape (n_examples, n_units)
        Activations; each row is one example.
    kind : {"cosine", "pearson"}
        "cosine": the paper's ``A^T A`` on normalised examples, which no rotation of the units
        changes. "pearson": correlation across the units, which is **not** rotation invariant.

    Returns
    -------
    array of float64, shape (n_examples, n_examples)
        Symmetric, in [-1, 1]. An example without direction (all units zero, or all alike for
        "pearson") has similarity 0 to every example and to itself; never NaN.

    Raises
    ------
    TypeError
        If `x` is complex.
    ValueError
        If `x` is empty, not a finite matrix, or has one unit with "pearson".

    Notes
    -----
    Needs one float64 copy of the activations.

    References
    ----------
    Lu et al. (2018), Section 2 and Proposition 1.

    Examples
    --------
    >>> import convergent as cv
    >>> cv.rsm([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]]).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    directions = directions_of(_validate.activations(x, "x"), kind)
    similarity = directions @ directions.T
    np.clip(similarity, -1.0, 1.0, out=similarity)
    np.fill_diagonal(similarity, directions.any(axis=1))
    return similarity


def inter_rsm(
    x: Any, y: Any = None, *, kind: str = "cosine", convention: str = "pairwise"
) -> Matrix:
    """Return the similarity of every example in one network to every example in another.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units)
        Activations of two networks in the same space: shared-space ones, or native ones of equal
        width. Without `y`, `x` is a list of such arrays, one a network.
    kind : {"cosine", "pearson"}
        As in `rsm`.
    convention : {"pairwise", "leave-one-out"}
        For a list. "pairwise": the mean over all ordered pairs of networks. "leave-one-out", the
        authors': the mean over networks of each one against the mean activations of the others.

    Returns
    -------
    array of float64, shape (n_examples, n_examples)
        Rows are examples in `x`, columns examples in `y` (or in the other networks). Examples
        without direction have similarity 0; never NaN.

    Raises
    ------
    TypeError
        If activations are complex, or `x` is no list where there is no `y`.
    ValueError
        If examples or units differ, or values are not finite.

    References
    ----------
    Lu et al. (2018), Section 2, inter-network RSM.

    Examples
    --------
    >>> import convergent as cv
    >>> cv.inter_rsm([[1.0, 0.0], [0.0, 1.0]], [[0.0, 2.0], [2.0, 0.0]]).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    _validate.choice(convention, "convention", ("pairwise", "leave-one-out"))
    if y is None:
        networks = _validate.activation_list(x, "x")
    else:
        networks = list(_validate.activation_pair(x, y))
    for i, network in enumerate(networks):
        if network.shape[1] != networks[0].shape[1]:
            raise ValueError(
                "networks must have the same number of units (use a shared space), got "
                f"{networks[0].shape[1]} and {network.shape[1]} (network {i})"
            )
    if y is not None:
        similarity: Matrix = directions_of(networks[0], kind) @ directions_of(networks[1], kind).T
    elif convention == "pairwise":
        similarity = _mean_over_pairs(networks, kind)
    else:
        similarity = _mean_against_others(networks, kind)
    return np.clip(similarity, -1.0, 1.0, out=similarity)


def rsm_agreement(a: Any, b: Any, *, method: str = "linear", entries: str = "lower") -> float:
    """Return the correlation between the entries of two similarity matrices.

    Parameters
    ----------
    a, b : array of float, shape (n_examples, n_examples)
        RSMs or inter-network RSMs of the same examples.
    method : {"linear", "rank", "kendall"}
        Pearson's or Spearman's correlation, or Kendall's tau, the authors' rank correlation.
    entries : {"lower", "all"}
        The strict lower triangle, or every entry (the authors' simulation).

    Returns
    -------
    float
        In [-1, 1]; 0 if the entries of `a` or of `b` do not vary beyond rounding.

    Raises
    ------
    ValueError
        If the matrices are not square, differ in shape, or have fewer than two such entries.

    References
    ----------
    Lu et al. (2018), Figure 2 and Figure 3, top.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> a = cv.rsm(np.random.default_rng(0).standard_normal((5, 3)))
    >>> round(cv.rsm_agreement(a, a**3, method="rank"), 12)
    1.0
    """
    _validate.choice(method, "method", ("linear", "rank", "kendall"))
    _validate.choice(entries, "entries", ("lower", "all"))
    matrices = [_validate.matrix(a, "a"), _validate.matrix(b, "b")]
    if matrices[0].shape != matrices[1].shape:
        raise ValueError(
            f"`b` must have the shape of `a`, got {matrices[1].shape} and {matrices[0].shape}"
        )
    vectors = [compared_entries(matrix, entries) for matrix in matrices]
    first, second = (standardised(vector, method) for vector in vectors)
    if method == "kendall" and first.any() and second.any():
        from scipy.stats import kendalltau

        return float(kendalltau(*vectors).statistic)
    return float(np.clip(first @ second, -1.0, 1.0))


def variance_explained(
    activations: Sequence[Any],
    model_or_weights: SharedResponseModel | Sequence[Any],
    *,
    convention: str = "plain",
) -> Matrix:
    """Return the share of each network's variance that the shared response explains.

    ``1 - mean((X_i - S W_i^T)^2) / var(X_i)`` over all entries, with ``S = mean_j X_j W_j`` of
    these activations.

    Parameters
    ----------
    activations : list of array of float, shape (n_examples, n_units_i)
        One matrix a network, in the order of the weights: those of the fit, or better of other
        examples.
    model_or_weights : SharedResponseModel or list of array of float, shape (n_units_i, n_features)
        A fitted model, whose means are removed first; or weights, and the activations are taken as
        they are.
    convention : {"plain", "leave-one-out"}
        S over all networks, for which N unrelated networks score 1/N; or over all but network i,
        for which they score 0 or less.

    Returns
    -------
    array of float64, shape (n_networks,)
        At most 1; may be negative. 0 for a network whose activations are all one value, with a
        DeadUnitWarning.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the model was not fitted.
    ValueError
        If the networks do not fit the weights.

    References
    ----------
    Lu et al. (2018), Figure 3, middle.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((20, 3))
    >>> cv.variance_explained([x, x], [np.eye(3), np.eye(3)]).tolist()
    [1.0, 1.0]
    """
    _validate.choice(convention, "convention", ("plain", "leave-one-out"))
    networks = _validate.activation_list(activations, "activations")
    widths = [network.shape[1] for network in networks]
    if isinstance(model_or_weights, SharedResponseModel):
        responses = model_or_weights.transform(networks)
        weights, means = model_or_weights.weights_, model_or_weights.means_
    else:
        weights = weight_list(model_or_weights, "model_or_weights", widths, None)
        means = [np.zeros(width) for width in widths]
        responses = [shared_activations(x, w) for x, w in zip(networks, weights)]
    total = np.sum(responses, axis=0)
    explained = np.empty(len(networks))
    for i, network in enumerate(networks):
        shared = total / len(networks)
        if convention == "leave-one-out":
            shared = (total - responses[i]) / (len(networks) - 1)
        explained[i] = _explained_share(network, shared, weights[i], means[i], i)
    return explained


def directions_of(network: Floats, kind: str) -> Matrix:
    """Return the examples at length one; those without direction as zeros."""
    _validate.choice(kind, "kind", KINDS)
    if kind == "pearson" and network.shape[1] < 2:
        raise ValueError("`kind` 'pearson' needs at least two units, got 1")
    patterns = network.astype(np.float64)
    largest = np.abs(patterns).max(axis=1, keepdims=True)
    patterns /= np.where(largest > 0.0, largest, 1.0)
    if kind == "pearson":
        patterns -= patterns.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(patterns, axis=1, keepdims=True)
    rounding = 4.0 * np.finfo(np.float64).eps * np.sqrt(network.shape[1])
    flat = (lengths <= rounding)[:, 0]
    patterns /= np.where(lengths > rounding, lengths, 1.0)
    patterns[flat] = 0.0
    return patterns


def _mean_over_pairs(networks: list[Floats], kind: str) -> Matrix:
    n_examples, n_networks = networks[0].shape[0], len(networks)
    total: Matrix = np.zeros(networks[0].shape)
    within: Matrix = np.zeros((n_examples, n_examples))
    for network in networks:
        directions = directions_of(network, kind)
        total += directions
        within += directions @ directions.T
    return (total @ total.T - within) / (n_networks * (n_networks - 1))


def _mean_against_others(networks: list[Floats], kind: str) -> Matrix:
    n_examples, n_networks = networks[0].shape[0], len(networks)
    total = np.sum(networks, axis=0, dtype=np.float64)
    similarity: Matrix = np.zeros((n_examples, n_examples))
    for network in networks:
        others = (total - network) / (n_networks - 1)
        similarity += directions_of(network, kind) @ directions_of(others, kind).T
    return similarity / n_networks


def compared_entries(matrix: Floats, entries: str) -> Matrix:
    """Return the entries to compare as one float64 vector."""
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"similarity matrices must be square, got shape {matrix.shape}")
    chosen = matrix[np.tril_indices(len(matrix), -1)] if entries == "lower" else matrix.ravel()
    if chosen.size < 2:
        raise ValueError(
            f"similarity matrices must have at least two entries to compare, got {chosen.size} "
            f"in shape {matrix.shape}"
        )
    return chosen.astype(np.float64)


def standardised(values: Matrix, method: str) -> Matrix:
    """Return values (or their ranks) centred and of length one; zeros if they vary by rounding only."""
    largest = float(np.abs(values).max())
    if np.ptp(values) <= ROUNDING * largest:
        return np.zeros_like(values)
    if method == "rank":
        from scipy.stats import rankdata

        values = rankdata(values)
        largest = float(values.max())
    scaled: Matrix = values / largest
    centred: Matrix = scaled - scaled.mean()
    return centred / float(np.linalg.norm(centred))


def rsm_patterns(networks: Sequence[Any], kind: str, method: str, entries: str) -> Matrix:
    """Return the entries of each network's RSM to compare, standardised: one row a network.

    Their inner products are the correlations of `rsm_agreement`. With ``kind="precomputed"`` the
    networks are RSMs.
    """
    _validate.choice(kind, "kind", (*KINDS, "precomputed"))
    _validate.choice(method, "method", ("linear", "rank"))
    _validate.choice(entries, "entries", ("lower", "all"))
    matrices = _validate.activation_list(networks, "networks")
    return np.stack(
        [
            standardised(
                compared_entries(m if kind == "precomputed" else rsm(m, kind), entries), method
            )
            for m in matrices
        ]
    )


def _explained_share(
    network: Floats, shared: Matrix, weights: Matrix, mean: Matrix, index: int
) -> float:
    """Return 1 - mean squared residual / variance of all entries, reading blocks of examples."""
    lowest, highest = float(network.min()), float(network.max())
    if lowest == highest:
        warnings.warn(
            f"`activations[{index}]` is {lowest} everywhere: its explained variance is 0",
            DeadUnitWarning,
            stacklevel=4,
        )
        return 0.0
    centre = float(np.mean(unit_means(network) - mean))
    residual = deviation = 0.0
    first = 0
    for rows in _validate.row_blocks(network):
        block = rows - mean
        fitted = shared[first : first + rows.shape[0]] @ weights.T
        residual += float(np.sum((block - fitted) ** 2))
        deviation += float(np.sum((block - centre) ** 2))
        first += rows.shape[0]
    return 1.0 - residual / deviation
