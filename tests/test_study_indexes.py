"""What studies compute of similarity indexes: the functions' numbers, across layers too, with the views at hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import study
from convergent.study import Study, Task, TaskResult, task_run

MEASURES = ("cka", "indexes", "cka_atlas")
N_EXAMPLES = 90
QUANTITIES = ("cka_debiased", "rsa", "cca", "svcca", "pwcca", "procrustes")


def layers() -> dict[str, dict[str, NDArray[np.float64]]]:
    """Two layers of three networks that rectify the same causes, others in each layer; one unit is dead."""
    rng = np.random.default_rng(0)
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    for layer in ("one", "two"):
        causes = rng.standard_normal((N_EXAMPLES, 5))
        found[layer] = {
            name: np.maximum(causes @ rng.standard_normal((5, width)), 0.0)
            for name, width in (("a", 7), ("b", 9), ("c", 6))
        }
    found["one"]["b"][:, 2] = 0.0
    return found


@pytest.fixture(scope="module")
def statistics() -> cv.Statistics:
    return cv.Statistics.from_layers(layers())


@pytest.fixture(scope="module")
def result(statistics: cv.Statistics) -> Study:
    found = study.compare(statistics, MEASURES)
    assert not found.problems
    return found


def without(statistics: cv.Statistics, **parts: Any) -> cv.Statistics:
    """Return statistics that lack a view."""
    bare = {name: replace(layer, **parts) for name, layer in statistics.layers.items()}
    return replace(statistics, layers=bare)


def test_numbers_are_those_of_the_functions(result: Study) -> None:
    for layer, networks in layers().items():
        for found in result.of(layer, "indexes"):
            x, y = (networks[name] for name in found.task.networks)
            expected = {
                "cka_debiased": cv.cka(x, y, debiased=True),
                "rsa": cv.rsa(x, y),
                "cca": cv.cca(x, y),
                "svcca": cv.svcca(x, y),
                "pwcca": (cv.pwcca(x, y) + cv.pwcca(y, x)) / 2.0,
                "procrustes": cv.procrustes(x, y),
            }
            assert found.scalars == pytest.approx(expected, abs=1e-6)  # images are float32
            assert tuple(found.scalars) == QUANTITIES


def test_the_atlas_is_that_of_all_images(result: Study) -> None:
    (found,) = result.of("", "cka_atlas")
    images = {(n, layer): x for layer, networks in layers().items() for n, x in networks.items()}
    atlas = cv.index_atlas(images)
    np.testing.assert_allclose(found.arrays["values"], atlas.values, atol=1e-6)
    assert list(zip(found.arrays["networks"], found.arrays["layers"])) == list(atlas.names)
    names, means = atlas.between_layers()
    assert found.arrays["layer_names"].tolist() == list(names) == ["one", "two"]
    np.testing.assert_allclose(found.arrays["layer_means"], means, atol=1e-6)
    assert found.scalars["same_layer"] == pytest.approx(np.diagonal(means).mean(), abs=1e-6)
    assert found.scalars["other_layers"] == pytest.approx(means[0, 1], abs=1e-6)
    for i, j in combinations("abc", 2):
        linear = next(r for r in result.of("one", "cka") if r.task.networks == (i, j))
        assert linear.scalars["linear"] == pytest.approx(
            atlas.value((i, "one"), (j, "one")), abs=1e-6
        )


def test_how_often_a_layer_is_found() -> None:
    x = layers()
    assert study_of(x).of("", "cka_atlas")[0].scalars["layers_found"] == 1.0
    x["one"]["a"], x["two"]["a"] = x["two"]["a"], x["one"]["a"]
    # b and c find each other's layers, a's are found by nobody and find none.
    assert study_of(x).of("", "cka_atlas")[0].scalars["layers_found"] == pytest.approx(4 / 12)


def study_of(x: dict[str, dict[str, NDArray[np.float64]]]) -> Study:
    return study.compare(cv.Statistics.from_layers(x), ["cka_atlas"])


def test_one_layer_has_no_others() -> None:
    found = study_of({"one": layers()["one"]})
    assert list(found.of("", "cka_atlas")[0].scalars) == ["same_layer"]


def test_rows_of_the_table(result: Study, tmp_path: Path) -> None:
    rows = [row for row in result.rows() if row["measure"] == "cka_atlas"]
    assert {row["quantity"] for row in rows} == {"same_layer", "other_layers", "layers_found"}
    assert all((row["layer"], row["network_a"], row["network_b"]) == ("", "", "") for row in rows)
    pairs = {(r["network_a"], r["network_b"]) for r in result.rows() if r["measure"] == "indexes"}
    assert pairs == {("a", "b"), ("a", "c"), ("b", "c")}
    result.save(tmp_path)
    loaded = Study.load(tmp_path)
    assert list(loaded.rows()) == list(result.rows())
    (mine,), (theirs,) = result.of("", "cka_atlas"), loaded.of("", "cka_atlas")
    assert mine.task == theirs.task == Task("", "cka_atlas", ("a", "b", "c"))
    for name, array in mine.arrays.items():
        np.testing.assert_array_equal(array, theirs.arrays[name])
    assert str(mine.task) == "cka_atlas of all networks, all layers"


def test_without_images_moments_give_what_they_can(
    statistics: cv.Statistics, result: Study
) -> None:
    found = study.compare(without(statistics, images=[], image_units=[]), MEASURES)
    for layer in ("one", "two"):
        for mine, theirs in zip(found.of(layer, "indexes"), result.of(layer, "indexes")):
            assert tuple(mine.scalars) == QUANTITIES[2:]
            assert all(value == theirs.scalars[name] for name, value in mine.scalars.items())
    assert {problem.task.measure for problem in found.problems} == {"cka", "cka_atlas"}
    assert all("without the images view" in problem.reason for problem in found.problems)


def test_without_moments_images_give_all(statistics: cv.Statistics, result: Study) -> None:
    found = study.compare(without(statistics, moments=None), ["indexes"])
    for mine, theirs in zip(found.of("one", "indexes"), result.of("one", "indexes")):
        assert mine.scalars == pytest.approx(theirs.scalars, abs=1e-6)


def test_what_few_examples_decide_is_left_out() -> None:
    x = np.random.default_rng(1).standard_normal((6, 8))
    found = study.compare(cv.Statistics.from_arrays({"a": x, "b": x[:, :3]}), ["indexes"])
    (pair,) = found.of("activations", "indexes")
    assert tuple(pair.scalars) == ("cka_debiased", "rsa", "svcca", "procrustes")
    two = study.compare(cv.Statistics.from_arrays({"a": x[:2], "b": x[:2, :1]}), ["indexes"])
    assert tuple(two.of("activations", "indexes")[0].scalars) == ("procrustes",)


def test_each_layer_is_computed_once(
    statistics: cv.Statistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convergent.study import index_tasks

    calls: list[str] = []

    def counting(images: Any, index: str = "cka", **options: Any) -> cv.IndexAtlas:
        calls.append(index)
        return cv.index_atlas(images, index, **options)

    monkeypatch.setattr(index_tasks, "index_atlas", counting)
    study.compare(statistics, ["indexes"])
    assert calls == ["cka", "rsa"] * 2


def test_a_second_run_takes_the_atlas_unless_a_layer_changed(
    statistics: cv.Statistics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.compare(statistics, MEASURES, out=tmp_path)
    ran: list[str] = []
    run = task_run.run_task

    def counting(source: Any, task: Task, *rest: Any) -> TaskResult:
        ran.append(task.measure)
        return run(source, task, *rest)

    monkeypatch.setattr(task_run, "run_task", counting)
    study.compare(statistics, MEASURES, out=tmp_path)
    assert ran == []
    changed = layers()
    changed["two"]["c"][3, 1] += 1.0
    study.compare(cv.Statistics.from_layers(changed), ["cka_atlas"], out=tmp_path)
    assert ran == ["cka_atlas"]


def test_any_number_of_threads_gives_the_same_numbers(statistics: cv.Statistics) -> None:
    one, three = (list(study.compare(statistics, MEASURES, n_threads=n).rows()) for n in (1, 3))
    assert one == three
