"""The tables of docs/gallery_convergent.md as Markdown: means over pairs of networks, one row a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

import convergent as cv
from convergent.study import Study, TaskResult
from convergent.study.study import LayerSummary

N_SHOWN = 8
ALPHA = 96 * 10**-2.6
"""The LASSO's own penalty behind Figure 6 of the paper: 96 units at 10**-2.6."""


def print_tables(name: str, study: Study) -> None:
    """Print every table of one set of networks."""
    for title, measure, columns in (
        ("matches", "correlation", _matches(study)),
        ("sparse maps", "sparse_map", _maps(study)),
        ("groups", "unit_groups", _groups(study)),
        ("activity", "activations", _activity(study)),
    ):
        if not study.of(study.layers[0].name, measure):
            continue
        print(f"\n{name}, {title}\n")
        print(f"| layer | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
        for layer in study.layers:
            cells = [cell(layer.name) for cell in columns.values()]
            print(f"| {layer.name} | {' | '.join(cells)} |")
    print()


def _matches(study: Study) -> Mapping[str, Callable[[str], str]]:
    def mean(measure: str, quantity: str) -> Callable[[str], str]:
        return lambda layer: f"{study.value(layer, measure, quantity):.3f}"

    return {
        "units": lambda layer: _width(study, layer),
        "mean semi": mean("correlation", "mean_semi"),
        "mean matching": mean("correlation", "mean_one_to_one"),
        "agreement": mean("correlation", "agreement"),
        "no match above .5": lambda layer: f"{study.value(layer, 'correlation', 'unmatched'):.0%}",
        "mean semi, nats": mean("mutual_information", "mean_semi"),
        "same best 8": lambda layer: f"{_mean_shared(study, layer, _same_best):.1f}",
        "same partner": lambda layer: f"{_mean_shared(study, layer, _same_partner):.0%}",
    }


def _maps(study: Study) -> Mapping[str, Callable[[str], str]]:
    def loss(penalty: float) -> Callable[[str], str]:
        return lambda layer: f"{study.value(layer, 'sparse_map', f'loss_at_{penalty:g}'):.3f}"

    chosen = study.settings.penalty
    columns = {f"{penalty:g}": loss(penalty) for penalty in study.settings.penalties}
    columns[f"{chosen:.4f}"] = loss(chosen)
    columns["predictors"] = lambda layer: (
        f"{study.value(layer, 'sparse_map', f'predictors_at_{chosen:g}'):.1f}"
    )
    columns[f"alpha {ALPHA:.2g}"] = lambda layer: "{:.3f}, {:.1f}".format(*_at_alpha(study, layer))
    columns["joined"] = lambda layer: f"{study.value(layer, 'unit_tree', 'joined_share'):.0%}"
    return columns


def _at_alpha(study: Study, layer: str) -> tuple[float, float]:
    """Return loss and predictors at the paper's penalty for one target, whatever the layer's width."""
    maps = [
        cv.sparse_map(
            pair.arrays["within_x"],
            pair.arrays["similarity"],
            ALPHA / pair.arrays["similarity"].shape[1],
            given="correlations",
        )
        for pair in study.of(layer, "correlation")
    ]
    return float(np.mean([m.loss for m in maps])), float(np.mean([m.mean_predictors for m in maps]))


def _groups(study: Study) -> Mapping[str, Callable[[str], str]]:
    return {
        "groups": lambda layer: f"{study.value(layer, 'unit_groups', 'n_groups'):.1f}",
        "units in joint groups": lambda layer: (
            f"{study.value(layer, 'unit_groups', 'in_joint_groups'):.0%}"
        ),
        "between": lambda layer: f"{study.value(layer, 'unit_groups', 'between'):.2f}",
        "within": lambda layer: f"{study.value(layer, 'unit_groups', 'within'):.2f}",
        "in all networks": lambda layer: f"{study.value(layer, 'recurring_units', 'share'):.0%}",
    }


def _activity(study: Study) -> Mapping[str, Callable[[str], str]]:
    return {
        "dead": lambda layer: str(sum(_summary(study, layer).n_dead)),
        "most active": lambda layer: _range([means.max() for means in _means(study, layer)]),
        "median": lambda layer: _range([float(np.median(means)) for means in _means(study, layer)]),
        "least active": lambda layer: _range(
            [means[means > 0.0].min() for means in _means(study, layer)]
        ),
    }


def _summary(study: Study, layer: str) -> LayerSummary:
    return next(of for of in study.layers if of.name == layer)


def _width(study: Study, layer: str) -> str:
    return ", ".join(dict.fromkeys(str(width) for width in _summary(study, layer).widths))


def _means(study: Study, layer: str) -> list[np.ndarray]:
    (result,) = study.of(layer, "activations")
    return [result.arrays[f"mean_{i}"] for i in range(len(study.networks))]


def _range(values: list[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}"


def _best(result: TaskResult) -> list[tuple[int, int]]:
    similarity, partners = result.arrays["similarity"], result.arrays["semi_y"]
    values = similarity[np.arange(len(similarity)), partners]
    best = np.argsort(-values, kind="stable")[:N_SHOWN]
    return [(int(unit), int(partners[unit])) for unit in best]


def _mean_shared(
    study: Study, layer: str, shared: Callable[[TaskResult, TaskResult], float]
) -> float:
    """Return the mean over pairs of what correlation and mutual information share; NaN where one is missing."""
    pairs = list(zip(study.of(layer, "correlation"), study.of(layer, "mutual_information")))
    return float(np.mean([shared(a, b) for a, b in pairs])) if pairs else float("nan")


def _same_best(a: TaskResult, b: TaskResult) -> float:
    """Return how many of the best semi-matches are the same."""
    return float(len(set(_best(a)) & set(_best(b))))


def _same_partner(a: TaskResult, b: TaskResult) -> float:
    """Return the share of units whose best partner is the same."""
    return float(np.mean(a.arrays["semi_y"] == b.arrays["semi_y"]))
