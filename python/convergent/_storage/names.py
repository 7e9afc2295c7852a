"""File names for any text, and digests of texts, arrays and files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import IO, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

DIGEST_BYTES = 16
_LONGEST_NAME = 120
_PIECE = 1 << 20


def safe_name(text: str) -> str:
    """Return a file name for any text: letters, digits, '-', '_', inner dots, the rest escaped."""
    name = quote(text, safe="-_.").replace("~", "%7E")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if not name or len(name) > _LONGEST_NAME:
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        name = f"{name[: _LONGEST_NAME - 20]}~{digest}"
    return name


def text_digest(text: str) -> str:
    """Return a digest of a text."""
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).hexdigest()


def array_digest(text: str, arrays: Iterable[NDArray[Any]]) -> str:
    """Return a digest of a text and of arrays with their shapes and types."""
    digest = hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES)
    for array in arrays:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def stream_digest(stream: IO[bytes]) -> str:
    """Return a digest of what is left of a stream."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    while piece := stream.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()
