"""Do networks trained from different seeds learn the same thing, and where?

Measures take activations as arrays of shape ``(n_examples, n_units)`` and need only NumPy. Training, collecting
and reporting live in `convergent.nets`, `convergent.study` and `convergent.report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convergent._warnings import ConvergenceWarning, DeadUnitWarning, FewExamplesWarning
from convergent.inference.examples import bootstrap_examples
from convergent.inference.interval import Interval
from convergent.inference.networks import bootstrap_networks
from convergent.inference.noise_ceiling import NoiseCeiling, noise_ceiling
from convergent.inference.pairs import bootstrap_pairs
from convergent.inference.permutation import PermutationNull, permutation_null
from convergent.inference.values import bootstrap_values
from convergent.measures.alignment import AlignmentAgreement, alignment_agreement
from convergent.measures.assignment import UnitMatch, assign, match_agreement, match_units
from convergent.measures.canonical import cca, pwcca, svcca
from convergent.measures.class_means import ClassMeanEmbedding, class_mean_embedding
from convergent.measures.consistency import consistency, consistency_matrix
from convergent.measures.correlation import correlation
from convergent.measures.index_atlas import IndexAtlas, index_atlas
from convergent.measures.indexes import cka
from convergent.measures.information import BinnedUnits, bin_units, mutual_information
from convergent.measures.match_results import Match, MatchLevels, MinMatches, SimpleMatches
from convergent.measures.match_summary import MatchSummary, match_summary
from convergent.measures.matching_similarity import MatchingSimilarity, matching_similarity
from convergent.measures.procrustes import procrustes
from convergent.measures.recurring_units import RecurringUnits, recurring_units
from convergent.measures.rsa import rsa
from convergent.measures.rsm import inter_rsm, rsm, rsm_agreement, variance_explained
from convergent.measures.shared_response import SharedResponseModel
from convergent.measures.sparse_map import SparseMap, sparse_map, sparse_map_path
from convergent.measures.stability import Stability
from convergent.measures.subspace import SubspaceMatcher
from convergent.measures.subspace_calls import max_match, simple_matches
from convergent.measures.unit_groups import UnitGroups, unit_groups
from convergent.measures.unit_tree import UnitTree, unit_tree
from convergent.simulation.copies import rotated_copies
from convergent.simulation.runs import simulate
from convergent.simulation.simulation import Simulation
from convergent.simulation.xor import XorActivations, xor_activations
from convergent.statistics import Factor, Moments, Statistics

if TYPE_CHECKING:
    __version__: str

__all__ = [
    "AlignmentAgreement",
    "BinnedUnits",
    "ClassMeanEmbedding",
    "ConvergenceWarning",
    "DeadUnitWarning",
    "Factor",
    "FewExamplesWarning",
    "IndexAtlas",
    "Interval",
    "Match",
    "MatchLevels",
    "MatchSummary",
    "MatchingSimilarity",
    "MinMatches",
    "Moments",
    "NoiseCeiling",
    "PermutationNull",
    "RecurringUnits",
    "SharedResponseModel",
    "SimpleMatches",
    "Simulation",
    "SparseMap",
    "Stability",
    "Statistics",
    "SubspaceMatcher",
    "UnitGroups",
    "UnitMatch",
    "UnitTree",
    "XorActivations",
    "alignment_agreement",
    "assign",
    "bin_units",
    "bootstrap_examples",
    "bootstrap_networks",
    "bootstrap_pairs",
    "bootstrap_values",
    "cca",
    "cka",
    "class_mean_embedding",
    "consistency",
    "consistency_matrix",
    "correlation",
    "index_atlas",
    "inter_rsm",
    "match_agreement",
    "match_summary",
    "match_units",
    "matching_similarity",
    "max_match",
    "mutual_information",
    "noise_ceiling",
    "permutation_null",
    "procrustes",
    "pwcca",
    "recurring_units",
    "rotated_copies",
    "rsa",
    "rsm",
    "rsm_agreement",
    "simple_matches",
    "simulate",
    "sparse_map",
    "sparse_map_path",
    "svcca",
    "unit_groups",
    "unit_tree",
    "variance_explained",
    "xor_activations",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("convergent")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
