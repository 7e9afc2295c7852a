"""Files that are whole or absent, and that never execute anything when read."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

FORMAT_KEY = "format"
_UNREADABLE = (
    AttributeError,  # an array where an archive is expected: no context manager
    TypeError,
    ValueError,
    OSError,
    EOFError,
    KeyError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a temporary file; it takes the name `path` only when the block succeeds."""
    final = Path(path)
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)


def write_arrays(
    path: str | os.PathLike[str], format_name: str, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write named arrays and what they are as one ``.npz`` file."""
    with replacing(path) as stream:
        np.savez(stream, **{FORMAT_KEY: np.array(format_name)}, **arrays)  # type: ignore[arg-type]


def read_arrays(path: str | os.PathLike[str], format_name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file made by `write_arrays`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, was changed, holds pickled objects, or holds something else.
    """
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        raise ValueError(f"{path} is truncated or no file of convergent's: {error}") from error
    found = arrays.pop(FORMAT_KEY, None)
    if found is None or str(found) != format_name:
        raise ValueError(f"{path} must hold {format_name}, got {found}")
    return arrays


def write_array(path: str | os.PathLike[str], array: NDArray[Any]) -> None:
    """Write one array as an ``.npy`` file."""
    with replacing(path) as stream:
        np.save(stream, array, allow_pickle=False)


def map_array(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Return an ``.npy`` file as a read-only, memory-mapped array.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, or no array file.
    """
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")
        expected = mapped.offset + mapped.nbytes
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        raise ValueError(f"{path} is truncated or no file of convergent's: {error}") from error
    if Path(path).stat().st_size != expected:
        raise ValueError(f"{path} must have {expected} bytes, got {Path(path).stat().st_size}")
    return mapped


def shaped(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return `array` if it has `shape`."""
    if array.shape != shape:
        raise ValueError(f"an array must have shape {shape}, got {array.shape}")
    return array
