from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import save_file

from convergent.nets import checkpoints, load_checkpoint, save_checkpoint
from tests.pickle_trap import Trap


def test_round_trip_keeps_bits_dtypes_and_metadata(tmp_path: Path) -> None:
    tensors = {
        "weight": torch.arange(6.0).reshape(2, 3).T,
        "count": torch.tensor(7),
        "half": torch.ones(3, dtype=torch.bfloat16),
    }
    path = save_checkpoint(tmp_path / "a.safetensors", tensors, {"epoch": "3"})
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]
    loaded, metadata = load_checkpoint(path)
    assert metadata == {"format": checkpoints.FORMAT, "epoch": "3"}
    assert set(loaded) == set(tensors)
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_files_of_other_programs_keep_their_metadata(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.ones(2)}, path, metadata={"format": "pt", "author": "someone"})
    tensors, metadata = load_checkpoint(path)
    assert torch.equal(tensors["x"], torch.ones(2))
    assert metadata == {"format": "pt", "author": "someone"}
    save_file({"x": torch.ones(2)}, path, metadata={"convergent": "[1"})
    with pytest.raises(ValueError, match=r"other\.safetensors is truncated or no safetensors"):
        load_checkpoint(path)


def test_tied_weights_can_be_saved(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    network[1].weight = network[0].weight
    path = save_checkpoint(tmp_path / "tied.safetensors", network)
    other = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    checkpoints.load_weights(other, path)
    assert torch.equal(other.state_dict()["1.weight"], network.state_dict()["0.weight"])


def test_header_length_that_looks_like_a_pickle_is_no_pickle(tmp_path: Path) -> None:
    for padding in range(400, 700):
        path = save_checkpoint(tmp_path / "a", {"x": torch.ones(1)}, {"pad": "p" * padding})
        if path.read_bytes()[:2] == b"\x80\x02":
            break
    else:
        pytest.fail("no header of 640 bytes was made")
    assert torch.equal(load_checkpoint(path)[0]["x"], torch.ones(1))


@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_are_refused_and_never_executed(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "net.pt"
    torch.save({"x": Trap(tmp_path / "executed")}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"net\.pt must be a safetensors file, got a pickle"):
        load_checkpoint(path)
    for protocol in range(6):
        path.write_bytes(pickle.dumps(Trap(tmp_path / "executed"), protocol=protocol))
        with pytest.raises(ValueError, match=r"net\.pt"):
            load_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Trap(tmp_path / "executed")))
    with pytest.raises(ValueError, match="which can run code"):
        load_checkpoint(path)
    assert not (tmp_path / "executed").exists()


def test_truncated_and_foreign_files_are_named(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "net.safetensors", {"x": torch.ones(50)})
    content = path.read_bytes()
    for length in (0, 5, 8, 20, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"net\.safetensors is truncated or no safetensors"):
            load_checkpoint(path)
    path.write_bytes(b"epoch,loss\n1,0.5\n" * 10)
    with pytest.raises(ValueError, match=r"net\.safetensors is truncated or no safetensors"):
        load_checkpoint(path)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"must be of format convergent\.resume/1, got convergent"):
        load_checkpoint(path, format_name="convergent.resume/1")
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "absent.safetensors")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "net.safetensors", torch.nn.Linear(3, 4))
    with pytest.raises(ValueError, match=r"net\.safetensors holds weights of another network"):
        checkpoints.load_weights(torch.nn.Linear(4, 4), path)
    network = torch.nn.Linear(3, 4)
    assert checkpoints.load_weights(network, path)["format"] == checkpoints.FORMAT


def test_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_checkpoint(tmp_path / "net.safetensors", {"x": torch.ones(2)})

    def failing(*_names: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(path, {"x": torch.zeros(2)})
    assert torch.equal(load_checkpoint(path)[0]["x"], torch.ones(2))
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.safetensors"]
