"""The section of Lu et al. (2018): one shared space."""

from __future__ import annotations

from convergent.report import figures
from convergent.report.sections.section import (
    Folded,
    Part,
    Section,
    picture,
)
from convergent.study.study import Study


def sections(study: Study) -> list[Section]:
    """Return how well one shared space aligns the networks, and each layer's similarity matrices."""
    names = study.layers_with("shared_response")
    if not names:
        return []
    parts: list[Part] = [
        picture(
            figures.agreement_bars(study),
            "Left: how well similarities between networks reproduce those within networks, in the shared space and "
            "without alignment. Right: how much of the held-out activations the shared response explains.",
        )
    ]
    for name in names:
        (result,) = study.of(name, "shared_response")
        panels = picture(
            figures.rsm_panels(result),
            f"{name}: similarities of held-out examples, sorted by class where labels are known. If the "
            "middle matrix looks like the left one, rotations align the networks.",
        )
        parts.append(Folded(f"{name}: the similarity matrices", [panels], unfolded=len(names) == 1))
    question = (
        "Shared response model (Lu et al. 2018): find one space into which every network can be rotated, and ask on "
        "held-out examples whether the networks agree there."
    )
    return [Section("Do the networks agree up to a rotation?", question, parts)]
