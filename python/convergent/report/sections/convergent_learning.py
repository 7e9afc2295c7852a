"""The section of Li et al. (2016): single units."""

from __future__ import annotations

from convergent.report import figures
from convergent.report.sections.section import Section, picture, shown_layers
from convergent.study.study import Study


def sections(study: Study) -> list[Section]:
    """Return the figures of single units, matched with and without sharing partners."""
    parts = []
    for measure, unit in (
        ("correlation", "correlation"),
        ("mutual_information", "mutual information"),
    ):
        if shown_layers(study, measure):
            parts.append(
                picture(
                    figures.match_curves(study, measure),
                    f"Similarity of each unit to its partner by {unit}, sorted by the best match. Where the blue "
                    "line drops below the orange one, several units want the same partner. Lines: mean over pairs "
                    "of networks; bands: lowest to highest pair.",
                )
            )
    for name in shown_layers(study, "correlation"):
        pair = study.of(name, "correlation")[0]
        a, b = pair.task.networks
        parts.append(
            picture(
                figures.correlation_matrices(pair),
                f"{name}: correlations between the units of {a} and {b}, as trained and with {b}'s units in the "
                "order of their partners. A red diagonal means that single units correspond; "
                "dead units leave blank rows and columns.",
            )
        )
    title = "Do single units correspond?"
    question = (
        "Convergent learning (Li et al. 2016): match the units of two networks by how alike they respond, with and "
        "without the right to share a partner."
    )
    return [Section(title, question, parts)] if parts else []
