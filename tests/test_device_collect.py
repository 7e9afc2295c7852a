"""One pass whose factor is accumulated on the networks' device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from convergent import nets
from convergent.nets import extraction
from convergent.statistics import Factor, StatisticsBuilder
from tests.test_device_factor import assert_same, matches


class Network(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, width, 3)
        self.relu = torch.nn.ReLU(inplace=True)
        self.single = torch.nn.Identity()
        self.dense = torch.nn.Linear(width, 3)
        self.nan = torch.nn.Identity()

    def forward(self, images: torch.Tensor) -> Any:
        hidden = self.relu(self.conv(images))
        self.single(hidden.to(torch.float16))
        return self.nan(self.dense(hidden.mean(dim=(2, 3))) * float("nan"))


@pytest.fixture
def networks() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    return {"b": Network(4), "a": Network(6)}


IMAGES = np.random.default_rng(0).normal(size=(200, 1, 8, 8)).astype(np.float32)
LAYERS = ["conv", "relu", "single", "dense"]


@pytest.fixture
def _on_any_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the factor with torch, also on the CPU; the host's must not be used then."""

    def refuse(*_: Any) -> None:
        raise AssertionError("the host accumulates the factor")

    monkeypatch.setattr(extraction, "keeps_factors", lambda device: True)
    monkeypatch.setattr(Factor, "take", refuse)
    monkeypatch.setattr(Factor, "update", refuse)


def host_factors(networks: dict[str, torch.nn.Module]) -> dict[str, Factor]:
    layers = nets.collect(networks, IMAGES, layers=LAYERS).layers
    return {name: layer.factor for name, layer in layers.items() if layer.factor is not None}


def assert_collects_the_same(
    networks: dict[str, torch.nn.Module],
    expected: dict[str, Factor],
    layers: Any,
    device: str,
    tolerance: float,
) -> None:
    loader = nets.batches(IMAGES, batch_size=70)
    statistics = nets.collect(networks, loader, layers=layers, device=device)
    assert list(statistics.layers) == list(expected) == LAYERS
    for name, layer in statistics.layers.items():
        assert layer.factor is not None
        assert layer.moments is not None
        assert layer.factor.n_examples == layer.moments.n_examples
        assert layer.factor.widths == layer.widths == expected[name].widths
        ours, theirs = layer.factor.triangle(), expected[name].triangle()
        product = theirs.T @ theirs
        scale = tolerance * np.abs(product).max()
        np.testing.assert_allclose(ours.T @ ours, product, rtol=0, atol=scale)


def test_collect(networks: dict[str, torch.nn.Module], request: pytest.FixtureRequest) -> None:
    expected = host_factors(networks)
    request.getfixturevalue("_on_any_device")
    # Batches of another size round float32 convolutions elsewhere.
    assert_collects_the_same(networks, expected, LAYERS, "cpu", 4e-6)
    by_network = {"a": LAYERS, "b": LAYERS}
    assert_collects_the_same(networks, expected, by_network, "cpu", 4e-6)


def test_collect_the_same_numbers(request: pytest.FixtureRequest) -> None:
    networks: dict[str, torch.nn.Module] = {
        "a": torch.nn.Sequential(torch.nn.ReLU()),
        "b": torch.nn.Sequential(torch.nn.Tanh()),
    }
    images = np.random.default_rng(4).normal(size=(900, 9, 4, 4)).astype(np.float32)
    images[:, 3] = images[:, 5]
    host = nets.collect(networks, images, layers=["0"]).layers["0"]
    request.getfixturevalue("_on_any_device")
    ours = nets.collect(networks, nets.batches(images, batch_size=128), layers=["0"]).layers["0"]
    assert ours.factor is not None
    assert host.factor is not None
    assert_same(ours.factor, host.factor)
    assert matches(ours.factor) == matches(host.factor)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
def test_collect_on_a_gpu(networks: dict[str, torch.nn.Module]) -> None:
    # Convolutions on the GPU may round their factors to 10 bits (TF32).
    assert_collects_the_same(networks, host_factors(networks), LAYERS, "cuda", 1e-2)
    assert all(not parameter.is_cuda for parameter in networks["a"].parameters())


@pytest.mark.usefixtures("_on_any_device")
def test_collect_without_factor_or_positions(networks: dict[str, torch.nn.Module]) -> None:
    for choice in ({"factor": False}, {"views": ["images"]}):
        layer = nets.collect(networks, IMAGES, layers=["relu"], **choice).layers["relu"]
        assert layer.factor is None
    with pytest.raises(ValueError, match="`views` must be a list of positions, images, got None"):
        nets.collect(networks, IMAGES, layers=["relu"], views=None)  # type: ignore[arg-type]


@pytest.mark.usefixtures("_on_any_device")
def test_collect_refuses_nan(networks: dict[str, torch.nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"positions\['b'\] of layer 'nan'` must be finite, got"):
        nets.collect(networks, IMAGES, layers=["nan"])


def test_builder_refuses_factors_of_something_else() -> None:
    x = np.random.default_rng(5).standard_normal((20, 3))
    own, without = StatisticsBuilder(["a"]), StatisticsBuilder(["a"], factor=False)
    for builder in (own, without):
        builder.update("dense", {"a": x}, {"a": x})
    good = Factor([3]).update([x])
    with pytest.raises(ValueError, match="`factors` must be given to a builder with factor=False"):
        own.finish(factors={"dense": good})
    for factors, got in (({}, "none"), ({"dense": good, "relu": good}, "dense, relu")):
        with pytest.raises(ValueError, match=f"`factors` must be given for dense, got {got}"):
            without.finish(factors=factors)
    for other in (Factor([3]).update([x[:9]]), Factor([2]).update([x[:, :2]])):
        message = r"`factors\['dense'\]` must have widths \[3\] and 20 examples, got \["
        with pytest.raises(ValueError, match=message):
            without.finish(factors={"dense": other})
    assert without.finish(factors={"dense": good}).layers["dense"].factor is good
    assert without.finish().layers["dense"].factor is None
