"""One pass whose moments and factor are accumulated on the networks' device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from convergent import nets
from convergent.nets import extraction
from convergent.nets.device_sums import keeps_sums
from convergent.statistics import Factor, LayerStatistics, Moments, StatisticsBuilder
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
    """Keep the sums with torch, also on the CPU; the host's must not be used then."""

    def refuse(*_: Any) -> None:
        raise AssertionError("the host accumulates")

    monkeypatch.setattr(extraction, "keeps_sums", lambda device: True)
    for kind, method in ((Factor, "take"), (Moments, "update_checked")):
        monkeypatch.setattr(kind, method, refuse)
        monkeypatch.setattr(kind, "update", refuse)


def on_host(networks: dict[str, torch.nn.Module]) -> dict[str, LayerStatistics]:
    return dict(nets.collect(networks, IMAGES, layers=LAYERS).layers)


def assert_collects_the_same(
    networks: dict[str, torch.nn.Module],
    expected: dict[str, LayerStatistics],
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
        assert layer.factor.widths == layer.moments.widths == layer.widths == expected[name].widths
        host = expected[name]
        assert host.factor is not None
        assert host.moments is not None
        ours, theirs = layer.factor.triangle(), host.factor.triangle()
        assert_close(ours.T @ ours, theirs.T @ theirs, tolerance)
        assert_close(layer.moments.mean(), host.moments.mean(), tolerance)
        for i, j in ((0, 0), (0, 1), (1, 1)):
            assert_close(layer.moments.covariance(i, j), host.moments.covariance(i, j), tolerance)


def assert_close(ours: Any, theirs: Any, tolerance: float) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def test_collect(networks: dict[str, torch.nn.Module], request: pytest.FixtureRequest) -> None:
    expected = on_host(networks)
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
    assert ours.moments is not None
    assert host.moments is not None
    assert ours.moments.n_examples == host.moments.n_examples == 900 * 16
    for i, j in ((0, 0), (0, 1), (1, 1)):
        found, expected = ours.moments.correlation(i, j), host.moments.correlation(i, j)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
def test_collect_on_a_gpu(networks: dict[str, torch.nn.Module]) -> None:
    # Convolutions on the GPU may round their factors to 10 bits (TF32).
    assert_collects_the_same(networks, on_host(networks), LAYERS, "cuda", 1e-2)
    assert all(not parameter.is_cuda for parameter in networks["a"].parameters())


@pytest.mark.usefixtures("_on_any_device")
def test_collect_without_factor_or_positions(networks: dict[str, torch.nn.Module]) -> None:
    for choice in ({"factor": False}, {"views": ["images"]}):
        layer = nets.collect(networks, IMAGES, layers=["relu"], **choice).layers["relu"]
        assert layer.factor is None
        assert (layer.moments is None) == ("views" in choice)
    with pytest.raises(ValueError, match="`views` must be a list of positions, images, got None"):
        nets.collect(networks, IMAGES, layers=["relu"], views=None)  # type: ignore[arg-type]


@pytest.mark.usefixtures("_on_any_device")
def test_collect_refuses_nan(networks: dict[str, torch.nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"positions\['b'\] of layer 'nan'` must be finite, got"):
        nets.collect(networks, IMAGES, layers=["nan"])


@pytest.mark.parametrize(("noun", "kind"), [("factors", Factor), ("moments", Moments)])
def test_builder_refuses_sums_of_something_else(noun: str, kind: Any) -> None:
    x = np.random.default_rng(5).standard_normal((20, 3))
    own, without = StatisticsBuilder(["a"]), StatisticsBuilder(["a"], moments=False, factor=False)
    for builder in (own, without):
        builder.update("dense", {"a": x}, {"a": x})
    good = kind([3]).update([x])
    refusal = f"`{noun}` must be given to a builder that keeps none"
    with pytest.raises(ValueError, match=refusal):
        own.finish(**{noun: {"dense": good}})
    for given, got in (({}, "none"), ({"dense": good, "relu": good}, "dense, relu")):
        with pytest.raises(ValueError, match=f"`{noun}` must be given for dense, got {got}"):
            without.finish(**{noun: given})
    for other in (kind([3]).update([x[:9]]), kind([2]).update([x[:, :2]])):
        message = rf"`{noun}\['dense'\]` must have widths \[3\] and 20 examples, got \["
        with pytest.raises(ValueError, match=message):
            without.finish(**{noun: {"dense": other}})
    layer = without.finish(**{noun: {"dense": good}}).layers["dense"]
    assert {"factors": layer.factor, "moments": layer.moments}[noun] is good
    layer = without.finish().layers["dense"]
    assert layer.factor is None
    assert layer.moments is None


def test_devices_that_keep_the_sums() -> None:
    kept = {name: keeps_sums(torch.device(name)) for name in ("cpu", "cuda", "cuda:1", "mps")}
    assert kept == {"cpu": False, "cuda": True, "cuda:1": True, "mps": False}
