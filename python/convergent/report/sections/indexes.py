"""The section of similarity indexes."""

from __future__ import annotations

from convergent.report import figures
from convergent.report.sections.section import Section, picture
from convergent.study.study import Study


def sections(study: Study) -> list[Section]:
    """Return the indexes of every pair of networks."""
    if not study.layers_with("cka"):
        return []
    matrices = picture(
        figures.network_matrices(study),
        "Linear CKA of every network with every other; 1 on the diagonal. Above: mean over pairs of networks, with its "
        "95 % interval over networks from three networks on.",
    )
    question = "One number for a pair of layers, unchanged by rotation and scale."
    return [Section("How similar are the layers overall?", question, [matrices])]
