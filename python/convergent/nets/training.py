"""Train the same network from many seeds; a killed run goes on as if nothing had happened."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convergent import _validate
from convergent.nets.checkpoints import load_weights
from convergent.nets.datasets import ImageDataset
from convergent.nets.models import build_model
from convergent.nets.recipe import CUSTOM, make_recipe, read_recipe, settle_recipe
from convergent.nets.seed_run import Progress, SeedRun, seeded


def train(
    model: str | Callable[[], nn.Module],
    dataset: ImageDataset,
    *,
    seeds: Iterable[int],
    out: str | os.PathLike[str],
    epochs: int = 12,
    checkpoints: Sequence[int] | None = None,
    batch_size: int = 64,
    learning_rate: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    model_parameters: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> list[Path]:
    """Train one network a seed and return their folders, ``out/seed-00`` and so on.

    Each folder holds ``epoch-012.safetensors`` for every chosen epoch, ``metrics.csv``,
    ``recipe.json`` and ``resume.safetensors``. Initial weights, the order of the images and any
    noise in the network depend on the seed and the epoch only, and the state is written after every
    epoch. So a run that was killed continues when called again and, on a CPU with the same number
    of threads, ends in the very bits of an undisturbed one. Seeds that are finished are left alone.

    Parameters
    ----------
    model : str or callable
        A name in `MODELS`, or a function without arguments that returns a new network.
    dataset : ImageDataset
        Images to train and test on.
    seeds : iterable of int
        Not negative, all different.
    out : path
        Folder for the seeds' folders; made if need be.
    epochs : int
        Passes over the training images.
    checkpoints : sequence of int or None
        Epochs whose weights are kept, 0 being the untrained network; the last epoch always is. None
        takes `default_checkpoints`.
    batch_size, learning_rate, momentum, weight_decay : int, float, float, float
        Of stochastic gradient descent with Nesterov momentum; the rate falls to 0 on a half cosine.
        An epoch is divided into equal batches of at most `batch_size` images (they may differ by
        one).
    model_parameters : mapping or None
        Parameters of a named model beyond those that the data set determines.
    device : str or torch.device
        Where to train.
    progress : callable or None
        Called as ``progress(description, done, total)`` after each epoch.

    Raises
    ------
    ValueError
        If a setting is out of range, or differs from what a folder was made with; or if a file in a
        folder is truncated or foreign. The message names the setting or the file.
    RuntimeError
        If the loss became infinite or NaN.

    References
    ----------
    Lu et al. (2018), Section 4.
    """
    settings = _settings(epochs, checkpoints, batch_size, learning_rate, momentum, weight_decay)
    if not isinstance(dataset, ImageDataset):
        raise TypeError(f"`dataset` must be an ImageDataset, got {type(dataset).__name__}")
    numbers = [_validate.integer(seed, "seeds", low=0, high=2**32 - 1) for seed in seeds]
    if not numbers or len(set(numbers)) != len(numbers):
        raise ValueError(f"`seeds` must be different numbers, at least one, got {numbers}")
    name, parameters, factory = _model_source(model, model_parameters, dataset)
    folders = []
    for seed in numbers:
        with seeded(seed, device):
            network = factory()
        if not isinstance(network, nn.Module):
            raise TypeError(f"`model` must return a torch Module, got {type(network).__name__}")
        folder = Path(out) / f"seed-{seed:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        settle_recipe(
            folder, make_recipe(name, parameters, network, dataset, {"seed": seed, **settings})
        )
        SeedRun(folder, seed, network, dataset, settings, device).run(progress)
        folders.append(folder)
    return folders


def default_checkpoints(epochs: int) -> tuple[int, ...]:
    """Return epochs to keep, ever further apart: 0, 1, 2, 3, 4, 6, 9, 14, ... and the last."""
    chosen = [0, 1]
    while chosen[-1] < epochs:
        chosen.append(max(chosen[-1] + 1, round(1.5 * chosen[-1])))
    return (*(epoch for epoch in chosen if epoch < epochs), epochs)


def checkpoint_paths(folder: str | os.PathLike[str]) -> dict[int, Path]:
    """Return the checkpoints of one seed's folder by epoch, ascending."""
    found = {}
    for path in Path(folder).glob("epoch-*.safetensors"):
        match = re.fullmatch(r"epoch-(\d+)\.safetensors", path.name)
        if match:
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def load_network(
    path: str | os.PathLike[str], model: Callable[[], nn.Module] | None = None
) -> nn.Module:
    """Return a trained network in evaluation mode.

    Parameters
    ----------
    path : path
        A checkpoint that `train` wrote, or a seed's folder, which stands for its last checkpoint.
    model : callable or None
        Returns a network to fill; needed unless the network was trained by its name in `MODELS`.

    Raises
    ------
    FileNotFoundError
        If there is no checkpoint, or no recipe beside it.
    ValueError
        If a file is truncated, foreign, or of another network, or if `model` is needed.
    """
    source = Path(path)
    if source.is_dir():
        found = checkpoint_paths(source)
        if not found:
            raise FileNotFoundError(f"{source} holds no checkpoint (epoch-NNN.safetensors)")
        source = found[max(found)]
    if model is None:
        recipe = read_recipe(source.parent)
        if recipe["model"] == CUSTOM:
            raise ValueError(
                f"`model` must be given for {source}: it was trained by a function, not by name"
            )
        with seeded(0, "cpu"):
            network = build_model(recipe["model"], **recipe["model_parameters"])
    else:
        network = model()
    load_weights(network, source)
    return network.eval()


def _settings(
    epochs: int,
    checkpoints: Sequence[int] | None,
    batch_size: int,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
) -> dict[str, Any]:
    """Return the checked settings, as the recipe keeps them."""
    epochs = _validate.integer(epochs, "epochs", low=1)
    if checkpoints is None:
        checkpoints = default_checkpoints(epochs)
    chosen = {_validate.integer(epoch, "checkpoints", low=0, high=epochs) for epoch in checkpoints}
    rate = _validate.real(learning_rate, "learning_rate")
    if rate <= 0.0:
        raise ValueError(f"`learning_rate` must be positive, got {rate}")
    inertia, decay = (
        _validate.real(momentum, "momentum"),
        _validate.real(weight_decay, "weight_decay"),
    )
    if not 0.0 < inertia < 1.0:
        raise ValueError(f"`momentum` must lie in (0, 1), got {inertia}")
    if decay < 0.0:
        raise ValueError(f"`weight_decay` must not be negative, got {decay}")
    return {
        "epochs": epochs,
        "checkpoints": sorted(chosen | {epochs}),
        "batch_size": _validate.integer(batch_size, "batch_size", low=1),
        "learning_rate": rate,
        "momentum": inertia,
        "weight_decay": decay,
    }


def _model_source(
    model: str | Callable[[], nn.Module],
    model_parameters: Mapping[str, Any] | None,
    dataset: ImageDataset,
) -> tuple[str, dict[str, Any] | None, Callable[[], nn.Module]]:
    """Return the model's name, the parameters to build it with, and a function that builds it."""
    if isinstance(model, str):
        _, channels, height, width = dataset.train_images.shape
        if height != width:
            raise ValueError(f"a named model takes square images, got {height} x {width}")
        parameters = {
            "in_channels": channels,
            "image_size": height,
            "n_classes": len(dataset.class_names),
            **(model_parameters or {}),
        }
        return model, parameters, partial(build_model, model, **parameters)
    if not callable(model):
        raise TypeError(f"`model` must be a name or a function, got {type(model).__name__}")
    if model_parameters is not None:
        raise ValueError("`model_parameters` must be None where `model` is a function")
    return CUSTOM, None, model
