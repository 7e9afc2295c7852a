"""The section of similarity indexes."""

from __future__ import annotations

from convergent.report import figures
from convergent.report.sections.section import Part, Section, picture
from convergent.study.result import ALL_LAYERS, TaskResult
from convergent.study.study import Study

_ABOVE = "Above: mean over pairs of networks, with its 95 % interval over networks from three networks on."


def sections(study: Study) -> list[Section]:
    """Return the indexes of every pair of networks, and of all networks and layers."""
    parts: list[Part] = []
    if study.layers_with("cka"):
        caption = (
            "Linear CKA of every network with every other; 1 on the diagonal. Above: mean over pairs of networks, with "
            "its 95 % interval over networks from three networks on."
        )
        parts.append(picture(figures.network_matrices(study), caption))
    elif study.layers_with("indexes"):
        matrices = figures.network_matrices(study, "indexes", "procrustes", "Procrustes")
        parts.append(
            picture(matrices, f"Procrustes similarity of every network with every other. {_ABOVE}")
        )
    for result in study.of(ALL_LAYERS, "cka_atlas"):
        if parts and len(result.arrays["layer_names"]) == 1:
            continue  # one layer's matrix has been shown
        parts.append(picture(figures.layer_atlas(result), _atlas_caption(result)))
    if not parts:
        return []
    question = "One number for a pair of layers, unchanged by rotation and scale."
    return [Section("How similar are the layers overall?", question, parts)]


def _atlas_caption(result: TaskResult) -> str:
    networks = ", ".join(dict.fromkeys(result.arrays["networks"].tolist()))
    caption = (
        "Linear CKA across layers. Left: every network and layer; in each block the networks in the order "
        f"{networks}. Right: mean over pairs of different networks."
    )
    if "layers_found" not in result.scalars:
        return caption
    return (
        f"{caption} In {100 * result.scalars['layers_found']:.0f} % of cases the layer of another network that is "
        "most similar to a layer is the same one."
    )
