"""Image sets packed into ``.npz`` files: sheets of 40 images a row, as lossless JPEG XL."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PER_ROW = 40


def read_packed(path: Path, labels: str) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Return images (n_images, n_channels, size, size) and the labels called `labels`.

    Raises
    ------
    ImportError
        If there is no decoder of JPEG XL; the message says what else can be done.
    ValueError
        If the file is truncated or foreign.
    """
    decode = _decoder()
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            sheets = sorted(name for name in content.files if name.startswith("jxl"))
            images = [_cut(np.asarray(decode(content[name].tobytes()))) for name in sheets]
            return np.concatenate(images), content[labels]
    except (
        *(OSError, EOFError, ValueError, TypeError, KeyError, ZeroDivisionError),
        *(RuntimeError, zipfile.BadZipFile),
    ) as error:
        raise ValueError(f"{path} is truncated or no packed image set: {error}") from error


def _cut(sheet: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the images of a sheet, channels first."""
    sheet = sheet if sheet.ndim == 3 else sheet[:, :, np.newaxis]
    height, width, n_channels = sheet.shape
    size = width // _PER_ROW
    tiles = sheet.reshape(height // size, size, _PER_ROW, size, n_channels)
    return tiles.transpose(0, 2, 4, 1, 3).reshape(-1, n_channels, size, size)


def _decoder() -> Any:
    try:
        import pylibjxl
    except ImportError as error:
        raise ImportError(
            "packed image sets need a decoder of JPEG XL: pip install pylibjxl; or write out the "
            "files that torchvision expects, with the program unpack_torchvision.py beside them"
        ) from error
    return pylibjxl.decode
