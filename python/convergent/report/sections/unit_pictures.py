"""The section of Li et al. (2016) with image patches: what matched units see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from convergent.report import figures
from convergent.report.figures.tree_region_pictures import region_units
from convergent.report.sections.section import Folded, Part, Picture, Section, picture
from convergent.study.result import TaskResult
from convergent.study.study import Study

if TYPE_CHECKING:
    from convergent.statistics.patches import UnitPatches

_BLOCKS = "Each block shows the parts of images that activate one unit most, the strongest at its upper left"
_MEASURES = {"correlation": "correlation", "mutual_information": "mutual information in nats"}


def sections(
    study: Study, patches: Mapping[str, Mapping[str, UnitPatches]] | None
) -> list[Section]:
    """Return what the units see, folded by layer, for the first pair of networks that has patches."""
    parts: list[Part] = []
    for layer in study.layers:
        of_layer = (patches or {}).get(layer.name, {})
        pictures = _pictures(study, layer.name, of_layer)
        if pictures:
            summary = f"{layer.name}: what the units see"
            parts.append(Folded(summary, pictures, unfolded=not parts))
    question = (
        "Convergent learning (Li et al. 2016): two units may agree in their numbers, but do they look for the same "
        f"thing? {_BLOCKS}. Units without patches and dead units are left out."
    )
    return [Section("What do the units see?", question, parts)] if parts else []


def _pictures(study: Study, layer: str, patches: Mapping[str, UnitPatches]) -> list[Picture]:
    found = []
    for measure, unit in _MEASURES.items():
        for result, x, y in _first_pair(study, layer, measure, patches):
            figure = figures.best_and_worst_matches(result, x, y)
            found.append(picture(figure, _matches_caption(layer, x, y, unit)))
    for result, x, y in _first_pair(study, layer, "sparse_map", patches):
        found.append(picture(figures.few_to_one(result, x, y), _few_to_one_caption(layer, x, y)))
    for result, x, y in _first_pair(study, layer, "unit_tree", patches):
        if region_units(result):
            figure = figures.tree_region_pictures(result, x, y)
            found.append(picture(figure, _regions_caption(layer, x, y)))
    for result, x, y in _first_pair(study, layer, "unit_groups", patches):
        found.append(picture(figures.group_pictures(result, x, y), _groups_caption(layer, x, y)))
        if len(result.arrays["splits"]):
            found.append(picture(figures.group_tree_pictures(result, x, y), _tree_caption(layer)))
    for result in study.of(layer, "activations")[:1]:
        if patches:
            figure = figures.most_and_least_active(result, patches)
            found.append(picture(figure, _activity_caption(layer)))
    return found


def _first_pair(
    study: Study, layer: str, measure: str, patches: Mapping[str, UnitPatches]
) -> list[tuple[TaskResult, UnitPatches, UnitPatches]]:
    """Return the first result whose networks both have patches, with these; nothing if there is none."""
    for result in study.of(layer, measure):
        x, y = result.task.networks
        if x in patches and y in patches:
            return [(result, patches[x], patches[y])]
    return []


def _matches_caption(layer: str, x: UnitPatches, y: UnitPatches, unit: str) -> str:
    return (
        f"{layer}: units of {x.network} (above) and the unit of {y.network} (below) that each of them agrees "
        f"with most, by {unit}: the best matches on the left, the worst on the right. Where even the worst "
        f"look alike, both networks learned the same units. {_grey(x, y)}"
    )


def _few_to_one_caption(layer: str, x: UnitPatches, y: UnitPatches) -> str:
    return (
        f"{layer}: units of {y.network} (below) and the few units of {x.network} (above) that together predict "
        f"each of them best, with their weights in the sparse map: blue adds, orange takes away. Shown are the "
        f"units for which the last predictor in the row still weighs most. {_grey(x, y)}"
    )


def _regions_caption(layer: str, x: UnitPatches, y: UnitPatches) -> str:
    return (
        f"{layer}: the units of two small branches of the tree, those that its figure enlarges, in the tree's order; "
        f"blue: units of {x.network}, orange: units of {y.network}. Neighbours that look alike are a small set "
        f"of units that both networks have. {_grey(x, y)}"
    )


def _groups_caption(layer: str, x: UnitPatches, y: UnitPatches) -> str:
    return (
        f"{layer}: groups of units that respond together, the most alike between the networks first; units of "
        f"{x.network} in dashed boxes, units of {y.network} beside them. Numbers: mean correlation between "
        "and within the networks."
    )


def _tree_caption(layer: str) -> str:
    return (
        f"{layer}: how the largest of the groups that were split came apart, drawn as the groups above. "
        "Groups that part further to the right are closer to each other."
    )


def _activity_caption(layer: str) -> str:
    return (
        f"{layer}: the most active units of each network on the left, the least active on the right, with their "
        "mean activation over all examples. Dead units are left out."
    )


def _grey(*patches: UnitPatches) -> str:
    if any(of_network.deconvolutions is None for of_network in patches):
        return ""
    return (
        "Below the patches: what in them the unit responds to (deconvolution); mid grey is nothing."
    )
