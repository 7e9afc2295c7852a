"""Figure 3 of Lu et al. (2018): alignment during training, and how it differs from layer to layer."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from convergent.report.figures.style import (
    FAINT,
    GREEN,
    ORANGE,
    PURPLE,
    interval_bars,
    layer_axis,
    layer_colours,
    layers_width,
    shortened,
    styled,
)
from convergent.study.study import Study
from convergent.study.trajectory import Trajectory

METHODS = {"linear": "agreement", "rank": "agreement_rank"}
_LEAST_APART = 0.045  # of an axis, between the labels of two epochs


@styled
def agreement_during_training(trajectory: Trajectory, method: str = "linear") -> Figure:
    """Draw how well networks at each epoch, in one space, reproduce the similarities at the end (Figure 3, top).

    One line a layer, darker for later layers; bands are 95 % intervals over networks. `method` is "linear" or "rank",
    the correlation of the similarities.
    """
    quantity = METHODS[method]
    figure = Figure(figsize=(6.2, 3.2))
    axes = figure.subplots()
    epochs = np.array(trajectory.epochs)
    for name, colour in zip(trajectory.layers, layer_colours(len(trajectory.layers))):
        values = trajectory.values(name, quantity)
        axes.plot(epochs, values, color=colour, marker="o", markersize=4, label=shortened(name))
        low, high = (trajectory.values(name, f"{quantity}_{end}") for end in ("low", "high"))
        axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_xscale("function", functions=(np.log1p, np.expm1))
    _label_epochs(axes, epochs)
    axes.set_ylim(min(0.0, *axes.get_ylim()), 1.02)
    axes.set_xlabel("epoch of training")
    kind = "correlation" if method == "linear" else "rank correlation"
    axes.set_ylabel(f"{kind} with the similarities\nwithin networks at the end")
    if trajectory.layers:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="layer")
    return figure


def _label_epochs(axes: Axes, epochs: NDArray[np.intp]) -> None:
    """Put a tick at each epoch, and its number where it does not touch another's: the last one always has it."""
    places = np.log1p(epochs)
    least = _LEAST_APART * (places[-1] - places[0])
    shown = [len(epochs) - 1]
    for i in range(len(epochs) - 2, -1, -1):
        if places[shown[-1]] - places[i] >= least:
            shown.append(i)
    axes.set_xticks(epochs, [str(e) if i in shown else "" for i, e in enumerate(epochs)])
    axes.minorticks_off()


@styled
def variance_over_layers(study: Study) -> Figure:
    """Draw the share of held-out variance that the shared response explains, over layers (Figure 3, middle).

    Large dots are means over networks with their 95 % intervals, small dots single networks.
    """
    names = study.layers_with("shared_response")
    figure, axes = _over_layers(names, beside=1.5)
    for quantity, shift, colour, label in (
        ("variance_explained", -0.06, GREEN, "all networks"),
        ("variance_explained_leave_one_out", 0.06, PURPLE, "judged one left out"),
    ):
        of_networks = [study.of(name, "shared_response")[0].arrays[quantity] for name in names]
        _dots(axes, study, names, quantity, of_networks, shift, colour, label)
    chance = 1.0 / max(len(study.networks), 1)
    axes.axhline(
        chance, color=FAINT, linewidth=0.8, linestyle=":", zorder=0, label="unrelated networks: 1/N"
    )
    axes.set_ylim(min(0.0, *axes.get_ylim()), 1.02)
    axes.set_ylabel("share of variance explained\non held-out examples")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="shared response of")
    return figure


@styled
def consistency_over_layers(study: Study) -> Figure:
    """Draw how alike the networks' own similarity matrices are, over layers (Figure 3, bottom).

    Large dots are means over pairs of networks with their 95 % intervals (networks being drawn), small dots single
    pairs. Grey: the noise ceiling, how well one matrix can agree with those of all networks (Nili et al. 2014).
    """
    names = study.layers_with("shared_response")
    figure, axes = _over_layers(names)
    of_pairs = []
    for name in names:
        matrix = study.of(name, "shared_response")[0].arrays["consistency_pairs"]
        of_pairs.append(matrix[np.tril_indices(len(matrix), -1)])
    _dots(axes, study, names, "consistency", of_pairs, 0.0, ORANGE, "pairs of networks")
    _noise_ceilings(axes, study, names)
    axes.set_ylim(min(0.0, *axes.get_ylim()), 1.02)
    axes.set_ylabel("consistency: correlation of\nsimilarities within networks")
    if names:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _noise_ceilings(axes: Axes, study: Study, names: list[str]) -> None:
    label = "noise ceiling"
    for position, name in enumerate(names):
        ceiling = study.noise_ceiling(name)
        if ceiling is not None:
            axes.fill_between([position - 0.22, position + 0.22], ceiling.lower, ceiling.upper, color=FAINT,
                              alpha=0.6, linewidth=0, zorder=0, label=label)  # fmt: skip
            label = "_once"


def _over_layers(names: list[str], beside: float = 0.0) -> tuple[Figure, Axes]:
    """Return a figure with layers along its axis, and so many inches more for what stands beside."""
    figure = Figure(figsize=(layers_width(len(names)) + beside, 3.0))
    axes = figure.subplots()
    layer_axis(axes, names)
    axes.set_xlim(-0.5, max(len(names) - 0.5, 0.5))
    axes.set_xlabel("layer, from input to output")
    axes.axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    return figure, axes


def _dots(
    axes: Axes,
    study: Study,
    names: list[str],
    quantity: str,
    singles: list[NDArray[np.float64]],
    shift: float,
    colour: str,
    label: str,
) -> None:
    """Draw a quantity of each layer: the mean, its interval, and the single values beside it."""
    positions = np.arange(len(names)) + shift
    aside = 0.08 if shift >= 0.0 else -0.08
    for position, values in zip(positions, singles):
        dots = np.full(len(values), position + aside)
        axes.plot(dots, values, ".", color=colour, alpha=0.45, markersize=3.5, zorder=1)
    means = [study.value(name, "shared_response", quantity) for name in names]
    axes.plot(positions, means, color=colour, marker="o", markersize=5, linewidth=1.4, label=label)
    interval_bars(axes, study, names, quantity, positions, colour)
