"""The image patches that units respond to most: what figures show of them, without any torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _storage

FORMAT = "convergent.UnitPatches/1"
_TEXTS = ("network", "layer")
_ARRAYS = ("units", "pixels", "values", "images", "boxes")
_DTYPES = {
    "units": np.int64,
    "pixels": np.float32,
    "values": np.float32,
    "images": np.int64,
    "boxes": np.int64,
    "deconvolutions": np.float32,
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UnitPatches:
    """The parts of images that some units of one layer see where they respond most.

    The first axis of every array is the unit, the second the rank, from the strongest response
    down; each patch of a unit comes from another image. Every patch of a layer has the same size:
    the receptive field, but at most the image.

    Raises
    ------
    TypeError
        If an array has another dtype.
    ValueError
        If shapes do not fit, or a pixel lies outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from convergent.statistics import UnitPatches
    >>> UnitPatches(
    ...     network="a", layer="relu1",
    ...     units=np.array([3]),
    ...     pixels=np.zeros((1, 2, 5, 5, 3), np.float32),
    ...     values=np.array([[2.0, 1.0]], np.float32),
    ...     images=np.array([[7, 0]]),
    ...     boxes=np.zeros((1, 2, 4), np.int64),
    ...     deconvolutions=None,
    ... )
    UnitPatches('a', 'relu1', 1 unit x 2 patches of 5 x 5 pixels)
    """

    network: str
    """The network's name."""
    layer: str
    """The layer's name."""
    units: NDArray[np.int64]
    """int64 (n_units,), which units the first axis of the other arrays is."""
    pixels: NDArray[np.float32]
    """float32 (n_units, n_top, height, width, n_channels) in [0, 1], cut from the images; grey
    (.5) outside of an image."""
    values: NDArray[np.float32]
    """float32 (n_units, n_top), the responses, descending."""
    images: NDArray[np.int64]
    """int64 (n_units, n_top), which images the patches come from."""
    boxes: NDArray[np.int64]
    """int64 (n_units, n_top, 4): top, left, bottom, right of the receptive field in pixels of the
    image, bottom and right excluded; it may reach beyond the image. The patch shows the box, or the
    whole image where the receptive field is larger than the image."""
    deconvolutions: NDArray[np.float32] | None
    """float32, signed, shape of `pixels`: what of the patch makes the unit respond, by
    deconvolution; 0 outside of an image. None if it was not computed."""

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            _check_dtype(getattr(self, name), name)
        n_units, n_top = len(self.units), self.values.shape[1] if self.values.ndim == 2 else 0
        _check_shape(self.units, "units", (n_units,))
        _check_shape(self.values, "values", (n_units, n_top))
        _check_shape(self.images, "images", (n_units, n_top))
        _check_shape(self.boxes, "boxes", (n_units, n_top, 4))
        _check_shape(self.pixels, "pixels", (n_units, n_top, *self.pixels.shape[2:5]))
        if self.pixels.ndim != 5:
            raise ValueError(
                f"`pixels` must be (n_units, n_top, height, width, n_channels), "
                f"got shape {self.pixels.shape}"
            )
        if not ((self.pixels >= 0.0) & (self.pixels <= 1.0)).all():
            raise ValueError(
                f"`pixels` must lie in [0, 1], got {self.pixels.min()} to {self.pixels.max()}"
            )
        if self.deconvolutions is not None:
            _check_dtype(self.deconvolutions, "deconvolutions")
            _check_shape(self.deconvolutions, "deconvolutions", self.pixels.shape)

    def __repr__(self) -> str:
        n_units, n_top, height, width = self.pixels.shape[:4]
        return (
            f"UnitPatches({self.network!r}, {self.layer!r}, {n_units} unit{'s' * (n_units != 1)} x "
            f"{n_top} patches of {height} x {width} pixels"
            f"{', deconvolutions' if self.deconvolutions is not None else ''})"
        )

    def save(self, path: _storage.AnyPlace) -> _storage.Place:
        """Write an ``.npz`` file (no pickle): whole or not at all; return its path."""
        arrays: dict[str, NDArray[Any]] = {name: np.array(getattr(self, name)) for name in _TEXTS}
        arrays |= {name: getattr(self, name) for name in _ARRAYS}
        if self.deconvolutions is not None:
            arrays["deconvolutions"] = self.deconvolutions
        _storage.write_arrays(path, FORMAT, arrays)
        return _storage.place(path)

    @classmethod
    def load(cls, path: _storage.AnyPlace) -> UnitPatches:
        """Read a file that `save` made.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is truncated, or no file of patches.
        """
        arrays = _storage.read_arrays(path, FORMAT)
        try:
            network, layer = (str(arrays[name]) for name in _TEXTS)
            units, pixels, values, images, boxes = (arrays[name] for name in _ARRAYS)
            deconvolutions = arrays.get("deconvolutions")
            return cls(network, layer, units, pixels, values, images, boxes, deconvolutions)
        except (KeyError, ValueError, TypeError) as error:
            raise ValueError(f"{path} must hold {FORMAT}: {error}") from error


def _check_dtype(array: Any, name: str) -> None:
    expected = np.dtype(_DTYPES[name])
    if not isinstance(array, np.ndarray) or array.dtype != expected:
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(f"`{name}` must be an array of {expected}, got {found}")


def _check_shape(array: NDArray[Any], name: str, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"`{name}` must have shape {shape}, got {array.shape}")
