"""The section of Wang et al. (2018): sets of units that span the same space."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from convergent.report import figures
from convergent.report.sections.section import Section, picture
from convergent.study.study import Study

_MAX_MATCH_PICTURES: tuple[tuple[Callable[[Study], Figure], str], ...] = (
    (
        figures.similarity_over_layers,
        "Share of units in the maximum match, over layers, for each ε. Large dots: mean over pairs of networks; bars: "
        "95 % intervals, networks being drawn; small dots: single pairs. A small ε with a high share means that "
        "the layers span the same space.",
    ),
    (
        figures.similarity_curves,
        "The same for every ε at once, from each unit's smallest ε: a steep step means that most units "
        "match at the same residual. Bands: 95 % intervals, networks being drawn; dotted lines: the ε above.",
    ),
    (
        figures.unit_levels,
        "Level of each unit, the smallest ε at which it belongs to the maximum match. Shapes: histograms of the units "
        "of all pairs; lines across: medians; dotted lines: the ε above. Dead units have no level.",
    ),
)
_SIMPLE_MATCH_CAPTION = (
    "How many units of both networks the simple matches take, as shares of the simple matches of all pairs. At 2, "
    "single units correspond; far to the right, the networks agree as a whole and differ in detail. The classes "
    "double in width."
)


def sections(study: Study) -> list[Section]:
    """Return the figures of maximum and simple matches."""
    parts = []
    if study.layers_with("max_match"):
        parts += [picture(draw(study), caption) for draw, caption in _MAX_MATCH_PICTURES]
    if study.layers_with("simple_matches"):
        parts.append(picture(figures.simple_match_sizes(study), _SIMPLE_MATCH_CAPTION))
    question = (
        "Neuron activation subspace match (Wang et al. 2018): find the largest sets of units, one in each network, "
        "that are linear combinations of each other up to a residual of ε, and the smallest such sets that they are "
        "made of."
    )
    return [Section("Do sets of units span the same space?", question, parts)] if parts else []
