"""What the named networks have in common: how their sizes are checked, and their first weights."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from convergent import _validate

LARGE_IMAGE = 64
"""Images of this size and more get the form of a network that was made for ImageNet."""
_SMALLEST_IMAGE = 8


def check_sizes(in_channels: int, image_size: int, n_classes: int, *, smallest: int) -> None:
    """Refuse sizes that no network can have; images must be at least `smallest`."""
    _validate.integer(in_channels, "in_channels", low=1)
    _validate.integer(image_size, "image_size", low=smallest)
    _validate.integer(n_classes, "n_classes", low=2)


def check_stack(in_channels: int, image_size: int, n_classes: int, width: int) -> None:
    """Refuse sizes that no network of convolutions that halve an image a few times can have."""
    check_sizes(in_channels, image_size, n_classes, smallest=_SMALLEST_IMAGE)
    _validate.integer(width, "width", low=1)


def check_depth(depth: int, known: Iterable[int]) -> None:
    """Refuse a depth that is not one of those known."""
    if depth not in known:
        listed = ", ".join(map(str, known))
        raise ValueError(f"`depth` must be one of {listed}, got {depth}")


def check_dropout(dropout: float) -> float:
    """Return the share of units to drop."""
    share = _validate.real(dropout, "dropout")
    if not 0.0 <= share < 1.0:
        raise ValueError(f"`dropout` must lie in [0, 1), got {dropout}")
    return share


def draw_convolutions(network: nn.Module) -> None:
    """Draw kernels that keep the size of gradients (He et al. 2015), as torchvision does."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def draw_dense(network: nn.Module) -> None:
    """Draw small weights for dense layers, as torchvision's VGG does."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
