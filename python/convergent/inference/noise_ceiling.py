"""How well any RSM could agree with those of the networks, given how much these differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convergent.inference.interval import Doubles
from convergent.measures.rsm import rsm_patterns, standardised


@dataclass(frozen=True, slots=True, eq=False)
class NoiseCeiling:
    """Bounds of the mean correlation that the best possible RSM can have with those of all networks.

    Attributes
    ----------
    lower : float
        Mean correlation of each network's RSM with the mean of the others'.
    upper : float
        Mean correlation of each network's RSM with the mean of all, its own among them.
    lower_of_network, upper_of_network : array of float64, shape (n_networks,)
        The same for each network.
    method : {"linear", "rank"}
        Pearson's or Spearman's correlation.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((9, 4))
    >>> ceiling = cv.noise_ceiling([x, -x, x[:, ::-1]])
    >>> round(ceiling.lower, 12), round(ceiling.upper, 12)
    (1.0, 1.0)
    """

    lower: float
    upper: float
    lower_of_network: Doubles
    upper_of_network: Doubles
    method: str

    def __repr__(self) -> str:
        return f"NoiseCeiling({self.lower:.4g} to {self.upper:.4g}, {self.method})"


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
        As in `rsm`.
    method : {"linear", "rank"}
        Pearson's or Spearman's correlation.
    entries : {"lower", "all"}
        The strict lower triangle, or every entry.

    Returns
    -------
    NoiseCeiling
        In [-1, 1], lower at most upper. A network whose RSM does not vary has correlation 0, and adds nothing to the
        means of the others.

    Raises
    ------
    ValueError
        If there are fewer than two networks, their examples differ, values are not finite, or RSMs are not square
        or have fewer than two entries to compare.

    Notes
    -----
    RSMs (or their ranks) are centred and scaled to length one before the mean is taken, so that with ``"linear"``
    no RSM whatever has a higher mean correlation than `upper`. `lower` is what one can expect of the mean of all
    networks there are. Needs the RSMs of all networks at once.

    Dead units change no cosine; examples without direction have similarity 0, as in `rsm`.

    References
    ----------
    Nili et al. (2014), "A toolbox for representational similarity analysis", PLoS Computational Biology 10(4), section
    on the noise ceiling.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> signal = rng.standard_normal((9, 4))
    >>> cv.noise_ceiling([signal + 0.5 * rng.standard_normal((9, 4)) for _ in range(5)])
    NoiseCeiling(0.4303 to 0.6568, linear)
    """
    patterns = rsm_patterns(networks, kind, method, entries)
    if method == "linear":
        return ceiling_of_correlations(patterns @ patterns.T)
    total = patterns.sum(axis=0)
    upper = [float(pattern @ standardised(total, method)) for pattern in patterns]
    lower = [float(pattern @ standardised(total - pattern, method)) for pattern in patterns]
    return _ceiling(np.array(lower), np.array(upper), method)


def ceiling_of_correlations(correlations: Doubles) -> NoiseCeiling:
    """Return the linear noise ceiling from the correlations of every two networks' RSMs.

    correlations : shape (n_networks, n_networks)
        Symmetric; 1 on the diagonal, or 0 for an RSM that does not vary.
    """
    # RSMs p_i are centred and of length one: the correlation of p_i with a sum of others is
    # sum_j p_i p_j over the length of the sum, the square of which is sum_jk p_j p_k.
    own = np.diagonal(correlations)
    with_all = correlations.sum(axis=1)
    with_others = with_all - own
    length = np.sqrt(max(float(correlations.sum()), 0.0))
    lengths = np.sqrt(np.maximum(correlations.sum() - 2.0 * with_all + own, 0.0))
    upper = np.divide(with_all, length, out=np.zeros_like(own), where=length > 1e-8)
    lower = np.divide(with_others, lengths, out=np.zeros_like(own), where=lengths > 1e-8)
    return _ceiling(lower, upper, "linear")


def _ceiling(lower: Doubles, upper: Doubles, method: str) -> NoiseCeiling:
    lower, upper = np.clip(lower, -1.0, 1.0), np.clip(upper, -1.0, 1.0)
    return NoiseCeiling(float(lower.mean()), float(upper.mean()), lower, upper, method)
