"""The folder of one network's training: checkpoints, metrics, and the way back in after a kill."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from convergent import _storage
from convergent.nets.checkpoints import fill, load_checkpoint, save_checkpoint
from convergent.nets.precision import restore_scaler, scaler_tensors

RESUME_FORMAT = "convergent.resume/1"
RESUME_FILE = "resume.safetensors"
METRICS_FILE = "metrics.csv"
METRICS = ("epoch", "train_loss", "test_loss", "test_accuracy", "seconds")


class SeedFolder:
    """Keeps one network's files; they are complete after every epoch.

    Parameters
    ----------
    path : Path
        Exists, and holds the recipe already.
    seed : int
        Which all files must name.
    epochs : int
        How many the training has.
    checkpoints : sequence of int
        Epochs whose weights are kept.
    """

    def __init__(self, path: Path, seed: int, epochs: int, checkpoints: Sequence[int]) -> None:
        self.path = path
        self._seed = seed
        self._epochs = epochs
        self._checkpoints = checkpoints
        self._metrics: list[list[str]] = []

    def keep(
        self,
        epoch: int,
        numbers: Sequence[float],
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
    ) -> None:
        """Write checkpoint and metrics, and last the state that makes the epoch count as done.

        `numbers` are the metrics after the epoch's number.
        """
        origin = {"seed": str(self._seed), "epoch": str(epoch)}
        if epoch in self._checkpoints:
            save_checkpoint(checkpoint_path(self.path, epoch), network, origin)
        self._metrics.append([str(epoch), *(f"{number:.6g}" for number in numbers)])
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([METRICS, *self._metrics])
        _storage.write_text(self.path / METRICS_FILE, text.getvalue())
        tensors = {f"model.{name}": value for name, value in network.state_dict().items()}
        for name, parameter in network.named_parameters():
            buffer = optimizer.state[parameter].get("momentum_buffer")
            if buffer is not None:
                tensors[f"momentum.{name}"] = buffer
        for name, value in scaler_tensors(scaler).items():
            tensors[f"scaler.{name}"] = value
        save_checkpoint(self.path / RESUME_FILE, tensors, {"format": RESUME_FORMAT, **origin})

    def resume(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
    ) -> int:
        """Take up the state of the last complete epoch, return its number; -1 if there is none.

        Raises
        ------
        ValueError
            If a file of this or an earlier epoch is missing, truncated or foreign.
        """
        self._remove_half_written()
        path = self.path / RESUME_FILE
        if not path.exists():
            return -1
        tensors, metadata = load_checkpoint(path, format_name=RESUME_FORMAT)
        epoch = self._epoch_of(path, metadata)
        fill(network, _stripped(tensors, "model."), path)
        if epoch > 0:
            _restore_momentum(network, optimizer, _stripped(tensors, "momentum."), path)
        restore_scaler(scaler, _stripped(tensors, "scaler."))
        self._metrics = self._read_metrics(epoch)
        self._refuse_broken_checkpoints(epoch)
        return epoch

    def _remove_half_written(self) -> None:
        """Remove what a killed run was writing; it never had its final name."""
        for path in self.path.glob(".*.tmp"):
            if path.name.startswith(
                (f".{RESUME_FILE}.", f".{METRICS_FILE}.", ".recipe.json.", ".epoch-")
            ):
                path.unlink(missing_ok=True)

    def _epoch_of(self, path: Path, metadata: Mapping[str, str]) -> int:
        """Return the epoch that a file of this seed names."""
        epoch, seed = metadata.get("epoch", ""), metadata.get("seed", str(self._seed))
        if seed != str(self._seed):
            raise ValueError(f"{path} must be of seed {self._seed}, got seed {seed}")
        if not (epoch.isascii() and epoch.isdigit()) or int(epoch) > self._epochs:
            raise ValueError(f"{path} must name an epoch up to {self._epochs}, got {epoch!r}")
        return int(epoch)

    def _read_metrics(self, epoch: int) -> list[list[str]]:
        """Return the rows up to `epoch`; a row beyond belongs to an epoch that was cut short."""
        path = self.path / METRICS_FILE
        if not path.exists():
            raise ValueError(f"{path} is missing; delete {self.path} to repeat the training")
        try:
            text = path.read_text(encoding="utf-8")
            header, *rows = [*csv.reader(io.StringIO(text))] or [[]]
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{path} is truncated or no table of metrics: {error}") from error
        numbers = [row[0] for row in rows[: epoch + 1] if len(row) == len(METRICS)]
        if tuple(header) != METRICS or numbers != [str(number) for number in range(epoch + 1)]:
            raise ValueError(f"{path} is truncated: it must have a row for epochs 0 to {epoch}")
        return rows[: epoch + 1]

    def _refuse_broken_checkpoints(self, done: int) -> None:
        for epoch in self._checkpoints:
            if epoch > done:
                continue
            path = checkpoint_path(self.path, epoch)
            if not path.exists():
                kind = "a finished" if done == self._epochs else "an unfinished"
                raise ValueError(
                    f"{path} is missing from {kind} training; delete {self.path} to repeat it"
                )
            _, metadata = load_checkpoint(path)
            if self._epoch_of(path, metadata) != epoch:
                raise ValueError(f"{path} must be of epoch {epoch}, got {metadata['epoch']}")


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return where the weights of an epoch are kept."""
    return folder / f"epoch-{epoch:03d}.safetensors"


def _restore_momentum(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    momentum: Mapping[str, torch.Tensor],
    path: Path,
) -> None:
    """Give the optimizer its momentum; parameters that are not trained have none."""
    for name, parameter in network.named_parameters():
        saved = momentum.get(name)
        if saved is None:
            continue
        if saved.shape != parameter.shape:
            raise ValueError(
                f"{path} holds momentum of another network: {name} must have shape "
                f"{tuple(parameter.shape)}, got {tuple(saved.shape)}"
            )
        buffer = torch.empty_like(parameter, requires_grad=False).copy_(saved)
        optimizer.state[parameter]["momentum_buffer"] = buffer


def _stripped(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
