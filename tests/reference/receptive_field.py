"""Receptive fields by the rules of convolution arithmetic, for chains of windows along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Window(NamedTuple):
    """A convolution or pooling along one axis."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


def field(windows: Sequence[Window]) -> tuple[int, int, int]:
    """Return size, stride and offset of the boxes behind a chain of windows."""
    size, stride, offset = 1, 1, 0
    for window in windows:
        offset -= window.padding * stride
        size += (window.kernel - 1) * window.dilation * stride
        stride *= window.stride
    return size, stride, offset


def hull(*fields: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the field of the sum of branches of the same stride."""
    start = min(offset for _, _, offset in fields)
    end = max(offset + size for size, _, offset in fields)
    return end - start, fields[0][1], start
