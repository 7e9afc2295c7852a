"""Photographs from a folder with one folder a class, as torchvision's ImageFolder reads them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convergent.nets.raw_images import RawImages, Split

_TEST_FOLDERS = ("test", "val")
_SHARE_OF_MEMORY = 0.8
_BYTES_PER_VALUE = 5  # uint8 as read, float32 as kept
_GIGABYTE = 1e9


def read_image_folder(name: str, root: Path, image_size: int | None) -> RawImages:
    """Return the RGB images below ``train`` and ``test`` (or ``val``) of a folder.

    Parameters
    ----------
    name : str
        What the data set is called; its folders may lie in `root` or in a folder of this name.
    root : Path
        Where to look.
    image_size : int or None
        Images are resized so that their shorter side has as many pixels, then cropped around their
        centre. None if all of them have the same size.

    Raises
    ------
    FileNotFoundError
        If a folder is missing or holds no images; the message shows what is expected where.
    ValueError
        If the classes of both splits differ, images differ in size, or one cannot be read.
    MemoryError
        If the images would not fit into the machine's memory.
    """
    folders = _folders(name, root)
    train, test = (_listed(folder) for folder in folders)
    if train.classes != test.classes:
        odd = sorted(set(train.classes) ^ set(test.classes))
        raise ValueError(
            f"{folders[0]} and {folders[1]} must hold the same classes, got {', '.join(odd)} in "
            "one of them only"
        )
    shape = _shape(train.samples[0][0], image_size)
    _refuse_too_many(folders[0].parent, len(train.samples) + len(test.samples), shape)
    return RawImages(
        _read(train.samples, image_size, shape),
        _read(test.samples, image_size, shape),
        tuple(train.classes),
    )


def _folders(name: str, root: Path) -> tuple[Path, Path]:
    for base in (root, root / name):
        for test in _TEST_FOLDERS:
            if (base / "train").is_dir() and (base / test).is_dir():
                return base / "train", base / test
    raise FileNotFoundError(
        f"{root} holds no data set {name!r}: expected {root}/train/CLASS/*.png (or .jpg, ...) and "
        f"{root}/test/CLASS/*.png (or val/CLASS), or the same below {root / name}"
    )


def _listed(folder: Path) -> Any:
    try:
        from torchvision.datasets import ImageFolder
    except ImportError as error:
        raise ImportError(
            'to read folders of images install torchvision: pip install "convergent[full]"'
        ) from error
    return ImageFolder(str(folder))


def _shape(path: str, image_size: int | None) -> tuple[int, int]:
    if image_size is not None:
        return image_size, image_size
    height, width = _pixels(path, None).shape[:2]
    return height, width


def _refuse_too_many(folder: Path, n_images: int, shape: tuple[int, int]) -> None:
    needed = n_images * 3 * shape[0] * shape[1] * _BYTES_PER_VALUE
    memory = _memory()
    if memory is not None and needed > _SHARE_OF_MEMORY * memory:
        raise MemoryError(
            f"{folder} holds {n_images} images, {needed / _GIGABYTE:.0f} GB at {shape[0]} x "
            f"{shape[1]} pixels, for a memory of {memory / _GIGABYTE:.0f} GB: a data set is kept "
            "whole; choose a smaller `image_size`, link fewer images into another folder, or give "
            "a DataLoader to `collect`"
        )


def _memory() -> int | None:
    """Return the machine's memory in bytes, None where that cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _read(
    samples: Sequence[tuple[str, int]], image_size: int | None, shape: tuple[int, int]
) -> Split:
    images = np.empty((len(samples), 3, *shape), dtype=np.uint8)
    for number, (path, _) in enumerate(samples):
        pixels = _pixels(path, image_size)
        if pixels.shape[:2] != shape:
            raise ValueError(
                f"images must have one size, got {shape[0]} x {shape[1]} and, in {path}, "
                f"{pixels.shape[0]} x {pixels.shape[1]}; give `image_size` to resize and crop them"
            )
        images[number] = pixels.transpose(2, 0, 1)
    return images, np.array([label for _, label in samples], dtype=np.int64)


def _pixels(path: str, image_size: int | None) -> Any:
    """Return one image, uint8 (height, width, 3)."""
    from PIL import Image
    from torchvision.transforms import functional

    try:
        with Image.open(path) as stored:
            image: Any = stored.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"{path} is no image that can be read: {error}") from error
    if image_size is not None:
        image = functional.center_crop(functional.resize(image, image_size), [image_size] * 2)
    return np.asarray(image)
