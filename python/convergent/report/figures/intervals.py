"""How means over pairs and over networks are drawn with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from convergent.study.network_intervals import Band
from convergent.study.study import Study


def draw_means(
    axes: Axes,
    study: Study,
    names: Sequence[str],
    measure: str,
    quantity: str,
    positions: NDArray[Any],
    *,
    colour: Any,
    label: str,
    markersize: float = 5.0,
) -> None:
    """Draw a quantity's means over layers as a line, with the 95 % interval of each where there is one."""
    means = np.array([study.value(name, measure, quantity) for name in names])
    reach = np.zeros((2, len(names)))
    for k, name in enumerate(names):
        interval = study.interval(name, measure, quantity)
        if interval is not None:
            reach[:, k] = means[k] - interval.low, interval.high - means[k]
    axes.errorbar(
        positions,
        means,
        yerr=np.maximum(reach, 0.0),
        color=colour,
        marker="o",
        markersize=markersize,
        linewidth=1.4,
        capsize=2.5,
        label=label,
    )


def draw_band(axes: Axes, x: NDArray[Any], band: Band, *, colour: Any, alpha: float = 0.18) -> None:
    """Draw the interval of each point of a mean curve, if there is one."""
    if band.low is not None and band.high is not None:
        axes.fill_between(x, band.low, band.high, color=colour, alpha=alpha, linewidth=0)
