"""A study behind a URL gives the same numbers, files and page as one in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import convergent as cv
from convergent import _storage, pipeline, study
from convergent.cli import main
from convergent.statistics import UnitPatches
from convergent.study import CompareSettings, Epoch, Study, StudyFolder, Trajectory, follow_training
from tests.stored_places import memory_place as memory_place

MEASURES = ["correlation", "shared_response", "cka", "max_match", "cka_atlas"]
EVIL = "<img src=x onerror=1>"
NAMES = [EVIL, "../../x", "y" * 300, "überlayer | 層"]


@pytest.fixture(scope="module")
def statistics() -> cv.Statistics:
    random = np.random.default_rng(0)
    networks = {f"seed-{i}": random.normal(size=(60, 5)).astype(np.float32) for i in range(3)}
    networks["../" + EVIL] = networks.pop("seed-2")
    layers = {name: {key: x[:, i:] for key, x in networks.items()} for i, name in enumerate(NAMES)}
    return cv.Statistics.from_layers(layers, labels=np.arange(60) % 4, n_top=2)


def test_a_study_of_a_url_is_that_of_a_folder(
    statistics: cv.Statistics, memory_place: _storage.Location, tmp_path: Path
) -> None:
    settings = CompareSettings(measures=MEASURES)
    for place in (tmp_path, memory_place):
        folder = StudyFolder(place)
        statistics.save(folder.statistics)
        assert cv.Statistics.is_complete(folder.statistics)
        assert cv.Statistics.damaged(folder.statistics) == []
        pipeline.compare(place, settings=settings)
    here = {name for name in _storage.sizes(tmp_path) if "/rows-" not in name}
    assert here == {name for name in _storage.sizes(memory_place) if "/rows-" not in name}
    for name in here - {"statistics/statistics.json", "comparisons/provenance.json"}:
        assert (tmp_path / name).read_bytes() == (memory_place / name).read_bytes(), name
    found = Study.load(memory_place / "comparisons")
    assert len(Study.load(str(memory_place / "comparisons")).results) == len(found.results)
    assert [result.scalars for result in found.results] == [
        result.scalars for result in Study.load(tmp_path / "comparisons").results
    ]
    found.save(memory_place / "again")
    assert len(Study.load(memory_place / "again").results) == len(found.results)


def test_results_of_a_url_are_computed_once(
    statistics: cv.Statistics, memory_place: _storage.Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    statistics.save(StudyFolder(memory_place).statistics)
    settings = CompareSettings(measures=["cka"])
    pipeline.compare(memory_place, settings=settings)
    before = dict(_storage.sizes(memory_place))
    monkeypatch.setattr(
        "convergent.study.result.TaskResult.save", lambda *_: pytest.fail("computed again")
    )
    pipeline.compare(str(memory_place), settings=settings)
    assert _storage.sizes(memory_place) == before


def test_workers_read_and_write_urls(statistics: cv.Statistics, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    place = f"local://{tmp_path}"  # what several processes see
    statistics.save(f"{place}/statistics")
    found = study.compare(f"{place}/statistics", ["cka"], out=f"{place}/results", n_workers=2)
    assert not found.problems
    here = study.compare(statistics, ["cka"], out=tmp_path / "here")
    for result, expected in zip(found.results, here.results, strict=True):
        assert (result.key, result.scalars) == (expected.key, expected.scalars)
        name = result.task.file
        assert (tmp_path / "results" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    assert not list(tmp_path.rglob("*.tmp"))


def test_large_arrays_of_a_url_come_in_chunks_when_they_are_used(
    statistics: cv.Statistics, memory_place: _storage.Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convergent._storage.zarr_arrays._CHUNK_BYTES", 300)
    statistics.save(memory_place)
    assert len([name for name in _storage.sizes(memory_place) if "rows-00.zarr/c/" in name]) > 12
    loaded = cv.Statistics.load(str(memory_place))
    for name, layer in loaded.layers.items():
        original = statistics.layers[name]
        assert repr(layer) == repr(original)
        assert layer.fingerprint() == original.fingerprint()
        assert isinstance(layer.rows[0], np.memmap)
        for ours, theirs in zip(layer.images, original.images):
            np.testing.assert_array_equal(ours, theirs)
    monkeypatch.setattr("convergent._storage.zarr_arrays._CHUNK_BYTES", 1000)
    loaded.save(memory_place)  # onto itself, in other chunks
    assert cv.Statistics.damaged(memory_place) == []
    again = cv.Statistics.load(memory_place, layers=[EVIL])
    assert list(again.layers) == [EVIL]
    assert again.layers[EVIL].fingerprint() == statistics.layers[EVIL].fingerprint()
    chunk = memory_place / "000-img-src-x-onerror-1" / "rows-01.zarr" / "c" / "1" / "0"
    with _storage.replacing(chunk) as stream:
        stream.write(bytes(1000))
    loaded = cv.Statistics.load(memory_place)
    with pytest.raises(ValueError, match=r"rows-01\.zarr/c/1/0 is truncated or another file"):
        loaded.layers[EVIL].fingerprint()
    (chunk.parent.parent / "0" / "0").unlink()
    with pytest.raises(FileNotFoundError, match=r"rows-01\.zarr/c/0/0 is missing"):
        cv.Statistics.load(memory_place)


def test_report_patches_and_trajectory_of_a_url(
    statistics: cv.Statistics, memory_place: _storage.Location, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    for place in (tmp_path, memory_place):
        folder = StudyFolder(place)
        statistics.save(folder.statistics)
        pipeline.compare(place, settings=CompareSettings(measures=["shared_response", "cka"]))
        follow_training(
            statistics, {0: Epoch("start", lambda: statistics)}, 3, out=folder.trajectory
        )
        assert Trajectory.load(folder.trajectory).epochs == (0, 3)
        pipeline.report(str(place))
        patches = UnitPatches(
            "a", EVIL, np.array([0]), np.zeros((1, 1, 2, 2, 1), np.float32),
            np.zeros((1, 1), np.float32), np.zeros((1, 1), np.int64), np.zeros((1, 1, 4), np.int64), None,
        )  # fmt: skip
        path = folder.patch_file(EVIL, "../a")
        assert patches.save(path) == path
        assert UnitPatches.load(path).layer == EVIL
    page = (memory_place / "report.html").read_text()
    assert page == (tmp_path / "report.html").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=1&gt;" in page
    assert "../../x" in page


def test_every_name_stays_in_its_folder(statistics: cv.Statistics, tmp_path: Path) -> None:
    root = tmp_path / "outer" / "study"
    statistics.save(root / "statistics")
    study.compare(statistics, ["cka", "activations"], out=root / "comparisons")
    assert [path.name for path in tmp_path.iterdir()] == ["outer"]
    assert [path.name for path in (tmp_path / "outer").iterdir()] == ["study"]
    for path in root.rglob("*"):
        assert len(path.name) <= 130
        assert path.name.isascii()
        assert not set(path.name) & set('<>:"|?*\\ ')
    assert {layer.name for layer in Study.load(root / "comparisons").layers} == set(NAMES)


def test_what_needs_a_folder_of_this_machine_says_so(
    memory_place: _storage.Location, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["train", "--out", str(memory_place)], ["collect", str(memory_place)]):
        pytest.importorskip("torch")
        assert main([*command, "--quiet"]) == 1
        error = capsys.readouterr().err
        assert "networks that are trained or collected from must be a folder on this mach" in error
    assert main(["compare", str(memory_place)]) == 1
    assert f"{memory_place} holds no statistics" in capsys.readouterr().err
    assert main(["info", str(memory_place)]) == 1
    assert f"there is no study at {memory_place}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["../x.npz", "/x.npz", "a/../../x.npz", "C:/x.npz", "a\\..\\x.npz"]
)
def test_a_manifest_of_a_url_names_no_file_outside(
    name: str, statistics: cv.Statistics, memory_place: _storage.Location
) -> None:
    study.compare(statistics, ["cka"], out=memory_place)
    content = _storage.read_json(memory_place / "study.json")
    content["results"][0] = name
    _storage.write_json(memory_place / "study.json", content)
    with pytest.raises(_storage.UnreadableFileError, match="names a file outside of it"):
        Study.load(memory_place)
