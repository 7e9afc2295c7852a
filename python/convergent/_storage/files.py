"""Arrays, tables and JSON in files that never execute anything when read."""

from __future__ import annotations

import csv
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent._storage.local_files import replacing
from convergent._storage.names import stream_digest
from convergent._storage.places import AnyPlace, UnreadableFileError, place, reading

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


def write_arrays(where: AnyPlace, format_name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays and what they are as one ``.npz`` file."""
    with replacing(where) as stream:
        np.savez(stream, **{FORMAT_KEY: np.array(format_name)}, **arrays)  # type: ignore[arg-type]


def read_arrays(where: AnyPlace, format_name: str | None = None) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file; of one made by `write_arrays`, if a format is named.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnreadableFileError
        If the file is truncated, was changed, holds pickled objects, or holds something else.
    """
    try:
        with reading(where) as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (FileNotFoundError, UnreadableFileError):
        raise
    except _UNREADABLE as error:
        raise _unreadable(where, error) from error
    if format_name is not None:
        found = arrays.pop(FORMAT_KEY, None)
        if found is None or str(found) != format_name:
            raise UnreadableFileError(f"{where} must hold {format_name}, got {found}")
    return arrays


def write_array(where: AnyPlace, array: NDArray[Any]) -> None:
    """Write one array as an ``.npy`` file."""
    with replacing(where) as stream:
        np.save(stream, array, allow_pickle=False)


def read_array(where: AnyPlace) -> NDArray[Any]:
    """Return an ``.npy`` file as an array.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnreadableFileError
        If the file is truncated, holds pickled objects, or is no array file.
    """
    try:
        with reading(where) as stream:
            found: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
            rest = stream.read(1)
    except (FileNotFoundError, UnreadableFileError):
        raise
    except _UNREADABLE as error:
        raise _unreadable(where, error) from error
    if rest:
        raise UnreadableFileError(f"{where} goes on after its array")
    return found


def map_array(path: Path) -> NDArray[Any]:
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
    if path.stat().st_size != expected:
        raise UnreadableFileError(f"{path} must have {expected} bytes, got {path.stat().st_size}")
    return mapped


def shaped(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return `array` if it has `shape`."""
    if array.shape != shape:
        raise ValueError(f"an array must have shape {shape}, got {array.shape}")
    return array


def write_table(where: AnyPlace, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as a ``.csv`` file with headings."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(where, text.getvalue())


def file_digest(where: AnyPlace) -> str:
    """Return a digest of a file's bytes."""
    with reading(where) as stream:
        return stream_digest(stream)


def write_text(where: AnyPlace, text: str) -> None:
    """Write text in UTF-8; a file that holds it already is left as it is."""
    content = text.encode()
    final = place(where)
    try:
        with reading(final) as stream:
            if stream.read(len(content) + 1) == content:
                return
    except (OSError, UnreadableFileError):
        pass  # it is not there, or not whole
    with replacing(final) as stream:
        stream.write(content)


def write_json(where: AnyPlace, content: Any) -> None:
    """Write JSON."""
    write_text(where, json.dumps(content, indent=1) + "\n")


def read_json(where: AnyPlace, format_name: str | None = None) -> Any:
    """Return the content of a JSON file; an object that says it is of a format, if one is named.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnreadableFileError
        If the file is truncated, no JSON, or of another format.
    """
    try:
        with reading(where) as stream:
            content = json.loads(stream.read().decode())
    except UnreadableFileError:
        raise
    except ValueError as error:
        raise _unreadable(where, error) from error
    if format_name is not None and (
        not isinstance(content, dict) or content.get(FORMAT_KEY) != format_name
    ):
        raise UnreadableFileError(f"{where} must be of format {format_name}")
    return content


def _unreadable(where: AnyPlace, error: Exception) -> UnreadableFileError:
    return UnreadableFileError(f"{where} is truncated or no file of convergent's: {error}")
