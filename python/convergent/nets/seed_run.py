"""One network's training from one seed, epoch after epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from convergent.nets.augmentation import Draws
from convergent.nets.datasets import ImageDataset
from convergent.nets.epoch_report import EpochReport, Listeners
from convergent.nets.precision import (
    compiler_errors_named,
    cross_entropy,
    loss_scaler,
    products_in,
)
from convergent.nets.seed_folder import SeedFolder
from convergent.training_settings import TrainingSettings

_EVALUATION_BATCH = 512

Steps = Callable[[int, int], None]
"""Called as steps(batches done, all batches)."""


class DeviceImages:
    """A data set's images and labels on a device, copied there once, when first asked for."""

    def __init__(self, dataset: ImageDataset, device: torch.device) -> None:
        self._dataset = dataset
        self.device = device

    @cached_property
    def train(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Training images and labels."""
        return self._copied(self._dataset.train_images, self._dataset.train_labels)

    @cached_property
    def test(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Test images and labels."""
        return self._copied(self._dataset.test_images, self._dataset.test_labels)

    def _copied(self, images: Any, labels: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return (
            torch.tensor(images, device=self.device),
            torch.tensor(labels, device=self.device),
        )


class SeedRun:
    """Trains one network and keeps its folder.

    Parameters
    ----------
    folder : SeedFolder
        Where its files are.
    seed : int
        With the epoch, decides the order of the images, what is done to them, and any noise in the
        network.
    network : Module
        With the seed's initial weights; trained in place, on the device of the images.
    images : DeviceImages
        Images to train and test on.
    settings : TrainingSettings
        Of the training.
    """

    def __init__(
        self,
        folder: SeedFolder,
        seed: int,
        network: nn.Module,
        images: DeviceImages,
        settings: TrainingSettings,
    ) -> None:
        self.folder = folder
        self.seed = seed
        self.images = images
        self.settings = settings
        self.network = network.to(images.device)
        if settings.channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        self.optimizer = make_optimizer([*self.network.parameters()], settings)
        self.done = -1
        self._scaler = loss_scaler(settings.precision, images.device)
        self._forward = torch.compile(self.network) if settings.compile else self.network

    def start(self, listeners: Listeners) -> None:
        """Take up what is in the folder; `done` is then the last complete epoch, or -1."""
        self.done = self.folder.resume(self.network, self.optimizer, self._scaler)
        listeners.say(self.seed, max(self.done, 0), self.settings.epochs)

    @property
    def finished(self) -> bool:
        """Whether no epoch is missing."""
        return self.done == self.settings.epochs

    def next_epoch(self, listeners: Listeners) -> None:
        """Train the next epoch (epoch 0: look at the untrained network) and write the files."""
        start = time.perf_counter()
        epoch = self.done + 1
        if epoch == 0:
            train_loss = evaluate(self.network, *self.images.train, self._steps(0, listeners))[0]
        else:
            train_loss = self._train_epoch(epoch, self._steps(epoch, listeners))
        test = evaluate(self.network, *self.images.test)
        self.close_epoch((train_loss, *test), time.perf_counter() - start, listeners)

    def close_epoch(
        self, losses: tuple[float, float, float], seconds: float, listeners: Listeners
    ) -> None:
        """Write the files of the epoch after `done`, and tell the listeners."""
        epoch = self.done + 1
        self.folder.keep(epoch, (*losses, seconds), self.network, self.optimizer, self._scaler)
        self.done = epoch
        n_trained = len(self.images.train[0]) if epoch > 0 else 0
        listeners.tell(
            EpochReport(
                self.seed, epoch, self.settings.epochs, *losses, seconds, n_trained / seconds
            )
        )
        if epoch > 0:
            listeners.say(self.seed, epoch, self.settings.epochs)

    def _steps(self, epoch: int, listeners: Listeners) -> Steps:
        return lambda done, total: listeners.step((self.seed,), epoch, done, total)

    def _train_epoch(self, epoch: int, steps: Steps) -> float:
        """Return the mean loss over one pass."""
        images, labels = self.images.train
        device, settings = self.images.device, self.settings
        batches, noise = order_of_epoch(self.seed, epoch, len(images), settings.batch_size, device)
        draws = Draws.of_epoch(settings.augmentation, self.seed, epoch, len(images), device)
        total = torch.zeros((), device=device)
        self.network.train()
        with seeded(noise, device), self._compiled():
            for number, rows in enumerate(batches):
                chosen = (
                    images[rows] if draws is None else draws.of_images(rows).apply(images[rows])
                )
                set_rate(self.optimizer, settings, epoch, number, len(batches))
                total += self._step(chosen, labels[rows]) * len(rows)
                steps(number + 1, len(batches))
        return checked_loss(total.item() / len(images), self.seed, epoch)

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Take one step of the optimizer and return the loss before it."""
        if self.settings.channels_last:
            images = images.to(memory_format=torch.channels_last)
        with products_in(self.settings.precision, self.images.device):
            logits = self._forward(images)
        loss = cross_entropy(logits, labels)
        self.optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.step(self.optimizer)
        self._scaler.update()
        return loss.detach()

    def _compiled(self) -> Any:
        return compiler_errors_named() if self.settings.compile else nullcontext()


def order_of_epoch(
    seed: int, epoch: int, n_images: int, batch_size: int, device: torch.device
) -> tuple[tuple[torch.Tensor, ...], int]:
    """Return an epoch's batches of image numbers, and the seed of any noise in the network."""
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(n_images)
    sizes = [len(b) for b in np.array_split(order, math.ceil(n_images / batch_size))]
    batches = torch.split(torch.from_numpy(order).to(device), sizes)
    return batches, int(generator.integers(2**63))


def make_optimizer(
    parameters: list[torch.Tensor], settings: TrainingSettings
) -> torch.optim.Optimizer:
    """Return stochastic gradient descent; it treats every number alike, so they may be stacked."""
    return torch.optim.SGD(
        parameters,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
    )


def set_rate(
    optimizer: torch.optim.Optimizer,
    settings: TrainingSettings,
    epoch: int,
    number: int,
    n_batches: int,
) -> None:
    """Set the learning rate of an epoch's batch, counted from 0."""
    for group in optimizer.param_groups:
        group["lr"] = settings.rate((epoch - 1) * n_batches + number, n_batches)


def checked_loss(loss: float, seed: int, epoch: int) -> float:
    """Return a finite loss."""
    if not math.isfinite(loss):
        raise RuntimeError(
            f"training of seed {seed} diverged in epoch {epoch} (loss {loss}); "
            "lower `learning_rate`"
        )
    return loss


@torch.inference_mode()
def evaluate(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, steps: Steps | None = None
) -> tuple[float, float]:
    """Return the mean cross-entropy in nats and the accuracy of a network, in evaluation mode."""
    network.eval()
    loss, n_correct = 0.0, 0
    starts = range(0, len(images), _EVALUATION_BATCH)
    for number, start in enumerate(starts):
        rows = slice(start, start + _EVALUATION_BATCH)
        logits = network(images[rows])
        loss += nn.functional.cross_entropy(logits, labels[rows], reduction="sum").item()
        n_correct += int((logits.argmax(dim=1) == labels[rows]).sum().item())
        if steps:
            steps(number + 1, len(starts))
    return loss / len(images), n_correct / len(images)


@contextmanager
def seeded(seed: int, device: str | torch.device) -> Iterator[None]:
    """Seed torch's generators inside the block and give them back as they were."""
    place = torch.device(device)
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
