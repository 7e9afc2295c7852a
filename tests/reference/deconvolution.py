"""Zeiler and Fergus' deconvolution of one neuron, step by step, for a small network.

The network: convolution 3 x 3 (padding 1), rectifier, max pooling 2, convolution 3 x 3 (padding 1), rectifier; then,
if there is a dense matrix, one dense layer and a rectifier.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.reference.networks import conv3x3

Array = NDArray[np.float64]


def deconvolution(weights: dict[str, Array], image: Array, neuron: tuple[int, ...]) -> Array:
    """Return what flows back to the image from neuron (unit, row, column), or from dense unit (unit,)."""
    first = np.maximum(conv3x3(image, weights["conv1"], weights["bias1"]), 0.0)
    pooled, switches = max_pool(first)
    second = np.maximum(conv3x3(pooled, weights["conv2"], weights["bias2"]), 0.0)
    signal = np.zeros_like(second)
    if len(neuron) == 1:
        signal = weights["dense"][neuron[0]].reshape(second.shape)
    else:
        signal[neuron] = 1.0
    signal = transposed3x3(np.maximum(signal, 0.0), weights["conv2"])
    signal = unpool(signal, switches, first.shape)
    return transposed3x3(np.maximum(signal, 0.0), weights["conv1"])


def max_pool(maps: Array) -> tuple[Array, dict[tuple[int, int, int], tuple[int, int]]]:
    """Return the largest of every 2 x 2 places, and where it was."""
    channels, height, width = maps.shape
    pooled = np.zeros((channels, height // 2, width // 2))
    switches = {}
    for channel, row, column in np.ndindex(*pooled.shape):
        places = [(2 * row + i, 2 * column + j) for i in (0, 1) for j in (0, 1)]
        best = max(places, key=lambda place: maps[channel, place[0], place[1]])
        pooled[channel, row, column] = maps[channel, best[0], best[1]]
        switches[channel, row, column] = best
    return pooled, switches


def unpool(signal: Array, switches: dict[Any, Any], shape: tuple[int, ...]) -> Array:
    """Put each value where the largest of its places was."""
    result = np.zeros(shape)
    for (channel, row, column), (y, x) in switches.items():
        result[channel, y, x] += signal[channel, row, column]
    return result


def transposed3x3(signal: Array, kernels: Array) -> Array:
    """Spread each value over the 3 x 3 places below it, weighted by its unit's kernel."""
    units, height, width = signal.shape
    result = np.zeros((kernels.shape[1], height + 2, width + 2))
    for unit, row, column in np.ndindex(units, height, width):
        result[:, row : row + 3, column : column + 3] += signal[unit, row, column] * kernels[unit]
    return result[:, 1:-1, 1:-1]
