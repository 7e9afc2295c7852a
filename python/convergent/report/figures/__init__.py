"""Figures of the three papers as functions on results; each returns a `matplotlib.figure.Figure`."""

from convergent.report.figures.convergent_learning import (
    correlation_matrices,
    match_curves,
    mean_matches,
)
from convergent.report.figures.convergent_learning_groups import (
    group_blocks,
    group_hierarchy,
    group_similarity,
)
from convergent.report.figures.convergent_learning_maps import (
    mapping_overview,
    mapping_weights,
    prediction_losses,
)
from convergent.report.figures.convergent_learning_tree import tree_matrix
from convergent.report.figures.convergent_learning_units import (
    activation_scatter,
    mean_activations,
    recurring_units,
)
from convergent.report.figures.group_tree_pictures import group_tree_pictures
from convergent.report.figures.indexes import layer_atlas, network_matrices
from convergent.report.figures.patch_blocks import patch_grid
from convergent.report.figures.shared_geometry import (
    agreement_bars,
    class_mean_panels,
    rsm_panels,
)
from convergent.report.figures.shared_geometry_layers import (
    agreement_during_training,
    consistency_over_layers,
    variance_over_layers,
)
from convergent.report.figures.simple_matches import simple_match_sizes
from convergent.report.figures.simulation import (
    simulation_bars,
    simulation_noise,
    simulation_rsms,
)
from convergent.report.figures.subspace import (
    similarity_curves,
    similarity_over_layers,
    unit_levels,
)
from convergent.report.figures.training import training_curves
from convergent.report.figures.tree_region_pictures import tree_region_pictures
from convergent.report.figures.unit_groups_pictures import group_pictures
from convergent.report.figures.unit_pictures import (
    best_and_worst_matches,
    few_to_one,
    most_and_least_active,
)

__all__ = [
    "activation_scatter",
    "agreement_bars",
    "agreement_during_training",
    "best_and_worst_matches",
    "class_mean_panels",
    "consistency_over_layers",
    "correlation_matrices",
    "few_to_one",
    "group_blocks",
    "group_hierarchy",
    "group_pictures",
    "group_similarity",
    "group_tree_pictures",
    "layer_atlas",
    "mapping_overview",
    "mapping_weights",
    "match_curves",
    "mean_activations",
    "mean_matches",
    "most_and_least_active",
    "network_matrices",
    "patch_grid",
    "prediction_losses",
    "recurring_units",
    "rsm_panels",
    "similarity_curves",
    "similarity_over_layers",
    "simple_match_sizes",
    "simulation_bars",
    "simulation_noise",
    "simulation_rsms",
    "training_curves",
    "tree_matrix",
    "tree_region_pictures",
    "unit_levels",
    "variance_over_layers",
]
