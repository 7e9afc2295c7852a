"""Whether images come with channels last in memory, and how they get there."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def has_convolutions(network: nn.Module) -> bool:
    """Whether the network has any in two dimensions, for which channels may come last."""
    return any(isinstance(module, nn.Conv2d) for module in network.modules())


def runs_faster_channels_last(network: nn.Module, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether its convolutions do: those of oneDNN on a CPU, in single precision and below."""
    return (
        device.type == "cpu"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and dtype != torch.float64
        and has_convolutions(network)
    )


def with_channels_last(value: Any) -> Any:
    """Return images laid out that way; what is none as it is."""
    if value.ndim != 4 or not value.is_floating_point():
        return value
    return value.contiguous(memory_format=torch.channels_last)
