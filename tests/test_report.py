"""The page: complete, self-contained, and safe whatever layers are called."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import convergent as cv
from convergent import study

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


@pytest.fixture(scope="module")
def evil_study() -> study.Study:
    random = np.random.default_rng(0)
    networks = {f"seed-{i}<b>": random.standard_normal((60, 5)) for i in range(3)}
    statistics = cv.Statistics.from_layers(
        {
            "<script>alert(1)</script>": networks,
            "layer$4$/x" + "y" * 200: {name: x[:, :3] for name, x in networks.items()},
        },
        labels=np.arange(60) % 4,
    )
    return study.compare(statistics)


@pytest.fixture(scope="module")
def page(evil_study: study.Study, tmp_path_factory: pytest.TempPathFactory) -> str:
    return evil_study.report(tmp_path_factory.mktemp("page") / "report.html").read_text()


def test_the_page_is_self_contained_and_escaped(page: str) -> None:
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<b>" not in page.replace('<div class="finding"><b>', "")
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert page.count("data:image/svg+xml;base64,") >= 8


def test_two_networks_have_no_intervals(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((30, 4))
    result = study.compare(cv.Statistics.from_arrays({"a": x, "b": x[::-1]}), ["cka"])
    page = result.report(tmp_path / "report.html").read_text()
    assert f">{result.value('activations', 'cka', 'linear'):.3f}</td>" in page
    assert "<small>" not in page
    assert "95 % intervals." not in page
    assert "intervals.csv" not in page


def test_every_measure_is_in_the_table(evil_study: study.Study, page: str) -> None:
    for heading in (
        "mean activation",
        "recurring units",
        "prediction loss",
        "predictors a unit",
        "leaves of both",
        "in joint groups",
        "one-to-one r",
        "best match MI",
        "s(0.15)",
        "s(0.5)",
        "linear CKA",
        "debiased CKA",
        "SVCCA",
        "PWCCA",
        "Procrustes",
        "RSA",
        "consistency",
    ):
        assert f"<th>{heading}</th>" in page
        assert f"<dt>{heading}</dt>" in page
    value = evil_study.value("<script>alert(1)</script>", "cka", "linear")
    interval = evil_study.interval("<script>alert(1)</script>", "cka", "linear")
    assert interval is not None
    ends = f"{interval.low:.3f} – {interval.high:.3f}"
    assert f">{value:.3f}<small>{ends}</small></td>" in page
    assert "all intervals in intervals.csv" in page
    assert "Small numbers are 95 % intervals." in page
    assert "<dt>noise ceiling, to</dt>" in page


@pytest.mark.parametrize(
    "title",
    [
        "Do single units correspond?",
        "Do a few units do the work of one?",
        "Do groups of units correspond?",
        "Are the units equally active?",
        "Do sets of units span the same space?",
        "Do the networks agree up to a rotation?",
        "How similar are the layers overall?",
    ],
)
def test_every_question_has_its_section(title: str, page: str) -> None:
    section = page.split(f"<h2>{title}</h2>")[1].split("</section>")[0]
    assert section.count("<img") == section.count("<figcaption>") - section.count("<table") > 0


def test_figures_of_single_layers_are_folded(page: str) -> None:
    summaries = re.findall(r"<details>\s*<summary>(.*?)</summary>", page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;: correlations and responses" in summaries
    for what in ("correlations and responses", "weights and tree", "the similarity matrices"):
        assert sum(summary.endswith(f": {what}") for summary in summaries) == 2
    before, *folded = page.split("<details>")
    assert len(folded) == len(summaries)
    assert "<img" in before
    assert all("<img" in part.split("</details>")[0] for part in folded)


def test_the_figures_of_an_only_layer_are_unfolded(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((30, 4))
    result = study.compare(cv.Statistics.from_arrays({"a": x, "b": x}), ["correlation"])
    page = result.report(tmp_path / "report.html").read_text()
    assert page.count("<details open>") == page.count("<details") == 1


def test_the_losses_are_tabulated(evil_study: study.Study, page: str) -> None:
    (table,) = re.findall(r'<table class="numbers">(.*?)</table>', page, re.S)
    assert re.findall("<th>(.*?)</th>", table)[:3] == ["layer", "penalty 0", "penalty 1e-05"]
    rows = re.findall("<tr><th>.*?</th>(<td>.*?)</tr>", table, re.S)
    for row, layer in zip(rows, evil_study.layers):
        cells = re.findall("<td>(.*?)</td>", row)
        assert cells == [
            f"{evil_study.value(layer.name, 'sparse_map', f'loss_at_{penalty:g}'):.3f}"
            for penalty in evil_study.settings.penalties
        ]
    assert len(rows) == 2


def test_the_same_study_gives_the_same_page(
    evil_study: study.Study, page: str, tmp_path: Path
) -> None:
    assert evil_study.report(tmp_path / "again.html").read_text() == page


def test_problems_are_on_the_page(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((10, 3))
    result = study.compare(cv.Statistics.from_arrays({"a": x, "b": x}))
    page = result.report(tmp_path / "report.html").read_text()
    assert "What could not be computed" in page
    assert "at least 20 examples" in page


@pytest.mark.parametrize("measure", study.CompareSettings().measures)
def test_one_measure_alone(measure: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((40, 3))
    result = study.compare(cv.Statistics.from_arrays({"a": x, "b": x + 1.0}), [measure])
    page = result.report(tmp_path / "report.html").read_text()
    assert page.count("<figure>") >= 1
