"""Images to train and compare networks on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent.nets.image_folder import read_image_folder
from convergent.nets.raw_images import RawImages, Split
from convergent.nets.stored_images import read_stored
from convergent.training_settings import FOLDER_DATASETS

ROOT_VARIABLE = "CONVERGENT_DATA"
"""Environment variable that names the folder where data sets are looked for."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ImageDataset:
    """Labelled images, split into a training and a test set.

    Raises
    ------
    TypeError
        If images are not float32 or labels not int64.
    ValueError
        If shapes do not fit, a pixel is NaN or infinite, a label names no class, or `mean` and
        `std` are not one number a channel.
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
    mean: tuple[float, ...] | None = None
    """Of each channel: what was subtracted from pixels in [0, 1]; None if nothing was."""
    std: tuple[float, ...] | None = None
    """Of each channel: what pixels were divided by after that; None with `mean`."""
    may_flip: bool = False
    """Whether a mirrored image is as good an example of its class: not so for digits."""

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            _check_split(images, labels, split, len(self.class_names))
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f"`test_images` must have the shape of `train_images`, got "
                f"{self.test_images.shape[1:]} and {self.train_images.shape[1:]}"
            )
        _check_scale(self.mean, self.std, self.train_images.shape[1])

    def __repr__(self) -> str:
        shape = " x ".join(str(length) for length in self.train_images.shape[1:])
        return (
            f"ImageDataset({self.name!r}, {len(self.train_images)} + {len(self.test_images)} "
            f"images of {shape}, {len(self.class_names)} classes)"
        )

    def pixels(self, split: str = "test") -> NDArray[np.float32]:
        """Return the images of a split as pictures: with `mean` and `std` undone, in [0, 1].

        Images that were not standardised are returned as they are.
        """
        _validate.choice(split, "split", ("train", "test"))
        images: NDArray[np.float32] = getattr(self, f"{split}_images")
        if self.mean is None or self.std is None:
            return images
        mean, std = (np.array(v, np.float32).reshape(-1, 1, 1) for v in (self.mean, self.std))
        pixels: NDArray[np.float32] = images * std + mean
        return np.clip(pixels, 0.0, 1.0, out=pixels)

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


class _Scale(NamedTuple):
    """How the images of a data set are scaled, and whether they may be mirrored."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    may_flip: bool


_IMAGENET = _Scale((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), True)
# Mean and standard deviation of the training images, as they are usually given.
_SCALES = {
    "mnist": _Scale((0.1307,), (0.3081,), False),
    "fashion_mnist": _Scale((0.2860,), (0.3530,), True),
    "cifar10": _Scale((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), True),
    "cifar100": _Scale((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762), True),
    "imagenet": _IMAGENET,
    "imagefolder": _IMAGENET._replace(may_flip=False),  # who knows what they are of
}


def _stored(name: str, root: Path, download: bool, image_size: int | None) -> ImageDataset:
    _refuse_size(name, image_size)
    return _scaled(name, read_stored(name, root, download))


def _folder(name: str, root: Path, download: bool, image_size: int | None) -> ImageDataset:
    if download:
        raise ValueError(f"`download` must be False for {name!r}: only you know where it is from")
    if image_size is not None:
        _validate.integer(image_size, "image_size", low=1)
    return _scaled(name, read_image_folder(name, root, image_size))


DATASETS: dict[str, Callable[..., ImageDataset]] = {
    "digits": digits,
    **{name: partial(_stored, name) for name in ("mnist", "fashion_mnist", "cifar10", "cifar100")},
    **{name: partial(_folder, name) for name in FOLDER_DATASETS},
}
"""Data sets by name; all but the embedded digits take root, download and image_size."""


def load_dataset(
    name: str,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    *,
    image_size: int | None = None,
) -> ImageDataset:
    """Return a data set by its name in `DATASETS`.

    Pixels are scaled to [0, 1] and, except those of the digits, standardised by the usual mean and
    standard deviation of each channel, which the result keeps.

    Parameters
    ----------
    name : {"digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "imagefolder", "imagenet"}
        ``digits`` are embedded and need no files. ``imagefolder`` is any folder with
        ``train/CLASS/*.png`` (or .jpg and others) and ``test/CLASS`` or ``val/CLASS``, its images
        turned to RGB; ``imagenet`` is the same with classes called as its folders are.
    root : path or None
        Folder that holds the data: as torchvision keeps them (``cifar-10-batches-py``,
        ``cifar-100-python``, ``MNIST/raw``, ``FashionMNIST/raw``), or packed into ``.npz`` files of
        JPEG XL. None takes the environment variable ``CONVERGENT_DATA``.
    download : bool
        Whether to fetch missing files of MNIST, Fashion-MNIST or CIFAR into `root`, by torchvision.
        Nothing is ever fetched unless this is asked for.
    image_size : int or None
        For ``imagefolder`` and ``imagenet``: the shorter side is resized to it, then the centre is
        cropped. None if all images have the same size.

    Raises
    ------
    ValueError
        If there is no such data set, `root` is not known, an argument does not go with the data
        set, or a file is truncated or foreign.
    FileNotFoundError
        If a file is missing; the message shows what is expected where.
    ImportError
        If torchvision, or a decoder of packed files, is needed and missing.
    MemoryError
        If a folder's images would not fit into memory.

    Notes
    -----
    Nothing in a file is executed: CIFAR's pickles are read by a reader that knows arrays and plain
    values only. A data set is kept whole as float32, CIFAR in 740 MB; ImageNet does not fit, but
    `collect` takes a DataLoader.

    Examples
    --------
    >>> from convergent import nets
    >>> nets.load_dataset("digits").class_names[:3]
    ('0', '1', '2')
    """
    _validate.choice(name, "dataset", tuple(DATASETS))
    _validate.flag(download, "download")
    if name == "digits":
        _refuse_size(name, image_size)
        return digits()
    place = root if root is not None else os.environ.get(ROOT_VARIABLE)
    if not place:
        raise ValueError(
            f"`root` must be the folder that holds data set {name!r} (--data on the command line), "
            f"or the environment variable {ROOT_VARIABLE} must name it, got neither"
        )
    return DATASETS[name](Path(place), download, image_size)


def _refuse_size(name: str, image_size: int | None) -> None:
    if image_size is not None:
        raise ValueError(
            f"`image_size` must be None for {name!r}, whose images have one size, got {image_size}"
        )


def _scaled(name: str, raw: RawImages) -> ImageDataset:
    scale = _SCALES[name]
    train, test = (_standardised(split, scale) for split in (raw.train, raw.test))
    return ImageDataset(
        *(train, raw.train[1], test, raw.test[1], raw.class_names, name),
        mean=scale.mean,
        std=scale.std,
        may_flip=scale.may_flip,
    )


def _standardised(split: Split, scale: _Scale) -> NDArray[np.float32]:
    """Look the 256 values of each channel up: the same bits on every machine."""
    images = np.empty(split[0].shape, dtype=np.float32)
    levels = np.arange(256) / 255.0
    for channel, (mean, std) in enumerate(zip(scale.mean, scale.std)):
        table = ((levels - mean) / std).astype(np.float32)
        images[:, channel] = table[split[0][:, channel]]
    return images


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


def _check_scale(mean: Any, std: Any, n_channels: int) -> None:
    if (mean is None) != (std is None):
        raise ValueError("`mean` and `std` must both be given, or neither")
    for values, name in ((mean, "mean"), (std, "std")):
        if values is not None and len(values) != n_channels:
            raise ValueError(f"`{name}` must be {n_channels} numbers, got {len(values)}")
    if std is not None and min(std) <= 0.0:
        raise ValueError(f"`std` must be positive, got {min(std)}")


def _kind(value: Any) -> str:
    return str(value.dtype) if isinstance(value, np.ndarray) else type(value).__name__
