"""Do networks trained from different seeds learn the same thing, and where?

Measures take activations as arrays of shape ``(n_examples, n_units)`` and need only NumPy. Training, collecting
and reporting live in `convergent.nets`, `convergent.study` and `convergent.report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convergent._warnings import ConvergenceWarning, DeadUnitWarning, FewExamplesWarning
from convergent.measures.assignment import UnitMatch, assign, match_agreement, match_units
from convergent.measures.canonical import cca, pwcca, svcca
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
from convergent.measures.rsm import consistency, inter_rsm, rsm, rsm_agreement, variance_explained
from convergent.measures.shared_response import SharedResponseModel
from convergent.measures.sparse_map import SparseMap, sparse_map, sparse_map_path
from convergent.measures.stability import Stability
from convergent.measures.subspace import SubspaceMatcher
from convergent.measures.subspace_calls import max_match, simple_matches
from convergent.measures.unit_groups import UnitGroups, unit_groups
from convergent.measures.unit_tree import UnitTree, unit_tree
from convergent.statistics import Factor, Moments, Statistics

if TYPE_CHECKING:
    __version__: str

__all__ = [
    "BinnedUnits",
    "ConvergenceWarning",
    "DeadUnitWarning",
    "Factor",
    "FewExamplesWarning",
    "IndexAtlas",
    "Match",
    "MatchLevels",
    "MatchSummary",
    "MatchingSimilarity",
    "MinMatches",
    "Moments",
    "RecurringUnits",
    "SharedResponseModel",
    "SimpleMatches",
    "SparseMap",
    "Stability",
    "Statistics",
    "SubspaceMatcher",
    "UnitGroups",
    "UnitMatch",
    "UnitTree",
    "assign",
    "bin_units",
    "cca",
    "cka",
    "consistency",
    "correlation",
    "index_atlas",
    "inter_rsm",
    "match_agreement",
    "match_summary",
    "match_units",
    "matching_similarity",
    "max_match",
    "mutual_information",
    "procrustes",
    "pwcca",
    "recurring_units",
    "rsa",
    "rsm",
    "rsm_agreement",
    "simple_matches",
    "sparse_map",
    "sparse_map_path",
    "svcca",
    "unit_groups",
    "unit_tree",
    "variance_explained",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("convergent")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
