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


def test_the_page_is_self_contained_and_escaped(evil_study: study.Study, tmp_path: Path) -> None:
    page = evil_study.report(tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<b>" not in page.replace('<div class="finding"><b>', "")
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert page.count("data:image/svg+xml;base64,") >= 8


def test_every_measure_is_in_the_table(evil_study: study.Study, tmp_path: Path) -> None:
    page = evil_study.report(tmp_path / "report.html").read_text()
    for heading in (
        "one-to-one r",
        "best match MI",
        "s(0.15)",
        "s(0.5)",
        "linear CKA",
        "consistency",
    ):
        assert f"<th>{heading}</th>" in page
        assert f"<dt>{heading}</dt>" in page
    value = evil_study.value("<script>alert(1)</script>", "cka", "linear")
    assert f">{value:.3f}</td>" in page


def test_the_same_study_gives_the_same_page(evil_study: study.Study, tmp_path: Path) -> None:
    first = evil_study.report(tmp_path / "1.html").read_bytes()
    assert evil_study.report(tmp_path / "2.html").read_bytes() == first


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
