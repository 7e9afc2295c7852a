"""How every figure looks, and how it becomes part of a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

P = ParamSpec("P")

INK = "#1f2933"
FAINT = "#9aa5b1"
BLUE = "#2563a8"
ORANGE = "#d97a1e"
GREEN = "#2a8f5c"
PURPLE = "#7a4fa3"

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "convergent",
    "lines.linewidth": 1.8,
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a drawing function under the package's style, leaving the caller's matplotlib settings alone."""

    @wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            figure = draw(*args, **kwargs)
            figure.canvas.draw_idle()
            return figure

    return wrapped


def data_uri(figure: Figure) -> str:
    """Return the figure as an SVG image for an HTML page; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, dpi=160)
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def layer_colours(n_layers: int) -> list[Any]:
    """Return one blue a layer, darker towards the output, as the shared-response paper draws them."""
    return [mpl.colormaps["Blues"](v) for v in np.linspace(0.4, 0.95, n_layers)]


def mean_and_spread(curves: list[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the mean of several curves, the lowest and the highest."""
    stacked = np.stack(curves)
    return stacked.mean(axis=0), stacked.min(axis=0), stacked.max(axis=0)


def layer_axis(axes: Axes, names: list[str]) -> None:
    """Label the x axis with layer names, slanted when they would touch."""
    axes.set_xticks(range(len(names)))
    crowded = sum(len(name) for name in names) > 45
    axes.set_xticklabels(
        [shortened(name) for name in names],
        rotation=35 if crowded else 0,
        ha="right" if crowded else "center",
    )


def shortened(name: str, longest: int = 22) -> str:
    """Return a name that fits a label, as plain text: no dollar sign starts a formula."""
    text = name if len(name) <= longest else f"{name[: longest - 9]}…{name[-8:]}"
    return text.replace("$", r"\$")
