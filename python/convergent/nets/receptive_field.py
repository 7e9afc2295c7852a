"""Which part of its input a position of a layer sees, found by trial for any network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convergent import _validate
from convergent.nets.network_runs import evaluating
from convergent.nets.outputs import first_tensor

_LARGEST_CANVAS = 1024
_BATCH = 16


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The boxes of input pixels that the positions of a layer depend on.

    Position (row, column) of the layer's map sees the pixels from ``offset + stride * (row,
    column)`` on, `size` of them along each axis; with padding the box may reach beyond the image.
    Where a layer sees the whole image along an axis, `size` is the image's, offset and stride are
    0.
    """

    size: tuple[int, int]
    """Height and width of a box in input pixels."""
    stride: tuple[int, int]
    """Input pixels from one position to the next."""
    offset: tuple[int, int]
    """Top and left of the box of position (0, 0)."""
    map_shape: tuple[int, ...]
    """Height and width of the layer's map; () where its output has no positions."""

    def boxes(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return int64 (..., 4), top, left, bottom, right, of positions (..., 2).

        Bottom and right are excluded. The boxes are not clipped to the image.
        """
        start = np.asarray(positions, dtype=np.int64) * self.stride + np.array(self.offset)
        return np.concatenate([start, start + np.array(self.size)], axis=-1)


def receptive_field(network: nn.Module, layer: str, image_shape: Sequence[int]) -> ReceptiveField:
    """Return which input pixels the positions of a module's output depend on.

    Parameters
    ----------
    network : Module
        Takes images (n_images, n_channels, height, width); left as it was.
    layer : str
        Name of one of its modules, which puts out (n_images, n_units) or (n_images, n_channels,
        height, width).
    image_shape : sequence of three int
        Channels, height and width of its input.

    Raises
    ------
    ValueError
        If there is no such module, it does not run or puts out something else, or the network
        makes NaN of ordinary images.

    Notes
    -----
    Rows of NaN go through the network, in float64 and on the CPU, and show up wherever a position
    depends on them, whatever the weights are and however the modules are connected: padding,
    strides, dilation, poolings and residual connections need no rules of their own. Images are
    made larger (up to 1,024 pixels) until the boxes fit. A layer counts as seeing the whole image
    if its boxes do not fit then, if it cannot take larger images, as after a dense layer, or if
    its boxes do not lie on a regular grid, as after some adaptive poolings.

    Examples
    --------
    >>> from convergent import nets
    >>> nets.receptive_field(nets.ConvNet(), "relu2", (1, 8, 8))
    ReceptiveField(size=(8, 8), stride=(2, 2), offset=(-3, -3), map_shape=(4, 4))
    """
    channels, height, width = _image_shape(image_shape)
    probe = _Probe(network, layer, channels)
    with evaluating({"network": network}, "cpu"):
        map_shape = probe.map_shape(height, width)
        if not map_shape:
            return ReceptiveField((height, width), (0, 0), (0, 0), ())
        rows = _along(probe, (height, width), 0, map_shape[0])
        columns = _along(probe, (height, width), 1, map_shape[1])
    size, stride, offset = zip(rows, columns)
    return ReceptiveField(size, stride, offset, map_shape)


def _image_shape(value: Any) -> tuple[int, int, int]:
    if not isinstance(value, Sequence) or len(value) != 3:
        raise ValueError(f"`image_shape` must be channels, height and width, got {value!r}")
    channels, height, width = (_validate.integer(n, "image_shape", low=1) for n in value)
    return channels, height, width


class _Reached(Exception):
    """Ends a forward pass as soon as the layer has put out something."""


class _Probe:
    """Runs a network up to one module, on images with some rows or columns of NaN."""

    def __init__(self, network: nn.Module, layer: str, channels: int) -> None:
        self._network = network
        self._channels = channels
        self._name = layer
        modules = dict(network.named_modules(remove_duplicate=False))
        if not layer or layer not in modules:
            raise ValueError(
                f"network has no module {layer!r}; it has "
                f"{', '.join(name for name in modules if name)}"
            )
        self._layer = modules[layer]

    def map_shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return height and width of the layer's map, () if it has none."""
        output = self._run(self._images(1, height, width))
        if output.ndim not in (2, 4):
            raise ValueError(
                f"layer {self._name!r} must put out (n_images, n_units) or (n_images, n_channels, "
                f"height, width), got shape {tuple(output.shape)}"
            )
        if output.isnan().any():
            raise ValueError("`network` must not make NaN of ordinary images")
        return tuple(output.shape[2:])

    def touched(self, shape: Sequence[int], axis: int, cuts: range, before: bool) -> Any:
        """Return which positions along an axis depend on the pixels before, or behind, each cut.

        bool (n_cuts, n_positions)
        """
        found = []
        for start in range(0, len(cuts), _BATCH):
            part = cuts[start : start + _BATCH]
            images = self._images(len(part), *shape)
            for image, cut in zip(images.movedim(2 + axis, 1), part):
                image[slice(0, cut) if before else slice(cut, None)] = torch.nan
            output = self._run(images)
            found.append(output.isnan().any(dim=1).any(dim=2 - axis))
        return torch.cat(found).numpy()

    def _images(self, n_images: int, height: int, width: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        shape = (1, self._channels, height, width)
        image = torch.rand(shape, generator=generator, dtype=torch.float64)
        return image.repeat(n_images, 1, 1, 1)

    @torch.inference_mode()
    def _run(self, images: torch.Tensor) -> torch.Tensor:
        outputs: list[torch.Tensor | None] = []

        def stop(_module: nn.Module, _inputs: Any, output: Any) -> None:
            outputs.append(first_tensor(output))
            raise _Reached

        tensors = {
            name: value.double() if value.is_floating_point() else value
            for name, value in (*self._network.named_parameters(), *self._network.named_buffers())
        }
        handle = self._layer.register_forward_hook(stop)
        try:
            torch.func.functional_call(self._network, tensors, (images,))
        except _Reached:
            pass
        finally:
            handle.remove()
        if not outputs or outputs[0] is None:
            raise ValueError(f"layer {self._name!r} must run and put out a tensor, got none")
        return outputs[0]


def _along(
    probe: _Probe, shape: tuple[int, int], axis: int, n_positions: int
) -> tuple[int, int, int]:
    """Return size, stride and offset along one axis."""
    length = shape[axis]
    canvas = length
    while canvas <= max(_LARGEST_CANVAS, length):
        large = list(shape)
        large[axis] = canvas
        try:
            found = _on_canvas(probe, large, axis)
        except (RuntimeError, ValueError):
            break  # takes images of one size only
        if found is not None:
            size, stride, offset, n_on_canvas = found
            if abs((n_on_canvas - n_positions) * stride - (canvas - length)) < stride:
                return size, stride, offset
            break
        canvas *= 2
    return length, 0, 0


def _on_canvas(probe: _Probe, shape: Sequence[int], axis: int) -> tuple[int, int, int, int] | None:
    """Return size, stride, offset and number of positions, None if the images are too small."""
    tops = _grid(probe, shape, axis, before=True)
    bottoms = _grid(probe, shape, axis, before=False)
    if tops is None or bottoms is None or tops[0] != bottoms[0]:
        return None
    stride, top, n_positions = tops
    # The last pixel before a cut is the first that a position sees, so its box starts one before.
    return bottoms[1] - (top - 1), stride, top - 1, n_positions


def _grid(
    probe: _Probe, shape: Sequence[int], axis: int, before: bool
) -> tuple[int, int, int] | None:
    """Return stride, the cut that first makes a difference to position 0, and how many there are.

    As the cut moves from the middle on, positions begin to see what is before it, or cease to see
    what is behind it, one after the other; a regular grid is read off from three of them.
    """
    middle, length = shape[axis] // 2, shape[axis]
    leading, n_positions = _leading(probe, shape, axis, range(middle, middle + 1), before)
    if leading[0] == (n_positions if before else 0):
        return None
    n_cuts = 2 * -(-length // n_positions) + 1
    cuts = range(middle, min(middle + n_cuts, length))
    leading, _ = _leading(probe, shape, axis, cuts, before)
    steps = np.flatnonzero(np.diff(leading)) + 1
    if len(steps) < 2:
        return None
    stride, first = int(steps[1] - steps[0]), cuts[steps[0]]
    third = range(first + 2 * stride - 1, first + 2 * stride + 1)
    if third.stop > length:
        return None
    count = int(leading[steps[0]])
    near, _ = _leading(probe, shape, axis, third, before)
    if leading[steps[0] - 1] != count - 1 or near.tolist() != [count + 1, count + 2]:
        return None
    return stride, first - stride * (count - 1), n_positions


def _leading(
    probe: _Probe, shape: Sequence[int], axis: int, cuts: range, before: bool
) -> tuple[NDArray[np.int64], int]:
    """Return how many leading positions see something before each cut, or nothing behind it."""
    touched = probe.touched(shape, axis, cuts, before)
    leading = np.cumprod(touched if before else ~touched, axis=1).sum(axis=1)
    return leading, touched.shape[1]
