"""The command that takes a study one stage further."""

from __future__ import annotations

import re
import shlex
from typing import Any

from convergent import _storage
from convergent.statistics.collected import read_manifest
from convergent.study.folder import DEFAULT_LAYERS, DEFAULT_TOP, StudyFolder
from convergent.study.settings import CompareSettings
from convergent.study.study import MANIFEST
from convergent.study.unfinished import PLAN
from convergent.training_settings import DEFAULTS, DEVICE, FOLDER_DATASETS

_SEED = re.compile(r"seed-([0-9]+)")
_LEAST_NETWORKS = 2
_TRAINING = (
    "batch_size", "learning_rate", "schedule", "milestones", "factor", "augmentation", "precision",
    "compile", "device",
)  # fmt: skip
"""Settings of a training that a recipe records and ``convergent train`` takes."""
_OPTIONS = {
    "measures": "--measures",
    "epsilons": "--epsilons",
    "convention": "--convention",
    "n_orders": "--orders",
    "penalties": "--penalties",
    "penalty": "--penalty",
    "n_groups": "--groups",
    "n_features": "--features",
    "seed": "--seed",
}


def next_command(folder: StudyFolder, state: dict[str, Any]) -> str:
    """Return what to type next, given what `study_state` found."""
    root = shlex.quote(str(folder.root))
    statistics, results = state["statistics"]["state"], state["results"]["state"]
    finished = state["networks"]["finished"]
    n_finished = len(finished) if isinstance(finished, list) else 0
    if "unfinished" in state["networks"] or (
        n_finished < _LEAST_NETWORKS and statistics == results == "missing"
    ):
        return _train(folder, root, state["networks"])
    if statistics == "damaged":
        place = shlex.quote(str(folder.statistics))
        return f"rm -r {place} && {_collect(folder, root, n_finished)}"
    is_bare = statistics == "missing" and results != "missing"  # of files, or copied without
    if (statistics != "complete" and not is_bare) or "not collected" in state["statistics"]:
        return _collect(folder, root, n_finished)
    if results != "complete" and is_bare:
        return f"compare the same files with `--out {root}` again"
    if results == "damaged":
        place = shlex.quote(str(folder.comparisons))
        return f"rm -r {place} && convergent compare {root}"
    if results != "complete":
        return " ".join(["convergent compare", root, *_compare_options(folder)])
    if state["report"] in ("missing", "outdated") or state["summary"] == "missing":
        return f"convergent report {root}"
    return f"nothing is missing; open {folder.report}"


def _train(folder: StudyFolder, root: str, networks: dict[str, Any]) -> str:
    if isinstance(folder.root, _storage.Location):
        return f"train in a folder on this machine, then copy it to {folder.root}"
    finished = networks["finished"] if isinstance(networks["finished"], list) else []
    names = [*finished, *networks.get("unfinished", {})]
    seeds = sorted(int(found[1]) for found in map(_SEED.fullmatch, names) if found)
    if not seeds:
        return f"convergent train --out {root} --seeds 0:4"
    recipe = _recipe(folder, names)
    if recipe.get("model") in (None, "custom"):
        return "run the same training again in Python (`nets.train`)"
    if len(names) < _LEAST_NETWORKS:
        seeds.append(seeds[-1] + 1)
    return " ".join(
        [
            f"convergent train --out {root} --dataset {shlex.quote(str(recipe['dataset']))}",
            f"--model {shlex.quote(str(recipe['model']))} --seeds {','.join(map(str, seeds))}",
            f"--epochs {recipe['epochs']}",
            *_training_options(recipe),
        ]
    )


def _training_options(recipe: dict[str, Any]) -> list[str]:
    """Return the options of a training as far as they are not the defaults."""
    parameters = recipe.get("model_parameters")
    made_with = parameters if isinstance(parameters, dict) else {}
    width = made_with.get("width")
    options = [] if width is None else ["--width", f"{width:g}"]
    if recipe["dataset"] in FOLDER_DATASETS and "image_size" in made_with:
        options += ["--image-size", str(made_with["image_size"])]
    of_paper = recipe.get("recipe", "default") != "default"
    if of_paper:  # its settings are others than the defaults, so all are said
        options += ["--recipe", shlex.quote(str(recipe["recipe"]))]
    defaults = {**DEFAULTS.as_json(), "device": DEVICE}
    for name in _TRAINING:
        value = recipe.get(name, defaults[name])
        if not value or (value == defaults[name] and not of_paper):
            continue
        values = value if isinstance(value, list) else [value]
        options.append(f"--{name.replace('_', '-')}")
        options += [] if value is True else [shlex.quote(str(each)) for each in values]
    return options


def _recipe(folder: StudyFolder, names: list[str]) -> dict[str, Any]:
    for name in names:
        try:
            recipe = _storage.read_json(folder.networks / name / "recipe.json")
        except (FileNotFoundError, ValueError):
            continue
        if isinstance(recipe, dict) and {"dataset", "model", "epochs"} <= set(recipe):
            return recipe
    return {}


def _collect(folder: StudyFolder, root: str, n_finished: int) -> str:
    if n_finished == 0 or isinstance(folder.root, _storage.Location):
        return f'statistics.save("{folder.statistics}") in Python, with what `nets.collect` returns'
    return " ".join(["convergent collect", root, *_collect_options(folder)])


def _collect_options(folder: StudyFolder) -> list[str]:
    """Return the options that the statistics that are there were collected with."""
    try:
        settings = read_manifest(folder.statistics)["settings"]
        layers, n_top = settings["study"]["layers"], settings.get("n_top", DEFAULT_TOP)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []
    options = []
    if isinstance(layers, list) and layers != list(DEFAULT_LAYERS):
        options += ["--layers", *(shlex.quote(str(name)) for name in layers)]
    return options + (["--top", str(n_top)] if n_top != DEFAULT_TOP else [])


def _compare_options(folder: StudyFolder) -> list[str]:
    """Return the options of the comparison that is there, as far as they are not the defaults."""
    content = None
    for name in (MANIFEST, PLAN):
        try:
            content = _storage.read_json(folder.comparisons / name)["settings"]
            break
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            continue
    if not isinstance(content, dict):
        return []
    options = []
    defaults = CompareSettings().as_dict()
    for name, option in _OPTIONS.items():
        value = content.get(name, defaults[name])
        if value != defaults[name] and value is not None:
            values = value if isinstance(value, list) else [value]
            options += [option, *(shlex.quote(str(each)) for each in values)]
    return options
