"""Literal twin of the streaming top examples: sort everything there is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def top_examples(
    activations: NDArray[Any], n_top: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return values, images and positions of (n_images, n_units) or (n_images, n_units, h, w)."""
    n_images, n_units = activations.shape[:2]
    n_kept = min(n_top, n_images)
    values = np.zeros((n_units, n_kept), np.float32)
    images = np.zeros((n_units, n_kept), np.int64)
    positions = np.zeros((n_units, n_kept, 2), np.int64)
    for unit in range(n_units):
        best = []
        for image in range(n_images):
            response = activations[image, unit]
            place = (0, 0)
            if response.ndim == 2:
                for row in range(response.shape[0]):
                    for column in range(response.shape[1]):
                        if response[row, column] > response[place]:
                            place = (row, column)
                response = response[place]
            best.append((-float(np.float32(response)), image, place))
        for rank, (value, image, place) in enumerate(sorted(best)[:n_kept]):
            values[unit, rank] = -value
            images[unit, rank] = image
            positions[unit, rank] = place
    return values, images, positions
