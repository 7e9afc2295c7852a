"""The settings of a training: checked, complete, and as a recipe on disk keeps them.

No torch, so that the command line and whoever reads a study's folder know them, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from convergent import _validate
from convergent.training_recipes import RECIPES, TrainingRecipe

SCHEDULES = ("cosine", "steps", "one_cycle", "constant")
AUGMENTATIONS = ("none", "crop", "crop_flip")
PRECISIONS = ("float32", "bfloat16", "float16")
FOLDER_DATASETS = ("imagefolder", "imagenet")
"""Data sets whose images get their size when a network is trained."""
DEVICE = "cpu"
"""Where networks are trained unless something else is said."""
_WARM_UP = 0.3  # share of a cycle in which the rate rises
_FIRST_SHARE = 1.0 / 25.0  # of the highest rate, where a cycle begins


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What one training is made with. Fields have the values of folders from before they were."""

    epochs: int
    checkpoints: tuple[int, ...]
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    nesterov: bool = True
    schedule: str = "cosine"
    milestones: tuple[int, ...] = ()
    factor: float | None = None
    augmentation: str = "none"
    precision: str = "float32"
    channels_last: bool = False
    compile: bool = False

    def rate(self, step: int, n_batches: int) -> float:
        """Return the learning rate of a step, counted from 0 over all epochs."""
        n_steps = self.epochs * n_batches
        if self.schedule == "cosine":
            return self.learning_rate * (0.5 * (1.0 + math.cos(math.pi * step / n_steps)))
        if self.schedule == "steps":
            assert self.factor is not None
            n_passed = sum(step >= epoch * n_batches for epoch in self.milestones)
            return self.learning_rate * self.factor**n_passed
        if self.schedule == "one_cycle":
            return self.learning_rate * _cycle(step / n_steps)
        return self.learning_rate

    def in_memory(self, channels_last: bool | None, has_maps: bool) -> TrainingSettings:
        """Return the settings with the memory format, which maps decide where it was left open."""
        if channels_last is None:
            channels_last = has_maps and self.precision != "float32"
        return replace(self, channels_last=channels_last)

    def without_flips(self) -> TrainingSettings:
        """Return the settings for images that a mirror makes another class's."""
        augmentation = "crop" if self.augmentation == "crop_flip" else self.augmentation
        return replace(self, augmentation=augmentation)

    def as_json(self) -> dict[str, Any]:
        """Return the settings by name."""
        return asdict(self)


ADDED = {
    name: field.default
    for name, field in TrainingSettings.__dataclass_fields__.items()
    if name not in ("epochs", "checkpoints", "batch_size", "learning_rate", "momentum",
                    "weight_decay")
}  # fmt: skip
"""Settings that older recipes lack, and the values that they had."""


def make_settings(recipe: str | None, given: Mapping[str, Any]) -> TrainingSettings:
    """Return checked settings: those given that are not None, the others from the named recipe."""
    name = "default" if recipe is None else _validate.choice(recipe, "recipe", tuple(RECIPES))
    base = RECIPES[name]
    chosen = {
        field: getattr(base, field) if given.get(field) is None else given[field]
        for field in TrainingRecipe.__dataclass_fields__
        if field not in ("source", "milestones", "factor", "checkpoints")
    }
    epochs = _validate.integer(chosen["epochs"], "epochs", low=1)
    schedule = _validate.choice(chosen["schedule"], "schedule", SCHEDULES)
    milestones, factor = _steps(schedule, given, base, epochs)
    return TrainingSettings(
        epochs=epochs,
        checkpoints=_checkpoints(given.get("checkpoints"), base, epochs),
        batch_size=_validate.integer(chosen["batch_size"], "batch_size", low=1),
        **_optimiser(chosen),
        schedule=schedule,
        milestones=milestones,
        factor=factor,
        augmentation=_validate.choice(chosen["augmentation"], "augmentation", AUGMENTATIONS),
        precision=_validate.choice(_of(given, "precision"), "precision", PRECISIONS),
        compile=_validate.flag(_of(given, "compile"), "compile"),
    )


def _of(given: Mapping[str, Any], name: str) -> Any:
    """Return a setting that no recipe names."""
    return given.get(name, ADDED[name])


def default_checkpoints(epochs: int) -> tuple[int, ...]:
    """Return epochs to keep, ever further apart: 0, 1, 2, 3, 4, 6, 9, 14, ... and the last."""
    chosen = [0, 1]
    while chosen[-1] < epochs:
        chosen.append(max(chosen[-1] + 1, round(1.5 * chosen[-1])))
    return (*(epoch for epoch in chosen if epoch < epochs), epochs)


def _cycle(share: float) -> float:
    """Return the share of the highest rate: up in a straight line, down on a half cosine."""
    if share < _WARM_UP:
        return _FIRST_SHARE + (1.0 - _FIRST_SHARE) * share / _WARM_UP
    return 0.5 * (1.0 + math.cos(math.pi * (share - _WARM_UP) / (1.0 - _WARM_UP)))


def _checkpoints(given: Sequence[int] | None, base: TrainingRecipe, epochs: int) -> tuple[int, ...]:
    if given is None:
        given = default_checkpoints(epochs)
        if base.checkpoints is not None:
            given = [epoch for epoch in base.checkpoints if epoch <= epochs]
    chosen = {_validate.integer(epoch, "checkpoints", low=0, high=epochs) for epoch in given}
    return tuple(sorted(chosen | {epochs}))


def _optimiser(chosen: Mapping[str, Any]) -> dict[str, Any]:
    rate = _validate.real(chosen["learning_rate"], "learning_rate")
    inertia = _validate.real(chosen["momentum"], "momentum")
    decay = _validate.real(chosen["weight_decay"], "weight_decay")
    if rate <= 0.0:
        raise ValueError(f"`learning_rate` must be positive, got {rate}")
    if not 0.0 < inertia < 1.0:
        raise ValueError(f"`momentum` must lie in (0, 1), got {inertia}")
    if decay < 0.0:
        raise ValueError(f"`weight_decay` must not be negative, got {decay}")
    return {
        "learning_rate": rate,
        "momentum": inertia,
        "weight_decay": decay,
        "nesterov": _validate.flag(chosen["nesterov"], "nesterov"),
    }


def _steps(
    schedule: str, given: Mapping[str, Any], base: TrainingRecipe, epochs: int
) -> tuple[tuple[int, ...], float | None]:
    """Return milestones and factor of ``"steps"``, nothing for the other schedules."""
    milestones, factor = given.get("milestones"), given.get("factor")
    if schedule != "steps":
        for name, value in (("milestones", milestones), ("factor", factor)):
            if value is not None:
                raise ValueError(
                    f"`{name}` must be None where `schedule` is {schedule!r}, got {value!r}"
                )
        return (), None
    if milestones is None:
        # A recipe without milestones of its own takes those of Wang et al. (2018): 80, 120 of 160.
        own = base if base.milestones else RECIPES["wang2018"]
        chosen = own.milestones_of(epochs)
    else:
        chosen = tuple(
            _validate.integer(epoch, "milestones", low=1, high=epochs) for epoch in milestones
        )
        if list(chosen) != sorted(set(chosen)):
            raise ValueError(f"`milestones` must ascend, got {list(chosen)}")
    share = _validate.real(base.factor if factor is None else factor, "factor")
    if not 0.0 < share < 1.0:
        raise ValueError(f"`factor` must lie in (0, 1), got {share}")
    return chosen, share


DEFAULTS = make_settings(None, {})
"""The settings of a training of which nothing is said."""
