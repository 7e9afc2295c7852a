"""What is known of a network after an epoch of its training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One network after one epoch; what the ``on_epoch`` of `train` is called with."""

    seed: int
    """Which network."""
    epoch: int
    """From 0, the untrained network."""
    n_epochs: int
    """The last epoch."""
    train_loss: float
    """Mean cross-entropy in nats over the epoch's training images, as they came."""
    test_loss: float
    """Mean cross-entropy in nats over the test images, after the epoch."""
    test_accuracy: float
    """Share of the test images, in [0, 1]."""
    seconds: float
    """Training and testing; networks trained together share their time equally."""
    images_per_second: float
    """Training images of the epoch over `seconds`; 0 for epoch 0, in which nothing is trained."""


Progress = Callable[[str, int, int], None]
OnEpoch = Callable[[EpochReport], None]
OnBatch = Callable[[tuple[int, ...], int, int, int], None]


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is told how far a training has come."""

    progress: Progress | None = None
    on_epoch: OnEpoch | None = None
    on_batch: OnBatch | None = None

    def step(self, seeds: tuple[int, ...], epoch: int, done: int, total: int) -> None:
        """Tell how many batches of an epoch are done, for the seeds trained together."""
        if self.on_batch:
            self.on_batch(seeds, epoch, done, total)

    def say(self, seed: int, done: int, n_epochs: int) -> None:
        """Tell how many epochs of a seed are done."""
        if self.progress:
            self.progress(f"train seed {seed}", done, n_epochs)

    def tell(self, report: EpochReport) -> None:
        """Tell what came out of an epoch."""
        if self.on_epoch:
            self.on_epoch(report)
