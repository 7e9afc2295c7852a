"""The page's section of image patches: which layers and pairs it shows, and that it needs nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import convergent as cv
from convergent import study
from convergent.statistics import UnitPatches

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from convergent.report.sections import unit_pictures
from convergent.report.sections.section import Folded

TITLE = "What do the units see?"


def patches_of(network: str, layer: str, n_units: int, alive: bool = True) -> UnitPatches:
    random = np.random.default_rng(0)
    return UnitPatches(
        network=network,
        layer=layer,
        units=np.arange(n_units),
        pixels=random.random((n_units, 9, 8, 8, 3), dtype=np.float32),
        values=np.full((n_units, 9), float(alive), dtype=np.float32),
        images=np.zeros((n_units, 9), dtype=np.int64),
        boxes=np.zeros((n_units, 9, 4), dtype=np.int64),
        deconvolutions=None,
    )


@pytest.fixture(scope="module")
def compared() -> study.Study:
    random = np.random.default_rng(0)
    first, second = (
        {f"net {i}<b>": random.standard_normal((60, n)) for i in range(3)} for n in (5, 7)
    )
    statistics = cv.Statistics.from_layers({"near<i>": first, "far": second})
    return study.compare(statistics, ["mutual_information"])


def section(page: str) -> str:
    _, _, rest = page.partition(f"<h2>{TITLE}</h2>")
    return rest.partition("</section>")[0]


def test_layers_with_patches_are_folded_and_the_first_is_open(
    compared: study.Study, tmp_path: Path
) -> None:
    patches = {
        layer: {f"net {i}<b>": patches_of(f"net {i}<b>", layer, n) for i in (1, 2)}
        for layer, n in (("far", 7), ("near<i>", 5))
    }
    page = compared.report(tmp_path / "report.html", patches=patches).read_text()
    part = section(page)
    assert re.findall(r"<details( open)?>", part) == [" open", ""]
    summaries = re.findall(r"<summary>(.*?)</summary>", part)
    assert [name.partition(":")[0] for name in summaries] == ["near&lt;i&gt;", "far"]
    # Only networks 1 and 2 have patches, so that theirs is the pair that is shown.
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", part, re.S)
    assert len(captions) == 2
    assert all("net 1&lt;b&gt;" in caption and "net 2" in caption for caption in captions)
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "<i>" not in page
    assert len(page.encode()) < 8_000_000


def test_without_patches_there_is_no_section(compared: study.Study) -> None:
    alone = {"far": {"net 0<b>": patches_of("net 0<b>", "far", 7)}}
    cases: list[dict[str, dict[str, UnitPatches]] | None] = [None, {}, {"other": {}}, alone]
    assert [unit_pictures.sections(compared, patches) for patches in cases] == [[]] * 4


def test_dead_units_are_no_error(compared: study.Study) -> None:
    dead = {
        "far": {f"net {i}<b>": patches_of(f"net {i}<b>", "far", 7, alive=False) for i in (0, 1)}
    }
    (made,) = unit_pictures.sections(compared, dead)
    assert made.title == TITLE
    assert len(made.parts) == 1


def test_every_figure_with_patches_is_in_the_section() -> None:
    random = np.random.default_rng(0)
    causes = random.standard_normal((200, 12))
    networks = {
        name: np.maximum(causes @ random.standard_normal((12, n)), 0.0)
        for name, n in (("first", 10), ("second", 14), ("third", 12))
    }
    measures = [
        "correlation",
        "mutual_information",
        "sparse_map",
        "unit_tree",
        "unit_groups",
        "activations",
    ]
    settings = study.CompareSettings(measures, n_groups=2, alpha=0.3)
    result = study.compare(cv.Statistics.from_arrays(networks), settings=settings)
    (groups, *_) = result.of("activations", "unit_groups")
    assert len(groups.arrays["splits"]), "a group must be split, or its tree is not drawn"
    patches = {
        "activations": {
            name: patches_of(name, "activations", x.shape[1]) for name, x in networks.items()
        }
    }
    (made,) = unit_pictures.sections(result, patches)
    (folded,) = made.parts
    assert isinstance(folded, Folded)
    captions = [part.caption for part in folded.parts]
    beginnings = (
        "units of first (above) and the unit of second (below) that each of them agrees with most, by correlation",
        "units of first (above) and the unit of second (below) that each of them agrees with most, by mutual",
        "units of second (below) and the few units of first (above)",
        "the units of two small branches of the tree",
        "groups of units that respond together",
        "how the largest of the groups that were split came apart",
        "the most active units of each network on the left",
    )
    assert len(captions) == len(beginnings)
    for caption, beginning in zip(captions, beginnings):
        assert caption.startswith(f"activations: {beginning}")
