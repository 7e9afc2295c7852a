"""Random crops and mirrored images, drawn from the seed and the epoch only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

PADDING = 4
_STREAM = 1  # apart from the numbers that order the images


@dataclass(frozen=True, slots=True)
class Draws:
    """What is done to each training image in one epoch, in the order of the data set."""

    top: torch.Tensor
    """int64 (..., n_images), first row of the crop in the padded image, 0 to 2 `PADDING`."""
    left: torch.Tensor
    """int64 (..., n_images), first column."""
    mirrored: torch.Tensor
    """bool (..., n_images)."""

    @classmethod
    def of_epoch(
        cls, kind: str, seed: int, epoch: int, n_images: int, device: str | torch.device
    ) -> Draws | None:
        """Return the draws of a seed's epoch; None where images stay as they are."""
        if kind == "none":
            return None
        generator = np.random.default_rng([seed, epoch, _STREAM])
        top, left = generator.integers(2 * PADDING + 1, size=(2, n_images))
        mirrored = generator.random(n_images) < 0.5
        if kind == "crop":
            mirrored[:] = False
        return cls(*(torch.from_numpy(draw).to(device) for draw in (top, left, mirrored)))

    @classmethod
    def stacked(cls, draws: list[Draws | None]) -> Draws | None:
        """Return the draws of several seeds in one, the seeds first."""
        found = [draw for draw in draws if draw is not None]
        if not found:
            return None
        return cls(
            torch.stack([draw.top for draw in found]),
            torch.stack([draw.left for draw in found]),
            torch.stack([draw.mirrored for draw in found]),
        )

    def of_images(self, rows: torch.Tensor) -> Draws:
        """Return the draws of some images; `rows` int64 (..., n_chosen)."""
        return Draws(*(part.gather(-1, rows) for part in (self.top, self.left, self.mirrored)))

    def apply(self, images: torch.Tensor) -> torch.Tensor:
        """Return images (..., n_channels, height, width) padded with 0, cropped and mirrored.

        The leading axes are those of the draws; the result is in the default memory format.
        """
        height, width = images.shape[-2:]
        flat = images.reshape(-1, *images.shape[-3:])
        padded = nn.functional.pad(flat, (PADDING,) * 4)
        steps = torch.arange(height, device=images.device)
        rows = self.top.reshape(-1, 1) + steps
        steps = torch.arange(width, device=images.device)
        steps = torch.where(self.mirrored.reshape(-1, 1), width - 1 - steps, steps)
        columns = self.left.reshape(-1, 1) + steps
        number = torch.arange(len(flat), device=images.device)[:, None, None]
        # Indices on both sides of the channels put these last: (n, height, width, n_channels).
        cropped = padded[number, :, rows[:, :, None], columns[:, None, :]]
        return cropped.permute(0, 3, 1, 2).reshape(images.shape).contiguous()
