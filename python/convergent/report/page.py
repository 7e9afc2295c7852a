"""The report: one self-contained HTML page."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import convergent
from convergent import _core, _storage
from convergent.report import figures
from convergent.report.figures.style import data_uri
from convergent.report.glossary import Quantity, quantities_of
from convergent.study.study import Study

_EXPLAINED_BESIDE = 4  # layers up to which the meaning of each number has room beside it
_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "torchvision", "matplotlib")


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the page, its caption and the words for those who cannot see it."""

    source: str
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: one paper's question, its figures."""

    title: str
    question: str
    pictures: list[Picture]


def write_report(
    study: Study,
    path: str | Path,
    *,
    title: str = "Do these networks learn the same thing?",
    metrics: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    details: Mapping[str, object] | None = None,
) -> Path:
    """Write a study as one self-contained HTML page.

    Parameters
    ----------
    study : Study
    path : path
        Of the page; written to a temporary name and renamed.
    title : str
    metrics : mapping, optional
        Columns "epoch" and "test_accuracy" of each network's training.
    details : mapping, optional
        More settings to print, such as how the networks were trained.

    Returns
    -------
    Path
        Where the page is.

    Raises
    ------
    ImportError
        If matplotlib or jinja2 is missing (both come with ``convergent[full]``).

    Notes
    -----
    All names are escaped: a layer named with HTML is shown as text.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("convergent.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    quantities = [
        quantity
        for quantity in quantities_of(
            tuple(study.settings.measures), tuple(study.settings.epsilons)
        )
        if any(study.values(layer.name, quantity.measure, quantity.name) for layer in study.layers)
    ]
    page = environment.get_template("report.html.j2").render(
        title=title,
        study=study,
        findings=_findings(study),
        quantities=quantities,
        groups=_groups(study, quantities),
        explained=len(study.layers) <= _EXPLAINED_BESIDE,
        sections=_sections(study, metrics),
        settings=_settings(study, details or {}),
        versions=_versions(),
    )
    _storage.write_text(Path(path), page)
    return Path(path)


_GROUP_TITLES = {
    "correlation": "Single units, by correlation",
    "mutual_information": "Single units, by mutual information",
    "max_match": "Sets of units: maximum match",
    "simple_matches": "Sets of units: simple matches",
    "shared_response": "Up to a rotation: shared response",
    "cka": "Index",
}


_MAX_MATCH_PICTURES: tuple[tuple[Callable[[Study], Figure], str], ...] = (
    (
        figures.similarity_over_layers,
        "Share of units in the maximum match, over layers, for each ε. Large dots: mean over pairs of networks; bars: "
        "one standard deviation; small dots: single pairs. A small ε with a high share means that the layers span the "
        "same space.",
    ),
    (
        figures.similarity_curves,
        "The same for every ε at once, from each unit's smallest ε: a steep step means that most units "
        "match at the same residual. Bands: lowest to highest pair; dotted lines: the ε above.",
    ),
    (
        figures.unit_levels,
        "Level of each unit, the smallest ε at which it belongs to the maximum match. Shapes: histograms of the units "
        "of all pairs; lines across: medians; dotted lines: the ε above. Dead units have no level.",
    ),
)
_SIMPLE_MATCH_CAPTION = (
    "How many units of both networks the simple matches take, as shares of the simple matches of all pairs. At 2, "
    "single units correspond; far to the right, the networks agree as a whole and differ in detail. The classes "
    "double in width."
)


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


def _groups(study: Study, quantities: list[Quantity]) -> list[Group]:
    groups: dict[str, Group] = {}
    for quantity in quantities:
        group = groups.setdefault(quantity.measure, Group(_GROUP_TITLES[quantity.measure], []))
        values = [
            study.value(layer.name, quantity.measure, quantity.name) for layer in study.layers
        ]
        cells = [_cell(quantity, value) for value in values]
        group.rows.append((quantity.heading, quantity.meaning, cells))
    return list(groups.values())


def _cell(quantity: Quantity, value: float) -> Cell:
    known = quantity.bounded and not math.isnan(value)
    shade = min(max(value, 0.0), 1.0) if known else 0.0
    return Cell(quantity.text(value), round(0.5 * shade, 3))


def _findings(study: Study) -> list[tuple[str, str]]:
    """Return the headline figures: the number and what it says, over all layers and pairs."""
    findings = []
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
        findings.append((" – ".join(dict.fromkeys(shown)), text))
    return findings


def _sections(
    study: Study, metrics: Mapping[str, Mapping[str, Sequence[float]]] | None
) -> list[Section]:
    makers = (_units_section, _subspace_section, _geometry_section, _index_section)
    sections = [section for maker in makers for section in maker(study)]
    if metrics:
        picture = Picture(
            data_uri(figures.training_curves(metrics)),
            "Test accuracy of each network during training.",
        )
        sections.append(Section("The networks", "Are they equally good at their task?", [picture]))
    return sections


def _shown_layers(study: Study, measure: str) -> list[str]:
    return [layer.name for layer in study.layers if study.of(layer.name, measure)]


def _units_section(study: Study) -> list[Section]:
    pictures = []
    for measure, unit in (
        ("correlation", "correlation"),
        ("mutual_information", "mutual information"),
    ):
        if _shown_layers(study, measure):
            pictures.append(
                Picture(
                    data_uri(figures.match_curves(study, measure)),
                    f"Similarity of each unit to its partner by {unit}, sorted by the best match. Where the blue "
                    "line drops below the orange one, several units want the same partner. Lines: mean over pairs "
                    "of networks; bands: lowest to highest pair.",
                )
            )
    for name in _shown_layers(study, "correlation"):
        pair = study.of(name, "correlation")[0]
        a, b = pair.task.networks
        pictures.append(
            Picture(
                data_uri(figures.matched_matrices(pair)),
                f"{name}: correlations between the units of {a} and {b}, as trained and with {b}'s units in the "
                "order of their partners. A red diagonal means that single units correspond; "
                "dead units leave blank rows and columns.",
            )
        )
    title = "Do single units correspond?"
    question = (
        "Convergent learning (Li et al. 2016): match the units of two networks by how alike they respond, with and "
        "without the right to share a partner."
    )
    return [Section(title, question, pictures)] if pictures else []


def _subspace_section(study: Study) -> list[Section]:
    pictures = []
    if _shown_layers(study, "max_match"):
        pictures += [
            Picture(data_uri(draw(study)), caption) for draw, caption in _MAX_MATCH_PICTURES
        ]
    if _shown_layers(study, "simple_matches"):
        pictures.append(Picture(data_uri(figures.simple_match_sizes(study)), _SIMPLE_MATCH_CAPTION))
    question = (
        "Neuron activation subspace match (Wang et al. 2018): find the largest sets of units, one in each network, "
        "that are linear combinations of each other up to a residual of ε, and the smallest such sets that they are "
        "made of."
    )
    return (
        [Section("Do sets of units span the same space?", question, pictures)] if pictures else []
    )


def _geometry_section(study: Study) -> list[Section]:
    names = _shown_layers(study, "shared_response")
    if not names:
        return []
    pictures = [
        Picture(
            data_uri(figures.agreement_bars(study)),
            "Left: how well similarities between networks reproduce those within networks, in the shared space and "
            "without alignment. Right: how much of the held-out activations the shared response explains.",
        )
    ]
    for name in names:
        (result,) = study.of(name, "shared_response")
        pictures.append(
            Picture(
                data_uri(figures.rsm_panels(result)),
                f"{name}: similarities of held-out examples, sorted by class where labels are known. If the "
                "middle matrix looks like the left one, rotations align the networks.",
            )
        )
    question = (
        "Shared response model (Lu et al. 2018): find one space into which every network can be rotated, and ask on "
        "held-out examples whether the networks agree there."
    )
    return [Section("Do the networks agree up to a rotation?", question, pictures)]


def _index_section(study: Study) -> list[Section]:
    if not _shown_layers(study, "cka"):
        return []
    picture = Picture(
        data_uri(figures.network_matrices(study)),
        "Linear CKA of every network with every other; 1 on the diagonal.",
    )
    question = "One number for a pair of layers, unchanged by rotation and scale."
    return [Section("How similar are the layers overall?", question, [picture])]


def _settings(study: Study, details: Mapping[str, object]) -> list[tuple[str, str]]:
    rows: list[tuple[str, object]] = [("networks", ", ".join(study.networks))]
    for layer in study.layers:
        units = _same_or_list(layer.widths)
        dead = _same_or_list(layer.n_dead)
        rows.append(
            (
                f"layer {layer.name}",
                f"{units} units ({dead} dead), {layer.n_positions:,} positions of {layer.n_images:,} examples",
            )
        )
    rows += [(name.replace("_", " "), value) for name, value in study.settings.as_dict().items()]
    rows += list(details.items())
    return [(name, _plain(value)) for name, value in rows]


def _same_or_list(values: tuple[int, ...]) -> str:
    return str(values[0]) if len(set(values)) == 1 else ", ".join(map(str, values))


def _plain(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(item) for item in value)
    return f"{value:g}" if isinstance(value, (float, np.floating)) else str(value)


def _versions() -> list[tuple[str, str]]:
    rows = [
        ("convergent", f"{convergent.__version__} (kernels for {_core.level})"),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
    ]
    for package in _PACKAGES:
        try:
            rows.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return rows
