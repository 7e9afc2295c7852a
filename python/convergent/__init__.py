"""Do networks trained from different seeds learn the same thing, and where?

Measures take activations as arrays of shape ``(n_examples, n_units)`` and need only NumPy. Training, collecting
and reporting live in `convergent.nets`, `convergent.study` and `convergent.report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convergent._warnings import ConvergenceWarning, DeadUnitWarning
from convergent.measures.subspace import Match, SubspaceMatcher, max_match
from convergent.statistics.factor import Factor

if TYPE_CHECKING:
    __version__: str

__all__ = [
    "ConvergenceWarning",
    "DeadUnitWarning",
    "Factor",
    "Match",
    "SubspaceMatcher",
    "max_match",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("convergent")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
