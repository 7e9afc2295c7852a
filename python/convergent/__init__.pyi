# What each public name is and where it lives. Read by type checkers, and by `__init__.py` when a name is first used.
from ._warnings import ConvergenceWarning, DeadUnitWarning, FewExamplesWarning
from .inference.examples import bootstrap_examples
from .inference.interval import Interval
from .inference.networks import bootstrap_networks
from .inference.noise_ceiling import NoiseCeiling, noise_ceiling
from .inference.pairs import bootstrap_pairs
from .inference.permutation import PermutationNull, permutation_null
from .inference.values import bootstrap_values
from .measures.alignment import AlignmentAgreement, alignment_agreement
from .measures.assignment import UnitMatch, assign, match_agreement, match_units
from .measures.canonical import cca, pwcca, svcca
from .measures.class_means import ClassMeanEmbedding, class_mean_embedding
from .measures.consistency import consistency, consistency_matrix
from .measures.correlation import correlation
from .measures.index_atlas import IndexAtlas, index_atlas
from .measures.indexes import cka
from .measures.information import BinnedUnits, bin_units, mutual_information
from .measures.match_results import Match, MatchLevels, MinMatches, SimpleMatches
from .measures.match_summary import MatchSummary, match_summary
from .measures.matching_similarity import MatchingSimilarity, matching_similarity
from .measures.procrustes import procrustes
from .measures.recurring_units import RecurringUnits, recurring_units
from .measures.rsa import rsa
from .measures.rsm import inter_rsm, rsm, rsm_agreement, variance_explained
from .measures.shared_response import SharedResponseModel
from .measures.sparse_map import SparseMap, sparse_map, sparse_map_path
from .measures.stability import Stability
from .measures.subspace import SubspaceMatcher
from .measures.subspace_calls import max_match, simple_matches
from .measures.unit_groups import UnitGroups, unit_groups
from .measures.unit_tree import UnitTree, unit_tree
from .simulation.copies import rotated_copies
from .simulation.runs import simulate
from .simulation.simulation import Simulation
from .simulation.xor import XorActivations, xor_activations
from .statistics import Factor, Moments, Statistics

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
