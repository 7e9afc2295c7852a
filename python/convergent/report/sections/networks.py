"""The section of the networks' training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from convergent.report import figures
from convergent.report.sections.section import Section, picture


def sections(metrics: Mapping[str, Mapping[str, Sequence[float]]] | None) -> list[Section]:
    """Return how accurate the networks became, or nothing where that is not known."""
    if not metrics:
        return []
    curves = picture(
        figures.training_curves(metrics), "Test accuracy of each network during training."
    )
    return [Section("The networks", "Are they equally good at their task?", [curves])]
