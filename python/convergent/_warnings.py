"""Warnings that the package gives."""

from __future__ import annotations

import sys


class DeadUnitWarning(UserWarning):
    """Some units never vary, so that a measure has no value for them and a stated one is given instead."""


class ConvergenceWarning(UserWarning):
    """An iteration reached its limit before its tolerance; the result says how far it got."""


class FewExamplesWarning(UserWarning):
    """There are so few examples that a value follows from their number, whatever the networks."""


def say_undrawn(what: str, error: ImportError) -> None:
    """Say on the standard error that `what` is left out for want of an optional package."""
    package = (error.name or "a package").partition(".")[0]
    print(
        f"{what} not written, because {package} is not installed "
        '(pip install "convergent[full]"); the numbers are in summary.csv',
        file=sys.stderr,
    )
