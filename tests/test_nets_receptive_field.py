"""Receptive fields that were found by trial, against convolution arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from convergent import nets
from tests.reference.receptive_field import Window, field, hull

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def assert_field(
    found: nets.ReceptiveField,
    rows: tuple[int, int, int],
    columns: tuple[int, int, int] | None = None,
) -> None:
    axes = (rows, columns or rows)
    assert found.size == tuple(axis[0] for axis in axes)
    assert found.stride == tuple(axis[1] for axis in axes)
    assert found.offset == tuple(axis[2] for axis in axes)


def convolution(window: Window) -> nn.Module:
    return nn.Conv2d(2, 2, *window)


def max_pooling(window: Window) -> nn.Module:
    return nn.MaxPool2d(window.kernel, window.stride, window.padding, window.dilation)


def mean_pooling(window: Window) -> nn.Module:
    return nn.AvgPool2d(window.kernel, window.stride, window.padding)


Step = tuple[Callable[[Window], nn.Module], Window]

CHAINS: dict[str, list[Step]] = {
    "one pixel": [(convolution, Window(1))],
    "no padding": [(convolution, Window(3)), (convolution, Window(5))],
    "padded": [(convolution, Window(3, 1, 1)), (convolution, Window(5, 1, 2))],
    "uneven padding": [(convolution, Window(5, 1, 1)), (convolution, Window(2, 1, 1))],
    "strided": [(convolution, Window(5, 2, 2)), (convolution, Window(3, 3, 0))],
    "holes": [(convolution, Window(1, 3)), (convolution, Window(2, 2))],
    "dilated": [(convolution, Window(3, 1, 2, 2)), (convolution, Window(3, 2, 4, 4))],
    "poolings": [
        (convolution, Window(3, 1, 1)),
        (max_pooling, Window(3, 2, 1)),
        (convolution, Window(3, 1, 1)),
        (mean_pooling, Window(2, 2)),
        (max_pooling, Window(2, 1, 0, 2)),
    ],
    "larger than the image": [(convolution, Window(9, 2, 4))] * 3,
    "imagenet stem": [(convolution, Window(7, 2, 3)), (max_pooling, Window(3, 2, 1))],
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("size", [(24, 24), (31, 20)])
def test_chains(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    modules: list[nn.Module] = []
    for build, window in CHAINS[name]:
        modules += [build(window), nn.ReLU(inplace=True)]
    network = nn.Sequential(*modules)
    for last in {0, len(CHAINS[name]) - 1}:
        found = nets.receptive_field(network, str(2 * last + 1), (2, *size))
        assert_field(found, field([window for _, window in CHAINS[name][: last + 1]]))
        with torch.inference_mode():
            output = network[: 2 * last + 2](torch.zeros(1, 2, *size))
        assert found.map_shape == tuple(output.shape[2:])


def test_axes_may_differ() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, (3, 5), stride=(1, 2), padding=(0, 1)), nn.MaxPool2d((2, 1), (2, 1))
    )
    found = nets.receptive_field(network, "1", (1, 20, 33))
    rows = field([Window(3), Window(2, 2)])
    columns = field([Window(5, 2, 1)])
    assert_field(found, rows, columns)


def test_alexnet() -> None:
    network = nets.AlexNet32(width=0.02)
    five, three = Window(5, 1, 2), Window(3, 1, 1)
    pooling = Window(3, 2)
    chains = {
        "relu1": [five],
        "norm2": [five, pooling, five, pooling],
        "relu5": [five, pooling, five, pooling, three, three, three],
    }
    for layer, chain in chains.items():
        assert_field(nets.receptive_field(network, layer, (3, 32, 32)), field(chain))
    for layer in ("flatten", "relu6", "output"):
        found = nets.receptive_field(network, layer, (3, 32, 32))
        assert_field(found, (32, 0, 0))
        assert found.map_shape == ()


def test_vgg11() -> None:
    modules: list[nn.Module] = []
    chain: list[Window] = []
    rectifiers: dict[str, list[Window]] = {}
    for width in (2, "M", 2, "M", 2, 2, "M", 2, 2, "M", 2, 2, "M"):
        if width == "M":
            modules.append(nn.MaxPool2d(2))
            chain.append(Window(2, 2))
            continue
        inputs = 2 if modules else 3
        modules += [nn.Conv2d(inputs, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2), nn.ReLU()]
        chain.append(Window(3, 1, 1))
        rectifiers[str(len(modules) - 1)] = list(chain)
    network = nn.Sequential(*modules, nn.Flatten(), nn.Linear(2, 10))
    for layer in ("6", "13"):
        found = nets.receptive_field(network, layer, (3, 32, 32))
        assert_field(found, field(rectifiers[layer]))
    assert_field(nets.receptive_field(network, "27", (3, 32, 32)), (134, 16, -59))


class Residual(nn.Module):
    """A block of ResNet, with a shortcut of stride 2."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.first = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.shortcut = nn.Conv2d(4, 4, 1, stride=2)
        self.sum = nn.ReLU()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid())
        self.gated = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = torch.nn.functional.leaky_relu(self.stem(images))
        inner = self.second(torch.relu(self.first(hidden)))
        hidden = self.sum(self.norm(inner) + self.shortcut(hidden))
        gated: torch.Tensor = self.gated(hidden * self.gate(hidden))
        return gated


def test_residual_blocks_see_the_hull_of_their_branches() -> None:
    three = Window(3, 1, 1)
    inner = field([three, Window(3, 2, 1), three])
    shortcut = field([three, Window(1, 2)])
    network = Residual()
    assert_field(nets.receptive_field(network, "shortcut", (3, 16, 16)), shortcut)
    assert_field(nets.receptive_field(network, "sum", (3, 16, 16)), hull(inner, shortcut))


def test_what_depends_on_everything_sees_the_whole_image() -> None:
    found = nets.receptive_field(Residual(), "gated", (3, 16, 12))
    assert (found.size, found.stride, found.offset) == ((16, 12), (0, 0), (0, 0))
    assert found.map_shape == (8, 6)


def test_what_takes_one_size_of_images_sees_the_whole_image() -> None:
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.Unflatten(1, (2, 4, 4)), nn.Conv2d(2, 3, 3)
    )
    found = nets.receptive_field(network, "3", (1, 8, 8))
    assert (found.size, found.stride, found.map_shape) == ((8, 8), (0, 0), (2, 2))


def test_boxes() -> None:
    found = nets.ReceptiveField((3, 5), (1, 2), (-1, -2), (4, 4))
    positions = np.array([[[0, 0], [2, 3]]])
    assert found.boxes(positions).tolist() == [[[-1, -2, 2, 3], [1, 4, 4, 9]]]
    assert found.boxes(positions).dtype == np.int64


def test_network_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    nets.receptive_field(network, "2", (1, 9, 9))
    assert all(module.training and not module._forward_hooks for module in network.modules())
    for name, value in network.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.ReLU()
        self.sequence = nn.Flatten(2)
        self.undefined = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.sequence(images)
        undefined: torch.Tensor = self.undefined(images * torch.nan)
        return undefined


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        ("nothing", (1, 8, 8), "network has no module 'nothing'; it has unused, sequence"),
        ("", (1, 8, 8), "network has no module ''"),
        ("unused", (1, 8, 8), "layer 'unused' must run and put out a tensor, got none"),
        ("sequence", (1, 8, 8), r"must put out .*, got shape \(1, 1, 64\)"),
        ("undefined", (1, 8, 8), "`network` must not make NaN of ordinary images"),
        ("unused", (8, 8), "`image_shape` must be channels, height and width"),
        ("unused", (1, 8, 0), "`image_shape` must be at least 1, got 0"),
    ],
)
def test_bad_input(layer: str, shape: Sequence[int], message: str) -> None:
    network: Any = Odd()
    with pytest.raises(ValueError, match=message):
        nets.receptive_field(network, layer, shape)
    assert not any(module._forward_hooks for module in network.modules())
