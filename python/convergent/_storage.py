"""Files that are whole or absent, and that never execute anything when read."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

FORMAT_KEY = "format"
_LONGEST_NAME = 120
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


class UnreadableFileError(ValueError):
    """A file is truncated, or is not of the kind that its place says."""


def safe_name(text: str) -> str:
    """Return a file name for any text: letters, digits, '-', '_', inner dots, the rest escaped."""
    name = quote(text, safe="-_.").replace("~", "%7E")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if not name or len(name) > _LONGEST_NAME:
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        name = f"{name[: _LONGEST_NAME - 20]}~{digest}"
    return name


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a temporary file; it takes the name `path` only when the block succeeds."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
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


def read_arrays(
    path: str | os.PathLike[str], format_name: str | None = None
) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file; of one made by `write_arrays`, if a format is named.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnreadableFileError
        If the file is truncated, was changed, holds pickled objects, or holds something else.
    """
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if format_name is not None:
        found = arrays.pop(FORMAT_KEY, None)
        if found is None or str(found) != format_name:
            raise UnreadableFileError(f"{path} must hold {format_name}, got {found}")
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
    UnreadableFileError
        If the file is truncated, or no array file.
    """
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")
        expected = mapped.offset + mapped.nbytes
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if Path(path).stat().st_size != expected:
        raise UnreadableFileError(
            f"{path} must have {expected} bytes, got {Path(path).stat().st_size}"
        )
    return mapped


def shaped(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return `array` if it has `shape`."""
    if array.shape != shape:
        raise ValueError(f"an array must have shape {shape}, got {array.shape}")
    return array


def write_table(
    path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write rows as a ``.csv`` file with headings."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def text_digest(text: str) -> str:
    """Return a digest of a text."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def array_digest(text: str, arrays: Iterable[NDArray[Any]]) -> str:
    """Return a digest of a text and of arrays with their shapes and types."""
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for array in arrays:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return a digest of a file's bytes."""
    return hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write text in UTF-8."""
    with replacing(path) as stream:
        stream.write(text.encode())


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write JSON."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_json(path: str | os.PathLike[str], format_name: str | None = None) -> Any:
    """Return the content of a JSON file; an object that says it is of a format, if one is named.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnreadableFileError
        If the file is truncated, no JSON, or of another format.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise _unreadable(path, error) from error
    if format_name is not None and (
        not isinstance(content, dict) or content.get(FORMAT_KEY) != format_name
    ):
        raise UnreadableFileError(f"{path} must be of format {format_name}")
    return content


def _unreadable(path: str | os.PathLike[str], error: Exception) -> UnreadableFileError:
    return UnreadableFileError(f"{path} is truncated or no file of convergent's: {error}")
