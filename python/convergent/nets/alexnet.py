"""AlexNet as the networks of Li et al. (2016) are built: for ImageNet, and for small images."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from torch import nn

from convergent import _validate
from convergent.nets.model_arguments import check_dropout, check_sizes

CHANNELS = (96, 256, 384, 384, 256)
_POOLED = (1, 2, 5)
_NORMALISED = (1, 2)


class _Form(NamedTuple):
    """What differs between the network for large images and the one for small ones."""

    kernels: tuple[int, ...]
    first_stride: int
    first_padding: int
    dense_units: int
    smallest_image: int


_LARGE = _Form((11, 5, 3, 3, 3), 4, 0, 4096, 64)
_SMALL = _Form((5, 5, 3, 3, 3), 1, 2, 1024, 8)


class AlexNet(nn.Sequential):
    """Five convolutional and three dense layers for ImageNet, as in Li et al. (2016).

    Krizhevsky et al.'s network, as there without groups of channels and with response
    normalisation after pooling, as in Caffe's reference network; poolings keep the last, incomplete
    window, as Caffe does.

    The modules, in order: ``conv1``, ``relu1``, ``pool1``, ``norm1``, ``conv2``, ``relu2``,
    ``pool2``, ``norm2``, ``conv3``, ``relu3``, ``conv4``, ``relu4``, ``conv5``, ``relu5``,
    ``pool5``, ``flatten``, ``fc6``, ``relu6``, ``drop6``, ``fc7``, ``relu7``, ``drop7``,
    ``output``. Every rectifier is a module of its own, so each layer can be collected by name.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    image_size : int
        Height and width of the images, at least 64; the paper's are 227, which gives maps of 55 x
        55 in the first layer.
    n_classes : int
        Units of the output.
    width : float
        Factor on the channels 96, 256, 384, 384, 256 and on the 4,096 units of ``fc6`` and ``fc7``;
        at least one is kept.
    dropout : float
        Share of the units of ``fc6`` and ``fc7`` that are dropped in training, in [0, 1).

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Krizhevsky et al. (2012); Li et al. (2016), Section 2.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 227,
        n_classes: int = 1000,
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(_modules(_LARGE, in_channels, image_size, n_classes, width, dropout))
        _draw_weights(self)


class AlexNet32(nn.Sequential):
    """Five convolutional and three dense layers for small images, as in Li et al. (2016).

    `AlexNet` with smaller kernels and strides and fewer dense units, so that small images keep a map
    up to the last pooling. The modules have the same names in the same order; that there are no
    groups, the normalisation and the poolings are as there.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    image_size : int
        Height and width of the images, at least 8 (three poolings halve it).
    n_classes : int
        Units of the output.
    width : float
        Factor on the channels 96, 256, 384, 384, 256 and on the 1,024 units of ``fc6`` and ``fc7``;
        at least one is kept.
    dropout : float
        Share of the units of ``fc6`` and ``fc7`` that are dropped in training, in [0, 1).

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Krizhevsky et al. (2012); Li et al. (2016), Section 2.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: int = 32,
        n_classes: int = 10,
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(_modules(_SMALL, in_channels, image_size, n_classes, width, dropout))
        _draw_weights(self)


def _modules(
    form: _Form, in_channels: int, image_size: int, n_classes: int, width: float, dropout: float
) -> OrderedDict[str, nn.Module]:
    """Return the checked network's modules by name."""
    check_sizes(in_channels, image_size, n_classes, smallest=form.smallest_image)
    if _validate.real(width, "width") <= 0.0:
        raise ValueError(f"`width` must be positive, got {width}")
    share = check_dropout(dropout)
    channels = [max(1, round(width * number)) for number in CHANNELS]
    dense = max(1, round(width * form.dense_units))
    side = (image_size + 2 * form.first_padding - form.kernels[0]) // form.first_stride + 1
    for _ in range(len(_POOLED)):
        side = _pooled(side)
    return OrderedDict(
        [
            *_features(form, in_channels, channels).items(),
            ("flatten", nn.Flatten()),
            ("fc6", nn.Linear(channels[-1] * side * side, dense)),
            ("relu6", nn.ReLU()),
            ("drop6", nn.Dropout(share)),
            ("fc7", nn.Linear(dense, dense)),
            ("relu7", nn.ReLU()),
            ("drop7", nn.Dropout(share)),
            ("output", nn.Linear(dense, n_classes)),
        ]
    )


def _draw_weights(network: nn.Sequential) -> None:
    for name, module in network.named_children():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            _initialise(module, is_output=name == "output")


def _initialise(module: nn.Conv2d | nn.Linear, is_output: bool) -> None:
    """Draw weights that keep the size of signals, and small ones for the output, as Caffe does."""
    if is_output:
        nn.init.normal_(module.weight, std=0.01)
    else:
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def _features(form: _Form, in_channels: int, channels: list[int]) -> dict[str, nn.Module]:
    """Return the convolutions with what follows each of them."""
    modules: dict[str, nn.Module] = {}
    for number, (n_inputs, n_outputs, kernel) in enumerate(
        zip([in_channels, *channels], channels, form.kernels), start=1
    ):
        stride, padding = 1, kernel // 2
        if number == 1:
            stride, padding = form.first_stride, form.first_padding
        modules[f"conv{number}"] = nn.Conv2d(n_inputs, n_outputs, kernel, stride, padding)
        modules[f"relu{number}"] = nn.ReLU()
        if number in _POOLED:
            modules[f"pool{number}"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        if number in _NORMALISED:
            # Caffe's reference network: alpha 1e-4 over the sum of five channels' squares / 5.
            modules[f"norm{number}"] = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
    return modules


def _pooled(side: int) -> int:
    """Return the side of a map after a pooling of 3 in steps of 2 that keeps the last window."""
    return -(-(side - 3) // 2) + 1
