"""The block of residual networks, and the deep narrow networks for CIFAR with and without it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from convergent.nets.model_arguments import check_depth, check_stack, draw_convolutions, draw_dense

RESIDUAL_DEPTHS = (20, 32, 44, 56, 110)
PLAIN_DEPTHS = (20, 32, 34, 42, 44, 56)
_FOUR_STAGES = (34, 42)


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut around them (He et al. 2016, Figure 2).

    Unlike torchvision's block of the same layers, whose place it takes in its networks, each
    rectifier is a module of its own: ``relu1`` after the first convolution, ``relu2`` after the
    sum. The other modules have torchvision's names.

    Parameters
    ----------
    inplanes, planes : int
        Channels of what comes in and goes out.
    stride : int
        Of the first convolution.
    downsample : Module or None
        Makes the shortcut fit; None if it fits as it is.
    groups, base_width, dilation, norm_layer
        Taken because torchvision gives them; only its defaults for this block.
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if (groups, base_width, dilation) != (1, 64, 1):
            raise ValueError(
                f"`groups`, `base_width` and `dilation` must be 1, 64 and 1, "
                f"got {groups}, {base_width} and {dilation}"
            )
        norm = norm_layer or nn.BatchNorm2d
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = norm(planes)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = norm(planes)
        self.downsample = downsample
        self.relu2 = nn.ReLU()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps (n_images, planes, height, width)."""
        hidden = self.relu1(self.bn1(self.conv1(maps)))
        hidden = self.bn2(self.conv2(hidden))
        shortcut = maps if self.downsample is None else self.downsample(maps)
        summed: torch.Tensor = self.relu2(hidden + shortcut)
        return summed


class PaddedShortcut(nn.Module):
    """Every other pixel, and zeros for the channels that are new: a shortcut without weights.

    Option A of He et al. (2016), Section 4.2.
    """

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.n_new = n_outputs - n_inputs

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps (n_images, n_outputs, height / 2, width / 2), rounded up."""
        before = self.n_new // 2
        return nn.functional.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, before, self.n_new - before))


class CifarResNet(nn.Sequential):
    """The residual networks of 6n + 2 layers that He et al. (2016) made for CIFAR.

    Three stages of n blocks with 16, 32 and 64 channels; shortcuts have no weights (option A).
    The modules, in order: ``conv1``, ``bn1``, ``relu1``, ``layer1``, ``layer2``, ``layer3``,
    ``avgpool``, ``flatten``, ``output``; the rectifiers of a stage are ``layer1.0.relu1``,
    ``layer1.0.relu2``, ``layer1.1.relu1`` and so on, each a module of its own.

    Parameters
    ----------
    depth : int
        6n + 2, at least 8: 20, 32, 44, 56 and 110 in the paper.
    in_channels : int
        Channels of the images.
    image_size : int
        Height and width of the images, at least 8.
    n_classes : int
        Units of the output.
    width : int
        Channels of the first stage; the second has twice as many, the third four times.

    Raises
    ------
    ValueError
        If a number is out of range, or `depth` is not 6n + 2.

    References
    ----------
    He et al. (2016), Section 4.2; Wang et al. (2018), Figure 1c, "a deeper ResNet".
    """

    def __init__(
        self,
        depth: int = 20,
        *,
        in_channels: int = 3,
        image_size: int = 32,
        n_classes: int = 10,
        width: int = 16,
    ) -> None:
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"`depth` must be 6n + 2, at least 8, got {depth}")
        check_stack(in_channels, image_size, n_classes, width)
        widths = [width, 2 * width, 4 * width]
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        modules["conv1"] = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        modules["bn1"] = nn.BatchNorm2d(width)
        modules["relu1"] = nn.ReLU()
        for number, (n_inputs, n_outputs) in enumerate(zip([width, *widths], widths), start=1):
            modules[f"layer{number}"] = _stage(n_inputs, n_outputs, (depth - 2) // 6)
        super().__init__(_with_output(modules, widths[-1], n_classes))
        draw_convolutions(self)


def _stage(n_inputs: int, n_outputs: int, n_blocks: int) -> nn.Sequential:
    first = ResidualBlock(n_inputs, n_outputs)
    if n_inputs != n_outputs:
        shortcut = PaddedShortcut(n_inputs, n_outputs)
        first = ResidualBlock(n_inputs, n_outputs, stride=2, downsample=shortcut)
    return nn.Sequential(first, *(ResidualBlock(n_outputs, n_outputs) for _ in range(1, n_blocks)))


class PlainNet(nn.Sequential):
    """The deep "plain" networks of Wang et al. (2018): those of `CifarResNet` without shortcuts.

    The paper's text only speaks of a deeper ResNet; in the authors' program it is plain in the
    sense of He et al. (2016): convolutions of 3 x 3 with batch norm and rectifier one after the
    other, the first of each later stage in steps of 2, then the mean over positions and the output.
    Depths 20, 32, 44 and 56 have three stages with 16, 32 and 64 channels (6n + 2 layers); 34 and
    42 have a fourth with 128 (8n + 2).

    The modules, in order: ``conv1``, ``bn1``, ``relu1``, and so on for all convolutions;
    ``avgpool``, ``flatten``, ``output``.

    Parameters
    ----------
    depth : {20, 32, 34, 42, 44, 56}
        Layers with weights.
    in_channels : int
        Channels of the images.
    image_size : int
        Height and width of the images, at least 8.
    n_classes : int
        Units of the output.
    width : int
        Channels of the first stage; each later one has twice as many.

    Raises
    ------
    ValueError
        If a number is out of range, or there is no such depth.

    References
    ----------
    Wang et al. (2018), Figure 1c, and the authors' program; He et al. (2016), Section 4.2.
    """

    def __init__(
        self,
        depth: int = 44,
        *,
        in_channels: int = 3,
        image_size: int = 32,
        n_classes: int = 10,
        width: int = 16,
    ) -> None:
        check_depth(depth, PLAIN_DEPTHS)
        check_stack(in_channels, image_size, n_classes, width)
        n_stages = 4 if depth in _FOUR_STAGES else 3
        per_stage = (depth - 2) // n_stages
        widths = [width] * (per_stage + 1)
        for stage in range(1, n_stages):
            widths += [width * 2**stage] * per_stage
        super().__init__(_with_output(_plain_stack(in_channels, widths), widths[-1], n_classes))
        draw_convolutions(self)
        draw_dense(self)


def _plain_stack(in_channels: int, widths: Sequence[int]) -> OrderedDict[str, nn.Module]:
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (n_inputs, n_outputs) in enumerate(zip([in_channels, *widths], widths), start=1):
        stride = 2 if number > 1 and n_outputs > n_inputs else 1
        modules[f"conv{number}"] = nn.Conv2d(n_inputs, n_outputs, 3, stride=stride, padding=1)
        modules[f"bn{number}"] = nn.BatchNorm2d(n_outputs)
        modules[f"relu{number}"] = nn.ReLU()
    return modules


def _with_output(
    modules: OrderedDict[str, nn.Module], n_channels: int, n_classes: int
) -> OrderedDict[str, Any]:
    """Add the mean over positions and the output."""
    modules["avgpool"] = nn.AdaptiveAvgPool2d(1)
    modules["flatten"] = nn.Flatten()
    modules["output"] = nn.Linear(n_channels, n_classes)
    return modules
