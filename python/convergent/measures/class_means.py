"""Where the classes lie in each network, in two dimensions, before and after alignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent._validate import Floats
from convergent.measures.shared_space import (
    Matrix,
    refuse_unequal_features,
    refuse_unpaired,
    unit_means,
)
from convergent.statistics.collected import check_labels

AXES = ("all", "first")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ClassMeanEmbedding:
    """Mean activations of each class in two dimensions, in the native and in the shared space.

    Examples
    --------
    >>> import convergent as cv
    >>> x = [[1.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, 3.0]]
    >>> found = cv.class_mean_embedding([x, x], [x, x], ["cat", "cat", "dog", "dog"])
    >>> found.classes.tolist(), found.shared_gap
    (['cat', 'dog'], 0.0)
    """

    classes: NDArray[Any]
    """The classes, ascending, (n_classes,)."""
    native: Matrix
    """Class means of each network before alignment, (n_networks, n_classes, 2)."""
    shared: Matrix
    """Class means of each network in the shared space, (n_networks, n_classes, 2)."""
    native_share: float
    """Share of the class means' variance, of all networks, that the two native axes show."""
    shared_share: float
    """Share of it that the two axes of the shared space show."""
    native_gap: float
    """Mean squared distance, before alignment and in all dimensions, between a class's means in two networks, over
    that between means of different classes in two networks: 0 if networks agree, about 1 if they have nothing in
    common."""
    shared_gap: float
    """The same in the shared space."""

    def __repr__(self) -> str:
        return (
            f"ClassMeanEmbedding({len(self.native)} networks, {len(self.classes)} classes, "
            f"native_gap={self.native_gap:.3f}, shared_gap={self.shared_gap:.3f})"
        )


def class_mean_embedding(
    activations: Sequence[Any], shared: Sequence[Any], labels: Any, *, axes: str = "all"
) -> ClassMeanEmbedding:
    """Return the class means of several networks in two dimensions, before and after alignment.

    Parameters
    ----------
    activations : list of array of float, shape (n_examples, n_units_i)
        Native activations, one matrix a network.
    shared : list of array of float, shape (n_examples, n_features)
        The same in the shared space, as `SharedResponseModel.transform` returns them.
    labels : array, shape (n_examples,)
        Class of each example, numbers or text.
    axes : {"all", "first"}
        Coordinates of the native spaces, common to all networks: the two principal axes of all
        networks' class means together; or of the first network's, in which others show little if
        they are not aligned. In the shared space they are those of the mean over networks.

    Returns
    -------
    ClassMeanEmbedding
        Each network is centred on its mean over classes. Where networks differ in width, units that
        the narrower one lacks count as silent. A second axis that does not exist is 0; never NaN.

    Raises
    ------
    TypeError
        If a list is none, or activations are complex.
    ValueError
        If networks, examples or labels differ in number, there are fewer than two networks or two
        classes, or values are not finite.

    Notes
    -----
    One pass over the activations. Dead units change nothing.

    References
    ----------
    Lu et al. (2018), Figure 1A.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(60) % 3
    >>> x = rng.standard_normal((3, 5))[labels] + 0.1 * rng.standard_normal((60, 5))
    >>> turned = x @ np.linalg.qr(rng.standard_normal((5, 5)))[0]
    >>> model = cv.SharedResponseModel(5).fit([x, turned])
    >>> found = cv.class_mean_embedding([x, turned], model.transform([x, turned]), labels)
    >>> found.native.shape, found.native_gap > 0.5, found.shared_gap < 0.01
    ((2, 3, 2), True, True)
    """
    _validate.choice(axes, "axes", AXES)
    networks = _validate.activation_list(activations, "activations")
    mapped = _validate.activation_list(shared, "shared")
    refuse_unpaired(mapped, networks, "shared")
    refuse_unequal_features(mapped, "shared")
    classes, codes = np.unique(check_labels(labels, len(networks[0])), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"`labels` must hold at least two classes, got {len(classes)}")
    native = _centred_class_means(networks, codes, len(classes))
    aligned = _centred_class_means(mapped, codes, len(classes))
    own_axes = _principal_axes(
        native[0] if axes == "first" else native.reshape(-1, native.shape[2])
    )
    shared_axes = _principal_axes(aligned.mean(axis=0))
    return ClassMeanEmbedding(
        classes,
        native @ own_axes,
        aligned @ shared_axes,
        _shown_share(native, own_axes),
        _shown_share(aligned, shared_axes),
        _gap(native),
        _gap(aligned),
    )


def _centred_class_means(
    networks: list[Floats], codes: NDArray[np.intp], n_classes: int
) -> NDArray[np.float64]:
    """Return class means (n_networks, n_classes, widest), each network's centred."""
    means = np.zeros((len(networks), n_classes, max(x.shape[1] for x in networks)))
    for of_network, network in zip(means, networks):
        for code in range(n_classes):
            of_network[code, : network.shape[1]] = unit_means(network[codes == code])
    means -= means.mean(axis=1, keepdims=True)
    return means


def _principal_axes(points: Matrix) -> Matrix:
    """Return the two directions of largest variance of centred points as columns; zeros where there are none.

    The largest weight of each is positive.
    """
    found = np.linalg.svd(points, full_matrices=False)[2][:2].T
    axes: Matrix = np.zeros((points.shape[1], 2))
    axes[:, : found.shape[1]] = found
    largest = axes[np.abs(axes).argmax(axis=0), [0, 1]]
    return axes * np.where(largest < 0.0, -1.0, 1.0)


def _shown_share(means: NDArray[np.float64], axes: Matrix) -> float:
    total = float(np.sum(means**2))
    return float(np.sum((means @ axes) ** 2)) / total if total > 0.0 else 0.0


def _gap(means: NDArray[np.float64]) -> float:
    """Return the squared distance between networks of the same class over that of different classes."""
    same = other = 0.0
    n_classes = means.shape[1]
    lengths = np.sum(means**2, axis=2)
    for i, j in permutations(range(len(means)), 2):
        squares = lengths[i][:, None] + lengths[j] - 2.0 * means[i] @ means[j].T
        same += float(np.trace(squares)) / n_classes
        other += float(np.sum(squares) - np.trace(squares)) / (n_classes * (n_classes - 1))
    return max(same, 0.0) / other if other > 0.0 else 0.0
