"""Schedules, crops and gradient descent written out number by number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def rate(
    schedule: str,
    first: float,
    step: int,
    n_steps: int,
    *,
    steps_an_epoch: int = 1,
    milestones: Sequence[int] = (),
    factor: float = 1.0,
) -> float:
    """Learning rate of a step, counted from 0."""
    if schedule == "constant":
        return first
    if schedule == "cosine":
        return first * (1 + math.cos(math.pi * step / n_steps)) / 2
    if schedule == "steps":
        found = first
        for milestone in milestones:
            if step // steps_an_epoch >= milestone:
                found *= factor
        return found
    share = step / n_steps
    if share < 0.3:
        return first / 25 + (first - first / 25) * share / 0.3
    return first * (1 + math.cos(math.pi * (share - 0.3) / 0.7)) / 2


def cropped(image: NDArray[Any], top: int, left: int, mirrored: bool) -> NDArray[Any]:
    """Crop of an image (channels, height, width) with a border of four zeros, then mirrored."""
    channels, height, width = image.shape
    found = np.zeros_like(image)
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                y, x = i + top - 4, j + left - 4
                if 0 <= y < height and 0 <= x < width:
                    found[c, i, width - 1 - j if mirrored else j] = image[c, y, x]
    return found


def descend(
    weights: NDArray[np.float64],
    gradients: Sequence[NDArray[np.float64]],
    rates: Sequence[float],
    momentum: float,
    weight_decay: float,
    nesterov: bool,
) -> NDArray[np.float64]:
    """Weights after steps along given gradients (Sutskever et al. 2013, as torch arranges it)."""
    weights = weights.copy()
    velocity = None
    for gradient, step in zip(gradients, rates):
        full = gradient + weight_decay * weights
        velocity = full if velocity is None else momentum * velocity + full
        weights = weights - step * (full + momentum * velocity if nesterov else velocity)
    return weights
