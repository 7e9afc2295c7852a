"""What a study computes of units that share the work: sparse maps, their trees, and groups (Li et al. 2016)."""

from __future__ import annotations

import numpy as np

from convergent.measures.sparse_map import sparse_map_path
from convergent.measures.unit_groups import unit_groups
from convergent.measures.unit_tree import unit_tree
from convergent.study.layer import Arrays, Layer, Scalars

LEAST_SPLIT = 4
"""Groups of up to so many units are never split."""


def sparse_map_task(layer: Layer, i: int, j: int) -> tuple[Scalars, Arrays]:
    """Predict each unit of the second network from few units of the first (Li et al. 2016, Section 4).

    The map at the penalty of the trees is computed by itself, so that trees do not depend on the other penalties.
    Means are over the predicted units that are not dead.
    """
    living = np.setdiff1d(np.arange(layer.statistics.widths[j]), layer.moments.dead_units(j))
    if not living.size:
        raise ValueError(f"all units of {layer.statistics.networks[j]} are dead, none to predict")
    chosen = layer.sparse_map(i, j)
    path = [penalty for penalty in layer.settings.penalties if penalty != chosen.penalty]
    maps = sparse_map_path(
        layer.moments.correlation(i, i),
        layer.moments.correlation(i, j),
        path,
        given="correlations",
        n_threads=layer.n_threads,
    )
    maps = sorted([*maps, chosen], key=lambda of: of.penalty)
    losses = [float(of.loss_of_unit[living].mean()) for of in maps]
    predictors = [float(of.n_nonzero[living].mean()) for of in maps]
    scalars: Scalars = {}
    for of, loss, mean_predictors in zip(maps, losses, predictors):
        scalars[f"loss_at_{of.penalty:g}"] = loss
        scalars[f"predictors_at_{of.penalty:g}"] = mean_predictors
    arrays = {
        "penalties": np.array([of.penalty for of in maps]),
        "loss": np.array(losses),
        "predictors": np.array(predictors),
        "loss_of_unit": np.stack([of.loss_of_unit for of in maps]),
        "n_nonzero": np.stack([of.n_nonzero for of in maps]),
        "duality_gap": np.array([of.duality_gap for of in maps]),
        "weights": chosen.weights,
        "path_weights": np.stack([of.weights for of in maps]).astype(np.float32),
    }
    return scalars, arrays


def unit_tree_task(layer: Layer, i: int, j: int) -> tuple[Scalars, Arrays]:
    """Join the units of both networks by the weights of the map between them (Li et al. 2016, Section 4)."""
    # Rows of the published matrix are the units that predict; those of a map are the predicted ones.
    weights = np.ascontiguousarray(layer.sparse_map(i, j).weights.T)
    tree = unit_tree(weights)
    arrays = {
        "weights": weights,
        "linkage": tree.linkage,
        "leaves": tree.leaves,
        "network": tree.network,
        "merge_similarity": tree.merge_similarity,
    }
    return {"joined_share": tree.joined_share}, arrays


def unit_groups_task(layer: Layer, i: int, j: int) -> tuple[Scalars, Arrays]:
    """Group the units of both networks by spectral clustering (Li et al. 2016, Section S.3)."""
    settings = layer.settings
    n_units = layer.statistics.widths[i] + layer.statistics.widths[j]
    alpha = settings.alpha
    if alpha is not None:  # narrow layers would fall apart into single units
        alpha = min(max(alpha, LEAST_SPLIT / n_units), 1.0)
    groups = unit_groups(
        layer.moments.correlation(i, i),
        layer.moments.correlation(i, j),
        layer.moments.correlation(j, j),
        settings.n_groups,
        threshold=settings.threshold,
        alpha=alpha,
        seed=settings.seed,
    )
    joint = (groups.sizes > 0).all(axis=1)
    scalars = {
        "n_groups": float(groups.n_groups),
        "in_joint_groups": float(groups.sizes[joint].sum() / groups.order.size),
    }
    if joint.any():
        scalars["between"] = float(groups.between[joint].mean())
        scalars["within"] = float(groups.within[joint].mean())
    splits = [(parent, int(child)) for parent, children in groups.splits for child in children]
    arrays = {
        "labels_x": groups.labels_x,
        "labels_y": groups.labels_y,
        "sizes": groups.sizes,
        "between": groups.between,
        "within": groups.within,
        "eigenvalues": groups.eigenvalues,
        "order": groups.order,
        "splits": np.array(splits, dtype=np.int64).reshape(-1, 2),
    }
    return scalars, arrays
