"""The report: one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from convergent import _storage
from convergent.report import glossary
from convergent.report.sections import (
    convergent_learning,
    indexes,
    networks,
    overview,
    provenance,
    shared_geometry,
    subspace,
    unit_pictures,
)
from convergent.report.sections.section import Section
from convergent.study.study import Study

if TYPE_CHECKING:
    from convergent.statistics.patches import UnitPatches
    from convergent.study.trajectory import Trajectory

_EXPLAINED_BESIDE = 4  # layers up to which the meaning of each number has room beside it


def write_report(
    study: Study,
    path: _storage.AnyPlace,
    *,
    title: str = "Do these networks learn the same thing?",
    metrics: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    details: Mapping[str, object] | None = None,
    patches: Mapping[str, Mapping[str, UnitPatches]] | None = None,
    trajectory: Trajectory | None = None,
) -> _storage.Place:
    """Write a study as one self-contained HTML page.

    Parameters
    ----------
    study : Study
    path : path or URL
        Of the page; whole or absent.
    title : str
    metrics : mapping, optional
        Columns "epoch" and "test_accuracy" of each network's training.
    details : mapping, optional
        More settings to print, such as how the networks were trained.
    patches : mapping, optional
        For each layer and network the parts of the images that activate each unit most.
    trajectory : Trajectory, optional
        How the networks came to agree during training.

    Returns
    -------
    Path or Location
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
    quantities = overview.shown_quantities(study)
    groups = overview.groups(study, quantities)
    page = environment.get_template("report.html.j2").render(
        title=title,
        study=study,
        findings=overview.findings(study),
        quantities=quantities,
        groups=groups,
        intervals=glossary.INTERVALS if overview.has_intervals(groups) else "",
        explained=len(study.layers) <= _EXPLAINED_BESIDE,
        sections=_sections(study, metrics, patches, trajectory),
        settings=provenance.settings(study, details or {}),
        versions=provenance.versions(),
    )
    _storage.write_text(path, page)
    return _storage.place(path)


def _sections(
    study: Study,
    metrics: Mapping[str, Mapping[str, Sequence[float]]] | None,
    patches: Mapping[str, Mapping[str, UnitPatches]] | None,
    trajectory: Trajectory | None,
) -> list[Section]:
    return [
        *convergent_learning.sections(study),
        *unit_pictures.sections(study, patches),
        *subspace.sections(study),
        *shared_geometry.sections(study, trajectory),
        *indexes.sections(study),
        *networks.sections(metrics),
    ]
