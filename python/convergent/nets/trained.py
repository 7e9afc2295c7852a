"""The trained networks of a folder, found again by what their recipes say."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from convergent import _storage
from convergent.nets.datasets import ImageDataset, load_dataset
from convergent.nets.recipe import FILE, read_recipe
from convergent.nets.training import checkpoint_paths, load_network
from convergent.training_settings import FOLDER_DATASETS


@dataclass(frozen=True, slots=True)
class TrainedNetworks:
    """Networks that were trained to their last epoch on the same data."""

    checkpoints: dict[str, Path]
    """The last checkpoint of each network."""
    dataset: str
    """Name of the data set that all were trained on."""

    @property
    def fingerprints(self) -> dict[str, str]:
        """Digest of each network's weights."""
        return {name: _storage.file_digest(path) for name, path in self.checkpoints.items()}

    def load(self) -> dict[str, nn.Module]:
        """Return the networks in evaluation mode."""
        return {name: load_network(path) for name, path in self.checkpoints.items()}

    def load_dataset(self, root: str | os.PathLike[str] | None = None) -> ImageDataset:
        """Return the data set, found below `root` or the folder that CONVERGENT_DATA names."""
        return trained_dataset([path.parent for path in self.checkpoints.values()], root)


def trained_dataset(
    folders: Iterable[str | os.PathLike[str]], root: str | os.PathLike[str] | None = None
) -> ImageDataset:
    """Return the data set that some networks were trained on, if it is still the same.

    A recipe holds the name of the data set, the size of its images and a digest, but not where it
    lies: studies and data may be moved.

    Parameters
    ----------
    folders : iterable of path
        Folders of trained networks, as `train` returns them.
    root : path or None
        Folder of the data, as for `load_dataset`.

    Raises
    ------
    ValueError
        If a network was trained on other images or labels than are found; or as `load_dataset`.
    FileNotFoundError
        If the data are missing.
    """
    recipes = {Path(folder): read_recipe(Path(folder)) for folder in folders}
    if not recipes:
        raise ValueError("`folders` must name at least one trained network, got none")
    first = next(iter(recipes.values()))
    size = None
    if first["dataset"] in FOLDER_DATASETS:
        size = (first["model_parameters"] or {}).get("image_size")
    dataset = load_dataset(first["dataset"], root, image_size=size)
    found = dataset.fingerprint()
    for folder, recipe in recipes.items():
        if recipe["dataset_fingerprint"] != found:
            raise ValueError(
                f"{folder} was trained on data set {recipe['dataset']!r} with other images or "
                f"labels than those that are found now ({dataset!r})"
            )
    return dataset


def trained_networks(
    folder: str | os.PathLike[str], seeds: Iterable[int] | None = None
) -> TrainedNetworks:
    """Return the networks that `train` left in a folder.

    Parameters
    ----------
    folder : path
        What was given to `train` as `out`.
    seeds : iterable of int, optional
        Which of them; all by default.

    Raises
    ------
    FileNotFoundError
        If the folder holds no trained network, or not those of some seed.
    ValueError
        If a network was not trained to its end, or networks were trained on different data.
    """
    root = Path(folder)
    found = {path.parent.name: path.parent for path in sorted(root.glob(f"*/{FILE}"))}
    if seeds is not None:
        names = [f"seed-{seed:02d}" for seed in seeds]
        missing = [name for name in names if name not in found]
        if missing:
            raise FileNotFoundError(f"{root} holds no network {', '.join(missing)}")
        found = {name: found[name] for name in names}
    if not found:
        raise FileNotFoundError(f"{root} holds no trained networks; run `convergent train` first")
    recipes = {name: read_recipe(path) for name, path in found.items()}
    datasets = {recipe["dataset"] for recipe in recipes.values()}
    if len(datasets) > 1:
        raise ValueError(f"the networks in {root} were trained on {', '.join(sorted(datasets))}")
    last = {}
    for name, path in found.items():
        checkpoints = checkpoint_paths(path)
        if recipes[name]["epochs"] not in checkpoints:
            raise ValueError(
                f"{path} is not trained to its end ({recipes[name]['epochs']} epochs); "
                "run the same training again to go on"
            )
        last[name] = checkpoints[recipes[name]["epochs"]]
    return TrainedNetworks(last, datasets.pop())
