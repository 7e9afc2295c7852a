"""The table of all layers, and the headline figures above it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from convergent.report.glossary import Quantity, quantities_of
from convergent.study.study import Study

_GROUP_TITLES = {
    "activations": "Activity",
    "correlation": "Single units, by correlation",
    "mutual_information": "Single units, by mutual information",
    "recurring_units": "Single units that all networks have",
    "sparse_map": "Few units to one",
    "unit_tree": "Tree of both networks' units",
    "unit_groups": "Groups of both networks' units",
    "max_match": "Sets of units: maximum match",
    "simple_matches": "Sets of units: simple matches",
    "shared_response": "Up to a rotation: shared response",
    "cka": "Index",
    "indexes": "More indexes",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of the table that belong to one measure."""

    title: str
    rows: list[tuple[str, str, list[Cell]]]
    """Heading, meaning and one cell a layer."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of the table as text, and how dark its background is."""

    text: str
    shade: float
    interval: str = ""
    """Ends of the 95 % interval, empty where there is none."""


def shown_quantities(study: Study) -> list[Quantity]:
    """Return the quantities of which the study holds at least one number."""
    return [
        quantity
        for quantity in quantities_of(study.settings)
        if any(study.values(layer.name, quantity.measure, quantity.name) for layer in study.layers)
    ]


def groups(study: Study, quantities: list[Quantity]) -> list[Group]:
    """Return the rows of the table, by measure."""
    by_measure: dict[str, Group] = {}
    for quantity in quantities:
        group = by_measure.setdefault(quantity.measure, Group(_GROUP_TITLES[quantity.measure], []))
        cells = [_cell(study, layer.name, quantity) for layer in study.layers]
        group.rows.append((quantity.heading, quantity.meaning, cells))
    return list(by_measure.values())


def has_intervals(groups: list[Group]) -> bool:
    """Return whether some number of the table has an interval."""
    return any(cell.interval for group in groups for *_, cells in group.rows for cell in cells)


def _cell(study: Study, layer: str, quantity: Quantity) -> Cell:
    value = study.value(layer, quantity.measure, quantity.name)
    interval = study.interval(layer, quantity.measure, quantity.name)
    ends = ""
    if interval is not None:
        ends = f"{quantity.text(interval.low)} – {quantity.text(interval.high)}"
    known = quantity.bounded and not math.isnan(value)
    shade = min(max(value, 0.0), 1.0) if known else 0.0
    return Cell(quantity.text(value), round(0.5 * shade, 3), ends)


def findings(study: Study) -> list[tuple[str, str]]:
    """Return the headline figures: the number and what it says, over all layers and pairs."""
    headlines = []
    for measure, quantity, text, percent in (
        ("correlation", "mean_one_to_one", "mean correlation of units matched one to one", False),
        ("max_match", f"similarity_at_{study.settings.epsilons[-1]:g}",
         f"of units in a maximum match at ε = {study.settings.epsilons[-1]:g}", True),
        ("shared_response", "agreement", "agreement of the networks in one shared space", False),
        ("cka", "linear", "linear CKA", False),
    ):  # fmt: skip
        values = {
            layer.name: study.value(layer.name, measure, quantity)
            for layer in study.layers
            if study.values(layer.name, measure, quantity)
        }
        if not values:
            continue
        ends = (min(values.values()), max(values.values()))
        shown = (f"{100 * value:.0f} %" if percent else f"{value:.2f}" for value in ends)
        headlines.append((" – ".join(dict.fromkeys(shown)), text))
    return headlines
