"""Images as files hold them, before they are scaled."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Split = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images uint8 (n_images, n_channels, height, width), and their labels int64 (n_images,)."""


class RawImages(NamedTuple):
    """Images and labels of both splits."""

    train: Split
    test: Split
    class_names: tuple[str, ...]


def checked_split(path: Path, images: Any, labels: Any, shape: tuple[int, int, int]) -> Split:
    """Return the split that a file holds, or say what is wrong with the file."""
    numbers = np.asarray(labels)
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        raise ValueError(f"{path} must hold images of uint8")
    if images.shape[1:] != shape or len(images) == 0:
        raise ValueError(
            f"{path} must hold images of shape {shape}, at least one, got {images.shape}"
        )
    if numbers.shape != (len(images),) or numbers.dtype.kind not in "iu":
        raise ValueError(f"{path} must hold a label for each of {len(images)} images")
    return images, numbers.astype(np.int64)


def joined(splits: list[Split]) -> Split:
    """Return the splits one after the other."""
    return np.concatenate([s[0] for s in splits]), np.concatenate([s[1] for s in splits])
