"""Pairs of networks for tests of similarity indexes: related, with dead, constant and duplicated units."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[Any]


@st.composite
def pairs(
    draw: st.DrawFn,
    *,
    n_examples: tuple[int, int] = (24, 60),
    widths: tuple[int, int] = (1, 9),
    dtypes: tuple[str, ...] = ("f4", "f8", ">f8"),
) -> tuple[Array, Array]:
    """Draw two networks of the same examples that have some causes in common."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(*n_examples))
    causes = rng.standard_normal((n, 3))
    networks = []
    for _ in range(2):
        width = draw(st.integers(*widths))
        units = causes @ rng.standard_normal((3, width)) + 0.7 * rng.standard_normal((n, width))
        spoil(units, draw(st.sampled_from(["", "dead", "constant", "duplicated", "all"])))
        order: Any = draw(st.sampled_from(["C", "F"]))
        network = np.array(units, draw(st.sampled_from(dtypes)), order=order)
        network.flags.writeable = False
        networks.append(network)
    return networks[0], networks[1]


def spoil(units: Array, how: str) -> None:
    """Make some units dead, constant or copies of others, but never all of them."""
    width = units.shape[1]
    if how in ("dead", "all") and width > 1:
        units[:, 1] = 0.0
    if how in ("constant", "all") and width > 2:
        units[:, 2] = 4.0
    if how in ("duplicated", "all") and width > 4:
        units[:, 3], units[:, 4] = units[:, 0], -2.0 * units[:, 0]


def rotation(rng: np.random.Generator, width: int) -> Array:
    """Return a random orthogonal matrix."""
    return np.linalg.qr(rng.standard_normal((width, width)))[0]
