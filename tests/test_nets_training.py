from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from convergent import nets

SMALL: dict[str, Any] = {"epochs": 3, "checkpoints": (0, 1), "batch_size": 50, "learning_rate": 0.1}
KILLED_RUN = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from convergent import nets
from tests.test_nets_training import SMALL, noisy_network, small_digits

def progress(description, done, total):
    if done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

nets.train(noisy_network, small_digits(), seeds=[0, 1], out=sys.argv[1], progress=progress, **SMALL)
"""


pytestmark = pytest.mark.usefixtures("one_torch_thread")


def small_digits() -> nets.ImageDataset:
    whole = nets.digits()
    return nets.ImageDataset(
        *(whole.train_images[:201], whole.train_labels[:201]),
        *(whole.test_images[:60], whole.test_labels[:60]),
        class_names=whole.class_names,
        name="some digits",
    )


def noisy_network() -> torch.nn.Sequential:
    """Return a network with everything that could break a resumed run: buffers and dropout."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.3),
        torch.nn.Flatten(),
        torch.nn.Linear(144, 10),
    )


def weights(folder: Path) -> dict[int, bytes]:
    return {epoch: path.read_bytes() for epoch, path in nets.checkpoint_paths(folder).items()}


def metrics(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as stream:
        return [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(stream)
        ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    out = tmp_path_factory.mktemp("undisturbed")
    return nets.train(noisy_network, small_digits(), seeds=[0, 1], out=out, **SMALL)


def test_seeds_learn_the_digits(tmp_path: Path) -> None:
    reports: list[tuple[str, int, int]] = []
    folders = nets.train(
        "convnet",
        nets.digits(),
        seeds=range(2),
        out=tmp_path,
        progress=lambda *report: reports.append(report),
    )
    assert [folder.name for folder in folders] == ["seed-00", "seed-01"]
    for folder in folders:
        rows = metrics(folder)
        assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(13)]
        assert float(rows[0]["test_accuracy"]) < 0.4
        assert float(rows[-1]["test_accuracy"]) >= 0.95
        assert float(rows[-1]["train_loss"]) < 0.2 < float(rows[0]["train_loss"])
        assert list(nets.checkpoint_paths(folder)) == [0, 1, 2, 3, 4, 6, 9, 12]
    assert reports[:2] == [("train seed 0", 0, 12), ("train seed 0", 1, 12)]
    assert reports[-1] == ("train seed 1", 12, 12)
    network = nets.load_network(folders[1])
    assert not network.training
    dataset = nets.digits()
    with torch.inference_mode():
        guesses = network(torch.tensor(dataset.test_images)).argmax(1).numpy()
    accuracy = float(metrics(folders[1])[-1]["test_accuracy"])
    assert np.mean(guesses == dataset.test_labels) == pytest.approx(accuracy, abs=1e-6)


def test_training_is_reproducible_and_seeds_differ(undisturbed: list[Path], tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    (again,) = nets.train(noisy_network, small_digits(), seeds=[1], out=tmp_path, **SMALL)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert list(weights(again)) == [0, 1, 3]
    assert weights(again) == weights(undisturbed[1])
    assert metrics(again) == metrics(undisturbed[1])
    ours, theirs = (
        nets.load_checkpoint(folder / "epoch-000.safetensors") for folder in undisturbed
    )
    assert not torch.equal(ours[0]["0.weight"], theirs[0]["0.weight"])
    assert ours[1]["seed"] == "0"


def test_killed_run_resumes_to_the_same_bits(undisturbed: list[Path], tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[1]
    path = os.pathsep.join([str(root), str(root / "python"), os.environ.get("PYTHONPATH", "")])
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_RUN, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert list(weights(tmp_path / "seed-00")) == [0, 1]
    reports: list[tuple[str, int, int]] = []
    folders = nets.train(
        noisy_network,
        small_digits(),
        seeds=[0, 1],
        out=tmp_path,
        progress=lambda *report: reports.append(report),
        **SMALL,
    )
    assert reports[:2] == [("train seed 0", 2, 3), ("train seed 0", 3, 3)]
    for ours, theirs in zip(folders, undisturbed):
        assert weights(ours) == weights(theirs)
        assert metrics(ours) == metrics(theirs)


def test_run_cut_short_between_any_two_files_resumes(
    undisturbed: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace
    arguments: dict[str, Any] = {"seeds": [0], "out": tmp_path, **SMALL}
    n_interruptions = 0
    while True:
        left = [1]  # one file is written, the next one is not

        def failing(*names: Any, left: list[int] = left) -> None:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            replace(*names)

        monkeypatch.setattr(os, "replace", failing)
        try:
            (folder,) = nets.train(noisy_network, small_digits(), **arguments)
            break
        except KeyboardInterrupt:
            n_interruptions += 1
            # An epoch writes up to three files at once; let every third attempt finish one.
            monkeypatch.undo()
            if n_interruptions % 3 == 0:
                run_one_epoch(arguments)
    assert n_interruptions >= 3
    assert weights(folder) == weights(undisturbed[0])
    assert metrics(folder) == metrics(undisturbed[0])


def run_one_epoch(arguments: dict[str, Any]) -> None:
    reports = []

    def progress(*report: Any) -> None:
        reports.append(report)
        if len(reports) == 2:
            raise InterruptedError

    with contextlib.suppress(InterruptedError):
        nets.train(noisy_network, small_digits(), progress=progress, **arguments)


def test_finished_seed_is_left_alone(undisturbed: list[Path]) -> None:
    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in undisturbed[0].iterdir()}

    before = times()
    reports: list[tuple[str, int, int]] = []
    out = undisturbed[0].parent
    nets.train(
        noisy_network,
        small_digits(),
        seeds=[0],
        out=out,
        progress=lambda *report: reports.append(report),
        **SMALL,
    )
    assert reports == [("train seed 0", 3, 3)]
    assert times() == before


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", 4, "`epochs` 3, got 4"),
        ("checkpoints", (0, 2), r"`checkpoints` \[0, 1, 3\], got \[0, 2, 3\]"),
        ("batch_size", 51, "`batch_size` 50, got 51"),
        ("learning_rate", 0.2, "`learning_rate` 0.1, got 0.2"),
        ("momentum", 0.8, "`momentum` 0.9, got 0.8"),
        ("weight_decay", 0.0, "`weight_decay` 0.0005, got 0.0"),
    ],
)
def test_other_settings_are_refused(
    undisturbed: list[Path], name: str, value: Any, message: str
) -> None:
    out = undisturbed[0].parent
    with pytest.raises(ValueError, match=rf"seed-00 was made with {message}"):
        nets.train(noisy_network, small_digits(), seeds=[0], out=out, **{**SMALL, name: value})


def test_other_network_or_data_is_refused(undisturbed: list[Path]) -> None:
    out = undisturbed[0].parent
    with pytest.raises(ValueError, match='seed-00 was made with `model` "custom", got "convnet"'):
        nets.train("convnet", small_digits(), seeds=[0], out=out, **SMALL)
    with pytest.raises(ValueError, match="seed-00 was made with `architecture`"):
        nets.train(lambda: noisy_network()[:5], small_digits(), seeds=[0], out=out, **SMALL)
    with pytest.raises(ValueError, match='`dataset` "some digits", got "digits"'):
        nets.train(noisy_network, nets.digits(), seeds=[0], out=out, **SMALL)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"seeds": [0], "out": tmp_path, **SMALL}
    (folder,) = nets.train(noisy_network, small_digits(), **arguments)
    for name in ("resume.safetensors", "epoch-001.safetensors", "metrics.csv", "recipe.json"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 3])
        with pytest.raises(ValueError, match=rf"{name} is truncated"):
            nets.train(noisy_network, small_digits(), **arguments)
        (folder / name).write_bytes(content)
    checkpoint = folder / "epoch-001.safetensors"
    content = checkpoint.read_bytes()
    resume = folder / "resume.safetensors"
    state = resume.read_bytes()
    resume.write_bytes(content)
    with pytest.raises(ValueError, match=r"resume\.safetensors must be of format convergent"):
        nets.train(noisy_network, small_digits(), **arguments)
    torch.save({}, resume)
    with pytest.raises(ValueError, match=r"resume\.safetensors must be a safetensors file"):
        nets.train(noisy_network, small_digits(), **arguments)
    resume.write_bytes(state)
    checkpoint.unlink()
    with pytest.raises(ValueError, match=r"epoch-001\.safetensors is missing from a finished"):
        nets.train(noisy_network, small_digits(), **arguments)
    (folder / "recipe.json").write_text(json.dumps({"format": "another"}))
    with pytest.raises(ValueError, match=r"recipe\.json must be of format convergent\.recipe/1"):
        nets.train(noisy_network, small_digits(), **arguments)


def test_diverging_training_is_an_error(tmp_path: Path) -> None:
    settings = {**SMALL, "learning_rate": 1e30}
    with pytest.raises(RuntimeError, match=r"training of seed 5 diverged in epoch 1 .*lower"):
        nets.train(noisy_network, small_digits(), seeds=[5], out=tmp_path, **settings)


def test_load_network(undisturbed: list[Path], tmp_path: Path) -> None:
    network = nets.load_network(undisturbed[0], noisy_network)
    last, _ = nets.load_checkpoint(undisturbed[0] / "epoch-003.safetensors")
    assert all(torch.equal(last[name], value) for name, value in network.state_dict().items())
    first = nets.load_network(undisturbed[0] / "epoch-000.safetensors", noisy_network)
    assert not torch.equal(first.state_dict()["0.weight"], last["0.weight"])
    with pytest.raises(ValueError, match=r"`model` must be given for .*seed-00"):
        nets.load_network(undisturbed[0])
    with pytest.raises(ValueError, match="holds weights of another network"):
        nets.load_network(undisturbed[0], nets.ConvNet)
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        nets.load_network(tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "`epochs` must be at least 1, got 0"),
        ({"checkpoints": (4,)}, ValueError, "`checkpoints` must be between 0 and 3, got 4"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1, got 0"),
        ({"learning_rate": 0.0}, ValueError, "`learning_rate` must be positive, got 0.0"),
        ({"momentum": 1.0}, ValueError, r"`momentum` must lie in \(0, 1\), got 1.0"),
        ({"weight_decay": -1.0}, ValueError, "`weight_decay` must not be negative, got -1.0"),
        ({"seeds": []}, ValueError, "`seeds` must be different numbers, at least one"),
        ({"seeds": [1, 1]}, ValueError, "`seeds` must be different numbers"),
        ({"seeds": [-1]}, ValueError, "`seeds` must be between 0 and"),
        (
            {"model": "resnet"},
            ValueError,
            "`model` must be one of 'convnet', .*, got 'resnet'",
        ),
        ({"model": 3}, TypeError, "`model` must be a name or a function, got int"),
        ({"model": list}, TypeError, "`model` must return a torch Module, got list"),
        ({"model_parameters": {}}, ValueError, "`model_parameters` must be None where `model`"),
        ({"dataset": "digits"}, TypeError, "`dataset` must be an ImageDataset, got str"),
    ],
)
def test_train_refuses(
    change: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    arguments = {
        "model": noisy_network,
        "dataset": small_digits(),
        "seeds": [0],
        "out": tmp_path / "out",
        **SMALL,
        **change,
    }
    with pytest.raises(error, match=message):
        nets.train(**arguments)
    assert not (tmp_path / "out").exists()


def test_named_model_takes_parameters_and_square_images(tmp_path: Path) -> None:
    dataset = small_digits()
    parameters = {"widths": (2, 3, 4)}
    (folder,) = nets.train(
        "convnet", dataset, seeds=[0], out=tmp_path, model_parameters=parameters, epochs=1
    )
    assert nets.load_network(folder).state_dict()["conv2.weight"].shape == (3, 2, 3, 3)
    oblong = nets.ImageDataset(
        *(dataset.train_images[:, :, :6], dataset.train_labels),
        *(dataset.test_images[:, :, :6], dataset.test_labels),
        class_names=dataset.class_names,
        name="oblong",
    )
    with pytest.raises(ValueError, match="square images, got 6 x 8"):
        nets.train("convnet", oblong, seeds=[0], out=tmp_path / "other", epochs=1)


@pytest.mark.parametrize("together", [False, True])
def test_batches_are_told(tmp_path: Path, together: bool) -> None:
    told: list[tuple[tuple[int, ...], int, int, int]] = []
    nets.train(
        "convnet", small_digits(), seeds=[3, 5], out=tmp_path, epochs=1, batch_size=50,
        ensemble=together, on_batch=lambda *batch: told.append(batch),
    )  # fmt: skip
    # The untrained network sees 201 images at once; 201 in batches of 50 are five.
    looks = [((seed,), 0, 1, 1) for seed in (3, 5)]
    trained = [[(seeds, 1, n, 5) for n in range(1, 6)] for seeds in ((3,), (5,), (3, 5))]
    if together:
        assert told == [*looks, *trained[2]]
    else:
        assert told == [looks[0], *trained[0], looks[1], *trained[1]]


def test_default_checkpoints() -> None:
    assert nets.default_checkpoints(1) == (0, 1)
    assert nets.default_checkpoints(4) == (0, 1, 2, 3, 4)
    assert nets.default_checkpoints(50) == (0, 1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 50)
