"""Large matrices in the Zarr 3 format, read without any code that a file could choose.

Of the format, exactly what is needed: real numbers in rows of chunks, neither packed nor encoded.
So any Zarr reader opens what is written here, a single chunk in a local file can be mapped into
memory, and nothing else than numbers is ever read.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from convergent._storage.file_list import ListedPlace
from convergent._storage.files import read_json, write_json
from convergent._storage.local_files import replacing
from convergent._storage.places import Location, UnreadableFileError

METADATA = "zarr.json"
_CHUNK_BYTES = 64 << 20
_PIECE_BYTES = 4 << 20
_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}]
_KEYS = {"name": "default", "configuration": {"separator": "/"}}


def write_zarr(where: ListedPlace, array: NDArray[np.float32]) -> None:
    """Write a float32 matrix as a Zarr array: one chunk in a local folder, else chunks of 64 MiB."""
    n_rows, n_columns = array.shape
    step = n_rows
    if isinstance(where.at, Location):
        step = min(n_rows, max(1, _CHUNK_BYTES // max(1, 4 * n_columns)))
    for number in range(math.ceil(n_rows / max(1, step))):
        with replacing(where / f"c/{number}/0") as stream:
            rows = array[number * step : (number + 1) * step]
            for piece in _pieces(rows):
                stream.write(np.ascontiguousarray(piece, dtype="<f4").data)
            padding = np.zeros((step - len(rows), n_columns), dtype="<f4")
            stream.write(padding.data)
    write_json(where / METADATA, _metadata((n_rows, n_columns), step))


def _pieces(rows: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    step = max(1, _PIECE_BYTES // max(1, rows[:1].nbytes))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def _metadata(shape: tuple[int, int], step: int) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": "float32",
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [step, shape[1]]},
        },
        "chunk_key_encoding": _KEYS,
        "fill_value": 0.0,
        "codecs": _CODECS,
        "attributes": {},
        "dimension_names": ["example", "unit"],
    }


class StoredArrays(Sequence[NDArray[np.float32]]):
    """Zarr matrices that are read when they are first asked for.

    What lies behind a URL, or in several chunks, comes chunk by chunk into an unnamed temporary
    file that is mapped into memory; a single chunk of a local file is mapped where it is.

    Parameters
    ----------
    places : sequence of ListedPlace
        The arrays' folders.
    shapes : sequence of (int, int)
        Rows and columns that they must have.
    """

    def __init__(self, places: Sequence[ListedPlace], shapes: Sequence[tuple[int, int]]) -> None:
        self._places = tuple(places)
        self._found: dict[int, NDArray[np.float32]] = {}
        self.shapes = tuple(shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.float32]: ...

    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.float32]]: ...

    def __getitem__(self, index: int | slice) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        i = range(len(self))[index]
        if i not in self._found:
            self._found[i] = read_zarr(self._places[i], self.shapes[i])
        return self._found[i]


def read_zarr(where: ListedPlace, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a Zarr matrix, read-only and mapped into memory; see `StoredArrays`.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    UnreadableFileError
        If a file is not the one that was saved, or the array is not a float32 matrix of that shape
        in plain bytes.
    """
    step = _chunk_rows(where, shape)
    if 0 in shape:
        return np.empty(shape, dtype=np.float32)
    if step == shape[0] and isinstance(where.at, Path):
        try:
            return np.memmap(where.at / "c" / "0" / "0", "<f4", mode="r", shape=shape)
        except ValueError as error:
            raise UnreadableFileError(f"{where}/c/0/0 is truncated: {error}") from error
    with tempfile.TemporaryFile(prefix="convergent-") as file:
        for start in range(0, shape[0], step):
            size = 4 * shape[1] * min(step, shape[0] - start)
            with (where / f"c/{start // step}/0").reading() as stream:
                while piece := stream.read(min(size, _PIECE_BYTES)):
                    file.write(piece)
                    size -= len(piece)
            if size:
                raise UnreadableFileError(f"{where}/c/{start // step}/0 lacks {size} bytes")
        file.flush()
        return np.memmap(file, "<f4", mode="r", shape=shape)


def _chunk_rows(where: ListedPlace, shape: tuple[int, int]) -> int:
    """Return the rows of a chunk, of an array that is as `write_zarr` makes it."""
    path = where / METADATA
    content = read_json(path)
    found = content if isinstance(content, dict) else {}
    codecs = found.get("codecs")
    for codec in codecs if isinstance(codecs, list) else []:
        name = codec.get("name") if isinstance(codec, dict) else codec
        if name != "bytes":
            raise UnreadableFileError(f"{path} names the codec {name!r}, which is never read")
    try:
        step, _ = found["chunk_grid"]["configuration"]["chunk_shape"]
    except (KeyError, TypeError, ValueError):
        step = None
    if not isinstance(step, int) or step < min(1, shape[0]):
        raise UnreadableFileError(f"{path} must describe an array in chunks of rows")
    for name, expected in _metadata(shape, step).items():
        if found.get(name) != expected:
            raise UnreadableFileError(
                f"{path} must have `{name}` {expected!r}, got {found.get(name)!r}"
            )
    unknown = sorted(set(found) - set(_metadata(shape, step)))
    if unknown:
        raise UnreadableFileError(f"{path} has the unknown fields {', '.join(unknown)}")
    return step
