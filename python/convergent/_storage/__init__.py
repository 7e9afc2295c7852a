"""Files that are whole or absent, wherever they lie, and that never execute anything when read."""

from __future__ import annotations

from convergent._storage.file_list import FileList, ListedPlace
from convergent._storage.files import (
    FORMAT_KEY,
    file_digest,
    map_array,
    read_array,
    read_arrays,
    read_json,
    shaped,
    write_array,
    write_arrays,
    write_json,
    write_table,
    write_text,
)
from convergent._storage.local_files import remove_stale, replacing
from convergent._storage.names import array_digest, safe_name, text_digest
from convergent._storage.places import (
    AnyPlace,
    Location,
    Place,
    UnreadableFileError,
    is_url,
    local,
    place,
    reading,
    remove_below,
    sizes,
)
from convergent._storage.zarr_arrays import StoredArrays, write_zarr

__all__ = [
    "FORMAT_KEY",
    "AnyPlace",
    "FileList",
    "ListedPlace",
    "Location",
    "Place",
    "StoredArrays",
    "UnreadableFileError",
    "array_digest",
    "file_digest",
    "is_url",
    "local",
    "map_array",
    "place",
    "read_array",
    "read_arrays",
    "read_json",
    "reading",
    "remove_below",
    "remove_stale",
    "replacing",
    "safe_name",
    "shaped",
    "sizes",
    "text_digest",
    "write_array",
    "write_arrays",
    "write_json",
    "write_table",
    "write_text",
    "write_zarr",
]
