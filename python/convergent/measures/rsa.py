"""Representational similarity analysis: do two networks find the same examples alike?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convergent import _validate
from convergent._validate import Floats
from convergent.measures.indexes import warn_if_constant
from convergent.measures.ordered_work import results_in_order
from convergent.measures.pair_products import DESCRIPTION, Progress, tile_sums
from convergent.measures.rsm import KINDS, rsm
from convergent.measures.shared_space import Matrix
from convergent.measures.similarity_rows import example_directions

METHODS = ("linear", "rank")
LEAST_EXAMPLES = 3
_ROUNDING = 16.0 * float(np.finfo(np.float64).eps)  # similarities that differ by less are the same
_KEPT_VALUES = 1 << 27  # ranks that are kept at a time: 1 GB
_VALUES_A_RANK = 5  # numbers at work for each of an RSM's entries


@dataclass(frozen=True, slots=True)
class RsaOptions:
    """Which similarities are compared, and how; see `rsa`."""

    kind: str = "cosine"
    method: str = "linear"

    def __post_init__(self) -> None:
        _validate.choice(self.kind, "kind", KINDS)
        _validate.choice(self.method, "method", METHODS)

    def check(self, networks: Sequence[Floats], names: Sequence[str]) -> None:
        """Raise ValueError if a network has too few units."""
        for name, network in zip(names, networks):
            if self.kind == "pearson" and network.shape[1] < 2:
                raise ValueError(f"`kind` 'pearson' needs at least two units, `{name}` has 1")


def rsa(x: Any, y: Any, *, kind: str = "cosine", method: str = "linear") -> float:
    """Return the correlation between the similarity matrices of two networks.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units_x), (n_examples, n_units_y)
        Activations; each column is one unit.
    kind : {"cosine", "pearson"}
        Similarity of two examples, as in `rsm`.
    method : {"linear", "rank"}
        Pearson's or Spearman's correlation of the entries below the diagonal.

    Returns
    -------
    float
        In [-1, 1]; 0 if the similarities of a network do not vary beyond rounding. One scale for
        all units changes nothing, nor with "cosine" does a rotation; units that are zero contribute
        nothing. If all units of a network are constant, the value is 0, with a DeadUnitWarning.

    Raises
    ------
    TypeError
        If an array is complex.
    ValueError
        If `x` and `y` differ in examples, have fewer than three, or hold NaN or infinity, or a
        network has one unit with "pearson".

    Notes
    -----
    "linear": ``n_examples^2 (n_units_x + n_units_y)`` operations, a tile of both matrices at a
    time; neither is kept. "rank" needs several vectors of ``n_examples^2 / 2`` numbers.

    References
    ----------
    Kriegeskorte, Mur and Bandettini (2008); Lu et al. (2018), Figure 3, bottom.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((20, 3))
    >>> round(cv.rsa(x, 2.0 * x[:, ::-1]), 12)
    1.0
    """
    options = RsaOptions(kind, method)
    networks = _validate.activation_pair(x, y, min_examples=LEAST_EXAMPLES)
    options.check(networks, "xy")
    if warn_if_constant(networks, "xy"):
        return 0.0
    return float(rsm_correlations(networks, options, 1, lambda *_: None)[0, 1])


def rsm_correlations(
    networks: Sequence[Floats], options: RsaOptions, n_threads: int, progress: Progress
) -> Matrix:
    """Return the correlation of every two networks' similarities, (n_networks, n_networks)."""
    if options.method == "rank":
        return _of_ranks(networks, options.kind, n_threads, progress)
    sources = [example_directions(network, options.kind) for network in networks]

    def centre(i: int, tile: Matrix, rows: slice, columns: slice) -> None:
        tile -= sources[i].mean
        if rows == columns:
            np.fill_diagonal(tile, 0.0)

    inner = tile_sums(sources, centre, n_threads, progress).inner
    n_examples = networks[0].shape[0]
    spread = np.sqrt(np.diagonal(inner) / (n_examples * (n_examples - 1)))
    lengths = np.where(spread > _ROUNDING, np.sqrt(np.diagonal(inner)), np.inf)
    return np.clip(inner / lengths / lengths[:, np.newaxis], -1.0, 1.0)


def _of_ranks(networks: Sequence[Floats], kind: str, n_threads: int, progress: Progress) -> Matrix:
    """Return Spearman's correlations; as many networks' ranks are kept at a time as 1 GB holds."""
    n_networks, n_examples = len(networks), networks[0].shape[0]
    n_kept = max(1, _KEPT_VALUES // (n_examples * (n_examples - 1) // 2))
    threads = min(n_threads, max(1, _KEPT_VALUES // (_VALUES_A_RANK * n_examples**2)))
    correlations = np.zeros((n_networks, n_networks))
    starts = range(0, n_networks, n_kept)
    done, total = 0, sum(n_networks - start for start in starts)
    for start in starts:
        kept: list[Matrix] = []
        for j, ranks in enumerate(_ranks(networks[start:], kind, threads), start):
            progress(DESCRIPTION, done, total)
            done += 1
            if j < start + n_kept:
                kept.append(ranks)
            for i, own in enumerate(kept, start):
                correlations[i, j] = correlations[j, i] = np.clip(own @ ranks, -1.0, 1.0)
    progress(DESCRIPTION, total, total)
    return correlations


def _ranks(networks: Sequence[Floats], kind: str, n_threads: int) -> Iterator[Matrix]:
    """Yield each network's ranks of its similarities, centred and of length one."""
    from scipy.stats import rankdata

    def ranks_of(network: Floats) -> Matrix:
        similar = rsm(network, kind)
        entries = similar[np.tri(len(similar), k=-1, dtype=np.bool_)]
        if np.ptp(entries) <= _ROUNDING:
            return np.zeros_like(entries)
        ranks: Matrix = rankdata(entries)
        ranks -= (entries.size + 1) / 2.0
        ranks /= np.linalg.norm(ranks)
        return ranks

    return results_in_order(networks, ranks_of, n_threads)
