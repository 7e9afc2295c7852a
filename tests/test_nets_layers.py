"""Which part of which run of a module is collected, and which axis holds its units."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

import torch
from torch import nn

from convergent import nets
from tests.reference import layer_views as reference

Pair = namedtuple("Pair", ["left", "right"])


@dataclass
class Report:
    hidden: torch.Tensor
    states: tuple[torch.Tensor, ...]


class Putting(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, hidden: Any) -> Any:
        return self.function(hidden)


class Items(nn.Module):
    """Puts out tensors in containers of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.list = Putting(lambda x: [None, [x, x + 1], x + 2])
        self.mapping = Putting(lambda x: {"kind": "x", "hidden": x, "states": (x + 1, x + 2)})
        self.dataclass = Putting(lambda x: Report(x, (x + 1, x + 2)))
        self.named = Putting(lambda x: Pair(x, x + 1))

    def forward(self, images: torch.Tensor) -> Any:
        hidden = images.flatten(1)
        for module in (self.list, self.mapping, self.dataclass, self.named):
            module(hidden)
        return {"logits": hidden + 3, "states": [hidden, hidden + 1]}


class Runs(nn.Module):
    """A rectifier that runs three times, or as often as told."""

    def __init__(self, n_runs: int = 3) -> None:
        super().__init__()
        self.shared = Putting(lambda x: x + 1)
        self.n_runs = n_runs

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = images.flatten(1)
        for _ in range(self.n_runs or len(images)):
            hidden = self.shared(hidden)
        return hidden


IMAGES = np.random.default_rng(0).normal(size=(9, 2, 3, 4)).astype(np.float32)
FLAT = IMAGES.reshape(9, -1)


def kept(network: nn.Module, layers: Any, images: Any = IMAGES, **how: Any) -> dict[str, Any]:
    loader = nets.batches(images, batch_size=4)  # the second batch takes another way than the first
    return dict(nets.collect({"x": network}, loader, layers=layers, **how).layers)


@pytest.mark.parametrize(
    ("layer", "added"),
    [
        ("list", 0),
        ("list:1", 0),
        ("list:1:1", 1),
        ("list:2", 2),
        ("list:-1", 2),
        ("mapping:hidden", 0),
        ("mapping:states", 1),
        ("mapping:states:1", 2),
        ("mapping:2:0", 1),
        ("dataclass", 0),
        ("dataclass:hidden", 0),
        ("dataclass:states:-1", 2),
        ("dataclass:1", 1),
        ("named:right", 1),
        (":logits", 3),
        (":states:1", 1),
        ("m*g:states:1", 2),
    ],
)
def test_items_of_outputs(layer: str, added: int) -> None:
    name = layer.replace("m*g", "mapping")
    found = kept(Items(), [layer])[name]
    np.testing.assert_array_equal(found.images[0], FLAT + np.float32(added))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("list:3", r"layer 'list:3' of network 'x' has no '3' in its list of 3"),
        ("list:-4", "has no '-4' in its list of 3"),
        ("list:0", "layer 'list:0' of network 'x' must put out a tensor, got none"),
        ("list:2:0", "has no '0' in its Tensor"),
        ("list:2:shape", "has no 'shape' in its Tensor"),
        ("mapping:x", "has no 'x' in its dict of kind, hidden, states"),
        ("dataclass:x", "has no 'x' in its Report"),
        ("other:1", "network 'x' has no module 'other:1'; it has list, mapping"),
        ("list@0", "network 'x' has no module 'list@0'"),
        ("", "network 'x' has no module ''"),
    ],
)
def test_items_that_are_not_there(layer: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kept(Items(), [layer])


def test_runs_of_a_module() -> None:
    for run in (1, 2, 3):
        found = kept(Runs(), [f"shared@{run}"])[f"shared@{run}"]
        np.testing.assert_allclose(found.images[0], FLAT + run, rtol=0, atol=1e-6)
    found = kept(Runs(), ["shared@*", "shared@2"])
    assert list(found) == ["shared@1", "shared@2", "shared@3"]
    for run, layer in enumerate(found.values(), start=1):
        np.testing.assert_allclose(layer.images[0], FLAT + run, rtol=0, atol=1e-6)
    pair = {"a": Runs(2), "b": Runs(3)}
    by_network = {"a": ["shared@*"], "b": ["shared@3"]}
    statistics = nets.collect(pair, IMAGES, layers=by_network)
    assert list(statistics.layers) == ["shared@1 | shared@3", "shared@2 | shared@3"]
    assert statistics.settings["layers"]["shared@2 | shared@3"] == {
        "a": "shared@2",
        "b": "shared@3",
    }


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("shared", "ran 3 times in one forward pass; choose a run, such as 'shared@1', or all of "),
        ("shared@4", "layer 'shared@4' of network 'x' must have that many runs, got 3"),
    ],
)
def test_runs_that_are_not_there(layer: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kept(Runs(), [layer])


def test_runs_must_be_as_many() -> None:
    with pytest.raises(ValueError, match=r"'shared@\*' must run as often in every network, got"):
        nets.collect({"a": Runs(2), "b": Runs(3)}, IMAGES, layers=["shared@*"])
    with pytest.raises(ValueError, match=r"'shared@\*' of .* in every batch, got 4 and 1"):
        kept(Runs(0), ["shared@*"])


def assert_views(layer: Any, output: NDArray[Any], units: str) -> None:
    positions = reference.positions(output, units)
    np.testing.assert_allclose(layer.rows[0], positions, rtol=0, atol=1e-6)
    np.testing.assert_allclose(layer.images[0], reference.images(output, units), rtol=0, atol=1e-6)
    assert layer.moments.n_examples == len(positions)
    np.testing.assert_allclose(layer.moments.mean(0), positions.mean(axis=0), rtol=0, atol=1e-6)
    top = layer.top[0]
    largest = np.array([positions[:, unit].max() for unit in range(positions.shape[1])])
    np.testing.assert_allclose(top.values[:, 0], largest, rtol=0, atol=1e-6)


class Tokens(nn.Module):
    """Tokens with units last, as transformers have them."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 5)
        self.norm = nn.LayerNorm(5)
        self.block = nn.Sequential(nn.Linear(5, 6), nn.GELU())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.block(self.norm(self.embed(images.flatten(1, 2))))
        return hidden


class Signals(nn.Module):
    """Signals with channels second, as 1-D convolutions have them, and a dense output."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(6, 5, 2)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool1d(2, stride=1)
        self.output = nn.Linear(10, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = self.pool(self.relu(self.conv(images.flatten(1, 2))))
        logits: torch.Tensor = self.output(hidden.flatten(1))
        return logits


class Mixed(nn.Module):
    """Both in one part, as a block of ConvNeXt, so that nothing can be told of what is between."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 5, 1)
        self.last = Putting(lambda x: x.permute(0, 2, 3, 1))
        self.part = nn.Sequential(nn.Linear(5, 4), nn.GELU())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.part(self.last(self.conv(images)))
        return hidden


def recorded(network: nn.Module) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}

    def keeping(name: str) -> Any:
        def keep(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
            found[name] = output.detach().numpy().copy()

        return keep

    handles = [m.register_forward_hook(keeping(name)) for name, m in network.named_modules()]
    network(torch.from_numpy(IMAGES))
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize(
    ("kind", "layers", "units"),
    [
        (Tokens, ["embed", "norm", "block", "block.1"], "last"),
        (Signals, ["conv", "relu", "pool"], "second"),
        (Mixed, ["conv"], "second"),
        (Mixed, ["part.0", "part.1", "part"], "last"),
    ],
)
def test_the_axis_of_the_units(kind: Any, layers: list[str], units: str) -> None:
    torch.manual_seed(0)
    network = kind()
    outputs = recorded(network)
    found = kept(network, layers)
    for layer in layers:
        assert_views(found[layer], outputs[layer], units)


def test_the_axis_can_be_given() -> None:
    network = Mixed()
    output = recorded(network)["last"]
    message = r"layer 'last' of network 'x' puts out shape \(4, 3, 4, 5\) in a part .* unit_axis="
    with pytest.raises(ValueError, match=message):
        kept(network, ["last"])
    for given in (-1, {"la*": -1}, {"last": -1, "*": 1}):
        assert_views(kept(network, ["last"], unit_axis=given)["last"], output, "last")
    assert_views(kept(network, ["last"], unit_axis=1)["last"], output, "second")
    for wrong in (0, 2, True, {"last": "x"}):
        with pytest.raises(ValueError, match=r"`unit_axis` must be 1 .* or -1 .last., got"):
            kept(network, ["last"], unit_axis=wrong)


def test_tokens_are_a_map_of_width_one() -> None:
    network = Tokens()
    output = recorded(network)["embed"]
    top = kept(network, ["embed"])["embed"].top[0]
    assert top.map_shape == (6, 1)
    image, token = np.unravel_index(output[:, :, 2].argmax(), output.shape[:2])
    assert (top.images[2, 0], tuple(top.positions[2, 0])) == (image, (token, 0))
