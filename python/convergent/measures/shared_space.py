"""What goes into a shared space and out of it: starting weights, means, mapped activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent._validate import Floats
from convergent.statistics import Moments

Matrix = NDArray[np.float64]

_ORTHONORMAL_TOLERANCE = 1e-8


def shared_activations(network: Floats, weights: Matrix, mean: Matrix | float = 0.0) -> Matrix:
    """Return ``(network - mean) @ weights`` in float64, without a float64 copy of the network."""
    shared = np.empty((network.shape[0], weights.shape[1]))
    first = 0
    for rows in _validate.row_blocks(network):
        shared[first : first + rows.shape[0]] = (rows - mean) @ weights
        first += rows.shape[0]
    return shared


def unit_means(network: Floats) -> Matrix:
    """Return each unit's mean over the examples, in float64 from the first value on.

    The deviations from the first example are averaged, so that constant units have their value
    exactly.
    """
    first = network[0].astype(np.float64)
    total = np.zeros(network.shape[1])
    for rows in _validate.row_blocks(network):
        total += (rows - first).sum(axis=0)
    mean: Matrix = first + total / network.shape[0]
    return mean


def feature_count(n_features: Any, widths: Sequence[int]) -> int:
    """Return `n_features` if every network has that many units."""
    k = _validate.integer(n_features, "n_features", low=1)
    for i, width in enumerate(widths):
        if width < k:
            raise ValueError(
                f"`n_features` must be at most the number of units of every network, got {k} and "
                f"{width} units in `activations[{i}]`"
            )
    return k


def all_products(moments: Moments, center: bool) -> Matrix:
    """Return ``Z^T Z`` of the units of all networks side by side, both triangles."""
    if len(moments.widths) < 2:
        raise ValueError(
            f"`activations` must be moments of at least 2 networks, got {len(moments.widths)}"
        )
    numbers = range(len(moments.widths))
    return np.block(
        [[moments.cross_product(i, j, center=center) for j in numbers] for i in numbers]
    )


def random_weights(rng: np.random.Generator, n_units: int, k: int) -> Matrix:
    """Return random orthonormal weights (n_units, k), uniform over all of them."""
    q, r = np.linalg.qr(rng.standard_normal((n_units, k)))
    weights: Matrix = np.ascontiguousarray(q * np.where(np.diagonal(r) < 0.0, -1.0, 1.0))
    return weights


def weight_list(weights: Any, name: str, widths: Sequence[int], k: int | None) -> list[Matrix]:
    """Return one float64 matrix (n_units_i, k) a network; with k None all must share theirs."""
    if isinstance(weights, (str, bytes)) or not isinstance(weights, (Sequence, np.ndarray)):
        raise TypeError(f"`{name}` must be a list of matrices, got {type(weights).__name__}")
    if len(weights) != len(widths):
        raise ValueError(
            f"`{name}` must hold one matrix for each of the {len(widths)} networks, "
            f"got {len(weights)}"
        )
    matrices: list[Matrix] = []
    for i, (value, n_units) in enumerate(zip(weights, widths)):
        matrix = _validate.matrix(value, f"{name}[{i}]")
        k = matrix.shape[1] if k is None else k
        if matrix.shape != (n_units, k):
            raise ValueError(
                f"`{name}[{i}]` must have shape (n_units, n_features) = ({n_units}, {k}), "
                f"got {matrix.shape}"
            )
        matrices.append(np.ascontiguousarray(matrix, dtype=np.float64))
    return matrices


def refuse_skew(weights: Sequence[Matrix], name: str) -> None:
    """Raise ValueError unless the columns of every matrix are orthonormal."""
    for i, matrix in enumerate(weights):
        error = float(np.abs(matrix.T @ matrix - np.eye(matrix.shape[1])).max())
        if not error <= _ORTHONORMAL_TOLERANCE:
            raise ValueError(
                f"`{name}[{i}]` must have orthonormal columns, got products off by {error:.2g}"
            )


def refuse_unpaired(matrices: Sequence[Floats], networks: Sequence[Floats], name: str) -> None:
    """Raise ValueError unless there is one matrix a network, of the same number of examples."""
    if len(matrices) != len(networks):
        raise ValueError(
            f"`{name}` must hold one matrix for each of the {len(networks)} networks, "
            f"got {len(matrices)}"
        )
    if matrices[0].shape[0] != networks[0].shape[0]:
        raise ValueError(
            f"`{name}` must have the {networks[0].shape[0]} examples of `activations`, "
            f"got {matrices[0].shape[0]}"
        )


def refuse_unequal_features(shared: Sequence[Floats], name: str) -> None:
    """Raise ValueError unless all matrices have as many columns: those of one space."""
    for i, matrix in enumerate(shared):
        if matrix.shape[1] != shared[0].shape[1]:
            raise ValueError(
                f"`{name}[{i}]` must have as many features as `{name}[0]`, got {matrix.shape[1]} "
                f"and {shared[0].shape[1]}"
            )
