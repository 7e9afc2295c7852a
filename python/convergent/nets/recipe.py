"""The recipe beside a network's weights: what it was made with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convergent import _storage
from convergent.nets.datasets import ImageDataset
from convergent.training_settings import ADDED

FORMAT = "convergent.recipe/1"
FILE = "recipe.json"
CUSTOM = "custom"
_NOT_COMPARED = ("torch", "device", "recipe", "ensemble")


def make_recipe(
    model: str,
    parameters: Mapping[str, Any] | None,
    network: nn.Module,
    dataset: ImageDataset,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what one network is made with, as JSON values; `model` is a name or `CUSTOM`."""
    architecture = re.sub(r" at 0x[0-9a-f]+", "", repr(network)).splitlines()
    recipe = {
        "format": FORMAT,
        "model": model,
        "model_parameters": parameters,
        "architecture": architecture,
        "dataset": dataset.name,
        "class_names": list(dataset.class_names),
        "dataset_fingerprint": dataset.fingerprint(),
        **settings,
        "torch": str(torch.__version__),
    }
    plain: dict[str, Any] = json.loads(json.dumps(recipe))
    return plain


def settle_recipe(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Write the recipe into a new folder, or refuse a folder that was made with another one.

    Raises
    ------
    ValueError
        If a setting differs (the message names the first), or the folder's recipe is damaged.
    """
    path = folder / FILE
    if not path.exists():
        _storage.write_json(path, recipe)
        return
    found = read_recipe(folder)
    before = json.loads(json.dumps(ADDED))  # of folders that were made without these settings
    for name in {**recipe, **found}:
        ours, theirs = recipe.get(name), found.get(name, before.get(name))
        if name not in _NOT_COMPARED and ours != theirs:
            raise ValueError(
                f"{folder} was made with `{name}` {_brief(theirs)}, got {_brief(ours)}; "
                "train into another folder, or delete this one"
            )


def read_recipe(folder: Path) -> dict[str, Any]:
    """Return the recipe of a folder.

    Raises
    ------
    FileNotFoundError
        If the folder has none.
    ValueError
        If it is damaged.
    """
    recipe: dict[str, Any] = _storage.read_json(folder / FILE, FORMAT)
    return recipe


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."
