"""Networks trained together are those trained one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from convergent import nets
from convergent.nets import ensemble
from convergent.nets.ensemble import pays, reason_against
from convergent.training_settings import make_settings
from tests.test_nets_training import metrics, noisy_network, small_digits, weights

SETTINGS: dict[str, Any] = {
    "epochs": 3,
    "checkpoints": (0, 1, 2),
    "batch_size": 50,
    "learning_rate": 0.05,
    "augmentation": "crop_flip",
}


class InDouble(nn.Module):
    """A network in float64 that takes float32 images."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers).double()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(images.double())
        return logits


def convnet_in_double() -> nn.Module:
    return InDouble(nets.ConvNet(1, 8, (4, 6, 8)))


def normalised_in_double() -> nn.Module:
    return InDouble(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
    )


def alexnet_in_double() -> nn.Module:
    return InDouble(nets.AlexNet32(1, 8, width=0.05, dropout=0.0))


def tied_in_double() -> nn.Module:
    """Return a network with a frozen layer and two that share their weights."""
    network = InDouble(
        nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8),
        nn.Tanh(), nn.Linear(8, 10),
    )  # fmt: skip
    network.layers[1].requires_grad_(False)
    network.layers[5].weight = network.layers[3].weight
    return network


def assert_close(ours: Path, theirs: Path, tolerance: float) -> None:
    checkpoints = nets.checkpoint_paths(ours)
    assert list(checkpoints) == list(nets.checkpoint_paths(theirs))
    for path in [*checkpoints.values(), ours / "resume.safetensors"]:
        found, metadata = nets.load_checkpoint(path)
        expected, same = nets.load_checkpoint(theirs / path.name)
        assert metadata == same
        assert list(found) == list(expected)
        for name, value in found.items():
            assert value.dtype == expected[name].dtype
            torch.testing.assert_close(
                value.double(), expected[name].double(), rtol=0.0, atol=tolerance
            )
    for row, other in zip(metrics(ours), metrics(theirs), strict=True):
        assert {name: float(value) for name, value in row.items()} == pytest.approx(
            {name: float(value) for name, value in other.items()}, abs=max(tolerance, 2e-5)
        )


@pytest.mark.parametrize(
    "model", [convnet_in_double, normalised_in_double, alexnet_in_double, tied_in_double]
)
def test_in_float64_together_and_one_by_one_are_the_same(
    model: Callable[[], nn.Module], tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {"seeds": [0, 3, 7], **SETTINGS}
    reports: list[tuple[str, int, int]] = []
    together = nets.train(
        model,
        small_digits(),
        out=tmp_path / "together",
        ensemble=True,
        progress=lambda *report: reports.append(report),
        **arguments,
    )
    single = nets.train(model, small_digits(), out=tmp_path / "single", ensemble=False, **arguments)
    for ours, theirs in zip(together, single, strict=True):
        assert_close(ours, theirs, 1e-12)
    assert weights(together[0])[3] != weights(together[1])[3]
    named = [f"train seed {seed}" for seed in (0, 3, 7)]
    assert reports == [(name, done, 3) for done in range(4) for name in named]


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_in_lower_precision_they_agree_to_rounding(
    precision: str, tolerance: float, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {"seeds": [1, 2], "precision": precision, **SETTINGS}
    folders = [
        nets.train("convnet", small_digits(), out=tmp_path / str(way), ensemble=way, **arguments)
        for way in (True, False)
    ]
    for ours, theirs in zip(*folders, strict=True):
        assert_close(ours, theirs, tolerance)


def test_together_is_reproducible(tmp_path: Path) -> None:
    first, second = (
        nets.train(
            "convnet",
            small_digits(),
            seeds=[0, 1],
            out=tmp_path / str(run),
            ensemble=True,
            **SETTINGS,
        )
        for run in range(2)
    )
    assert [weights(folder) for folder in first] == [weights(folder) for folder in second]
    assert [metrics(folder) for folder in first] == [metrics(folder) for folder in second]


@pytest.mark.parametrize("first_together", [True, False])
def test_each_way_goes_on_from_the_other(
    first_together: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, Any] = {"seeds": [0, 1, 2], **SETTINGS}
    whole = nets.train(
        normalised_in_double, small_digits(), out=tmp_path / "whole", ensemble=False, **arguments
    )

    def stop(report: nets.EpochReport) -> None:
        if (report.seed, report.epoch) == (1, 2):
            raise InterruptedError

    out = tmp_path / "cut"
    with pytest.raises(InterruptedError):
        nets.train(
            normalised_in_double, small_digits(), out=out, ensemble=first_together,
            on_epoch=stop, **arguments,
        )  # fmt: skip
    sizes: list[tuple[int, int]] = []
    train_epoch = ensemble._train_epoch

    def counted(runs: Any, epoch: int, listeners: Any) -> list[float]:
        sizes.append((len(runs), epoch))
        return train_epoch(runs, epoch, listeners)

    monkeypatch.setattr(ensemble, "_train_epoch", counted)
    again = nets.train(
        normalised_in_double, small_digits(), out=out, ensemble=not first_together, **arguments
    )
    for ours, theirs in zip(again, whole, strict=True):
        assert_close(ours, theirs, 1e-12)
    # One by one, seed 0 was finished, seed 1 had an epoch to go, and seed 2 had not begun.
    assert sizes == ([] if first_together else [(2, 3)])


def test_seeds_that_are_behind_catch_up_before_all_go_on_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(report: nets.EpochReport) -> None:
        if (report.seed, report.epoch) == (1, 2):
            raise InterruptedError

    arguments: dict[str, Any] = {
        "seeds": [0, 1, 2], "out": tmp_path, "ensemble": True, **SETTINGS,
    }  # fmt: skip
    with pytest.raises(InterruptedError):
        nets.train(convnet_in_double, small_digits(), on_epoch=stop, **arguments)
    order: list[tuple[int, int]] = []
    nets.train(
        convnet_in_double,
        small_digits(),
        on_epoch=lambda report: order.append((report.epoch, report.seed)),
        **arguments,
    )
    assert order == [(2, 2), (3, 0), (3, 1), (3, 2)]


def test_networks_that_draw_are_refused_or_trained_one_by_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`ensemble` must be False or None .*random numbers"):
        nets.train(
            noisy_network, small_digits(), seeds=[0, 1], out=tmp_path / "out", ensemble=True,
            **SETTINGS,
        )  # fmt: skip
    assert not (tmp_path / "out").exists()
    (folder,) = nets.train(
        noisy_network, small_digits(), seeds=[0], out=tmp_path, **{**SETTINGS, "epochs": 2}
    )
    assert json.loads((folder / "recipe.json").read_text())["ensemble"] is False


class Branching(nn.Module):
    """Its computation depends on values, which copies at once cannot do."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.output(images.flatten(1))
        return -logits if logits.sum().item() > 1e9 else logits


def test_reasons_against_training_together() -> None:
    image = torch.zeros(1, 8, 8)

    def reason(network: nn.Module, **given: Any) -> str | None:
        chosen = make_settings(None, {"precision": "float32", "compile": False, **given})
        return reason_against(network, image, chosen)

    network = normalised_in_double()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert reason(network) is None
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert reason(nets.ConvNet(1, 8), precision="bfloat16") is None
    assert "random numbers" in str(reason(noisy_network()))
    assert "cannot run copies" in str(reason(Branching()))
    assert "compiled networks" in str(reason(nets.ConvNet(1, 8), compile=True))
    assert "take 'bfloat16'" in str(reason(nets.ConvNet(1, 8), precision="float16"))


def test_it_pays_for_several_small_networks_on_a_gpu() -> None:
    small, large = nets.ConvNet(1, 8), nn.Linear(1, 2_500_001)
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert pays(small, 2, gpu)
    assert not pays(small, 1, gpu)
    assert not pays(large, 2, gpu)
    assert not pays(small, 10, cpu)


def test_divergence_names_the_seed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="training of seed 4 diverged in epoch 1"):
        nets.train(
            "convnet", small_digits(), seeds=[4, 5], out=tmp_path, ensemble=True,
            **{**SETTINGS, "learning_rate": 1e30},
        )  # fmt: skip
