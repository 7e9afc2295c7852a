"""What a comparison computes, and how: every number that a result depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from convergent import _validate
from convergent.measures.matching_similarity import CONVENTIONS

MEASURES = (
    "correlation",
    "mutual_information",
    "max_match",
    "simple_matches",
    "shared_response",
    "cka",
)
EPSILONS = (0.15, 0.2, 0.25, 0.3, 0.5)


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """Settings of a comparison.

    Parameters
    ----------
    measures : sequence of str
        Of "correlation", "mutual_information", "max_match", "simple_matches", "shared_response", "cka".
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
    n_features : int
        Dimensions of the shared response, at most; narrower layers take their width.
    test_share : float in (0, 1)
        Share of the examples held out to evaluate the shared response.
    seed : int
        Of the split, of the shared response's start, and of the draws and orders of the subspace matches.

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

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        content = asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in content.items()}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> CompareSettings:
        """Return the settings that `as_dict` gave."""
        return cls(**content)
