"""Images to train and compare networks on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ImageDataset:
    """Labelled images, split into a training and a test set.

    Raises
    ------
    TypeError
        If images are not float32 or labels not int64.
    ValueError
        If shapes do not fit, a pixel is NaN or infinite, or a label names no class.
    """

    train_images: NDArray[np.float32]
    """float32 (n_train, n_channels, height, width), scaled."""
    train_labels: NDArray[np.int64]
    """int64 (n_train,), indices into `class_names`."""
    test_images: NDArray[np.float32]
    """float32 (n_test, n_channels, height, width), scaled the same way."""
    test_labels: NDArray[np.int64]
    """int64 (n_test,)."""
    class_names: tuple[str, ...]
    """The classes."""
    name: str
    """What the data set is called."""

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            _check_split(images, labels, split, len(self.class_names))
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f"`test_images` must have the shape of `train_images`, got "
                f"{self.test_images.shape[1:]} and {self.train_images.shape[1:]}"
            )

    def __repr__(self) -> str:
        shape = " x ".join(str(length) for length in self.train_images.shape[1:])
        return (
            f"ImageDataset({self.name!r}, {len(self.train_images)} + {len(self.test_images)} "
            f"images of {shape}, {len(self.class_names)} classes)"
        )

    def fingerprint(self) -> str:
        """Return a digest of all images and labels."""
        digest = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(repr((array.shape, array.dtype.str)).encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]


def batches(images: Any, labels: Any = None, *, batch_size: int = 256) -> list[Any]:
    """Return images, with their labels if given, in consecutive batches: a loader for `collect`.

    Parameters
    ----------
    images : array or tensor, shape (n_images, ...)
        Sliced, not copied.
    labels : array or tensor, shape (n_images,), or None
        With labels each batch is a pair, without the images alone.
    batch_size : int
        Images a batch; the last one may be smaller.

    Raises
    ------
    ValueError
        If there are not as many labels as images.
    """
    step = _validate.integer(batch_size, "batch_size", low=1)
    if labels is not None and len(labels) != len(images):
        raise ValueError(f"`labels` must label {len(images)} images, got {len(labels)}")
    parts = [slice(start, start + step) for start in range(0, len(images), step)]
    if labels is None:
        return [images[part] for part in parts]
    return [(images[part], labels[part]) for part in parts]


def digits(seed: int = 0, test_size: int = 360) -> ImageDataset:
    """Return scikit-learn's 1,797 handwritten digits, 8 x 8 pixels in [0, 1], split by class.

    Parameters
    ----------
    seed : int
        For the stratified split.
    test_size : int
        Images in the test set, 10 to 1,787.

    Raises
    ------
    ValueError
        If `test_size` leaves fewer images than classes on one side.

    Examples
    --------
    >>> from convergent import nets
    >>> nets.digits()
    ImageDataset('digits', 1437 + 360 images of 1 x 8 x 8, 10 classes)
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    n_test = _validate.integer(test_size, "test_size", low=10, high=1787)
    random_state = _validate.integer(seed, "seed", low=0, high=2**32 - 1)
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images,
        labels.astype(np.int64),
        test_size=n_test,
        stratify=labels,
        random_state=random_state,
    )
    names = tuple(str(digit) for digit in range(10))
    return ImageDataset(train_images, train_labels, test_images, test_labels, names, "digits")


DATASETS: dict[str, Callable[[], ImageDataset]] = {"digits": digits}
"""Data sets by name."""


def load_dataset(name: str) -> ImageDataset:
    """Return a data set by its name in `DATASETS`.

    Raises
    ------
    ValueError
        If there is no such data set.

    Examples
    --------
    >>> from convergent import nets
    >>> nets.load_dataset("digits").class_names[:3]
    ('0', '1', '2')
    """
    return DATASETS[_validate.choice(name, "dataset", tuple(DATASETS))]()


def _check_split(images: Any, labels: Any, split: str, n_classes: int) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.float32:
        raise TypeError(f"`{split}_images` must be a float32 array, got {_kind(images)}")
    if not isinstance(labels, np.ndarray) or labels.dtype != np.int64:
        raise TypeError(f"`{split}_labels` must be an int64 array, got {_kind(labels)}")
    if images.ndim != 4 or images.size == 0:
        raise ValueError(
            f"`{split}_images` must be (n_images, n_channels, height, width), not empty, "
            f"got shape {images.shape}"
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"`{split}_labels` must label {len(images)} images, got shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(
            f"`{split}_labels` must lie in [0, {n_classes}), got {labels.min()} to {labels.max()}"
        )
    if not np.isfinite(images).all():
        raise ValueError(f"`{split}_images` must be finite, got NaN or infinite pixels")


def _kind(value: Any) -> str:
    return str(value.dtype) if isinstance(value, np.ndarray) else type(value).__name__
