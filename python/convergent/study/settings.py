"""What a comparison computes, and how: every number that a result depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from convergent import _validate
from convergent.measures.matching_similarity import CONVENTIONS

MEASURES = (
    "activations",
    "correlation",
    "mutual_information",
    "recurring_units",
    "sparse_map",
    "unit_tree",
    "unit_groups",
    "max_match",
    "simple_matches",
    "shared_response",
    "cka",
    "indexes",
    "cka_atlas",
)
TOGETHER = ("activations", "recurring_units", "shared_response", "cka_atlas")
"""Measures of all networks at once; the others are of pairs."""
EPSILONS = (0.15, 0.2, 0.25, 0.3, 0.5)
PENALTIES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """Settings of a comparison.

    Parameters
    ----------
    measures : sequence of str
        Of "activations", "correlation", "mutual_information", "recurring_units", "sparse_map", "unit_tree",
        "unit_groups", "max_match", "simple_matches", "shared_response", "cka", "indexes",
        "cka_atlas" (of all layers at once).
    epsilons : sequence of float in [0, 1)
        Relative residuals of the maximum match and of the simple matches.
    convention : {"all", "authors"}
        Examples of the maximum match: all positions, or the mean over draws from the row sample, as
        `matching_similarity` describes. Simple matches always use all positions.
    n_positions, n_draws : int
        Positions in a draw and number of draws, with ``convention="authors"``.
    n_orders : int
        Random orders in which simple matches are searched.
    max_matched : int
        Most units (of both networks) in a maximum match whose simple matches are searched. The time grows with
        about the third power: half a minute or less a pair and epsilon for 512 + 512 units, four orders and two
        processors. Where more match, that is reported as a problem.
    n_bins : int
        Percentile bins of the mutual information (5 % of the mass each at 20).
    penalties : sequence of float
        L1 penalties of the sparse map whose loss is compared.
    penalty : float
        L1 penalty of the map that trees and figures are made of; also among those that are compared.
    n_groups : int, optional
        Groups of units to begin with; default: where the Laplacian's eigenvalues make their largest step.
    threshold : float
        Correlation above which two units are joined when units are grouped.
    alpha : float in (0, 1], optional
        Groups with more than this share of both networks' units, and more than four, are split again; None leaves
        them.
    n_features : int
        Dimensions of the shared response, at most; narrower layers take their width.
    test_share : float in (0, 1)
        Share of the examples held out to evaluate the shared response.
    seed : int
        Of the split, of the shared response's start, of the groups' starts, and of the draws and orders of the
        subspace matches.

    Examples
    --------
    >>> from convergent.study import CompareSettings
    >>> CompareSettings(measures=["cka"]).measures
    ('cka',)
    """

    measures: Sequence[str] = MEASURES
    epsilons: Sequence[float] = EPSILONS
    convention: str = "all"
    n_positions: int = 10_000
    n_draws: int = 16
    n_orders: int = 4
    max_matched: int = 1_024
    n_bins: int = 20
    penalties: Sequence[float] = PENALTIES
    penalty: float = 10**-2.6
    n_groups: int | None = None
    threshold: float = 0.2
    alpha: float | None = 0.025
    n_features: int = 50
    test_share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.measures:
            _validate.choice(name, "measures", MEASURES)
        if not self.measures:
            raise ValueError("`measures` must name at least one measure, got none")
        if not self.epsilons:
            raise ValueError("`epsilons` must hold at least one value, got none")
        object.__setattr__(self, "measures", tuple(dict.fromkeys(self.measures)))
        object.__setattr__(
            self, "epsilons", tuple(_validate.epsilon(e, "epsilons") for e in self.epsilons)
        )
        _validate.choice(self.convention, "convention", CONVENTIONS)
        _validate.integer(self.n_positions, "n_positions", low=2)
        _validate.integer(self.n_draws, "n_draws", low=1)
        _validate.integer(self.n_orders, "n_orders", low=1)
        _validate.integer(self.max_matched, "max_matched", low=0)
        _validate.integer(self.n_bins, "n_bins", low=2, high=255)
        _validate.integer(self.n_features, "n_features", low=1)
        _validate.integer(self.seed, "seed", low=0)
        if not 0.0 < _validate.real(self.test_share, "test_share") < 1.0:
            raise ValueError(f"`test_share` must lie in (0, 1), got {self.test_share}")
        self._check_maps_and_groups()

    def _check_maps_and_groups(self) -> None:
        penalties = [_validate.real(penalty, "penalties") for penalty in self.penalties]
        for value in penalties:
            if value < 0.0:
                raise ValueError(f"`penalties` must be at least 0, got {value}")
        object.__setattr__(self, "penalties", tuple(dict.fromkeys(penalties)))
        if _validate.real(self.penalty, "penalty") < 0.0:
            raise ValueError(f"`penalty` must be at least 0, got {self.penalty}")
        if self.n_groups is not None:
            _validate.integer(self.n_groups, "n_groups", low=1)
        if _validate.real(self.threshold, "threshold") < 0.0:
            raise ValueError(f"`threshold` must be at least 0, got {self.threshold}")
        if self.alpha is not None and not 0.0 < _validate.real(self.alpha, "alpha") <= 1.0:
            raise ValueError(f"`alpha` must lie in (0, 1], got {self.alpha}")

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        content = asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in content.items()}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> CompareSettings:
        """Return the settings that `as_dict` gave."""
        return cls(**content)
