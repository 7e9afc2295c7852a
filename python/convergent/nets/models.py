"""The networks that `train` knows by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from convergent import _validate
from convergent.nets.alexnet import AlexNet, AlexNet32
from convergent.nets.residual import PLAIN_DEPTHS, RESIDUAL_DEPTHS, CifarResNet, PlainNet
from convergent.nets.vgg import CONVOLUTIONS, VGG


class ConvNet(nn.Module):
    """Two convolutional layers and one dense layer before the output, as in Lu et al. (2018).

    The modules, in order: ``conv1``, ``relu1``, ``pool1``, ``conv2``, ``relu2``, ``pool2``,
    ``dense``, ``relu3``, ``output``. Every rectifier is a module of its own, so each layer can be
    collected by name.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    image_size : int
        Height and width of the images, at least 4 (two poolings halve it twice).
    widths : sequence of three int
        Channels of the convolutions and units of the dense layer.
    n_classes : int
        Units of the output.
    width : int or None
        Takes the place of `widths`: as many channels, twice as many, and four times as many units.

    Raises
    ------
    ValueError
        If a number is too small, or `widths` are not three.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: int = 8,
        widths: Sequence[int] = (16, 32, 64),
        n_classes: int = 10,
        width: int | None = None,
    ) -> None:
        super().__init__()
        if width is not None:
            _validate.integer(width, "width", low=1)
            widths = (width, 2 * width, 4 * width)
        _validate.integer(in_channels, "in_channels", low=1)
        _validate.integer(image_size, "image_size", low=4)
        _validate.integer(n_classes, "n_classes", low=2)
        if len(widths) != 3:
            raise ValueError(f"`widths` must be three numbers, got {list(widths)}")
        first, second, third = (_validate.integer(width, "widths", low=1) for width in widths)
        self.conv1 = nn.Conv2d(in_channels, first, kernel_size=3, padding=1)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(first, second, kernel_size=3, padding=1)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        side = image_size // 2 // 2
        self.dense = nn.Linear(second * side * side, third)
        self.relu3 = nn.ReLU()
        self.output = nn.Linear(third, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (n_images, n_classes) of images (n_images, in_channels, size, size)."""
        hidden = self.pool1(self.relu1(self.conv1(images)))
        hidden = self.pool2(self.relu2(self.conv2(hidden)))
        hidden = self.relu3(self.dense(hidden.flatten(1)))
        logits: torch.Tensor = self.output(hidden)
        return logits


def _resnet(depth: int, **parameters: Any) -> nn.Module:
    """Return a ResNet; torchvision, on which it is built, is only imported for it."""
    from convergent.nets.resnet import ResNet

    return ResNet(depth, **parameters)


MODELS: dict[str, Callable[..., nn.Module]] = {
    "convnet": ConvNet,
    "alexnet32": AlexNet32,
    "alexnet": AlexNet,
    **{f"vgg{depth}": partial(VGG, depth) for depth in CONVOLUTIONS},
    **{f"vgg{depth}_bn": partial(VGG, depth, True) for depth in CONVOLUTIONS},
    **{f"resnet{depth}": partial(_resnet, depth) for depth in (18, 34)},
    **{f"resnet{depth}": partial(CifarResNet, depth) for depth in RESIDUAL_DEPTHS},
    **{f"plain{depth}": partial(PlainNet, depth) for depth in PLAIN_DEPTHS},
}
"""Networks by name; all take `in_channels`, `image_size`, `n_classes`, `width`, some one of their own."""


def build_model(name: str, **parameters: Any) -> nn.Module:
    """Return a new network by its name in `MODELS`.

    Parameters
    ----------
    name : str
        ``convnet``, ``alexnet``, ``alexnet32``, ``vgg11`` (13, 16, 19), ``vgg11_bn`` and so on,
        ``resnet18`` (34), ``resnet20`` (32, 44, 56, 110), ``plain20`` (32, 34, 42, 44, 56).
    parameters
        Of the network: `ConvNet`, `AlexNet`, `AlexNet32`, `VGG`, `ResNet`, `CifarResNet` or
        `PlainNet`. All take `in_channels`, `image_size`, `n_classes` and `width`.

    Raises
    ------
    ValueError
        If there is no such network, or it refuses a parameter's value.
    TypeError
        If it has no such parameter.

    Examples
    --------
    >>> from convergent import nets
    >>> network = nets.build_model("vgg11_bn", in_channels=1, image_size=28, width=8)
    >>> [name for name, _ in network.named_children()][:4]
    ['conv1', 'bn1', 'relu1', 'pool1']
    """
    return MODELS[_validate.choice(name, "model", tuple(MODELS))](**parameters)
