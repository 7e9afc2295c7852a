"""One run: copies of a network's activations, aligned on some examples and judged on others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convergent import _storage
from convergent._warnings import ConvergenceWarning
from convergent.measures.rsm import inter_rsm, rsm, rsm_agreement
from convergent.measures.shared_response import SharedResponseModel
from convergent.simulation.copies import rotated_copies
from convergent.simulation.settings import SimulationSettings

Matrix = NDArray[np.float64]

QUANTITIES = ("linear_shared", "rank_shared", "linear_native", "rank_native")
"""Kind of correlation, and the space of the inter-network RSM."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RunActivations:
    """Activations of the network of one run, and what is known of it."""

    alignment: Matrix
    """(n_examples, n_units)."""
    test: Matrix
    """(n_test_examples, n_units)."""
    labels: NDArray[np.intp] | None = None
    """Classes of the test examples."""
    test_accuracy: float | None = None

    def digest(self) -> str:
        """Return a text that changes with the arrays."""
        labels = repr(None if self.labels is None else self.labels.tolist())
        return _storage.array_digest(labels, (self.alignment, self.test))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MeanRsms:
    """Mean similarity matrices of one run's test examples, each (n_examples, n_examples)."""

    within: Matrix
    """Within networks, native space."""
    between_shared: Matrix
    """Between networks, shared space."""
    between_native: Matrix
    """Between networks, native space."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Run:
    """What one run found."""

    agreement: Matrix
    """The four `QUANTITIES`."""
    converged: bool
    """Whether the model reached its tolerance, or was to do a fixed number of iterations."""
    rsms: MeanRsms


def run_once(
    activations: RunActivations, settings: SimulationSettings, seed: int, n_threads: int | None
) -> Run:
    """Transform a network's activations at random, fit the model, and compare similarities on the test examples."""
    n_aligned = len(activations.alignment)
    copies = rotated_copies(
        np.concatenate([activations.alignment, activations.test]),
        settings.n_copies,
        kind=settings.kind,
        noise=settings.noise,
        seed=seed,
    )
    model = SharedResponseModel(
        settings.n_features or activations.test.shape[1],
        seed=seed,
        n_threads=n_threads,
        **settings.model,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit([copy[:n_aligned] for copy in copies])
    judged = [copy[n_aligned:] for copy in copies]
    shared = model.transform(judged)
    if settings.center:
        # The shared space then has its origin at the units' means, and so must the native ones.
        judged = [copy - mean for copy, mean in zip(judged, model.means_)]
    rsms = mean_rsms(judged, shared, settings)
    converged = bool(model.converged_) or model.tol == 0.0
    return Run(agreements(rsms, settings), converged, rsms)


def mean_rsms(native: list[Matrix], shared: list[Matrix], settings: SimulationSettings) -> MeanRsms:
    """Return the mean similarity matrices of the networks."""
    kind, convention = settings.rsm_kind, settings.inter_rsm_convention
    within = np.zeros((len(native[0]), len(native[0])))
    for network in native:
        within += rsm(network, kind)
    return MeanRsms(
        within / len(native),
        inter_rsm(shared, kind=kind, convention=convention),
        inter_rsm(native, kind=kind, convention=convention),
    )


def agreements(rsms: MeanRsms, settings: SimulationSettings) -> Matrix:
    """Return the four `QUANTITIES`."""
    rank = "rank" if settings.rank == "spearman" else "kendall"
    return np.array(
        [
            rsm_agreement(between, rsms.within, method=method, entries=settings.entries)
            for between in (rsms.between_shared, rsms.between_native)
            for method in ("linear", rank)
        ]
    )
