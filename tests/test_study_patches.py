"""The image patches of a study, from the command line to the folder and back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")


from convergent import nets, pipeline
from convergent._storage import local
from convergent.cli import main
from convergent.statistics import Statistics, UnitPatches
from convergent.study import StudyFolder
from convergent.study_patches import read_patches, write_patches

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a study of two networks that were trained for an epoch."""
    root = tmp_path_factory.mktemp("study")
    pipeline.train(root, [0, 1], epochs=1)
    return root


@pytest.fixture
def study(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "study"))


def contents(folder: StudyFolder) -> dict[str, tuple[int, bytes]]:
    patches = local(folder.patches, "patches")
    return {
        str(path.relative_to(patches)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(patches.rglob("*"))
        if path.is_file()
    }


def test_collect_keeps_patches_of_every_layer_and_network(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collect", str(study), "--quiet", "--layers", "relu1", "relu3"]) == 0
    folder = StudyFolder(study)
    assert str(folder.patches) in capsys.readouterr().out
    patches = read_patches(folder)
    assert {layer: list(found) for layer, found in patches.items()} == {
        "relu1": ["seed-00", "seed-01"],
        "relu3": ["seed-00", "seed-01"],
    }
    images = nets.digits().test_images
    one = patches["relu1"]["seed-01"]
    assert (one.layer, one.network, one.pixels.shape) == ("relu1", "seed-01", (16, 9, 3, 3, 1))
    top, left, bottom, right = np.clip(one.boxes[3, 2], 0, 8)
    inside = images[one.images[3, 2], 0, top:bottom, left:right]
    shown = one.pixels[3, 2, ..., 0]
    rows, columns = np.maximum(-one.boxes[3, 2][:2], 0)
    np.testing.assert_array_equal(
        shown[rows : rows + inside.shape[0], columns : columns + inside.shape[1]], inside
    )
    assert patches["relu3"]["seed-00"].pixels.shape == (64, 9, 8, 8, 1)


def test_what_is_there_is_kept_and_what_is_missing_is_made(study: Path) -> None:
    folder = StudyFolder(study)
    pipeline.collect(study, layers=["relu3"])
    before = contents(folder)
    pipeline.collect(study, layers=["relu3"])
    assert contents(folder) == before
    path = folder.patch_file("relu3", "seed-01")
    kept = path.read_bytes()
    path.unlink()
    pipeline.collect(study, layers=["relu3"])
    after = contents(folder)
    first = "relu3/seed-00.npz"
    assert after[first] == before[first]
    assert path.read_bytes() == kept
    assert not list(study.rglob("*.tmp"))


def test_patches_of_other_statistics_are_given_up(study: Path) -> None:
    folder = StudyFolder(study)
    pipeline.collect(study, layers=["relu2"])
    pipeline.collect(study, layers=["relu3"], n_top=2)
    assert list(read_patches(folder)) == ["relu3"]
    assert not folder.patch_file("relu2", "seed-00").exists()
    assert read_patches(folder)["relu3"]["seed-00"].values.shape == (64, 2)
    manifest = study / "patches" / "patches.json"
    manifest.write_text(manifest.read_text().replace("relu3", "relu2"))
    assert read_patches(folder) == {}


def test_no_patches_were_asked_for(study: Path) -> None:
    pipeline.collect(study, layers=["relu3"])
    assert main(["collect", str(study), "--quiet", "--layers", "relu3", "--top", "0"]) == 0
    folder = StudyFolder(study)
    assert not folder.patches.exists()
    assert read_patches(folder) == {}
    assert Statistics.load(folder.statistics).layers["relu3"].top == []


def test_networks_whose_images_are_no_pictures(study: Path) -> None:
    folder = StudyFolder(study)
    pipeline.collect(study, layers=["relu3"])
    statistics = Statistics.load(folder.statistics)
    data = nets.digits()
    normalised = nets.ImageDataset(
        data.train_images,
        data.train_labels,
        data.test_images - 0.5,
        data.test_labels,
        data.class_names,
        "normalised",
    )
    shutil.rmtree(study / "patches")
    write_patches(folder, statistics, dict, lambda: normalised)
    assert not folder.patches.exists()


def test_without_captum_there_are_no_deconvolutions(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> Any:
        return None if name == "captum" else find(name, package)

    monkeypatch.setattr("convergent.study_patches.importlib.util.find_spec", without)
    pipeline.collect(study, layers=["relu3"])
    folder = StudyFolder(study)
    assert read_patches(folder)["relu3"]["seed-00"].deconvolutions is None
    monkeypatch.undo()
    pytest.importorskip("captum")
    pipeline.collect(study, layers=["relu3"])
    assert read_patches(folder)["relu3"]["seed-00"].deconvolutions is not None


def test_damaged_files_are_named(study: Path) -> None:
    folder = StudyFolder(study)
    pipeline.collect(study, layers=["relu3"])
    path = local(folder.patch_file("relu3", "seed-00"), "patches")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"seed-00\.npz is truncated"):
        read_patches(folder)


def test_files_of_any_layer_lie_in_the_folder(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    names = ["a/../../b", "..", "relu1 | relu2", "é" * 300]
    paths = {
        local(folder.patch_file(layer, network), "patches") for layer in names for network in names
    }
    assert len(paths) == 16
    for path in paths:
        assert path.parent.parent == folder.patches
        assert path.resolve().is_relative_to((tmp_path / "patches").resolve())


def test_info_counts_them(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(study)]) == 0
    assert "patches            none" in capsys.readouterr().out
    pipeline.collect(study, layers=["relu3"])
    assert main(["info", str(study)]) == 0
    assert "patches              2 layers of networks" in capsys.readouterr().out
    assert isinstance(
        UnitPatches.load(StudyFolder(study).patch_file("relu3", "seed-00")), UnitPatches
    )
