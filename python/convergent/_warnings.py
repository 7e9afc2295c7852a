"""Warnings that the package gives."""

from __future__ import annotations


class DeadUnitWarning(UserWarning):
    """Some units never vary, so that a measure has no value for them and a stated one is given instead."""


class ConvergenceWarning(UserWarning):
    """An iteration reached its limit before its tolerance; the result says how far it got."""


class FewExamplesWarning(UserWarning):
    """There are so few examples that a value follows from their number, whatever the networks."""
