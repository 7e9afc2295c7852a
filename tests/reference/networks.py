"""Forward passes in plain NumPy, one image at a time where that is the definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def mlp_layers(weights: Mapping[str, NDArray[Any]], images: Array) -> dict[str, Array]:
    """Outputs after each rectifier of the nets Linear-BatchNorm-ReLU x 3, Linear."""
    result = {}
    hidden = images
    for block in range(3):
        linear, norm = str(3 * block), str(3 * block + 1)
        hidden = hidden @ weights[f"{linear}.weight"].T.astype(np.float64)
        hidden = hidden + weights[f"{linear}.bias"]
        hidden = hidden - weights[f"{norm}.running_mean"]
        hidden = hidden / np.sqrt(weights[f"{norm}.running_var"].astype(np.float64) + 1e-5)
        hidden = hidden * weights[f"{norm}.weight"] + weights[f"{norm}.bias"]
        hidden = np.maximum(hidden, 0.0)
        result[str(3 * block + 2)] = hidden
    return result


def conv3x3(image: Array, kernels: Array, bias: Array) -> Array:
    """Convolution with padding 1: (channels, h, w) and (n, channels, 3, 3) to (n, h, w)."""
    _, height, width = image.shape
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    result = np.zeros((len(kernels), height, width))
    for row in range(height):
        for column in range(width):
            patch = padded[:, row : row + 3, column : column + 3]
            for unit, kernel in enumerate(kernels):
                result[unit, row, column] = (patch * kernel).sum() + bias[unit]
    return result
