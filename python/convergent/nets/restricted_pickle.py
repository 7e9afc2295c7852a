"""The data of a pickle, without ever running what it names."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

_BYTE = "u1"


class _Inert:
    """Stands for something that a pickle names; takes its arguments and does nothing with them."""

    __slots__ = ("arguments", "state")

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Inert):
    """Stands for an array that is being rebuilt."""


class _Dtype(_Inert):
    """Stands for an array's dtype."""


class _Bytes(_Inert):
    """Stands for bytes that a Python 3 program wrote as text of a Python 2 pickle."""


# What a pickle with arrays and plain values names, in all of NumPy's spellings.
_NAMES: dict[tuple[str, str], type[_Inert]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Inert,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Bytes,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, which no such file needs and which is not run"
            ) from None


def read_pickle(path: Path) -> Any:
    """Return what a pickle of dictionaries, lists, text, numbers and uint8 arrays holds.

    Nothing that the file names is looked up, called or imported: arrays are put together here, from
    stand-ins that keep what the file says of them. NumPy's own way of rebuilding them is not used
    either, since it trusts what it is told of a dtype. Text of Python 2 becomes ``bytes``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, no pickle, or holds or names anything else; the message names it.
    """
    with path.open("rb") as stream:
        try:
            return _plain(_Reader(stream, encoding="bytes").load())
        except (
            *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError),
            *(AttributeError, OverflowError, MemoryError, RecursionError),
        ) as error:
            raise ValueError(f"{path} is no pickle of arrays and plain values: {error}") from error


def _plain(value: Any) -> Any:
    """Return a value with arrays in the place of what stands for them."""
    if isinstance(value, dict):
        return {_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, _Array):
        return _array(value)
    if isinstance(value, _Bytes):
        return _bytes(value)
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    raise ValueError(f"it holds {type(value).__name__.strip('_')}")


def _array(value: _Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    _, shape, dtype, is_fortran, content = value.state
    if not isinstance(dtype, _Dtype) or _text(dtype.arguments[0]) != _BYTE:
        raise ValueError("it holds an array that is not of uint8")
    content = _bytes(content) if isinstance(content, _Bytes) else content
    if not isinstance(content, bytes):
        raise ValueError("it holds an array that is not made of bytes")
    # Fails if there are not as many bytes as the shape says.
    array = np.frombuffer(content, dtype=np.uint8)
    return array.reshape(tuple(shape), order="F" if is_fortran else "C")


def _bytes(value: _Bytes) -> bytes:
    text, encoding = value.arguments
    if not isinstance(text, str) or _text(encoding) != "latin1":
        raise ValueError("it holds bytes in an unknown encoding")
    return text.encode("latin1")


def _text(value: Any) -> Any:
    return value.decode("latin1") if isinstance(value, bytes) else value
