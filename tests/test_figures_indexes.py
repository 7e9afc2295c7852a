"""Figures of similarity indexes: what is drawn where, for one layer and for two hundred rows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import convergent as cv
from convergent import study

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from convergent.report import figures


def compared(n_networks: int, layers: list[str], measures: list[str]) -> study.Study:
    rng = np.random.default_rng(0)
    arrays = {
        layer: {f"seed-{i}": rng.standard_normal((40, 4)) for i in range(n_networks)}
        for layer in layers
    }
    return study.compare(cv.Statistics.from_layers(arrays), measures)


@pytest.mark.parametrize(("n_networks", "n_layers"), [(2, 1), (3, 2), (20, 10)])
def test_the_atlas_is_grouped_by_layer(n_networks: int, n_layers: int) -> None:
    names = [f"block{i}.relu" for i in range(n_layers)]
    (result,) = compared(n_networks, names, ["cka_atlas"]).of("", "cka_atlas")
    left, right = figures.layer_atlas(result).axes[:2]
    drawn = np.asarray(left.images[0].get_array())
    assert drawn.shape == (n_networks * n_layers,) * 2
    np.testing.assert_array_equal(drawn, result.arrays["values"])
    assert [label.get_text() for label in left.get_yticklabels()] == names
    assert left.get_yticks()[0] == (n_networks - 1) / 2.0
    assert len(left.collections) == 2  # the lines between groups
    np.testing.assert_array_equal(
        np.asarray(right.images[0].get_array()), result.arrays["layer_means"]
    )
    written = [float(text.get_text()) for text in right.texts]
    np.testing.assert_allclose(written, result.arrays["layer_means"].ravel(), atol=0.0051)


def test_networks_are_named_where_there_is_room() -> None:
    for n_networks, named in ((3, True), (20, False)):
        (result,) = compared(n_networks, ["one", "two"], ["cka_atlas"]).of("", "cka_atlas")
        left = figures.layer_atlas(result).axes[0]
        sides = [axes.get_yticklabels() for axes in left.child_axes]
        expected = [[f"seed-{i}" for i in range(n_networks)] * 2] if named else []
        assert [[label.get_text() for label in labels] for labels in sides] == expected


def test_layers_that_arrive_mixed_are_sorted() -> None:
    (result,) = compared(2, ["one", "two"], ["cka_atlas"]).of("", "cka_atlas")
    mixed = np.array([2, 0, 3, 1])
    arrays = dict(result.arrays)
    arrays["values"] = arrays["values"][np.ix_(mixed, mixed)]
    for name in ("networks", "layers"):
        arrays[name] = arrays[name][mixed]
    shuffled = study.TaskResult(result.task, result.key, result.scalars, arrays)
    drawn = np.asarray(figures.layer_atlas(shuffled).axes[0].images[0].get_array())
    np.testing.assert_array_equal(drawn, result.arrays["values"])


def test_matrices_of_any_index_say_which() -> None:
    result = compared(3, ["one"], ["indexes"])
    panel, bar = figures.network_matrices(result, "indexes", "rsa", "RSA").axes
    assert bar.get_ylabel() == "RSA"
    pair = result.of("one", "indexes")[0]
    assert np.asarray(panel.images[0].get_array())[0, 1] == pair.scalars["rsa"]


def test_the_page_shows_the_atlas_where_there_are_layers(tmp_path: Path) -> None:
    def section(result: study.Study) -> str:
        page = result.report(tmp_path / "report.html").read_text()
        return page.split("<h2>How similar are the layers overall?</h2>")[1].split("</section>")[0]

    both = section(compared(3, ["one", "two"], ["cka", "indexes", "cka_atlas"]))
    assert both.count("<img") == 2
    assert re.search(r"the networks in the order\s+seed-0, seed-1, seed-2", both)
    found = re.search(r"In (\d+) % of cases the layer of another network", both)
    assert found is not None
    assert section(compared(3, ["one"], ["cka", "cka_atlas"])).count("<img") == 1
    assert section(compared(3, ["one"], ["cka_atlas"])).count("<img") == 1
    assert "Procrustes similarity of every network" in section(compared(3, ["one"], ["indexes"]))
