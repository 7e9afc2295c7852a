"""One network's training from one seed: epochs, files, and the way back in after a kill."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from convergent import _storage
from convergent.nets.checkpoints import fill, load_checkpoint, save_checkpoint
from convergent.nets.datasets import ImageDataset

Progress = Callable[[str, int, int], None]
RESUME_FORMAT = "convergent.resume/1"
RESUME_FILE = "resume.safetensors"
METRICS_FILE = "metrics.csv"
METRICS = ("epoch", "train_loss", "test_loss", "test_accuracy", "seconds")
_EVALUATION_BATCH = 512


class SeedRun:
    """Trains one network and keeps its folder.

    Parameters
    ----------
    folder : Path
        Exists, and holds the recipe already.
    seed : int
        With the epoch, decides the order of the images and any noise in the network.
    network : Module
        With the seed's initial weights; trained in place, on `device`.
    dataset : ImageDataset
        Images to train and test on.
    settings : mapping
        Epochs, checkpoints, batch_size, learning_rate, momentum and weight_decay, checked.
    device : str or torch.device
        Where to train.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        network: nn.Module,
        dataset: ImageDataset,
        settings: Mapping[str, Any],
        device: str | torch.device,
    ) -> None:
        self._folder = folder
        self._seed = seed
        self._network = network.to(device)
        self._dataset = dataset
        self._settings = settings
        self._device = device
        self._epochs: int = settings["epochs"]
        self._optimizer = torch.optim.SGD(
            self._network.parameters(),
            lr=settings["learning_rate"],
            momentum=settings["momentum"],
            weight_decay=settings["weight_decay"],
            nesterov=True,
        )
        self._metrics: list[list[str]] = []

    def run(self, progress: Progress | None = None) -> None:
        """Train the epochs that are still missing; files are complete after every epoch."""
        done = self._resume()
        description = f"train seed {self._seed}"
        if progress:
            progress(description, max(done, 0), self._epochs)
        if done == self._epochs:
            self._refuse_broken_checkpoints()
            return
        train, test = self._to_device("train"), self._to_device("test")
        for epoch in range(done + 1, self._epochs + 1):
            start = time.perf_counter()
            if epoch == 0:
                train_loss = evaluate(self._network, *train)[0]
            else:
                train_loss = self._train_epoch(epoch, *train)
            self._keep(epoch, train_loss, evaluate(self._network, *test), start)
            if progress and epoch > 0:
                progress(description, epoch, self._epochs)

    def _to_device(self, split: str) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.tensor(getattr(self._dataset, f"{split}_images"), device=self._device)
        labels = torch.tensor(getattr(self._dataset, f"{split}_labels"), device=self._device)
        return images, labels

    def _train_epoch(self, epoch: int, images: torch.Tensor, labels: torch.Tensor) -> float:
        """Return the mean loss over one pass in an order that depends on seed and epoch only."""
        generator = np.random.default_rng([self._seed, epoch])
        n_batches = math.ceil(len(images) / self._settings["batch_size"])
        batches = np.array_split(generator.permutation(len(images)), n_batches)
        total = torch.zeros((), device=self._device)
        self._network.train()
        with seeded(int(generator.integers(2**63)), self._device):
            for number, batch in enumerate(batches):
                self._set_rate((epoch - 1) * n_batches + number, self._epochs * n_batches)
                rows = torch.from_numpy(batch).to(self._device)
                loss = nn.functional.cross_entropy(self._network(images[rows]), labels[rows])
                self._optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                self._optimizer.step()
                total += loss.detach() * len(batch)
        mean = total.item() / len(images)
        if not math.isfinite(mean):
            raise RuntimeError(
                f"training of seed {self._seed} diverged in epoch {epoch} (loss {mean}); "
                "lower `learning_rate`"
            )
        return mean

    def _set_rate(self, step: int, n_steps: int) -> None:
        """Let the learning rate fall to 0 on a half cosine."""
        share = 0.5 * (1.0 + math.cos(math.pi * step / n_steps))
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings["learning_rate"] * share

    def _keep(self, epoch: int, train_loss: float, test: tuple[float, float], start: float) -> None:
        """Write checkpoint and metrics, and last the state that makes the epoch count as done."""
        if epoch in self._settings["checkpoints"]:
            save_checkpoint(
                checkpoint_path(self._folder, epoch),
                self._network,
                {"seed": str(self._seed), "epoch": str(epoch)},
            )
        numbers = (train_loss, *test, time.perf_counter() - start)
        self._metrics.append([str(epoch), *(f"{number:.6g}" for number in numbers)])
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([METRICS, *self._metrics])
        with _storage.replacing(self._folder / METRICS_FILE) as stream:
            stream.write(text.getvalue().encode())
        tensors = {f"model.{name}": value for name, value in self._network.state_dict().items()}
        for name, parameter in self._network.named_parameters():
            buffer = self._optimizer.state[parameter].get("momentum_buffer")
            if buffer is not None:
                tensors[f"momentum.{name}"] = buffer
        save_checkpoint(
            self._folder / RESUME_FILE, tensors, {"format": RESUME_FORMAT, "epoch": str(epoch)}
        )

    def _resume(self) -> int:
        """Take up the state of the last complete epoch, return its number; -1 if there is none."""
        path = self._folder / RESUME_FILE
        if not path.exists():
            return -1
        tensors, metadata = load_checkpoint(path, format_name=RESUME_FORMAT)
        epoch = int(metadata["epoch"])
        weights = _stripped(tensors, "model.")
        fill(self._network, weights, path)
        momentum = _stripped(tensors, "momentum.")
        for name, parameter in self._network.named_parameters():
            if name in momentum:
                buffer = momentum[name].to(parameter.device)
                self._optimizer.state[parameter]["momentum_buffer"] = buffer
        self._metrics = self._read_metrics(epoch)
        return epoch

    def _read_metrics(self, epoch: int) -> list[list[str]]:
        """Return the rows up to `epoch`; a row beyond belongs to an epoch that was cut short."""
        path = self._folder / METRICS_FILE
        with path.open(newline="", encoding="utf-8") as stream:
            header, *rows = [*csv.reader(stream)] or [[]]
        numbers = [row[0] for row in rows[: epoch + 1] if len(row) == len(METRICS)]
        if tuple(header) != METRICS or numbers != [str(number) for number in range(epoch + 1)]:
            raise ValueError(f"{path} is truncated: it must have a row for epochs 0 to {epoch}")
        return rows[: epoch + 1]

    def _refuse_broken_checkpoints(self) -> None:
        for epoch in self._settings["checkpoints"]:
            path = checkpoint_path(self._folder, epoch)
            if not path.exists():
                raise ValueError(
                    f"{path} is missing from a finished training; "
                    f"delete {self._folder} to repeat it"
                )
            load_checkpoint(path)


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return where the weights of an epoch are kept."""
    return folder / f"epoch-{epoch:03d}.safetensors"


@torch.inference_mode()
def evaluate(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Return the mean cross-entropy in nats and the accuracy of a network, in evaluation mode."""
    network.eval()
    loss, n_correct = 0.0, 0
    for start in range(0, len(images), _EVALUATION_BATCH):
        rows = slice(start, start + _EVALUATION_BATCH)
        logits = network(images[rows])
        loss += nn.functional.cross_entropy(logits, labels[rows], reduction="sum").item()
        n_correct += int((logits.argmax(dim=1) == labels[rows]).sum().item())
    return loss / len(images), n_correct / len(images)


@contextmanager
def seeded(seed: int, device: str | torch.device) -> Iterator[None]:
    """Seed torch's generators inside the block and give them back as they were."""
    place = torch.device(device)
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _stripped(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
