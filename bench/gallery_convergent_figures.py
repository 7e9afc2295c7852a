"""The figures of docs/gallery_convergent.md: which of them of which networks and layers, and how they are stored."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from convergent.report import figures
from convergent.report.figures.patch_blocks import blocks_drawn, smooth
from convergent.statistics import UnitPatches
from convergent.study import Study, TaskResult

DPI = 110
_COLOURS = 256
_LARGE = 150_000
Patches = Mapping[str, Mapping[str, UnitPatches]]

_OF_LAYERS = (
    "match_curves", "mean_matches", "mapping_overview", "prediction_losses", "group_similarity",
    "mean_activations", "recurring_units",
)  # fmt: skip
_FIRST = (
    "matrices", "scatter", "matches", "information", "weights", "few_to_one", "tree", "regions",
    "groups", "active",
)  # fmt: skip
_SECOND = ("matches", "information", "few_to_one", "blocks", "groups", "group_tree", "active")

STUDY_FIGURES: dict[str, tuple[str, ...]] = {
    "alexnet": _OF_LAYERS,
    "vgg11": _OF_LAYERS,
    "convnet": (),
}
"""Figures of all layers."""
LAYER_FIGURES: dict[str, dict[str, tuple[str, ...]]] = {
    "alexnet": {
        "relu1": _FIRST,
        "relu2": _SECOND,
        **{f"relu{i}": ("matches",) for i in (3, 4, 5)},
    },
    "vgg11": {f"relu{i}": ("matches",) for i in (2, 4, 6, 8)},
    "convnet": {"relu1": _FIRST, "relu2": _SECOND},
}
"""Figures of single layers, of the first pair of networks."""
WITH_PATCHES = {"matches", "information", "few_to_one", "groups", "group_tree", "active", "regions"}


def layers_with_patches(name: str) -> list[str]:
    """Return the layers of a set that are drawn with image patches."""
    return [
        layer for layer, kinds in LAYER_FIGURES.get(name, {}).items() if WITH_PATCHES & set(kinds)
    ]


def shows_all_networks(name: str, layer: str) -> bool:
    """Return whether a layer's figures show patches of more networks than the first pair."""
    return "active" in LAYER_FIGURES[name][layer]


def draw(name: str, study: Study, patches: Patches, folder: Path) -> None:
    """Draw the figures of one set of networks."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in STUDY_FIGURES.get(name, ()):
        save(getattr(figures, kind)(study), folder / f"convergent_{name}_{kind}.png")
    for layer, kinds in LAYER_FIGURES.get(name, {}).items():
        for kind in kinds:
            figure = _layer_figure(study, layer, kind, patches.get(layer, {}))
            save(figure, folder / f"convergent_{name}_{layer}_{kind}.png")


def _layer_figure(
    study: Study, layer: str, kind: str, patches: Mapping[str, UnitPatches]
) -> Figure:
    measure, of_pair = _PAIR_FIGURES.get(kind, ("", None))
    if of_pair is not None:
        return of_pair(study.of(layer, measure)[0])
    if kind == "blocks":
        return figures.group_blocks(
            study.of(layer, "unit_groups")[0], study.of(layer, "correlation")[0]
        )
    if kind == "active":
        (result,) = study.of(layer, "activations")
        return figures.most_and_least_active(result, patches)
    measure, with_patches = _PICTURES[kind]
    result = study.of(layer, measure)[0]
    x, y = (patches[network] for network in result.task.networks)
    return with_patches(result, x, y)


_PAIR_FIGURES: dict[str, tuple[str, Callable[[TaskResult], Figure]]] = {
    "matrices": ("correlation", figures.correlation_matrices),
    "scatter": ("correlation", figures.activation_scatter),
    "weights": ("sparse_map", figures.mapping_weights),
    "tree": ("unit_tree", figures.tree_matrix),
}
_PICTURES: dict[str, tuple[str, Callable[[TaskResult, UnitPatches, UnitPatches], Figure]]] = {
    "matches": ("correlation", figures.best_and_worst_matches),
    "information": ("mutual_information", figures.best_and_worst_matches),
    "few_to_one": ("sparse_map", figures.few_to_one),
    "groups": ("unit_groups", figures.group_pictures),
    "group_tree": ("unit_groups", figures.group_tree_pictures),
    "regions": ("unit_tree", figures.tree_region_pictures),
}


def save(figure: Figure, path: Path) -> None:
    """Write a PNG; a large one with image patches in 256 colours, which takes a third of the bytes."""
    buffer = io.BytesIO()
    smooth(figure).savefig(buffer, dpi=DPI)
    if blocks_drawn(figure) and buffer.tell() > _LARGE:
        image = Image.open(buffer).convert("RGB")
        image = image.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT)
        image.save(path, optimize=True)
    else:
        path.write_bytes(buffer.getvalue())
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
