"""How every figure looks, and how it becomes part of a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from convergent.study.study import Study

P = ParamSpec("P")
MOST_COLUMNS = 4
_FEW_PIXELS = 300

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


def panel_grid(
    n_panels: int, width: float, height: float, *, n_columns: int = MOST_COLUMNS, **subplots: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure with `n_panels` panels (at least one) in rows, each of a size in inches."""
    n_columns = min(max(n_panels, 1), n_columns)
    n_rows = max(-(-n_panels // n_columns), 1)
    figure = Figure(figsize=(width * n_columns + 0.6, height * n_rows))
    panels = figure.subplots(n_rows, n_columns, squeeze=False, **subplots)
    for axes in panels.flat[max(n_panels, 1) :]:
        axes.set_visible(False)
    return figure, list(panels.flat[: max(n_panels, 1)])


def first_of_rows(panels: list[Axes]) -> list[Axes]:
    """Return the leftmost panels."""
    return [axes for axes in panels if axes.get_subplotspec().is_first_col()]  # type: ignore[union-attr]


def last_of_columns(panels: list[Axes]) -> list[Axes]:
    """Return the panels without another one below."""
    n_columns = len({axes.get_subplotspec().colspan.start for axes in panels})  # type: ignore[union-attr]
    return panels[-n_columns:]


def count_units(*axes: Axis) -> None:
    """Let ticks of axes that count units fall on whole numbers only."""
    for axis in axes:
        axis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))


def pixels(matrix: NDArray[Any]) -> str:
    """Return how to draw a matrix: small ones entry by entry, which pages scale themselves, large ones smoothed."""
    return "none" if max(matrix.shape) <= _FEW_PIXELS else "auto"


def nothing_to_draw(axes: Axes, why: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", color=INK)
    axes.set_xticks([])
    axes.set_yticks([])


def layers_width(n_layers: int) -> float:
    """Return the width in inches of a figure with layers along its x axis."""
    return min(max(5.2, 0.8 * n_layers + 2.2), 12.0)


def data_uri(figure: Figure) -> str:
    """Return the figure as an SVG image for an HTML page; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, dpi=160)
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def layer_colours(n_layers: int) -> list[Any]:
    """Return one blue a layer, darker towards the output, as the shared-response paper draws them."""
    return [mpl.colormaps["Blues"](v) for v in np.linspace(0.4, 0.95, n_layers)]


def interval_bars(
    axes: Axes,
    study: Study,
    names: list[str],
    quantity: str,
    positions: NDArray[Any],
    colour: str,
) -> None:
    """Draw the 95 % interval of a quantity of the shared response in each layer that has one."""
    for name, position in zip(names, positions):
        low = study.value(name, "shared_response", f"{quantity}_low")
        high = study.value(name, "shared_response", f"{quantity}_high")
        if np.isfinite(low) and np.isfinite(high):
            value = study.value(name, "shared_response", quantity)
            reach = np.maximum([[value - low], [high - value]], 0.0)
            axes.errorbar(position, value, reach, color=colour, linewidth=1.4, capsize=3)


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
    """Return a name that fits a label, as plain text: no dollar sign starts a formula.

    A letter that the figures' font lacks becomes a box.
    """
    text = name if len(name) <= longest else f"{name[: longest - 9]}…{name[-8:]}"
    return "".join(letter if _is_drawn(letter) else "□" for letter in text).replace("$", r"\$")


@cache
def _is_drawn(letter: str) -> bool:
    with mpl.rc_context(_STYLE):
        font = get_font(findfont(FontProperties()))
    return bool(font.get_char_index(ord(letter)))
