"""Studies of networks and data sets by name, from the command line, on data that the tests write."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("torchvision")

from PIL import Image

from convergent import nets
from convergent.cli import main
from convergent.cli_arguments import DATASET_NAMES, MODEL_NAMES
from tests.stored_image_files import write_cifar10

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONVERGENT_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_command_line_knows_every_name() -> None:
    assert tuple(nets.DATASETS) == DATASET_NAMES
    assert set(nets.MODELS) == set(MODEL_NAMES)
    assert len(set(MODEL_NAMES)) == len(MODEL_NAMES)


def test_help_is_given_without_torch() -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from convergent.cli import main\nmain(['train', '--help'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "vgg11_bn" in done.stdout
    assert "fashion_mnist" in done.stdout


def test_a_study_by_name_moves_with_its_data_or_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_cifar10(tmp_path / "data", n_images=25)
    train = ["train", "--dataset", "cifar10", "--model", "vgg11_bn", "--seeds", "0:2", "--quiet"]
    small = ["--epochs", "2", "--width", "2"]
    assert main([*train, *small]) == 1
    assert "(--data on the command line)" in capsys.readouterr().err
    assert main([*train, *small, "--data", str(tmp_path / "data")]) == 0
    study = tmp_path / "study-cifar10-vgg11_bn-w2"
    recipe = json.loads((study / "networks" / "seed-01" / "recipe.json").read_text())
    assert recipe["dataset"] == "cifar10"
    assert recipe["model_parameters"]["width"] == 2

    assert main(["collect", str(study), "--quiet"]) == 1
    assert "CONVERGENT_DATA" in capsys.readouterr().err
    monkeypatch.setenv("CONVERGENT_DATA", str(tmp_path / "data"))
    assert main(["collect", str(study), "--quiet", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["layers"] == [f"relu{number}" for number in range(1, 9)]
    # Standardised images are shown as the pictures they were.
    assert Path(found["patches"]).is_dir()
    for path in study.rglob("*.json"):
        assert str(tmp_path) not in path.read_text()

    monkeypatch.delenv("CONVERGENT_DATA")
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    shutil.move(study, tmp_path / "moved")
    again = ["trajectory", str(tmp_path / "moved"), "--quiet", "--json"]
    assert main([*again, "--data", str(tmp_path / "elsewhere")]) == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == [0, 1, 2]


def test_other_data_of_the_same_name_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_cifar10(tmp_path / "data", n_images=25)
    options = ["--data", str(tmp_path / "data"), "--quiet"]
    model = ["--dataset", "cifar10", "--model", "resnet18", "--width", "1"]
    assert main(["train", *model, "--seeds", "0", "--epochs", "1", *options, "--out", "s"]) == 0
    path = tmp_path / "data" / "cifar-10-batches-py" / "test_batch"
    content = pickle.loads(path.read_bytes())
    content["labels"][0] = (content["labels"][0] + 1) % 10
    path.write_bytes(pickle.dumps(content, protocol=2))
    assert main(["collect", "s", *options]) == 1
    assert "'cifar10' with other images or labels than those that" in capsys.readouterr().err


def test_the_size_of_a_folders_images_is_remembered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("a", "b"):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for number in range(4):
                pixels = random.integers(0, 256, (20 + number, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    options = ["--data", str(tmp_path / "data"), "--quiet"]
    train = ["train", "--dataset", "imagefolder", "--model", "resnet20", "--width", "2"]
    train += ["--seeds", "0,1", "--epochs", "1", *options]
    assert main(train) == 1
    assert "give `image_size`" in capsys.readouterr().err
    assert main([*train, "--image-size", "16"]) == 0
    capsys.readouterr()
    study = "study-imagefolder-resnet20-w2"
    layers = ["--layers", "relu1", "layer3.*.relu2"]
    assert main(["collect", study, *options, *layers, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["layers"]
    assert found == ["relu1", "layer3.0.relu2", "layer3.1.relu2", "layer3.2.relu2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "svhn"], "invalid choice: 'svhn'"),
        (["--model", "vgg12"], "invalid choice: 'vgg12'"),
        (["--width", "wide"], "must be a number, got 'wide'"),
        (["--width", "0"], "must be positive, got 0"),
        (["--width", "inf"], "must be positive, got inf"),
        (["--image-size", "0"], "must be at least 1, got 0"),
    ],
)
def test_bad_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_values_that_a_network_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--model", "vgg11", "--width", "0.5", "--quiet"]) == 1
    assert "`width` must be a whole number, got 0.5" in capsys.readouterr().err
    assert main(["train", "--image-size", "16", "--quiet"]) == 1
    assert "`image_size` must be None for 'digits'" in capsys.readouterr().err
    with pytest.raises(ValueError, match="`folders` must name at least one"):
        nets.trained_dataset([])
