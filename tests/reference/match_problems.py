"""Pairs of networks most of whose units match, of any size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Maker = Callable[..., tuple[Matrix, Matrix]]
EPSILON = 0.5


def low_rank(n_units: int, n_examples: int | None = None) -> tuple[Matrix, Matrix]:
    """Two networks that mix the same half as many directions, with noise: all units match."""
    n_examples = n_examples or 4 * n_units
    random = np.random.default_rng(0)
    shared = random.standard_normal((n_examples, n_units // 2))
    networks = []
    for _ in range(2):
        units = shared @ random.standard_normal((n_units // 2, n_units))
        scale = 0.3 * np.linalg.norm(units, axis=0) / np.sqrt(n_examples)
        networks.append(units + scale * random.standard_normal(units.shape))
    return networks[0], networks[1]


def planted_groups(n_units: int, n_examples: int | None = None) -> tuple[Matrix, Matrix]:
    """Overlapping groups of ten units that are rotations of each other, with noise."""
    n_examples = n_examples or 4 * n_units
    random = np.random.default_rng(0)
    x = random.standard_normal((n_examples, n_units))
    y = np.zeros_like(x)
    for first in range(0, n_units, 8):
        group = np.arange(first, min(first + 10, n_units))
        rotation = np.linalg.qr(random.standard_normal((len(group), len(group))))[0]
        y[:, group] += x[:, group] @ rotation
    noise = 0.1 * random.standard_normal((2, *x.shape))
    return x + noise[0], y + noise[1]
