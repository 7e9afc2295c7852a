"""Files that a killed run cannot leave half written, and names that any text can be turned into."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

_LONGEST_NAME = 120


class UnreadableFileError(ValueError):
    """A file is truncated, or is not of the kind that its place says."""


def safe_name(text: str) -> str:
    """Return a file name for any text: its letters, digits, '-', '_' and inner dots, the rest escaped."""
    name = quote(text, safe="-_.~").replace("~", "%7E")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if not name or len(name) > _LONGEST_NAME:
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        name = f"{name[: _LONGEST_NAME - 20]}~{digest}"
    return name


def text_of(name: str) -> str:
    """Return the text of a file name that `safe_name` made (and did not have to shorten)."""
    return unquote(name)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text to `path` in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON to `path` in one step."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON, naming the file when it is not."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{path} is not a complete JSON file: {error}") from error


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as one compressed `.npz` in one step."""
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of an `.npz`; pickled objects are refused, never executed."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, AttributeError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise UnreadableFileError(
            f"{path} is not a complete .npz file of arrays: {error}"
        ) from error
