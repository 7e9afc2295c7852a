"""The shared response of all networks on one layer, fitted on some examples and judged on others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent.measures.consistency import consistency
from convergent.measures.rsm import (
    inter_rsm,
    rsm,
    rsm_agreement,
    variance_explained,
)
from convergent.measures.shared_response import SharedResponseModel
from convergent.study.layer import Arrays, Layer, Scalars

LEAST_EXAMPLES = 20
_SHOWN_EXAMPLES = 300


def shared_response_task(layer: Layer) -> tuple[Scalars, Arrays]:
    """Fit the shared response model and judge the alignment (Lu et al. 2018, Sections 2 and 3)."""
    images = layer.statistics.images
    n_examples = images[0].shape[0]
    if n_examples < LEAST_EXAMPLES:
        raise ValueError(
            f"the shared response needs at least {LEAST_EXAMPLES} examples to hold some out, "
            f"got {n_examples}"
        )
    fit, held_out = split_examples(
        n_examples, layer.labels, layer.settings.test_share, layer.settings.seed
    )
    train = [standardise_examples(x[fit]) for x in images]
    test = [standardise_examples(x[held_out]) for x in images]
    n_features = min(layer.settings.n_features, len(fit), *(x.shape[1] for x in images))
    model = SharedResponseModel(n_features, seed=layer.settings.seed, n_threads=layer.n_threads)
    model.fit(train)
    plain = variance_explained(test, model)
    leave_one_out = variance_explained(test, model, convention="leave-one-out")
    scalars: Scalars = {
        "n_features": n_features,
        "variance_explained": float(plain.mean()),
        "variance_explained_leave_one_out": float(leave_one_out.mean()),
    }
    arrays: Arrays = {
        "variance_explained": plain,
        "variance_explained_leave_one_out": leave_one_out,
        "held_out": held_out,
    }
    # The shared space has its origin at the units' means, and so must the similarities within networks have.
    centred = [x - mean for x, mean in zip(test, model.means_)]
    _agreement(centred, model.transform(test), scalars, arrays)
    if layer.labels is not None:
        arrays["labels"] = layer.labels[held_out]
    return scalars, arrays


def _agreement(
    test: list[NDArray[np.float64]],
    shared: list[NDArray[np.float64]],
    scalars: Scalars,
    arrays: Arrays,
) -> None:
    within = [rsm(x) for x in test]
    mean_within = np.mean(within, axis=0)
    between = inter_rsm(shared)
    scalars["consistency"] = consistency(within)
    scalars["agreement"] = rsm_agreement(between, mean_within)
    scalars["agreement_rank"] = rsm_agreement(between, mean_within, method="rank")
    shown = np.unique(np.linspace(0, len(between) - 1, _SHOWN_EXAMPLES).round().astype(int))
    arrays["rsm_within"] = mean_within[np.ix_(shown, shown)].astype(np.float32)
    arrays["rsm_between_shared"] = between[np.ix_(shown, shown)].astype(np.float32)
    arrays["shown"] = shown
    if len({x.shape[1] for x in test}) == 1:
        native = inter_rsm(test)
        scalars["agreement_native"] = rsm_agreement(native, mean_within)
        arrays["rsm_between_native"] = native[np.ix_(shown, shown)].astype(np.float32)


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
