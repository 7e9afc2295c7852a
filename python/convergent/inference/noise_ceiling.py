"""How well any model could agree with the networks' RSMs, given how much those differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convergent import _validate
from convergent.inference.interval import Doubles
from convergent.measures.rsm import rsm

KINDS = ("cosine", "pearson", "precomputed")


@dataclass(frozen=True, slots=True, eq=False)
class NoiseCeiling:
    """Bounds on the mean correlation of one RSM with those of all networks.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((9, 4))
    >>> ceiling = cv.noise_ceiling([x, -x, x[:, ::-1]])
    >>> round(ceiling.lower, 12), round(ceiling.upper, 12)
    (1.0, 1.0)
    """

    lower: float
    """Mean correlation of each network's RSM with the mean of the others'."""
    upper: float
    """Mean correlation of each network's RSM with the mean of all."""
    lower_of_network: Doubles = field(repr=False)
    """The same for each network, shape (n_networks,)."""
    upper_of_network: Doubles = field(repr=False)
    """The same for each network, shape (n_networks,)."""
    method: str = "linear"
    """"linear" or "rank"."""


def noise_ceiling(
    networks: Sequence[Any], *, kind: str = "cosine", method: str = "linear", entries: str = "lower"
) -> NoiseCeiling:
    """Return how well the best possible RSM can agree with those of the networks.

    Parameters
    ----------
    networks : list of array of float
        Activations (n_examples, n_units_i), one matrix a network; or their RSMs (n_examples, n_examples) with
        ``kind="precomputed"``.
    kind : {"cosine", "pearson", "precomputed"}
    method : {"linear", "rank"}
    entries : {"lower", "all"}

    Returns
    -------
    NoiseCeiling

    References
    ----------
    Nili et al. (2014), PLoS Computational Biology 10, "The noise ceiling".

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> networks = np.random.default_rng(0).standard_normal((3, 9, 4))
    >>> ceiling = cv.noise_ceiling(list(networks))
    >>> ceiling.lower < ceiling.upper
    True
    """
    _validate.choice(kind, "kind", KINDS)
    _validate.choice(method, "method", ("linear", "rank"))
    _validate.choice(entries, "entries", ("lower", "all"))
    matrices = _validate.activation_list(networks, "networks")
    patterns = np.stack(
        [_pattern(m if kind == "precomputed" else rsm(m, kind), entries, method) for m in matrices]
    )
    total = patterns.sum(axis=0)
    upper = np.array([_correlation(p, total, method) for p in patterns])
    lower = np.array([_correlation(p, total - p, method) for p in patterns])
    return NoiseCeiling(float(lower.mean()), float(upper.mean()), lower, upper, method)


def _pattern(similarities: Any, entries: str, method: str) -> Doubles:
    if similarities.shape[0] != similarities.shape[1]:
        raise ValueError(f"similarity matrices must be square, got shape {similarities.shape}")
    lower = np.tril_indices(len(similarities), -1)
    chosen = similarities[lower] if entries == "lower" else similarities.ravel()
    if chosen.size < 2:
        raise ValueError(
            f"similarity matrices must have at least two entries to compare, got {chosen.size}"
        )
    return _centred(chosen.astype(np.float64), method)


def _centred(values: Doubles, method: str) -> Doubles:
    """Return values (or their ranks) centred and of length one; zeros if they do not vary."""
    if method == "rank":
        from scipy.stats import rankdata

        values = rankdata(values)
    if np.ptp(values) == 0.0:
        return np.zeros_like(values)
    centred: Doubles = values - values.mean()
    result: Doubles = centred / np.linalg.norm(centred)
    return result


def _correlation(pattern: Doubles, other: Doubles, method: str) -> float:
    return float(np.clip(pattern @ _centred(other, method), -1.0, 1.0))
