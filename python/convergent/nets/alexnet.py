"""AlexNet for small images, as the networks of Li et al. (2016) are built."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from convergent import _validate

CHANNELS = (96, 256, 384, 384, 256)
DENSE_UNITS = 1024
_KERNELS = (5, 5, 3, 3, 3)
_POOLED = (1, 2, 5)
_NORMALISED = (1, 2)
_SMALLEST_IMAGE = 8


class AlexNet32(nn.Sequential):
    """Five convolutional and three dense layers for small images, as in Li et al. (2016).

    As there, channels are not split into groups, and the response is normalised after pooling, as
    in Caffe's reference network; poolings keep the last, incomplete window, as Caffe does. Kernels
    and strides are smaller than in the original, which takes images of 227 pixels.

    The modules, in order: ``conv1``, ``relu1``, ``pool1``, ``norm1``, ``conv2``, ``relu2``,
    ``pool2``, ``norm2``, ``conv3``, ``relu3``, ``conv4``, ``relu4``, ``conv5``, ``relu5``,
    ``pool5``, ``flatten``, ``fc6``, ``relu6``, ``drop6``, ``fc7``, ``relu7``, ``drop7``,
    ``output``. Every rectifier is a module of its own, so each layer can be collected by name.

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
        _validate.integer(in_channels, "in_channels", low=1)
        _validate.integer(image_size, "image_size", low=_SMALLEST_IMAGE)
        _validate.integer(n_classes, "n_classes", low=2)
        if _validate.real(width, "width") <= 0.0:
            raise ValueError(f"`width` must be positive, got {width}")
        if not 0.0 <= _validate.real(dropout, "dropout") < 1.0:
            raise ValueError(f"`dropout` must lie in [0, 1), got {dropout}")
        channels = [max(1, round(width * number)) for number in CHANNELS]
        dense = max(1, round(width * DENSE_UNITS))
        side = image_size
        for _ in range(len(_POOLED)):
            side = _pooled(side)
        super().__init__(
            OrderedDict(
                [
                    *_features(in_channels, channels).items(),
                    ("flatten", nn.Flatten()),
                    ("fc6", nn.Linear(channels[-1] * side * side, dense)),
                    ("relu6", nn.ReLU()),
                    ("drop6", nn.Dropout(dropout)),
                    ("fc7", nn.Linear(dense, dense)),
                    ("relu7", nn.ReLU()),
                    ("drop7", nn.Dropout(dropout)),
                    ("output", nn.Linear(dense, n_classes)),
                ]
            )
        )
        for name, module in self.named_children():
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


def _features(in_channels: int, channels: list[int]) -> dict[str, nn.Module]:
    """Return the convolutions with what follows each of them."""
    modules: dict[str, nn.Module] = {}
    for number, (n_inputs, n_outputs, kernel) in enumerate(
        zip([in_channels, *channels], channels, _KERNELS), start=1
    ):
        padding = kernel // 2
        modules[f"conv{number}"] = nn.Conv2d(n_inputs, n_outputs, kernel, padding=padding)
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
