"""What a simulation does: every number that its results depend on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from convergent import _validate
from convergent.measures.rsm import KINDS as RSM_KINDS
from convergent.simulation.copies import KINDS, not_negative

CONVENTIONS = ("paper", "authors")
ALGORITHMS = ("deterministic", "probabilistic")
_CHOICES = {
    "kind": KINDS,
    "convention": CONVENTIONS,
    "algorithm": ALGORITHMS,
    "rsm_kind": RSM_KINDS,
    "entries": ("lower", "all"),
    "rank": ("spearman", "kendall"),
}
_OF_CONVENTION = {
    "paper": {
        "algorithm": "deterministic",
        "rsm_kind": "cosine",
        "entries": "lower",
        "rank": "spearman",
    },
    "authors": {
        "algorithm": "probabilistic",
        "rsm_kind": "pearson",
        "entries": "all",
        "rank": "kendall",
    },
}


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """Settings of a simulation; `simulate` says what each does.

    Examples
    --------
    >>> from convergent.simulation.settings import SimulationSettings
    >>> SimulationSettings.of(convention="authors").rsm_kind
    'pearson'
    """

    n_copies: int
    kind: str
    convention: str
    algorithm: str
    rsm_kind: str
    entries: str
    rank: str
    noise: float
    n_features: int | None
    center: bool
    seed: int

    @classmethod
    def of(
        cls,
        *,
        n_copies: int = 10,
        kind: str = "orthogonal",
        convention: str = "paper",
        noise: float = 0.0,
        n_features: int | None = None,
        center: bool = False,
        seed: int = 0,
        **choices: str | None,
    ) -> SimulationSettings:
        """Return settings whose `choices` are those of the convention where they are None or not given."""
        _validate.choice(convention, "convention", CONVENTIONS)
        given = {name: value for name, value in choices.items() if value is not None}
        named = {**_OF_CONVENTION[convention], **given}
        return cls(n_copies, kind, convention, noise=noise, n_features=n_features, center=center,
                   seed=seed, **named)  # fmt: skip

    def __post_init__(self) -> None:
        for name, options in _CHOICES.items():
            _validate.choice(getattr(self, name), name, options)
        _validate.integer(self.n_copies, "n_copies", low=2)
        object.__setattr__(self, "noise", not_negative(self.noise, "noise"))
        if self.n_features is not None:
            _validate.integer(self.n_features, "n_features", low=1)
        _validate.integer(self.seed, "seed", low=0)
        if _validate.flag(self.center, "center") and self.convention == "authors":
            raise ValueError("`center` goes with `convention` 'paper', got 'authors'")

    @property
    def inter_rsm_convention(self) -> str:
        """How similarities between networks are averaged, as `inter_rsm` names it."""
        return "pairwise" if self.convention == "paper" else "leave-one-out"

    @property
    def model(self) -> dict[str, Any]:
        """Parameters of the `SharedResponseModel`, besides its dimensions, seed and threads."""
        if self.convention == "authors":
            how: dict[str, Any] = {
                "convention": "brainiak",
                "start": "random",
                "max_iter": 10,
                "tol": 0.0,
            }
        else:
            # The plain alternation: it aligns the weakest directions of exact copies exactly, at once.
            how = {"center": self.center, "extrapolate": False, "max_iter": 2_000}
        return {"algorithm": self.algorithm, **how}

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return asdict(self)
