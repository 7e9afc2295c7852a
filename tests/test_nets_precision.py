from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from convergent import nets
from convergent.nets.precision import (
    cross_entropy,
    loss_scaler,
    reproducible,
    restore_scaler,
    scaler_tensors,
)
from tests.test_nets_training import metrics, noisy_network, small_digits, weights

SMALL: dict[str, Any] = {"epochs": 3, "batch_size": 50, "learning_rate": 0.05}


def stop_after_two(description: str, done: int, total: int) -> None:
    if done == 2:
        raise InterruptedError


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_each_precision_is_reproducible_and_resumes(precision: str, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"seeds": [0], "precision": precision, **SMALL}
    (whole,) = nets.train(noisy_network, small_digits(), out=tmp_path / "whole", **arguments)
    out = tmp_path / "cut"
    with pytest.raises(InterruptedError):
        nets.train(noisy_network, small_digits(), out=out, progress=stop_after_two, **arguments)
    (again,) = nets.train(noisy_network, small_digits(), out=out, **arguments)
    assert weights(again) == weights(whole)
    assert metrics(again) == metrics(whole)
    name = "resume.safetensors"
    assert (again / name).read_bytes() == (whole / name).read_bytes()
    tensors, _ = nets.load_checkpoint(whole / name)
    assert ("scaler.scale" in tensors) == (precision == "float16")
    checkpoint, _ = nets.load_checkpoint(whole / "epoch-003.safetensors")
    assert checkpoint["0.weight"].dtype == torch.float32


def test_half_precision_is_near_and_not_the_same(tmp_path: Path) -> None:
    def trained(precision: str) -> dict[str, torch.Tensor]:
        (folder,) = nets.train(
            "convnet", small_digits(), seeds=[0], out=tmp_path / precision, precision=precision,
            channels_last=False, **SMALL,
        )  # fmt: skip
        tensors, _ = nets.load_checkpoint(folder / "epoch-001.safetensors")
        return tensors

    full = trained("float32")
    for precision, tolerance in (("bfloat16", 2e-3), ("float16", 3e-4)):
        half = trained(precision)
        largest = max(float((half[name] - full[name]).abs().max()) for name in full)
        assert 0.0 < largest < tolerance


def test_channels_last_changes_nothing_but_rounding(tmp_path: Path) -> None:
    found = []
    for value in (True, False):
        (folder,) = nets.train(
            "convnet", small_digits(), seeds=[0], out=tmp_path / str(value), channels_last=value,
            **SMALL,
        )  # fmt: skip
        found.append(nets.load_checkpoint(folder / "epoch-001.safetensors")[0])
    for name, tensor in found[0].items():
        torch.testing.assert_close(tensor, found[1][name], rtol=0.0, atol=1e-5)


def test_the_loss_of_half_precision_logits_is_single() -> None:
    logits = torch.tensor([[30.0, 0.1, -2.0]])
    labels = torch.tensor([1])
    loss = cross_entropy(logits.bfloat16(), labels)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(30.0 - 0.1, abs=0.01)
    assert cross_entropy(logits.double(), labels).dtype == torch.float64


def test_state_of_a_loss_scaler() -> None:
    place = torch.device("cpu")
    idle = loss_scaler("float32", place)
    assert scaler_tensors(idle) == {}
    restore_scaler(idle, {})
    scaler = loss_scaler("float16", place)
    tensors = {"scale": torch.tensor(1024.0).double(), "growth_tracker": torch.tensor(7)}
    restore_scaler(scaler, tensors)
    assert scaler.get_scale() == 1024.0
    assert scaler_tensors(scaler) == tensors


def test_compiled_networks_keep_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[torch.nn.Module] = []

    def eager(network: torch.nn.Module) -> Any:
        compiled.append(network)
        return lambda images: network(images)

    monkeypatch.setattr(torch, "compile", eager)
    (plain,) = nets.train(noisy_network, small_digits(), seeds=[0], out=tmp_path / "a", **SMALL)
    assert compiled == []
    (folder,) = nets.train(
        noisy_network, small_digits(), seeds=[0], out=tmp_path / "b", compile=True, **SMALL
    )
    assert len(compiled) == 1
    assert weights(folder) == weights(plain)


def test_a_network_that_cannot_be_compiled_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._dynamo.exc import TorchDynamoException

    def failing(network: torch.nn.Module) -> Any:
        def forward(images: torch.Tensor) -> torch.Tensor:
            raise TorchDynamoException("no compiler found\nand much more")

        return forward

    monkeypatch.setattr(torch, "compile", failing)
    with pytest.raises(
        RuntimeError, match=r"`compile` must be False here: .*\(no compiler found\)"
    ):
        nets.train(noisy_network, small_digits(), seeds=[0], out=tmp_path, compile=True, **SMALL)


def test_deterministic_algorithms_are_asked_for_on_a_gpu_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def state() -> tuple[bool, bool, bool]:
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
        )

    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = state()
    with reproducible(torch.device("cpu")):
        assert state() == before
    with reproducible(torch.device("cuda")):
        assert state() == (True, True, False)
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert state() == before
    torch.use_deterministic_algorithms(True)
    try:
        with reproducible(torch.device("cuda")):  # someone wants errors instead of warnings
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("together", [False, True])
def test_reruns_on_a_gpu(precision: str, together: bool, tmp_path: Path) -> None:
    if together and precision == "float16":
        pytest.skip("float16 networks are trained one by one")
    first, second = (
        nets.train(
            "convnet", small_digits(), seeds=[0, 1], out=tmp_path / str(run), precision=precision,
            device="cuda", ensemble=together, augmentation="crop_flip", **SMALL,
        )
        for run in range(2)
    )  # fmt: skip
    assert [weights(folder) for folder in first] == [weights(folder) for folder in second]
