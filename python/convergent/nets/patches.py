"""The image patches that the units of a layer respond to most, cut from the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convergent import _validate
from convergent.nets.deconvolution import deconvolve as deconvolve_neurons
from convergent.nets.inputs import Batch, float_dtype
from convergent.nets.layers import LayerChoice
from convergent.nets.network_runs import NetworkRun, evaluating
from convergent.nets.receptive_field import receptive_field
from convergent.statistics import Statistics, TopExamples, UnitPatches

GREY = 0.5
_CHANNELS_OF_PICTURES = (1, 3, 4)
_TOLERANCE = 1e-2


def unit_patches(
    network: nn.Module,
    images: Any,
    statistics: Statistics,
    layer: str,
    *,
    network_name: str,
    pixels: Any = None,
    units: Any = None,
    deconvolve: bool = False,
) -> UnitPatches:
    """Return the parts of images that units of a layer see where they respond most.

    Parameters
    ----------
    network : Module
        The network called `network_name` in `statistics`; left as it was.
    images : array or tensor, shape (n_images, n_channels, height, width)
        What the network was given when `statistics` were collected, all images in that order.
    statistics : Statistics
        Collected with `n_top` > 0.
    layer : str
        Name of a layer of `statistics`.
    network_name : str
        Name of the network in `statistics`.
    pixels : array or tensor, or None
        The same images to look at: uint8, or floating point numbers in [0, 1], channels last
        (n_images, height, width, 1, 3 or 4), or with channels where `images` has them. None if
        `images` themselves lie in [0, 1].
    units : sequence of int, or None
        Which units, in which order; None for all.
    deconvolve : bool
        Whether to add the deconvolutions (Zeiler and Fergus 2014) of the patches. The network's
        rectifiers must be modules ``nn.ReLU``; others pass the signal back as a gradient.

    Returns
    -------
    UnitPatches
        Patches have the size of the layer's receptive field, at most the image's.

    Raises
    ------
    ImportError
        If `deconvolve` is asked for without captum.
    TypeError
        If `network` is no torch Module, or an argument has the wrong kind.
    ValueError
        If `statistics` lack the layer, the network or top examples; if `images` are not those that
        were collected; if pixels do not fit the images or lie outside [0, 1]; or if there is no
        such unit.

    Notes
    -----
    One image is run through the network to see whether it is the one that was collected.

    References
    ----------
    Li et al. (2016), Figures 2 and S2; Zeiler and Fergus (2014).
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"`network` must be a torch Module, got {type(network).__name__}")
    module, top = _kept(statistics, layer, network_name)
    inputs = _network_input(images, network, top)
    shown = (
        _Pixels(images, inputs.shape, "images")
        if pixels is None
        else _Pixels(pixels, inputs.shape, "pixels")
    )
    chosen = _units(units, len(top.values))
    numbers, positions = top.images[chosen], top.positions[chosen]
    field = receptive_field(network, module, inputs.shape[1:])
    if field.map_shape != top.map_shape:
        raise ValueError(
            f"`images` must be those of `statistics`: {layer!r} has maps of {field.map_shape}, but "
            f"{top.map_shape} were collected"
        )
    _refuse_other_images(network, module, inputs, top)
    boxes = field.boxes(positions)
    windows = _windows(boxes, inputs.shape[2:])
    deconvolutions = None
    if deconvolve:
        if shown.n_channels != inputs.shape[1]:
            raise ValueError(
                f"`pixels` must have the network's {inputs.shape[1]} channels to be deconvolved, "
                f"got {shown.n_channels}"
            )
        signals = _deconvolved(network, module, inputs, chosen, numbers, positions, top.map_shape)
        deconvolutions = _cut(signals, np.arange(numbers.size).reshape(numbers.shape), windows, 0.0)
    cut = _cut(shown, numbers, windows, GREY)
    values = top.values[chosen]
    return UnitPatches(network_name, layer, chosen, cut, values, numbers, boxes, deconvolutions)


def _kept(statistics: Any, layer: str, network: str) -> tuple[str, TopExamples]:
    """Return the name of the layer's module in a network, and what was kept of it."""
    if not isinstance(statistics, Statistics):
        raise TypeError(f"`statistics` must be Statistics, got {type(statistics).__name__}")
    _validate.choice(layer, "layer", tuple(statistics.layers))
    kept = statistics.layers[layer]
    _validate.choice(network, "network_name", kept.networks)
    if not kept.top:
        raise ValueError(
            f"`statistics` must hold the top examples of layer {layer!r}, got none; "
            "collect them with n_top > 0"
        )
    modules = statistics.settings.get("layers", {})
    named = modules.get(layer, {}) if isinstance(modules, Mapping) else {}
    return named.get(network, layer), kept.top[kept.networks.index(network)]


def _network_input(images: Any, network: nn.Module, top: TopExamples) -> torch.Tensor:
    if not isinstance(images, (np.ndarray, torch.Tensor)):
        raise TypeError(f"`images` must be an array or a tensor, got {type(images).__name__}")
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(
            f"`images` must be (n_images, n_channels, height, width), got shape "
            f"{tuple(images.shape)}"
        )
    if len(images) != top.n_images:
        raise ValueError(
            f"`images` must be the {top.n_images} images of `statistics`, got {len(images)}"
        )
    given = torch.as_tensor(images)
    return given.to(float_dtype(network)) if given.is_floating_point() else given


def _units(units: Any, n_units: int) -> NDArray[np.int64]:
    if units is None:
        return np.arange(n_units, dtype=np.int64)
    chosen = np.asarray(units)
    if chosen.ndim != 1 or chosen.size == 0 or chosen.dtype.kind not in "iu":
        raise ValueError(f"`units` must be a list of whole numbers, got {units!r}")
    if chosen.min() < 0 or chosen.max() >= n_units:
        raise ValueError(
            f"`units` must lie in [0, {n_units}), got {chosen.min()} to {chosen.max()}"
        )
    return chosen.astype(np.int64)


class _Pixels:
    """Images to look at; item i is float32 (height, width, n_channels) in [0, 1]."""

    def __init__(self, pixels: Any, input_shape: Sequence[int], name: str) -> None:
        if not isinstance(pixels, (np.ndarray, torch.Tensor)):
            raise TypeError(f"`{name}` must be an array or a tensor, got {type(pixels).__name__}")
        self._array = np.asarray(pixels.cpu() if isinstance(pixels, torch.Tensor) else pixels)
        shape, (n_images, _, height, width) = self._array.shape, input_shape
        is_input_like = shape == tuple(input_shape)
        is_last = shape[:3] == (n_images, height, width) and len(shape) == 4
        if not is_input_like and not (is_last and shape[3] in _CHANNELS_OF_PICTURES):
            raise ValueError(
                f"`{name}` must show images of shape {tuple(input_shape)} with their channels "
                f"there or last, got shape {shape}"
            )
        if self._array.dtype != np.uint8 and self._array.dtype.kind != "f":
            raise ValueError(
                f"`{name}` must be uint8 or floating point numbers, got {self._array.dtype}"
            )
        self._axis = 1 if is_input_like else 3
        self._name = name
        self.n_channels = int(shape[self._axis])

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        image: NDArray[Any] = np.moveaxis(self._array[index], self._axis - 1, -1)
        if image.dtype == np.uint8:
            scaled: NDArray[np.float32] = image.astype(np.float32) / np.float32(255.0)
            return scaled
        if not (image.min() >= 0.0 and image.max() <= 1.0):
            raise ValueError(
                f"`{self._name}` must lie in [0, 1], got {image.min()} to {image.max()} in image "
                f"{index}; give what the network's images look like"
            )
        single: NDArray[np.float32] = image.astype(np.float32)
        return single


def _windows(boxes: NDArray[np.int64], image_shape: Sequence[int]) -> NDArray[np.int64]:
    """Return what a patch shows: its box, or all of an axis on which the box is larger."""
    windows = boxes.copy()
    for axis, length in enumerate(image_shape):
        if (boxes[..., axis + 2] - boxes[..., axis] > length).all():
            windows[..., axis], windows[..., axis + 2] = 0, length
    return windows


def _cut(
    images: Any, numbers: NDArray[np.int64], windows: NDArray[np.int64], fill: float
) -> NDArray[np.float32]:
    """Return the windows of images (float32, channels last), filled where they leave the image."""
    first = images[int(numbers.flat[0])]
    top, left, bottom, right = windows.reshape(-1, 4)[0]
    shape = (*numbers.shape, bottom - top, right - left, first.shape[-1])
    patches = np.full(shape, fill, dtype=np.float32)
    flat = patches.reshape(-1, *shape[2:])
    order = np.argsort(numbers, axis=None, kind="stable")
    last, image = -1, first
    for i in order:
        if numbers.flat[i] != last:
            last = int(numbers.flat[i])
            image = images[last]
        top, left, bottom, right = windows.reshape(-1, 4)[i]
        inside = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        rows, columns = max(-top, 0), max(-left, 0)
        flat[i, rows : rows + inside.shape[0], columns : columns + inside.shape[1]] = inside
    return patches


def _refuse_other_images(
    network: nn.Module, module: str, inputs: torch.Tensor, top: TopExamples
) -> None:
    """Run the image of the largest response through the network, and compare."""
    unit = int(top.values[:, 0].argmax())
    image, expected = int(top.images[unit, 0]), float(top.values[unit, 0])
    choice, host = LayerChoice(module), torch.device("cpu")
    run = NetworkRun("", network, [choice], unit_axis=1, device=host, kept_on=host)
    with evaluating({"": network}, host), run.recorder.recording():
        output = run.outputs(Batch(inputs[image : image + 1].cpu()))[choice].images
    found = float(output[0, unit].max())
    if abs(found - expected) > _TOLERANCE * max(abs(expected), abs(found)):
        raise ValueError(
            f"`images` must be those of `statistics`, in their order: unit {unit} of {module!r} "
            f"responds to image {image} with {found:g}, but with {expected:g} when collected"
        )


def _deconvolved(
    network: nn.Module,
    module: str,
    inputs: torch.Tensor,
    units: NDArray[np.int64],
    numbers: NDArray[np.int64],
    positions: NDArray[np.int64],
    map_shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """Return a deconvolution for each patch, one after the other, channels last."""
    parts = [np.broadcast_to(units[:, np.newaxis], numbers.shape)[..., np.newaxis]]
    if map_shape:
        parts.append(positions)
    neurons = np.concatenate(parts, axis=-1).reshape(numbers.size, -1)
    with evaluating({"": network}, "cpu"):
        images = inputs[torch.from_numpy(numbers.reshape(-1))].cpu()
        found = deconvolve_neurons(network, module, images, torch.from_numpy(neurons))
    return np.asarray(found.permute(0, 2, 3, 1), dtype=np.float32)
