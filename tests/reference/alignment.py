"""Agreement of similarities between networks with those within, and class means in two dimensions, entry by entry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.reference.rsm import Matrix, agreement, inter_rsm


def mean_between(networks: Sequence[Matrix], kind: str) -> Matrix:
    """Mean over ordered pairs of networks that are not the very same array: copies in a resample are no pair."""
    matrices = [
        inter_rsm(x, y, kind)
        for i, x in enumerate(networks)
        for j, y in enumerate(networks)
        if i != j and x is not y
    ]
    result: Matrix = np.mean(matrices, axis=0)
    return result


def mean_within(networks: Sequence[Matrix], kind: str) -> Matrix:
    result: Matrix = np.mean([inter_rsm(x, x, kind) for x in networks], axis=0)
    return result


def alignment(
    shared: Sequence[Matrix], reference: Sequence[Matrix], kind: str, method: str
) -> float:
    return agreement(mean_between(shared, kind), mean_within(reference, kind), method, "lower")


def repeated(networks: Sequence[Matrix], counts: Sequence[int]) -> list[Matrix]:
    """Each network as often as it was drawn."""
    return [x for x, count in zip(networks, counts) for _ in range(count)]


def class_means(x: Matrix, labels: NDArray[np.intp], classes: Sequence[int]) -> Matrix:
    return np.array([x[labels == c].mean(axis=0) for c in classes])


def principal_axes(points: Matrix) -> Matrix:
    """Two directions of largest variance as columns, from the covariance's eigenvectors."""
    _, vectors = np.linalg.eigh(np.cov(points.T))
    axes: Matrix = vectors[:, ::-1][:, :2]
    return axes
