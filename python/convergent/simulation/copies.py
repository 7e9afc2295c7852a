"""Copies of activations under transformations that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent._validate import Floats
from convergent.measures.shared_space import random_weights

Matrix = NDArray[np.float64]

KINDS = ("orthogonal", "permutation")


def rotated_copies(
    activations: Any,
    n_copies: int = 10,
    *,
    kind: str = "orthogonal",
    noise: float = 0.0,
    seed: int = 0,
) -> list[Matrix]:
    """Return copies of a network's activations, each with its units transformed at random.

    Parameters
    ----------
    activations : array of float, shape (n_examples, n_units)
        All examples that are to share the transformations: those that will be aligned on and those that will judge
        the alignment, one below the other.
    n_copies : int
    kind : {"orthogonal", "permutation"}
        "orthogonal": by orthogonal matrices drawn evenly from all of them (Haar), reflections among them.
        "permutation": each copy has the units in another order.
    noise : float
        Standard deviation of noise added to every copy, independent and normal, as a multiple of the activations'
        own: the root of the mean variance of the units, which no rotation changes.
    seed : int
        Of transformations and noise. The same seed gives the same transformations whatever the noise.

    Returns
    -------
    list of array of float64, shape (n_examples, n_units)
        One a copy. Dead units stay zero under "permutation" and take part of the others' activations under
        "orthogonal"; noise makes all units vary.

    Raises
    ------
    TypeError
        If activations are complex or a parameter is of the wrong kind.
    ValueError
        If activations are not a finite matrix, or a parameter is out of range.

    Notes
    -----
    n_units^2 (n_examples + n_units) operations a copy, and memory for the copies.

    References
    ----------
    Lu et al. (2018), Section 3. Mezzadri (2007), How to generate random matrices from the classical compact groups.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.arange(6.0).reshape(2, 3)
    >>> [np.sort(copy).tolist() for copy in cv.rotated_copies(x, 2, kind="permutation")]
    [[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]]
    >>> bool(np.allclose(cv.rsm(cv.rotated_copies(x, 1)[0]), cv.rsm(x)))
    True
    """
    network = _validate.activations(activations, "activations", min_examples=1)
    _validate.integer(n_copies, "n_copies", low=1)
    _validate.choice(kind, "kind", KINDS)
    noise = not_negative(noise, "noise")
    seeds = np.random.SeedSequence(_validate.integer(seed, "seed", low=0)).spawn(n_copies)
    return [_copy(network, kind, noise, of_copy) for of_copy in seeds]


def not_negative(value: Any, name: str) -> float:
    """Return a finite number that is at least 0."""
    number = _validate.real(value, name)
    if number < 0.0:
        raise ValueError(f"`{name}` must not be negative, got {value}")
    return number


def _copy(network: Floats, kind: str, noise: float, seed: np.random.SeedSequence) -> Matrix:
    rng = np.random.default_rng(seed)
    n_units = network.shape[1]
    copy: Matrix
    if kind == "permutation":
        copy = network[:, rng.permutation(n_units)].astype(np.float64)
    else:
        copy = network.astype(np.float64) @ random_weights(rng, n_units, n_units)
    if noise > 0.0:
        spread = np.sqrt(np.mean(np.var(network, axis=0, dtype=np.float64)))
        copy += noise * spread * rng.standard_normal(copy.shape)
    return copy
