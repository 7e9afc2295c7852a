"""The sections of Li et al. (2016): single units, few units to one, groups of units, activity."""

from __future__ import annotations

from matplotlib.figure import Figure

from convergent.report import figures
from convergent.report.figures.convergent_learning_maps import mean_losses
from convergent.report.sections.section import (
    Folded,
    Part,
    Picture,
    Section,
    Table,
    picture,
)
from convergent.study.result import TaskResult
from convergent.study.study import Study

_CURVES = (
    "Similarity of each unit to its partner by {unit}, sorted by the best match. Where the blue line drops below the "
    "orange one, several units want the same partner. Lines: mean over pairs of networks; bands: 95 % intervals, "
    "networks being drawn."
)
_MEANS = (
    "The mean of these curves over layers: orange with the right to share a partner, blue one to one. Large dots: mean "
    "over pairs of networks; bars: 95 % intervals, networks being drawn; small dots: single pairs. The higher, "
    "the more alike single units are."
)
_CHANCE = (
    " Dotted: by chance, the examples of one network being shuffled (4,000 of them at most; the more examples, the "
    "less chance does)."
)
_MATRICES = (
    "{layer}: correlations of the units of {a} with each other, of {b} with each other, between both as trained, and "
    "between both with partners at the same place, best pairs first. Red: respond alike; blue: opposite; white: "
    "unrelated. A red diagonal in the last panel means that single units correspond. Dead units are blank."
)
_SCATTER = (
    "{layer}: responses of the best matched units (blue) and of the worst matched ones (orange), dead units left out. "
    "One dot is one example. Dots along a line: the two units respond alike."
)
_RECURRING = (
    "Share of units that have a mutual best match (correlation above 0.5) in so many of the other networks: the "
    "darker, the more. Black line: units that recur in all networks, each matched with each."
)
_LOSSES = (
    "Left: how badly each unit of one network is predicted from the units of another, at growing L1 penalties; the "
    "dotted line is no prediction at all. Right: how many units take part in a prediction. Where the loss stays low "
    "while predictors become few, single units or small sets of them carry the code. Dashed: the penalty of the "
    "figures below. Bands: 95 % intervals, networks being drawn."
)
_OVERVIEW = (
    "Each green square is one mapping between the same layer of two networks, at the dashed penalty; its filled part "
    "is the explained share of variance. Beside it: the share that is not explained, and how many units predict one. "
    "Means over pairs of networks; dark line: 95 % interval of the share, networks being drawn."
)
_WEIGHTS = (
    "{layer}: weights that predict units of {b} (rows) from units of {a} (columns). Red: positive; blue: negative. "
    "Right: the same rows in the order of their strongest predictor. One dark cell a row means one main predictor."
)
_TREE = (
    "{layer}: the units of {a} (blue on the diagonal) and {b} (orange), joined into a tree by their largest weights. "
    "Dark cells: large weights. Each purple angle is a branch. A small branch with both colours is a small set of "
    "units that both networks have. Green frames are enlarged on the right, with the units' numbers."
)
_SIMILARITY = (
    "Groups of alike units of two networks, most alike between the networks first. Blue: mean correlation of a group's "
    "units between the networks, 0 if only one network has units there; orange: within the networks. One line a pair "
    "of networks."
)
_BLOCKS = (
    "{layer}: correlations of the units of {a} and {b}, group by group. Red: respond alike. Green outlines: groups "
    "with units of both networks; grey: of one network. Units without a group come last."
)
_HIERARCHY = (
    "{layer}: how the largest group falls into smaller ones. Boxes and labels: units of {a} + units of {b}; each bar "
    "is a unit. Parts with both colours are features that both networks have."
)
_ACTIVITY = (
    "Mean activation of each unit, most active units first, one line a network. Lines that lie on each other mean that "
    "the networks use their units equally, whichever units these are. Units that are never active end a line."
)


def sections(study: Study) -> list[Section]:
    """Return the figures of matched units, of sparse maps, of groups and of mean activations."""
    made = (_unit_section(study), _map_section(study), _group_section(study), _activity(study))
    return [section for section in made if section.parts]


def _unit_section(study: Study) -> Section:
    parts: list[Part] = []
    for measure in ("correlation", "mutual_information"):
        if study.layers_with(measure):
            caption = _CURVES.format(unit=measure.replace("_", " "))
            parts.append(picture(figures.match_curves(study, measure), caption))
            chance = _CHANCE if measure == "correlation" else ""
            parts.append(picture(figures.mean_matches(study, measure), _MEANS + chance))
    if study.layers_with("recurring_units"):
        parts.append(picture(figures.recurring_units(study), _RECURRING))
    for name, pair in _first_pairs(study, "correlation"):
        inside = [_of_pair(figures.correlation_matrices(pair), _MATRICES, pair)]
        if len(pair.arrays.get("scatter_pairs", ())):
            inside.append(_of_pair(figures.activation_scatter(pair), _SCATTER, pair))
        parts.append(_folded(study, f"{name}: correlations and responses", inside))
    question = (
        "Convergent learning (Li et al. 2016): match the units of two networks by how alike they respond, with and "
        "without the right to share a partner."
    )
    return Section("Do single units correspond?", question, parts)


def _map_section(study: Study) -> Section:
    parts: list[Part] = []
    if study.layers_with("sparse_map"):
        parts.append(picture(figures.prediction_losses(study), _LOSSES))
        parts.append(_loss_table(study))
        parts.append(picture(figures.mapping_overview(study), _OVERVIEW))
    for name in dict.fromkeys([*study.layers_with("sparse_map"), *study.layers_with("unit_tree")]):
        inside = [_of_pair(figures.mapping_weights(pair), _WEIGHTS, pair)
                  for pair in study.of(name, "sparse_map")[:1]]  # fmt: skip
        inside += [_of_pair(figures.tree_matrix(pair), _TREE, pair)
                   for pair in study.of(name, "unit_tree")[:1]]  # fmt: skip
        parts.append(_folded(study, f"{name}: weights and tree", inside))
    question = (
        "Convergent learning (Li et al. 2016): predict each unit of one network from as few units of another as will "
        "do. A local code needs one, a distributed code needs all."
    )
    return Section("Do a few units do the work of one?", question, parts)


def _loss_table(study: Study) -> Table:
    rows = [
        (name, [f"{loss:.3f}" for loss in mean_losses(study, name)])
        for name in study.layers_with("sparse_map")
    ]
    headings = ["layer", *(f"penalty {penalty:g}" for penalty in study.settings.penalties)]
    caption = (
        "Prediction loss for each L1 penalty, mean over pairs of networks: half of the variance that is not "
        "explained, 0.5 if nothing is predicted."
    )
    return Table(caption, headings, rows)


def _group_section(study: Study) -> Section:
    parts: list[Part] = []
    if study.layers_with("unit_groups"):
        parts.append(picture(figures.group_similarity(study), _SIMILARITY))
    for name, pair in _first_pairs(study, "unit_groups"):
        inside = []
        correlation = _same_pair(study, pair, "correlation")
        if correlation is not None and "within_x" in correlation.arrays:
            inside.append(_of_pair(figures.group_blocks(pair, correlation), _BLOCKS, pair))
        if len(pair.arrays["splits"]):
            inside.append(_of_pair(figures.group_hierarchy(pair), _HIERARCHY, pair))
        if inside:
            parts.append(_folded(study, f"{name}: groups", inside))
    question = (
        "Convergent learning (Li et al. 2016): put the units of two networks into groups that respond alike, many to "
        "many, by spectral clustering."
    )
    return Section("Do groups of units correspond?", question, parts)


def _activity(study: Study) -> Section:
    parts: list[Part] = []
    if study.layers_with("activations"):
        parts.append(picture(figures.mean_activations(study), _ACTIVITY))
    question = (
        "Convergent learning (Li et al. 2016): compare how much the units respond on average."
    )
    return Section("Are the units equally active?", question, parts)


def _first_pairs(study: Study, measure: str) -> list[tuple[str, TaskResult]]:
    """Return the first pair of networks of every layer."""
    return [(name, study.of(name, measure)[0]) for name in study.layers_with(measure)]


def _same_pair(study: Study, pair: TaskResult, measure: str) -> TaskResult | None:
    """Return another measure's result for the same networks, None where there is none."""
    for result in study.of(pair.task.layer, measure):
        if result.task.networks == pair.task.networks:
            return result
    return None


def _of_pair(figure: Figure, caption: str, pair: TaskResult) -> Picture:
    a, b = pair.task.networks
    return picture(figure, caption.format(layer=pair.task.layer, a=a, b=b))


def _folded(study: Study, summary: str, parts: list[Picture]) -> Folded:
    """Return parts to unfold; those of the only layer are unfolded."""
    return Folded(summary, parts, unfolded=len(study.layers) == 1)
