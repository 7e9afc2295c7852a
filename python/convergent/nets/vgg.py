"""VGG, in the form for small images and in the one for ImageNet."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from convergent.nets.model_arguments import (
    LARGE_IMAGE,
    check_depth,
    check_dropout,
    check_stack,
    draw_convolutions,
    draw_dense,
)

CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""By depth: how many convolutions precede each of the five poolings."""
_FACTORS = (1, 2, 4, 8, 8)
_DENSE_FACTOR = 64
_POOLED_SIDE = 7


class VGG(nn.Sequential):
    """VGG11, 13, 16 or 19 of Simonyan and Zisserman (2014), with or without batch norm.

    Images of 64 pixels and more get torchvision's network: the same layers in the same order, so
    its weights fit one by one, under the names that follow. Smaller ones get the form that is usual
    for CIFAR: the same convolutions, poolings that keep the last, incomplete window, and one dense
    layer, the output; there, convolutions before batch norm have no bias.

    The modules, in order: ``conv1``, (``bn1``,) ``relu1``, and so on for all convolutions, with
    ``pool1`` to ``pool5`` between them; ``flatten``, ``output``. For large images (VGG11):
    ``avgpool``, ``flatten``, ``fc9``, ``relu9``, ``drop9``, ``fc10``, ``relu10``, ``drop10``,
    ``output``. Every rectifier is a module of its own, so each layer can be collected by name.

    Parameters
    ----------
    depth : {11, 13, 16, 19}
        Layers with weights in the original form, which has three dense ones.
    batch_norm : bool
        Whether each convolution is followed by batch norm.
    in_channels : int
        Channels of the images.
    image_size : int
        Height and width of the images, at least 8.
    n_classes : int
        Units of the output.
    width : int
        Channels of the first convolution; the last has eight times as many, and the dense layers
        of the form for large images have 64 times as many units.
    dropout : float
        Share of the units of those dense layers that are dropped in training, in [0, 1).

    Raises
    ------
    ValueError
        If a number is out of range, or there is no such depth.

    References
    ----------
    Simonyan and Zisserman (2014), Table 1; Wang et al. (2018), Section 5.
    """

    def __init__(
        self,
        depth: int = 11,
        batch_norm: bool = False,
        *,
        in_channels: int = 3,
        image_size: int = 32,
        n_classes: int = 10,
        width: int = 64,
        dropout: float = 0.5,
    ) -> None:
        check_depth(depth, CONVOLUTIONS)
        check_stack(in_channels, image_size, n_classes, width)
        large = image_size >= LARGE_IMAGE
        modules = _stack(CONVOLUTIONS[depth], in_channels, width, batch_norm, large)
        n_channels = _FACTORS[-1] * width
        if large:
            modules.update(_dense_layers(sum(CONVOLUTIONS[depth]) + 1, n_channels, width, dropout))
            n_inputs = _DENSE_FACTOR * width
        else:
            side = -(-image_size // 2 ** len(_FACTORS))
            modules["flatten"] = nn.Flatten()
            n_inputs = n_channels * side * side
        modules["output"] = nn.Linear(n_inputs, n_classes)
        super().__init__(modules)
        draw_convolutions(self)
        draw_dense(self)


def _stack(
    convolutions: tuple[int, ...], in_channels: int, width: int, batch_norm: bool, large: bool
) -> OrderedDict[str, nn.Module]:
    """Return the convolutions with what follows each of them."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    number, n_inputs = 0, in_channels
    for stage, (count, factor) in enumerate(zip(convolutions, _FACTORS), start=1):
        for _ in range(count):
            number, n_outputs = number + 1, factor * width
            modules[f"conv{number}"] = nn.Conv2d(
                n_inputs, n_outputs, kernel_size=3, padding=1, bias=large or not batch_norm
            )
            if batch_norm:
                modules[f"bn{number}"] = nn.BatchNorm2d(n_outputs)
            modules[f"relu{number}"] = nn.ReLU()
            n_inputs = n_outputs
        modules[f"pool{stage}"] = nn.MaxPool2d(2, ceil_mode=not large)
    return modules


def _dense_layers(
    number: int, n_channels: int, width: int, dropout: float
) -> OrderedDict[str, nn.Module]:
    """Return what is between convolutions and output for large images; counting goes on."""
    share, dense = check_dropout(dropout), _DENSE_FACTOR * width
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    modules["avgpool"] = nn.AdaptiveAvgPool2d(_POOLED_SIDE)
    modules["flatten"] = nn.Flatten()
    for layer, n_inputs in ((number, n_channels * _POOLED_SIDE**2), (number + 1, dense)):
        modules[f"fc{layer}"] = nn.Linear(n_inputs, dense)
        modules[f"relu{layer}"] = nn.ReLU()
        modules[f"drop{layer}"] = nn.Dropout(share)
    return modules
