"""How the networks' accuracy came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from convergent.report.figures.style import layer_colours, shortened, styled


@styled
def training_curves(metrics: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw each network's test accuracy over epochs.

    `metrics` maps a network's name to columns "epoch" and "test_accuracy" (shares in [0, 1]).
    """
    figure = Figure(figsize=(5.4, 2.7))
    axes = figure.subplots()
    for (name, columns), colour in zip(metrics.items(), layer_colours(len(metrics))):
        percent = [100 * value for value in columns["test_accuracy"]]
        axes.plot(columns["epoch"], percent, color=colour, label=shortened(name))
    axes.set_xlabel("epoch")
    axes.set_ylabel("test accuracy (%)")
    if len(metrics) <= 12:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
