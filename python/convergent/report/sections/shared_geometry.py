"""The section of Lu et al. (2018): one shared space."""

from __future__ import annotations

from convergent.report import figures
from convergent.report.sections.section import Folded, Part, Picture, Section, picture
from convergent.study.result import TaskResult
from convergent.study.study import Study
from convergent.study.trajectory import Trajectory

_QUESTION = (
    "Shared response model (Lu et al. 2018): find one space into which every network can be rotated, and ask on "
    "held-out examples whether the networks agree there. Two networks that differ by a rotation only hold the same "
    "information, arranged in the same way, in other units."
)
_AGREEMENT = (
    "How similar is each example, as one network sees it, to each other example, as another network sees it? If these "
    "similarities are those that a single network has, the networks speak one language. Blue: after every "
    "network was rotated into the shared space; orange: as trained, unit against unit. 1 means the same up to a "
    "rotation. Lines: 95 % intervals over networks, from three networks on."
)
_TRAINING = (
    "The same during training: at each epoch a new shared space is found, and similarities between the networks in it "
    "are compared with those within the networks at the end. A rising line means that the networks approach one and "
    "the same arrangement of the examples. Darker: later layers; bands: 95 % intervals over networks."
)
_VARIANCE = (
    "How much of a network's responses to held-out examples can be read off the shared response? Green: "
    "a shared response of all networks, the judged one included, of which unrelated networks would explain the dotted "
    "share; purple: without the judged one, where unrelated networks would explain nothing or less. Large dots: means "
    "with 95 % intervals; small dots: single networks."
)
_CONSISTENCY = (
    "Do the networks find the same examples alike? Correlation between the similarity matrices of two networks, each "
    "in its own units, so that no alignment is needed. Large dots: means over pairs with 95 % intervals (networks "
    "being drawn); small dots: single pairs. Grey: noise ceiling, the mean correlation that the best "
    "possible matrix can have with those of all networks."
)
_CLASS_MEANS = (
    "{layer}: mean response to each class in two networks, as points of a plane; a line joins the two "
    "points of a class. Before alignment (left, along the two main directions of both networks' units) the "
    "points of a class lie apart; in the shared space (right) the lines are short if the networks agree. The distance "
    "counts all dimensions: mean squared distance between the two points of a class, over that between points of "
    "different classes in the two networks; 0 % is full agreement, about 100 % none."
)
_MATRICES = (
    "{layer}: similarities of held-out examples{sorted}: between networks in the shared space, within "
    "networks, and between networks as trained; means over networks. If the left matrix looks like the middle one, "
    "rotations align the networks; the right one shows what is left without them."
)


def sections(study: Study, trajectory: Trajectory | None = None) -> list[Section]:
    """Return how well one shared space aligns the networks, during training too, and each layer's figures."""
    names = study.layers_with("shared_response")
    if not names:
        return []
    parts: list[Part] = [picture(figures.agreement_bars(study), _AGREEMENT)]
    if trajectory is not None:
        parts.append(picture(figures.agreement_during_training(trajectory), _TRAINING))
    parts.append(picture(figures.variance_over_layers(study), _VARIANCE))
    if all("consistency_pairs" in study.of(name, "shared_response")[0].arrays for name in names):
        parts.append(picture(figures.consistency_over_layers(study), _CONSISTENCY))
    for name in names:
        (result,) = study.of(name, "shared_response")
        summary = f"{name}: the similarity matrices"
        parts.append(Folded(summary, _of_layer(result), unfolded=len(names) == 1))
    return [Section("Do the networks agree up to a rotation?", _QUESTION, parts)]


def _of_layer(result: TaskResult) -> list[Picture]:
    layer = result.task.layer
    by_class = ", sorted by class" if "labels" in result.arrays else ""
    pictures = [picture(figures.rsm_panels(result), _MATRICES.format(layer=layer, sorted=by_class))]
    if "class_means_native" in result.arrays:
        caption = _CLASS_MEANS.format(layer=layer)
        pictures.append(picture(figures.class_mean_panels(result), caption))
    return pictures
