"""The shared response of all networks on one layer, fitted on some examples and judged on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent.inference.noise_ceiling import ceiling_of_correlations
from convergent.measures.alignment import AlignmentAgreement, alignment_agreement
from convergent.measures.class_means import class_mean_embedding
from convergent.measures.rsm import variance_explained
from convergent.measures.shared_response import SharedResponseModel
from convergent.measures.shared_space import unit_means
from convergent.study.intervals import (
    LEAST_NETWORKS,
    add_interval,
    of_agreement,
    of_pairs,
    of_values,
)
from convergent.study.layer import Arrays, Layer, Scalars
from convergent.study.settings import CompareSettings

LEAST_EXAMPLES = 20
_SHOWN_EXAMPLES = 300
_EMBEDDED_NETWORKS = 2


def shared_response_task(layer: Layer) -> tuple[Scalars, Arrays]:
    """Fit the shared response model and judge the alignment (Lu et al. 2018, Sections 2 and 3)."""
    split = Split.of(layer.statistics.images, layer.labels, layer.settings)
    model, test = fitted(layer.statistics.images, split, layer.settings, layer.n_threads)
    shared = model.transform(test)
    scalars, arrays = explained_variance(model, test)
    scalars["n_features"] = model.weights_[0].shape[1]
    arrays["held_out"] = split.held_out
    # The shared space has its origin at the units' means, and so must the similarities within networks have.
    centred = [x - mean for x, mean in zip(test, model.means_)]
    _agreement(alignment_agreement(centred, shared), scalars, arrays)
    if layer.labels is not None:
        arrays["labels"] = layer.labels[split.held_out]
        if len(np.unique(arrays["labels"])) > 1:
            first = slice(_EMBEDDED_NETWORKS)
            found = class_mean_embedding(centred[first], shared[first], arrays["labels"])
            arrays["classes"] = found.classes
            arrays["class_means_native"], arrays["class_means_shared"] = found.native, found.shared
            arrays["class_gaps"] = np.array([found.native_gap, found.shared_gap])
            arrays["class_shares"] = np.array([found.native_share, found.shared_share])
    return scalars, arrays


def explained_variance(
    model: SharedResponseModel, test: list[NDArray[np.float64]]
) -> tuple[Scalars, Arrays]:
    """Return the share of variance that the shared response explains: the mean over networks, and of each."""
    scalars: Scalars = {}
    arrays: Arrays = {}
    for name, convention in (
        ("variance_explained", "plain"),
        ("variance_explained_leave_one_out", "leave-one-out"),
    ):
        arrays[name] = variance_explained(test, model, convention=convention)
        scalars[name] = float(arrays[name].mean())
        add_interval(scalars, name, of_values(arrays[name]))
    return scalars, arrays


def _agreement(found: AlignmentAgreement, scalars: Scalars, arrays: Arrays) -> None:
    n_networks = len(found.pairs)
    scalars["consistency"] = float(found.consistency_pairs[np.tril_indices(n_networks, -1)].mean())
    add_interval(scalars, "consistency", of_pairs(found.consistency_pairs))
    if n_networks >= LEAST_NETWORKS:
        ceiling = ceiling_of_correlations(found.consistency_pairs)
        scalars["noise_ceiling_lower"] = ceiling.lower
        scalars["noise_ceiling_upper"] = ceiling.upper
    scalars["agreement"] = found.linear
    add_interval(scalars, "agreement", of_agreement(found, "linear"))
    scalars["agreement_rank"] = found.rank
    arrays["consistency_pairs"], arrays["agreement_pairs"] = found.consistency_pairs, found.pairs
    drawn = {"rsm_within": found.within, "rsm_between_shared": found.between}
    if found.native_between is not None and found.native_pairs is not None:
        scalars["agreement_native"] = float(found.native_linear or 0.0)
        add_interval(scalars, "agreement_native", of_agreement(found, "native_linear"))
        scalars["agreement_native_rank"] = float(found.native_rank or 0.0)
        arrays["agreement_native_pairs"] = found.native_pairs
        drawn["rsm_between_native"] = found.native_between
    n_examples = len(found.within)
    shown = np.unique(np.linspace(0, n_examples - 1, _SHOWN_EXAMPLES).round().astype(int))
    arrays["shown"] = shown
    for name, matrix in drawn.items():
        arrays[name] = matrix[np.ix_(shown, shown)].astype(np.float32)


@dataclass(frozen=True, slots=True)
class Split:
    """Which examples fit the shared response and which judge it."""

    fit: NDArray[np.intp]
    held_out: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        images: Sequence[NDArray[np.float32]],
        labels: NDArray[Any] | None,
        settings: CompareSettings,
    ) -> Split:
        """Return the split that the settings ask for; ValueError if there are too few examples."""
        n_examples = images[0].shape[0] if images else 0
        if n_examples < LEAST_EXAMPLES:
            raise ValueError(
                f"the shared response needs at least {LEAST_EXAMPLES} examples to hold some out, "
                f"got {n_examples}"
            )
        return cls(*split_examples(n_examples, labels, settings.test_share, settings.seed))


def fitted(
    images: Sequence[NDArray[np.float32]],
    split: Split,
    settings: CompareSettings,
    n_threads: int | None,
) -> tuple[SharedResponseModel, list[NDArray[np.float64]]]:
    """Return the model fitted to some examples, and the held-out activations, standardised."""
    n_features = min(settings.n_features, len(split.fit), *(x.shape[1] for x in images))
    model = SharedResponseModel(n_features, seed=settings.seed, n_threads=n_threads)
    model.fit([standardise_examples(x[split.fit]) for x in images])
    return model, [standardise_examples(x[split.held_out]) for x in images]


def held_out_centred(
    images: Sequence[NDArray[np.float32]], split: Split
) -> list[NDArray[np.float64]]:
    """Return the held-out activations, standardised, less the units' means over the others: what RSMs are made of."""
    return [
        standardise_examples(x[split.held_out]) - unit_means(standardise_examples(x[split.fit]))
        for x in images
    ]


def split_examples(
    n_examples: int, labels: NDArray[Any] | None, test_share: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return indices of the examples to fit and of those held out, the latter sorted by class.

    The split keeps the classes' shares where every class has enough examples.
    """
    from sklearn.model_selection import train_test_split

    stratify = labels
    n_test = max(2, round(test_share * n_examples))
    if labels is not None:
        _, counts = np.unique(labels, return_counts=True)
        if counts.min() < 2 or len(counts) > n_test:
            stratify = None
    fit, held_out = train_test_split(
        np.arange(n_examples), test_size=n_test, random_state=seed, stratify=stratify
    )
    fit, held_out = np.sort(fit), np.sort(held_out)
    if labels is not None:
        held_out = held_out[np.argsort(labels[held_out], kind="stable")]
    return fit, held_out


def standardise_examples(x: NDArray[Any]) -> NDArray[np.float64]:
    """Return each example with mean 0 and standard deviation 1 over the units (constant ones are 0)."""
    result = np.array(x, dtype=np.float64)
    result -= result.mean(axis=1, keepdims=True)
    scale = result.std(axis=1, keepdims=True)
    np.divide(result, scale, out=result, where=scale > 1e-12 * np.abs(x).max(initial=1e-300))
    return result
