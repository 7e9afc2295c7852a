"""Train the same network from many seeds; a killed run goes on as if nothing had happened."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convergent import _validate
from convergent.nets.checkpoints import load_weights
from convergent.nets.datasets import ImageDataset
from convergent.nets.ensemble import pays, reason_against, train_runs
from convergent.nets.epoch_report import Listeners, OnBatch, OnEpoch, Progress
from convergent.nets.memory_format import has_convolutions
from convergent.nets.model_source import ModelSource
from convergent.nets.models import build_model
from convergent.nets.precision import reproducible
from convergent.nets.recipe import CUSTOM, read_recipe, settle_recipe
from convergent.nets.seed_folder import SeedFolder
from convergent.nets.seed_run import DeviceImages, SeedRun, seeded
from convergent.training_settings import TrainingSettings, make_settings


def train(
    model: str | Callable[[], nn.Module],
    dataset: ImageDataset,
    *,
    seeds: Iterable[int],
    out: str | os.PathLike[str],
    recipe: str | None = None,
    epochs: int | None = None,
    checkpoints: Sequence[int] | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    momentum: float | None = None,
    nesterov: bool | None = None,
    weight_decay: float | None = None,
    schedule: str | None = None,
    milestones: Sequence[int] | None = None,
    factor: float | None = None,
    augmentation: str | None = None,
    precision: str = "float32",
    channels_last: bool | None = None,
    compile: bool = False,
    ensemble: bool | None = None,
    model_parameters: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
    on_epoch: OnEpoch | None = None,
    on_batch: OnBatch | None = None,
) -> list[Path]:
    """Train one network a seed and return their folders, ``out/seed-00`` and so on.

    Each folder holds ``epoch-012.safetensors`` for every chosen epoch, ``metrics.csv``,
    ``recipe.json`` and ``resume.safetensors``. Initial weights, the order of the images, what is
    done to them and any noise in the network depend on the seed and the epoch only, and the state
    is written after every epoch. So a run that was killed continues when called again and, on a CPU
    with the same number of threads, ends in the very bits of an undisturbed one. Seeds that are
    finished are left alone.

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
    recipe : str or None
        A name in `RECIPES`: ``"li2016"``, ``"wang2018"``, ``"lu2018"``, ``"lu2018_resnet"``. It
        fills in what is None below, down to `augmentation`; None stands for ``"default"``.
    epochs : int or None
        Passes over the training images (default recipe: 12).
    checkpoints : sequence of int or None
        Epochs whose weights are kept, 0 being the untrained network; the last epoch always is.
        Without a recipe that names some, `default_checkpoints`.
    batch_size, learning_rate, momentum, weight_decay : int, float, float, float, or None
        Of stochastic gradient descent (default recipe: 64, 0.1, 0.9, 5e-4). An epoch is divided
        into equal batches of at most `batch_size` images (they may differ by one).
    nesterov : bool or None
        Whether momentum is Nesterov's (default recipe: True).
    schedule : {"cosine", "steps", "one_cycle", "constant"} or None
        How the learning rate goes: to 0 on a half cosine (default recipe); times `factor` after
        each of the `milestones`; up from a 25th in a straight line for 30 % of the steps, then to 0
        on a half cosine; not at all.
    milestones : sequence of int or None
        Ascending epochs after which ``"steps"`` lowers the rate. None takes the recipe's, moved in
        proportion to `epochs`; where it has none, one half and three quarters of `epochs`.
    factor : float or None
        In (0, 1); 0.1 in every recipe.
    augmentation : {"none", "crop", "crop_flip"} or None
        What is done to training images, on the device: a random crop of the same size after padding
        with four rows and columns of 0 on each side; half of the images mirrored as well. A recipe
        does not mirror images of a data set that may not be flipped.
    precision : {"float32", "bfloat16", "float16"}
        Of products and convolutions in training; weights stay as they are, and tests are run in
        float32. float16 scales the loss so that small gradients do not vanish.
    channels_last : bool or None
        Whether images and weights lie in memory with the channels last. None says so for networks
        with convolutions in half precision.
    compile : bool
        Whether networks go through ``torch.compile``, which takes up to a minute before the first
        step.
    ensemble : bool or None
        Whether networks are trained together, as one computation with an axis of networks. None
        does so for several small networks on a GPU where torch can; files are the same, and either
        way goes on from what the other left. See Notes.
    model_parameters : mapping or None
        Parameters of a named model beyond those that the data set determines.
    device : str or torch.device
        Where to train.
    progress : callable or None
        Called as ``progress(description, done, total)`` after each epoch.
    on_epoch : callable or None
        Called with an `EpochReport` after each epoch's files are written, epoch 0 included.
    on_batch : callable or None
        Called as ``on_batch(seeds, epoch, done, total)`` after each batch of training images, with
        the seeds that are trained together, and in epoch 0 as the untrained network sees them.

    Returns
    -------
    list of Path
        The seeds' folders.

    Raises
    ------
    ValueError
        If a setting is out of range, or differs from what a folder was made with; if a file in a
        folder is missing, truncated or foreign; or if `ensemble` is True and these networks cannot
        be trained together. The message names the setting or the file.
    RuntimeError
        If the loss became infinite or NaN, or torch could not compile the network.

    Notes
    -----
    Everything but `ensemble`, `device` and the recipe's name must be the same when a run goes on;
    ``recipe.json`` holds it. The last bits depend on torch's version, the device, the number of
    threads, and on which networks were trained together. On a GPU, algorithms are asked for that
    give the same bits every time; operations that have none warn, and another kind of GPU gives
    other bits.

    Networks trained together have their own order of images, crops, initial weights and running
    means, and differ from those trained one by one by rounding only: in float64 by less
    than 1e-12 after fifteen steps, in float32 by less than 1e-5, which grows as the rounding of any
    other order of additions does. Networks that draw random numbers, as dropout does, are trained one after the other.

    References
    ----------
    Li et al. (2016), Section 2; Wang et al. (2018), Section 5; Lu et al. (2018), Figure 3.
    """
    settings = make_settings(
        recipe,
        {
            "epochs": epochs,
            "checkpoints": checkpoints,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "momentum": momentum,
            "nesterov": nesterov,
            "weight_decay": weight_decay,
            "schedule": schedule,
            "milestones": milestones,
            "factor": factor,
            "augmentation": augmentation,
            "precision": precision,
            "compile": compile,
        },
    )
    for name, value in (("channels_last", channels_last), ("ensemble", ensemble)):
        if value is not None:
            _validate.flag(value, name)
    if not isinstance(dataset, ImageDataset):
        raise TypeError(f"`dataset` must be an ImageDataset, got {type(dataset).__name__}")
    numbers = [_validate.integer(seed, "seeds", low=0, high=2**32 - 1) for seed in seeds]
    if not numbers or len(set(numbers)) != len(numbers):
        raise ValueError(f"`seeds` must be different numbers, at least one, got {numbers}")
    source = ModelSource.of(model, model_parameters, dataset)
    if augmentation is None and not dataset.may_flip:
        settings = settings.without_flips()
    place, listeners = torch.device(device), Listeners(progress, on_epoch, on_batch)
    with reproducible(place):
        first = source.network(numbers[0], place)
        settings = settings.in_memory(channels_last, has_convolutions(first))
        together = _together(ensemble, first, dataset, settings, place, len(numbers))
        about = {"recipe": recipe or "default", "device": place.type, "ensemble": together}
        runs = _prepared(Path(out), numbers, first, source, dataset, settings, place, about)
        for group in [list(runs)] if together else ([run] for run in runs):
            train_runs(group, listeners)
    return [seed_folder(out, seed) for seed in numbers]


def seed_folder(out: str | os.PathLike[str], seed: int) -> Path:
    """Return the folder of a seed below `out`."""
    return Path(out) / f"seed-{seed:02d}"


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


def _together(
    ensemble: bool | None,
    network: nn.Module,
    dataset: ImageDataset,
    settings: TrainingSettings,
    device: torch.device,
    n_networks: int,
) -> bool:
    """Return whether to train the networks at once; refuse where that was asked for in vain."""
    if ensemble is False or (ensemble is None and not pays(network, n_networks, device)):
        return False
    image = torch.tensor(dataset.train_images[0], device=device)
    reason = reason_against(network.to(device), image, settings)
    if reason is not None and ensemble:
        raise ValueError(f"`ensemble` must be False or None for these networks: {reason}")
    return reason is None


def _prepared(
    out: Path,
    seeds: Sequence[int],
    first: nn.Module,
    source: ModelSource,
    dataset: ImageDataset,
    settings: TrainingSettings,
    device: torch.device,
    about: Mapping[str, Any],
) -> Iterator[SeedRun]:
    """Yield each seed's run, made when its turn comes, with its folder and recipe in place."""
    images = DeviceImages(dataset, device)
    for seed in seeds:
        network = first if seed == seeds[0] else source.network(seed, device)
        path = seed_folder(out, seed)
        path.mkdir(parents=True, exist_ok=True)
        settle_recipe(
            path, source.recipe(network, dataset, {"seed": seed, **settings.as_json(), **about})
        )
        folder = SeedFolder(path, seed, settings.epochs, settings.checkpoints)
        yield SeedRun(folder, seed, network, images, settings)
