"""What `convergent info` says of a study, from an empty folder to a finished report."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convergent as cv
from convergent import _storage, pipeline
from convergent.cli import main
from convergent.study import CompareSettings, StudyFolder
from convergent.study.folder import DEFAULT_LAYERS
from convergent.study_state import study_state
from tests.stored_places import memory_place as memory_place


def trained(root: Path, name: str, epoch: int | None, **recipe: Any) -> None:
    """Leave what a training leaves that got as far as `epoch` of 3."""
    folder = root / "networks" / name
    content = {"format": "convergent.recipe/1", "model": "convnet", "dataset": "digits"}
    _storage.write_json(folder / "recipe.json", {**content, "epochs": 3, **recipe})
    if epoch is not None:
        rows = "".join(f"{number},0.5\n" for number in range(epoch + 1))
        _storage.write_text(folder / "metrics.csv", "epoch,test_accuracy\n" + rows)
        _storage.write_text(folder / f"epoch-{epoch:03d}.safetensors", f"weights of {name}")


def collected(root: Path, names: list[str], **source: Any) -> None:
    random = np.random.default_rng(0)
    statistics = cv.Statistics.from_arrays(
        {name: random.normal(size=(40, 4)) for name in names}, layer="relu1", n_top=9
    )
    weights = {
        name: _storage.file_digest(root / "networks" / name / "epoch-003.safetensors")
        for name in names
    }
    statistics.settings["study"] = {"networks": weights, "layers": list(DEFAULT_LAYERS), **source}
    statistics.save(StudyFolder(root).statistics)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A study whose networks are finished, collected and compared."""
    path = tmp_path / "my study"
    for name in ("seed-00", "seed-01"):
        trained(path, name, 3)
    collected(path, ["seed-00", "seed-01"])
    pipeline.compare(path, settings=CompareSettings(measures=["cka", "correlation"]))
    return path


def test_there_is_no_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tmp_path / "none")]) == 1
    assert "there is no study at" in (error := capsys.readouterr().err)
    assert "`convergent demo` makes one" in error
    assert main(["info", "--verify"]) == 2
    assert "--verify goes with a study folder" in capsys.readouterr().err


def test_from_nothing_to_networks(tmp_path: Path) -> None:
    root = tmp_path / "my study"
    root.mkdir()
    state = study_state(root)
    assert state["networks"] == {"finished": "none"}
    assert state["statistics"] == state["results"] == {"state": "missing"}
    assert state["next"] == f"convergent train --out '{root}' --seeds 0:4"
    trained(root, "seed-00", 3)
    trained(root, "seed-01", 1)
    trained(root, "seed-02", None)
    state = study_state(root)
    assert state["networks"] == {
        "finished": ["seed-00"],
        "unfinished": {"seed-01": "epoch 1 of 3", "seed-02": "not begun"},
    }
    train = f"convergent train --out '{root}' --dataset digits --model convnet --seeds"
    assert state["next"] == f"{train} 0,1,2 --epochs 3"
    shutil.rmtree(root / "networks" / "seed-01")
    shutil.rmtree(root / "networks" / "seed-02")
    assert study_state(root)["next"] == f"{train} 0,1 --epochs 3"
    trained(root, "seed-01", 3)
    assert study_state(root)["next"] == f"convergent collect '{root}'"
    (root / "networks" / "seed-01" / "recipe.json").write_text("{")
    state = study_state(root)
    assert "its recipe is damaged" in state["networks"]["unfinished"]["seed-01"]
    trained(root, "seed-00", 3, model="custom")
    assert "in Python" in study_state(root)["next"]


def test_the_size_of_a_folders_images_is_told(tmp_path: Path) -> None:
    size = {"image_size": 32, "n_classes": 3}
    trained(tmp_path, "seed-00", 1, dataset="imagefolder", model_parameters=size)
    told = study_state(tmp_path)["next"]
    assert "--dataset imagefolder --model convnet" in told
    assert told.endswith("--epochs 3 --image-size 32")


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--width 8 --batch-size 32 --learning-rate 0.05",
        "--schedule steps --milestones 1 2 --factor 0.5 --augmentation crop --device cpu",
        "--recipe li2016 --learning-rate 0.02 --batch-size 64",
        "--precision bfloat16 --schedule constant",
    ],
)
def test_an_interrupted_training_goes_on_with_what_is_told(options: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    root = tmp_path / "a study"
    train = ["train", "--seeds", "3,4", "--quiet", "--epochs", "3"]
    assert main([*train, "--out", str(root), *options.split()]) == 0
    recipe = _storage.read_json(root / "networks" / "seed-03" / "recipe.json")
    shutil.rmtree(root / "networks" / "seed-04")
    _storage.write_json(root / "networks" / "seed-04" / "recipe.json", {**recipe, "seed": 4})
    program, *command = shlex.split(study_state(root)["next"])
    assert program == "convergent"
    assert main([*command, "--quiet"]) == 0
    state = study_state(root)
    assert state["networks"] == {"finished": ["seed-03", "seed-04"]}
    assert state["next"] == f"convergent collect '{root}'"


def test_from_statistics_to_the_report(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = study_state(root)
    assert state["networks"] == {"finished": ["seed-00", "seed-01"]}
    assert state["statistics"] == {
        "state": "complete",
        "layers": ["relu1"],
        "networks": ["seed-00", "seed-01"],
        "weights": "those of the networks",
    }
    assert state["results"] == {"state": "complete", "tasks": "2 of 2", "failed": "none"}
    assert state["report"] == "missing"
    assert state["next"] == f"convergent report '{root}'"
    (root / "report.html").touch()
    assert study_state(root)["next"] == f"nothing is missing; open {root / 'report.html'}"
    assert main(["info", str(root), "--verify"]) == 0
    shown = capsys.readouterr().out
    assert "statistics weights   those of the networks" in shown
    assert "damaged              none" in shown
    assert main(["info", str(root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"]["tasks"] == "2 of 2"
    (root / "comparisons" / "study.json").unlink()
    state = study_state(root)
    assert state["results"] == {"state": "unfinished", "tasks": "2 there"}
    assert state["next"] == f"convergent compare '{root}'"
    shutil.rmtree(root / "comparisons")
    assert study_state(root)["results"] == {"state": "missing"}
    (root / "statistics" / "statistics.json").unlink()
    state = study_state(root)
    assert state["statistics"] == {"state": "unfinished"}
    assert state["next"] == f"convergent collect '{root}'"


def test_outdated_stages_are_told_and_their_options_repeated(root: Path) -> None:
    trained(root, "seed-01", 3, dataset="other")
    (root / "networks" / "seed-01" / "epoch-003.safetensors").write_text("new weights")
    state = study_state(root)
    assert state["statistics"]["state"] == "outdated"
    assert "the weights of seed-01 are others" in state["statistics"]["why"]
    assert state["next"] == f"convergent collect '{root}'"
    collected(root, ["seed-00", "seed-01"], layers=["relu*", "conv 1"])
    state = study_state(root)
    assert state["statistics"]["state"] == "complete"
    assert state["results"]["state"] == "outdated"
    assert "are others than those compared" in state["results"]["why"]
    assert state["next"] == f"convergent compare '{root}' --measures cka correlation"
    trained(root, "seed-02", 3)
    state = study_state(root)
    assert state["statistics"]["not collected"] == ["seed-02"]
    assert state["next"] == f"convergent collect '{root}' --layers 'relu*' 'conv 1'"
    shutil.rmtree(root / "networks")
    assert "seed-00, seed-01 not there to compare" in study_state(root)["statistics"]["weights"]


def test_results_of_older_versions_are_held_against_networks_and_layers(root: Path) -> None:
    (root / "comparisons" / "provenance.json").unlink()
    assert study_state(root)["results"]["state"] == "complete"
    trained(root, "seed-02", 3)
    collected(root, ["seed-00", "seed-02"])
    assert study_state(root)["results"]["state"] == "outdated"


def test_damaged_files_are_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = root / "statistics" / "000-relu1" / "rows-01.zarr" / "c" / "0" / "0"
    result = next((root / "comparisons").glob("*/cka/*.npz"))
    for path in (rows, result):
        path.write_bytes(path.read_bytes()[:-4] + b"1234")
    found = study_state(root, verify=True)["damaged"]
    assert [text.partition(" is ")[0] for text in found] == [str(rows), str(result)]
    rows.write_bytes(b"")
    state = study_state(root)
    assert state["statistics"]["state"] == "damaged"
    assert str(rows) in state["statistics"]["why"]
    folder = root / "statistics"
    assert state["next"] == f"rm -r '{folder}' && convergent collect '{root}'"
    rows.unlink()
    assert "is missing" in study_state(root)["statistics"]["why"]
    collected(root, ["seed-00", "seed-01"])
    result.unlink()
    state = study_state(root)
    assert state["results"]["tasks"] == "1 of 2"
    assert f"{result.name} is missing" in state["results"]["why"]
    (root / "comparisons" / "study.json").write_text("{}")
    state = study_state(root)
    assert state["results"]["state"] == "damaged"
    assert state["next"] == f"rm -r '{root / 'comparisons'}' && convergent compare '{root}'"
    (root / "statistics" / "statistics.json").write_text("{}")
    assert "must be of format convergent.Statistics/2" in study_state(root)["statistics"]["why"]


def test_a_page_of_other_results_is_outdated(root: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    pipeline.report(root)
    assert study_state(root)["report"] == str(root / "report.html")
    pipeline.compare(root, settings=CompareSettings(measures=["cka", "activations"]))
    state = study_state(root)
    assert state["report"] == "outdated"
    assert state["next"] == f"convergent report '{root}'"
    pipeline.report(root)
    assert study_state(root)["next"].startswith("nothing is missing")


def test_a_comparison_that_was_stopped(root: Path) -> None:
    def stop(description: str, done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    shutil.rmtree(root / "comparisons")
    settings = CompareSettings(measures=["correlation", "cka"], n_features=7)
    with pytest.raises(KeyboardInterrupt):
        pipeline.compare(root, settings=settings, progress=stop)
    state = study_state(root)
    assert state["results"] == {"state": "unfinished", "tasks": "1 of 2"}
    assert state["next"] == f"convergent compare '{root}' --measures correlation cka --features 7"
    pipeline.compare(root, settings=settings)
    assert study_state(root)["results"]["tasks"] == "2 of 2"


def test_tasks_that_failed_are_named(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    statistics = cv.Statistics.from_arrays({"a": x, "b": x}, labels=np.arange(3))
    statistics.save(tmp_path / "statistics")
    pipeline.compare(tmp_path, settings=CompareSettings(measures=["cka", "shared_response"]))
    results = study_state(tmp_path)["results"]
    assert results["tasks"] == "1 of 2"
    (failed,) = results["failed"]
    assert failed.startswith("shared_response of a and b, layer activations: ")


def test_results_of_files_need_no_statistics(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).normal(size=(20, 3)))
    out = tmp_path / "out"
    files = [str(tmp_path / f"{name}.npy") for name in "ab"]
    main(["compare", *files, "--out", str(out), "--measures", "cka", "--quiet"])
    (out / "report.html").touch()
    assert study_state(out)["next"].startswith("nothing is missing")
    (out / "comparisons" / "study.json").unlink()
    assert study_state(out)["next"] == f"compare the same files with `--out {out}` again"


def test_a_study_of_a_url(root: Path, memory_place: _storage.Location) -> None:
    for name in _storage.sizes(root):
        with _storage.replacing(memory_place / name) as stream:
            stream.write((root / name).read_bytes())
    here, there = study_state(root), study_state(str(memory_place), verify=True)
    assert there.pop("damaged") == "none"
    text = json.dumps(here).replace(f"'{root}'", str(memory_place))
    assert json.loads(text.replace(str(root), str(memory_place))) == there
    (memory_place / "statistics" / "statistics.json").unlink()
    assert study_state(memory_place)["next"].startswith(
        f'statistics.save("{memory_place}/statistics") in Python'
    )
    _storage.remove_below(memory_place / "comparisons")
    _storage.remove_below(memory_place / "statistics")
    (memory_place / "networks" / "seed-00" / "metrics.csv").unlink()
    assert study_state(memory_place)["next"].startswith("train in a folder on this machine, then")
