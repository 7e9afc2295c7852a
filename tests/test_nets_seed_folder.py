"""What a seed's folder refuses, and names: files that are cut, foreign, or that would run code."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from convergent import nets
from tests.pickle_trap import Trap
from tests.test_nets_training import small_digits, weights

SMALL: dict[str, Any] = {"epochs": 2, "checkpoints": (0, 1), "batch_size": 100, "seeds": [0]}
NAMES = ("resume.safetensors", "epoch-001.safetensors", "recipe.json", "metrics.csv")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    nets.train("convnet", small_digits(), out=out, **{**SMALL, "seeds": [0, 1]})
    return out


@pytest.fixture(params=["finished", "unfinished"])
def folder(request: pytest.FixtureRequest, trained: Path, tmp_path: Path) -> Path:
    """Return seed 0's folder, with or without its last epoch."""
    if request.param == "finished":
        shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    else:

        def stop(report: nets.EpochReport) -> None:
            if report.epoch == 1:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            nets.train("convnet", small_digits(), out=tmp_path, on_epoch=stop, **SMALL)
    return tmp_path / "seed-00"


def assert_refused(folder: Path, message: str) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=message):
        nets.train("convnet", small_digits(), out=folder.parent, **SMALL)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", NAMES)
def test_files_that_would_run_code_are_refused_unread(folder: Path, name: str) -> None:
    trap = Trap(folder.parent / "executed")
    path = folder / name
    content = path.read_bytes()
    for zipped in (True, False):
        torch.save({"x": trap}, path, _use_new_zipfile_serialization=zipped)
        assert_refused(folder, rf"seed-00/{name}")
    for protocol in range(6):
        path.write_bytes(pickle.dumps(trap, protocol=protocol))
        assert_refused(folder, rf"seed-00/{name}")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(trap))
    assert_refused(folder, rf"seed-00/{name}")
    assert not trap.path.exists()
    path.write_bytes(content)
    nets.train("convnet", small_digits(), out=folder.parent, **SMALL)


@pytest.mark.parametrize("name", NAMES)
def test_cut_and_foreign_files_are_named(folder: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    for length in (0, 7, len(content) // 2, len(content) - 3):
        path.write_bytes(content[:length])
        if name != "metrics.csv" or length < len(content) // 2:
            assert_refused(folder, rf"seed-00/{name} is truncated")
    for foreign in (b"\xff\xfe\x00binary\x00\n", b"a,b\n1,2\n", b"[1, 2]\n"):
        path.write_bytes(foreign)
        assert_refused(folder, rf"seed-00/{name}")


def test_missing_files_are_named(folder: Path) -> None:
    kind = "a finished" if (folder / "epoch-002.safetensors").exists() else "an unfinished"
    for name, message in (
        ("epoch-000.safetensors", rf"epoch-000\.safetensors is missing from {kind} training"),
        ("metrics.csv", r"metrics\.csv is missing; delete .*seed-00 to repeat"),
    ):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        assert_refused(folder, message)
        (folder / name).write_bytes(content)


def test_files_of_another_seed_or_epoch_are_named(folder: Path, trained: Path) -> None:
    for name in ("resume.safetensors", "epoch-001.safetensors"):
        content = (folder / name).read_bytes()
        shutil.copy(trained / "seed-01" / name, folder / name)
        assert_refused(folder, rf"{name} must be of seed 0, got seed 1")
        (folder / name).write_bytes(content)
    shutil.copy(folder / "epoch-000.safetensors", folder / "epoch-001.safetensors")
    assert_refused(folder, r"epoch-001\.safetensors must be of epoch 1, got 0")


def test_state_of_another_training_is_named(folder: Path) -> None:
    path = folder / "resume.safetensors"
    tensors, metadata = nets.load_checkpoint(path)
    for epoch in ("3", "-1", "one", "", "²"):
        nets.save_checkpoint(path, tensors, {**metadata, "epoch": epoch})
        assert_refused(folder, rf"must name an epoch up to 2, got '{epoch}'")
    momentum = {**tensors, "momentum.output.bias": torch.zeros(11)}
    nets.save_checkpoint(path, momentum, metadata)
    assert_refused(folder, r"momentum of another network: output\.bias must have shape \(10,\)")
    fewer = {name: value for name, value in tensors.items() if name != "model.output.bias"}
    nets.save_checkpoint(path, fewer, metadata)
    assert_refused(folder, r"resume\.safetensors holds weights of another network")


def test_what_a_killed_run_was_writing_is_removed(folder: Path, trained: Path) -> None:
    for name in (*NAMES, "epoch-002.safetensors"):
        (folder / f".{name}.123.tmp").write_bytes(b"half")
    kept = folder / ".another.1.tmp"
    kept.write_bytes(b"not ours")
    nets.train("convnet", small_digits(), out=folder.parent, **SMALL)
    assert [path.name for path in folder.glob(".*")] == [kept.name]
    assert weights(folder) == weights(trained / "seed-00")
