"""What is accumulated on a torch device in a pass over the data: moments and factors of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from convergent.nets.device_factor import DeviceFactor
from convergent.nets.device_moments import DeviceMoments
from convergent.nets.device_tensors import has_float64
from convergent.statistics.factor import Factor
from convergent.statistics.moments import Moments


class DeviceSums:
    """The moments and, if wanted, the factor of each layer of several networks.

    Parameters
    ----------
    device : torch.device
        Where to compute; it must have float64.
    factor : bool
        Whether to keep the factors, too.
    """

    def __init__(self, device: torch.device, factor: bool) -> None:
        self._device = device
        self._moments: dict[str, DeviceMoments] = {}
        self._factors: dict[str, DeviceFactor] | None = {} if factor else None

    def take(self, layer: str, outputs: Sequence[torch.Tensor]) -> None:
        """Take in one batch of a layer: checked outputs (n, units) or (n, channels, h, w)."""
        matrices = [_positions(tensor) for tensor in outputs]
        widths = [matrix.shape[1] for matrix in matrices]
        if layer not in self._moments:
            self._moments[layer] = DeviceMoments(widths, self._device)
        self._moments[layer].take(matrices)
        if self._factors is not None:
            if layer not in self._factors:
                self._factors[layer] = DeviceFactor(widths, self._device)
            self._factors[layer].take(matrices)

    def moments(self) -> Mapping[str, Moments]:
        """Return the moments by layer, on the host."""
        return {layer: moments.to_moments() for layer, moments in self._moments.items()}

    def factors(self) -> Mapping[str, Factor] | None:
        """Return the factors by layer, on the host; None if there are none."""
        if self._factors is None:
            return None
        return {layer: factor.to_factor() for layer, factor in self._factors.items()}


def keeps_sums(device: torch.device) -> bool:
    """Whether sums are better accumulated on a device than on the host, which has the kernels."""
    return device.type != "cpu" and has_float64(device)


def _positions(images: torch.Tensor) -> torch.Tensor:
    """Return the positions view: (n, c, h, w) becomes (n h w, c), a matrix stays as it is."""
    if images.ndim == 2:
        return images
    return images.permute(0, 2, 3, 1).reshape(-1, images.shape[1])
