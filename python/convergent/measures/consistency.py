"""How alike the networks' own similarity matrices are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convergent.measures.rsm import rsm_patterns
from convergent.measures.shared_space import Matrix


def consistency(
    networks: Sequence[Any],
    *,
    kind: str = "cosine",
    method: str = "linear",
    entries: str = "lower",
) -> float:
    """Return the mean correlation between the within-network RSMs of every two networks.

    Parameters
    ----------
    networks : list of array of float
        Activations (n_examples, n_units_i), one matrix a network; or their RSMs (n_examples,
        n_examples) with ``kind="precomputed"``.
    kind : {"cosine", "pearson", "precomputed"}
        As in `rsm`.
    method, entries : str
        As in `rsm_agreement`.

    Returns
    -------
    float
        In [-1, 1]. A network whose similarities do not vary correlates with none: 0.

    Raises
    ------
    ValueError
        If there are fewer than two networks, or their examples differ.

    References
    ----------
    Lu et al. (2018), Figure 3, bottom.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((6, 3))
    >>> round(cv.consistency([x, x[:, ::-1]]), 12)
    1.0
    """
    correlations = consistency_matrix(networks, kind=kind, method=method, entries=entries)
    return float(correlations[np.tril_indices(len(correlations), -1)].mean())


def consistency_matrix(
    networks: Sequence[Any],
    *,
    kind: str = "cosine",
    method: str = "linear",
    entries: str = "lower",
) -> Matrix:
    """Return the correlation between the within-network RSMs of every two networks.

    Parameters
    ----------
    networks : list of array of float
        Activations (n_examples, n_units_i), one matrix a network; or their RSMs (n_examples,
        n_examples) with ``kind="precomputed"``.
    kind : {"cosine", "pearson", "precomputed"}
        As in `rsm`.
    method, entries : str
        As in `rsm_agreement`.

    Returns
    -------
    array of float64, shape (n_networks, n_networks)
        Symmetric, in [-1, 1], 1 on the diagonal. A network whose similarities do not vary
        correlates with none: 0, also with itself.

    Raises
    ------
    TypeError
        If `networks` is no list, or activations are complex.
    ValueError
        If there are fewer than two networks, their examples differ, values are not finite, or a
        matrix with ``kind="precomputed"`` is not square.

    Notes
    -----
    Keeps the entries of all networks' RSMs: n_networks n_examples^2 / 2 numbers. Where networks
    have thousands of examples, `alignment_agreement` gives the same without keeping them.

    References
    ----------
    Lu et al. (2018), Figure 3, bottom; their mean over pairs is `consistency`.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((6, 3))
    >>> cv.consistency_matrix([x, x[:, ::-1]]).round(12).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    patterns = rsm_patterns(networks, kind, method, entries)
    correlations: Matrix = np.clip(patterns @ patterns.T, -1.0, 1.0)
    np.fill_diagonal(correlations, patterns.any(axis=1))
    return correlations
