"""Studies: the same numbers as the measures give, kept on disk, resumed, reported."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import study
from convergent._storage import UnreadableFileError
from convergent.study import CompareSettings, Study, Task, TaskResult, task_run
from convergent.study.layer import Layer

N_EXAMPLES, N_UNITS = 120, 9


def activations(seed: int, n_units: int = N_UNITS) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((N_EXAMPLES, n_units)) @ random.standard_normal(
        (n_units, n_units)
    )
    return np.maximum(mixed, 0.0)


@pytest.fixture
def statistics() -> cv.Statistics:
    """Three networks: b is a with its units in another order, c is unrelated."""
    x = activations(0)
    networks = {"a": x, "b": x[:, ::-1], "c": activations(1)}
    return cv.Statistics.from_arrays(networks, labels=np.arange(N_EXAMPLES) % 3)


def test_permuted_copies_score_one_and_strangers_less(statistics: cv.Statistics) -> None:
    result = study.compare(statistics)
    assert not result.problems
    by_pair = {
        (r.task.measure, r.task.networks): r.scalars
        for r in result.results
        if len(r.task.networks) == 2
    }
    same, other = ("a", "b"), ("a", "c")
    for measure, quantity in (
        ("correlation", "mean_one_to_one"),
        ("correlation", "agreement"),
        ("max_match", "similarity_at_0.15"),
        ("cka", "linear"),
    ):
        assert by_pair[measure, same][quantity] == pytest.approx(1.0, abs=1e-12)
        assert by_pair[measure, other][quantity] < 0.9
    assert (
        by_pair["mutual_information", same]["mean_semi"]
        > 2 * by_pair["mutual_information", other]["mean_semi"]
    )


def test_numbers_are_those_of_the_measures(statistics: cv.Statistics) -> None:
    result = study.compare(statistics)
    x, y = activations(0), activations(1)
    pair = next(r for r in result.of("activations", "correlation") if r.task.networks == ("a", "c"))
    np.testing.assert_allclose(pair.arrays["similarity"], cv.correlation(x, y), atol=1e-12)
    pair = next(r for r in result.of("activations", "max_match") if r.task.networks == ("a", "c"))
    expected = [m.similarity for m in cv.max_match(x, y, list(result.settings.epsilons))]
    assert pair.arrays["similarity"].tolist() == expected
    pair = next(r for r in result.of("activations", "cka") if r.task.networks == ("a", "c"))
    assert pair.scalars["linear"] == pytest.approx(
        cv.cka(x, y), abs=1e-6
    )  # images are kept as float32


def test_identical_networks_agree_in_the_shared_space() -> None:
    x = activations(3)
    result = study.compare(cv.Statistics.from_arrays({"a": x, "b": x, "c": x}), ["shared_response"])
    (shared,) = result.of("activations", "shared_response")
    assert shared.scalars["agreement"] == pytest.approx(1.0, abs=1e-6)
    assert shared.scalars["variance_explained"] == pytest.approx(1.0, abs=1e-6)
    assert shared.scalars["consistency"] == pytest.approx(1.0, abs=1e-9)


def test_any_number_of_threads_gives_the_same_numbers(statistics: cv.Statistics) -> None:
    one = list(study.compare(statistics, n_threads=1).rows())
    two = list(study.compare(statistics, n_threads=2).rows())
    assert one == two


def test_saved_and_loaded(statistics: cv.Statistics, tmp_path: Path) -> None:
    result = study.compare(statistics, out=tmp_path)
    loaded = Study.load(tmp_path)
    assert list(loaded.rows()) == list(result.rows())
    assert loaded.layers == result.layers
    assert loaded.settings == result.settings
    assert "3 networks" in repr(loaded)


def test_a_second_run_computes_nothing_twice(
    statistics: cv.Statistics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = study.compare(statistics, out=tmp_path)
    ran: list[str] = []
    run = task_run.run_task

    def counting(layer: Layer, task: Task, *rest: Any) -> TaskResult:
        ran.append(task.measure)
        return run(layer, task, *rest)

    monkeypatch.setattr(task_run, "run_task", counting)
    again = study.compare(statistics, out=tmp_path)
    assert ran == []
    assert list(again.rows()) == list(first.rows())
    study.compare(statistics, settings=CompareSettings(n_bins=10), out=tmp_path)
    assert set(ran) == {"mutual_information"}


def test_a_killed_run_resumes(
    statistics: cv.Statistics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = study.compare(statistics, out=tmp_path / "whole")
    run = task_run.run_task
    n_left = 4

    def fails_later(*arguments: object) -> object:
        nonlocal n_left
        n_left -= 1
        if n_left < 0:
            raise KeyboardInterrupt
        return run(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(task_run, "run_task", fails_later)
    with pytest.raises(KeyboardInterrupt):
        study.compare(statistics, out=tmp_path / "cut")
    assert len(list((tmp_path / "cut").rglob("*.npz"))) == 4
    partial = Study.load(tmp_path / "cut")
    assert len(partial.results) == 4
    assert len(partial.unfinished) == len(undisturbed.results) - 4
    assert all("has not ended" in problem.reason for problem in partial.problems)
    with pytest.raises(FileNotFoundError, match="no finished comparison"):
        Study.load(tmp_path)
    monkeypatch.setattr(task_run, "run_task", run)
    resumed = study.compare(statistics, out=tmp_path / "cut")
    assert list(resumed.rows()) == list(undisturbed.rows())


def test_results_of_other_statistics_are_not_taken(
    statistics: cv.Statistics, tmp_path: Path
) -> None:
    study.compare(statistics, ["cka"], out=tmp_path)
    other = cv.Statistics.from_arrays(
        {"a": activations(5), "b": activations(6), "c": activations(7)}
    )
    fresh = study.compare(other, ["cka"])
    assert list(study.compare(other, ["cka"], out=tmp_path).rows()) == list(fresh.rows())


def test_a_truncated_result_is_named_and_refused(statistics: cv.Statistics, tmp_path: Path) -> None:
    study.compare(statistics, ["cka"], out=tmp_path)
    path = next(tmp_path.rglob("*.npz"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UnreadableFileError, match=path.name):
        study.compare(statistics, ["cka"], out=tmp_path)
    with pytest.raises(UnreadableFileError, match=path.name):
        Study.load(tmp_path)


def test_results_of_another_study_are_named_and_refused(
    statistics: cv.Statistics, tmp_path: Path
) -> None:
    settings = study.CompareSettings(measures=["mutual_information"])
    result = study.compare(statistics, settings=settings, out=tmp_path / "this")
    assert study.Study.load(tmp_path / "this").results[0].key == result.results[0].key
    few = study.CompareSettings(measures=["mutual_information"], n_bins=5)
    study.compare(statistics, settings=few, out=tmp_path / "other")
    first, second = (task.task.file for task in result.results[:2])
    for source in (tmp_path / "other" / first, tmp_path / "this" / second):
        content = (tmp_path / "this" / first).read_bytes()
        (tmp_path / "this" / first).write_bytes(source.read_bytes())
        with pytest.raises(
            UnreadableFileError, match=r"is not the result that study\.json names: it"
        ):
            study.Study.load(tmp_path / "this")
        (tmp_path / "this" / first).write_bytes(content)
    manifest = json.loads((tmp_path / "this" / "study.json").read_text())
    assert manifest["versions"]["numpy"] == np.__version__
    del manifest["keys"], manifest["versions"]  # as older versions wrote it
    (tmp_path / "this" / "study.json").write_text(json.dumps(manifest))
    assert len(study.Study.load(tmp_path / "this").results) == len(result.results)


def test_a_manifest_cannot_name_files_outside(statistics: cv.Statistics, tmp_path: Path) -> None:
    study.compare(statistics, ["cka"], out=tmp_path / "study")
    manifest = tmp_path / "study" / "study.json"
    manifest.write_text(manifest.read_text().replace("activations/cka", "../../elsewhere"))
    with pytest.raises(UnreadableFileError, match="outside"):
        Study.load(tmp_path / "study")


def test_what_cannot_be_computed_is_reported(tmp_path: Path) -> None:
    x = activations(0)[:10]
    result = study.compare(cv.Statistics.from_arrays({"a": x, "b": x}), out=tmp_path)
    (problem,) = result.problems
    assert problem.task.measure == "shared_response"
    assert "at least 20 examples" in problem.reason
    assert Study.load(tmp_path).problems == result.problems
    assert result.value("activations", "cka", "linear") == pytest.approx(1.0, abs=1e-12)


def test_dead_units_are_counted_not_warned() -> None:
    x = activations(0)
    x[:, 2] = 0.0
    result = study.compare(cv.Statistics.from_arrays({"a": x, "b": x}))
    assert result.layers[0].n_dead == (1, 1)
    assert result.value("activations", "max_match", "similarity_at_0.15") == 1.0


def test_the_table(statistics: cv.Statistics, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    result = study.compare(statistics, ["correlation", "shared_response"])
    table = result.summary()
    result.write_csv(tmp_path / "summary.csv")
    with (tmp_path / "summary.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(table) == sum(len(r.scalars) for r in result.results)
    read = pd.read_csv(tmp_path / "summary.csv", keep_default_na=False)
    assert read.value.tolist() == table.value.tolist()
    assert set(table.network_a) == {"a", "b", ""}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"measures": ["ckaa"]}, "`measures` must be one of"),
        ({"measures": []}, "at least one measure"),
        ({"epsilons": [1.5]}, r"`epsilons` must lie in \[0, 1\)"),
        ({"epsilons": []}, "at least one value"),
        ({"n_bins": 1}, "`n_bins` must be between 2 and"),
        ({"test_share": 0.0}, r"`test_share` must lie in \(0, 1\)"),
        ({"n_features": 0}, "`n_features` must be at least 1"),
    ],
)
def test_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CompareSettings(**settings)  # type: ignore[arg-type]


def test_bad_arguments(statistics: cv.Statistics) -> None:
    with pytest.raises(TypeError, match="must be a list of names"):
        study.compare(statistics, "cka")
    with pytest.raises(ValueError, match="exclude each other"):
        study.compare(statistics, ["cka"], settings=CompareSettings())
    with pytest.raises(ValueError, match="at least 2 networks"):
        study.compare(cv.Statistics.from_arrays({"a": activations(0)}))


def test_split_keeps_the_classes() -> None:
    from convergent.study.shared_geometry import split_examples

    labels = np.repeat(np.arange(5), 40)
    fit, held_out = split_examples(200, labels, 0.2, seed=1)
    assert sorted([*fit, *held_out]) == list(range(200))
    assert np.bincount(labels[held_out]).tolist() == [8] * 5
    assert (np.diff(labels[held_out]) >= 0).all()
