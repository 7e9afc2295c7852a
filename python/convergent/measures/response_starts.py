"""Where the iterations of a shared response model begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convergent import _validate
from convergent.measures.shared_space import Matrix, random_weights, refuse_skew, weight_list

STARTS = ("sequential", "spectral", "random")

Start = tuple[str, list[Matrix]]
"""Name of a start, and weights: to begin at, or for directions that the data leave undetermined."""


def starting_points(
    start: str | Sequence[Any], n_starts: int, seed: int, widths: Sequence[int], k: int
) -> list[Start]:
    """Return `n_starts` starts: the one asked for, then the other kinds, then more random ones."""
    count = _validate.integer(n_starts, "n_starts", low=1)
    points: list[Start] = []
    if isinstance(start, str):
        names = [_validate.choice(start, "start", STARTS)]
        names += [name for name in STARTS if name not in names]
    else:
        given = weight_list(start, "start", widths, k)
        refuse_skew(given, "start")
        points.append(("given", given))
        names = list(STARTS)
    names += ["random"] * count
    rng = np.random.default_rng(seed)
    points += [(name, _weights(rng, name, widths, k)) for name in names[: count - len(points)]]
    return points


def _weights(rng: np.random.Generator, name: str, widths: Sequence[int], k: int) -> list[Matrix]:
    if name != "sequential":
        return [random_weights(rng, width, k) for width in widths]
    # Only the first network's are begun at, and only where they may lie in several directions; the
    # kernel makes them orthonormal, without the threads of a BLAS that spin on beside its own.
    axes = {width: np.eye(width, k) for width in set(widths)}
    first = rng.standard_normal((widths[0], k)) if k < widths[0] else axes[k]
    return [first, *(axes[width] for width in widths[1:])]
