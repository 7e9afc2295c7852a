"""AlexNet for small images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from convergent import nets

NAMES = (
    "conv1 relu1 pool1 norm1 conv2 relu2 pool2 norm2 conv3 relu3 conv4 relu4 conv5 relu5 pool5 "
    "flatten fc6 relu6 drop6 fc7 relu7 drop7 output"
)


pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_modules_and_widths() -> None:
    network = nets.AlexNet32()
    assert " ".join(name for name, _ in network.named_children()) == NAMES
    convolutions = [module for module in network if isinstance(module, nn.Conv2d)]
    assert [module.out_channels for module in convolutions] == [96, 256, 384, 384, 256]
    assert all(module.groups == 1 for module in convolutions)
    dense = [module for module in network if isinstance(module, nn.Linear)]
    assert [module.out_features for module in dense] == [1024, 1024, 10]
    assert dense[0].in_features == 256 * 4 * 4


def test_width_scales_every_layer_but_the_output() -> None:
    network = nets.AlexNet32(width=0.25, n_classes=7)
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
    assert [shapes[f"conv{number}.weight"][0] for number in range(1, 6)] == [24, 64, 96, 96, 64]
    assert shapes["fc6.weight"] == (256, 64 * 16)
    assert shapes["output.weight"] == (7, 256)
    assert dict(nets.AlexNet32(width=1e-6).named_parameters())["conv5.weight"].shape == (1, 1, 3, 3)


@pytest.mark.parametrize("size", [8, 9, 15, 28, 32, 47])
def test_images_of_any_size(size: int) -> None:
    network = nets.AlexNet32(in_channels=2, image_size=size, width=0.02)
    assert network(torch.zeros(3, 2, size, size)).shape == (3, 10)


def test_response_normalisation_is_caffes() -> None:
    """Krizhevsky et al. (2012), Section 3.3, with Caffe's alpha over the number of channels."""
    network: Any = nets.AlexNet32(width=0.1)
    maps = 30.0 * torch.rand(1, 10, 1, 1)
    found = network.norm1(maps)[0, :, 0, 0]
    values = maps[0, :, 0, 0].tolist()
    for channel, value in enumerate(values):
        near = values[max(0, channel - 2) : channel + 3]
        scale = (1.0 + 1e-4 / 5 * sum(v * v for v in near)) ** 0.75
        assert found[channel].item() == pytest.approx(value / scale, rel=1e-5)


def test_trained_by_name(tmp_path: Path) -> None:
    digits = nets.digits()
    data = nets.ImageDataset(
        digits.train_images[:100],
        digits.train_labels[:100],
        digits.test_images[:50],
        digits.test_labels[:50],
        digits.class_names,
        "digits",
    )
    paths = nets.train(
        "alexnet32", data, seeds=[0], out=tmp_path, epochs=1, learning_rate=0.01,
        model_parameters={"width": 0.05, "dropout": 0.0},
    )  # fmt: skip
    network = nets.load_network(paths[0])
    assert isinstance(network, nets.AlexNet32)
    assert network(torch.from_numpy(data.test_images[:4])).shape == (4, 10)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"in_channels": 0}, "`in_channels` must be at least 1, got 0"),
        ({"image_size": 7}, "`image_size` must be at least 8, got 7"),
        ({"n_classes": 1}, "`n_classes` must be at least 2, got 1"),
        ({"width": 0.0}, r"`width` must be positive, got 0\.0"),
        ({"dropout": 1.0}, r"`dropout` must lie in \[0, 1\), got 1\.0"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nets.AlexNet32(**parameters)
