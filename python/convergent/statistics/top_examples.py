"""The images that each unit of a layer responds to most, kept while the images stream by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _storage, _validate

FORMAT = "convergent.TopExamples/1"
_CHUNK = 256
_SMALL_MAP = 64

# Index of the first largest response in the flattened map, of some images and units of a batch.
_Places = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.intp]]


class TopExamples:
    """The `n_top` images with the largest responses of each unit of one network's layer.

    An image counts once, with the position where the unit responds most, so that the patches of a
    unit come from different images. Among equal responses the lowest image comes first, and in an
    image the first position in reading order. So what is kept depends neither on the batch size nor
    on the order in which parts are merged, and a constant or dead unit keeps the first images.

    Parameters
    ----------
    n_units : int
        Channels of a convolutional layer, or units of a dense one.
    n_top : int
        How many images to keep for each unit; all where there are fewer.
    first_image : int
        Number in the whole stream of the first image that this object will see.

    Notes
    -----
    A batch costs one pass over its activations, and what improves on a unit's list is sorted in.

    References
    ----------
    Li et al. (2016), Figures 2 and S2.

    Examples
    --------
    >>> import numpy as np
    >>> from convergent.statistics import TopExamples
    >>> top = TopExamples(2, n_top=2).update(np.array([[1.0, 0.0], [5.0, 0.0], [3.0, 0.0]]))
    >>> top.images
    array([[1, 2],
           [0, 1]])
    >>> top.values
    array([[5., 3.],
           [0., 0.]], dtype=float32)
    """

    def __init__(self, n_units: int, n_top: int = 9, *, first_image: int = 0) -> None:
        self._n_units = _validate.integer(n_units, "n_units", low=1)
        self._n_top = _validate.integer(n_top, "n_top", low=1)
        self._next_image = _validate.integer(first_image, "first_image", low=0)
        self._map_shape: tuple[int, ...] = ()
        self._seen: list[tuple[int, int]] = []
        self._values = np.empty((self._n_units, 0), dtype=np.float32)
        self._images = np.empty((self._n_units, 0), dtype=np.int64)
        self._places = np.empty((self._n_units, 0), dtype=np.int64)

    def __repr__(self) -> str:
        return (
            f"TopExamples(n_units={self._n_units}, n_top={self._values.shape[1]} "
            f"of {self.n_images} images)"
        )

    @property
    def n_images(self) -> int:
        """Number of images seen."""
        return sum(end - start for start, end in self._seen)

    @property
    def map_shape(self) -> tuple[int, ...]:
        """Height and width of the layer's map; () for a dense layer."""
        return self._map_shape

    @property
    def values(self) -> NDArray[np.float32]:
        """The largest responses, descending: float32 (n_units, min(n_top, n_images))."""
        return self._values.copy()

    @property
    def images(self) -> NDArray[np.int64]:
        """Which images they belong to: int64, shape of `values`."""
        return self._images.copy()

    @property
    def positions(self) -> NDArray[np.int64]:
        """Row and column in the layer's map, 0 and 0 for a dense layer.

        int64 (n_units, min(n_top, n_images), 2).
        """
        width = self._map_shape[1] if self._map_shape else 1
        return np.stack(np.divmod(self._places, width), axis=-1)

    def update(self, activations: Any) -> TopExamples:
        """Take the next images.

        Parameters
        ----------
        activations : array, shape (n_images, n_units) or (n_images, n_units, height, width)
            Real numbers. Images are compared by their values as float32, positions within an image
            as they are.

        Returns
        -------
        TopExamples
            This object, unchanged if the activations are refused.

        Raises
        ------
        ValueError
            If the shape does not fit, or the largest value of a unit in an image is NaN or
            infinite or beyond float32.
        """
        array = _validate.image_array(activations, "activations")
        if array.shape[1] != self._n_units:
            raise ValueError(
                f"`activations` must have {self._n_units} units, got shape {array.shape}"
            )
        if self._seen and array.shape[2:] != self._map_shape:
            raise ValueError(
                f"`activations` must keep maps of shape {self._map_shape}, got {array.shape[2:]}"
            )
        flat = array.reshape(*array.shape[:2], -1)
        self._take_images(
            _largest(flat),
            lambda images, units: flat[images, units].argmax(axis=1),
            array.shape[2:],
        )
        return self

    def update_largest(
        self, largest: NDArray[Any], places: NDArray[np.int64], map_shape: tuple[int, ...]
    ) -> None:
        """Take the next images' largest responses, found elsewhere such as on a GPU.

        Parameters
        ----------
        largest : array, shape (n_images, n_units)
            Largest response of each unit in each image.
        places : array of int64, shape (n_images, n_units)
            Where it is for the first time: index into the flattened map.
        map_shape : tuple of int
            Height and width of the map; () for a dense layer.
        """
        self._take_images(largest, lambda images, units: places[images, units], map_shape)

    def _take_images(
        self, largest: NDArray[Any], places: _Places, map_shape: tuple[int, ...]
    ) -> None:
        with np.errstate(over="ignore"):
            values = largest.astype(np.float32)
        _validate.refuse_non_finite(values, "activations")
        for first in range(0, len(values), _CHUNK):
            self._take_chunk(values[first : first + _CHUNK], first, places)
        self._map_shape = tuple(map_shape)
        self._add_seen([(self._next_image, self._next_image + len(values))])

    def _take_chunk(self, values: NDArray[np.float32], first: int, places: _Places) -> None:
        """Sort in those of a chunk's responses that exceed the last one kept of their unit."""
        if self._values.shape[1] < self._n_top:
            enters = np.ones(values.shape, dtype=bool)
        else:
            enters = values > self._values[:, -1]
        rows, images = np.nonzero(enters.T)
        if rows.size == 0:
            return
        units, starts, counts = np.unique(rows, return_index=True, return_counts=True)
        owner = np.repeat(np.arange(units.size), counts)
        rank = np.arange(rows.size) - np.repeat(starts, counts)
        shape = (units.size, int(counts.max()))
        new_values = np.full(shape, -np.inf, dtype=np.float32)
        new_images, new_places = np.zeros((2, *shape), dtype=np.int64)
        new_values[owner, rank] = values[images, rows]
        new_images[owner, rank] = images + first + self._next_image
        new_places[owner, rank] = places(images + first, rows)
        self._replace(units, new_values, new_images, new_places)

    def _replace(
        self,
        units: NDArray[np.intp],
        values: NDArray[np.float32],
        images: NDArray[np.int64],
        places: NDArray[np.int64],
    ) -> None:
        """Put candidates behind what some units keep, and keep the largest, the earlier first.

        A unit with fewer candidates than others has -inf in the rest; if lists still grow, all
        units have as many candidates.
        """
        joint = np.concatenate([self._values[units], values], axis=1)
        n_kept = min(self._n_top, joint.shape[1])
        order = np.argsort(-joint, axis=1, kind="stable")[:, :n_kept]
        joint_images = np.concatenate([self._images[units], images], axis=1)
        joint_places = np.concatenate([self._places[units], places], axis=1)
        if n_kept > self._values.shape[1]:
            shape = (self._n_units, n_kept)
            self._values = np.empty(shape, dtype=np.float32)
            self._images, self._places = np.empty((2, *shape), dtype=np.int64)
        self._values[units] = np.take_along_axis(joint, order, axis=1)
        self._images[units] = np.take_along_axis(joint_images, order, axis=1)
        self._places[units] = np.take_along_axis(joint_places, order, axis=1)

    def merge(self, other: TopExamples) -> TopExamples:
        """Add what another object kept of other images of the same network; it keeps its value.

        Later images of this object follow the last one that either has seen.

        Raises
        ------
        TypeError
            If `other` is no `TopExamples`.
        ValueError
            If it has other units, another `n_top` or another map, or has seen the same images.
        """
        if not isinstance(other, TopExamples):
            raise TypeError(f"`other` must be a TopExamples, got {type(other).__name__}")
        names = ("n_units", "n_top", *(("map_shape",) if self._seen and other._seen else ()))
        for name in names:
            ours, theirs = getattr(self, f"_{name}"), getattr(other, f"_{name}")
            if ours != theirs:
                raise ValueError(f"`other` must have `{name}` {ours}, got {theirs}")
        for start, end in self._seen:
            for other_start, other_end in other._seen:
                if max(start, other_start) < min(end, other_end):
                    raise ValueError(
                        f"`other` must have seen other images, got image "
                        f"{max(start, other_start)} twice"
                    )
        values = np.concatenate([self._values, other._values], axis=1)
        images = np.concatenate([self._images, other._images], axis=1)
        places = np.concatenate([self._places, other._places], axis=1)
        order = np.lexsort((images, -values), axis=1)[:, : self._n_top]
        self._values = np.take_along_axis(values, order, axis=1)
        self._images = np.take_along_axis(images, order, axis=1)
        self._places = np.take_along_axis(places, order, axis=1)
        self._map_shape = self._map_shape or other._map_shape
        self._add_seen(other._seen)
        return self

    def _add_seen(self, ranges: list[tuple[int, int]]) -> None:
        joined: list[tuple[int, int]] = []
        for start, end in sorted([*self._seen, *ranges]):
            if joined and joined[-1][1] == start:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
        self._seen = joined
        if joined:
            self._next_image = max(self._next_image, joined[-1][1])

    def save(self, path: _storage.AnyPlace) -> _storage.Place:
        """Write an ``.npz`` file (no pickle): whole or not at all; return its path."""
        _storage.write_arrays(
            path,
            FORMAT,
            {
                "numbers": np.array([self._n_units, self._n_top, self._next_image], dtype=np.int64),
                "map_shape": np.array(self._map_shape, dtype=np.int64),
                "seen": np.array(self._seen, dtype=np.int64).reshape(-1, 2),
                "values": self._values,
                "images": self._images,
                "places": self._places,
            },
        )
        return _storage.place(path)

    @classmethod
    def load(cls, path: _storage.AnyPlace) -> TopExamples:
        """Read a file that `save` made.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is truncated, or no file of top examples.
        """
        arrays = _storage.read_arrays(path, FORMAT)
        try:
            n_units, n_top, next_image = (int(number) for number in arrays["numbers"])
            top = cls(n_units, n_top, first_image=next_image)
            top._map_shape = tuple(int(length) for length in arrays["map_shape"])
            top._seen = [(int(start), int(end)) for start, end in arrays["seen"]]
            shape = (n_units, min(n_top, top.n_images))
            top._values = _storage.shaped(arrays["values"], shape).astype(np.float32)
            top._images = _storage.shaped(arrays["images"], shape).astype(np.int64)
            top._places = _storage.shaped(arrays["places"], shape).astype(np.int64)
        except (KeyError, ValueError, TypeError) as error:
            raise ValueError(f"{path} must hold {FORMAT}: {error}") from error
        return top


def _largest(flat: NDArray[Any]) -> NDArray[Any]:
    """Return the largest value along the last axis, NaN if there is one; NumPy's own is slower."""
    n_places = flat.shape[2]
    if n_places > 1 and flat.strides[1] == flat.itemsize:
        return _largest_of_places(flat.transpose(0, 2, 1))
    if n_places < _SMALL_MAP:
        largest = flat[:, :, 0].copy()
        for place in range(1, n_places):
            np.maximum(largest, flat[:, :, place], out=largest)
        return largest
    best = flat.argmax(axis=2)[..., np.newaxis]
    found: NDArray[Any] = np.take_along_axis(flat, best, axis=2)[..., 0]
    return found


def _largest_of_places(maps: NDArray[Any]) -> NDArray[Any]:
    """Return the largest value along the second axis where units, the last, are side by side."""
    largest = np.empty((maps.shape[0], maps.shape[2]), dtype=maps.dtype)
    for image, values in enumerate(maps):
        rest = values
        while len(rest) > 1:  # halves, since rows of few units are slow one by one
            half = len(rest) // 2
            rest = np.maximum(rest[: len(rest) - half], rest[half:])
        largest[image] = rest[0]
    return largest
