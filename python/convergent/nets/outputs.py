"""The tensor in what a module puts out, and its axes in a fixed order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch

_HALF = (torch.float16, torch.bfloat16)
_FAR = 512  # numbers between those of neighbouring units


def first_tensor(output: Any) -> torch.Tensor | None:
    """Return the first tensor of an output.

    It may be nested in tuples, lists, mappings and dataclasses; all others count as nothing.
    """
    if isinstance(output, torch.Tensor):
        return output
    for value in _values(output):
        tensor = first_tensor(value)
        if tensor is not None:
            return tensor
    return None


def _values(output: Any) -> Sequence[Any]:
    if isinstance(output, Mapping):
        return list(output.values())
    if isinstance(output, (tuple, list)):
        return output
    if is_dataclass(output) and not isinstance(output, type):
        return [getattr(output, field.name) for field in fields(output)]
    return ()


def chosen_tensor(output: Any, items: Sequence[str]) -> torch.Tensor | None:
    """Return the first tensor of the part of an output that items lead to, one after the other.

    Parameters
    ----------
    output : object
        What a module put out.
    items : sequence of str
        Each is the key of a mapping, the name of a field, or the number of a value, from 0 or from
        the end if negative.

    Raises
    ------
    KeyError
        If there is no such part; its argument is the item, and what was looked in.
    """
    for item in items:
        output = _item(output, item)
    return first_tensor(output)


def _item(output: Any, item: str) -> Any:
    if isinstance(output, Mapping) and item in output:
        return output[item]
    values = _values(output)
    if item.removeprefix("-").isdigit():
        if -len(values) <= int(item) < len(values):
            return values[int(item)]
    elif values and hasattr(output, item):
        return getattr(output, item)
    raise KeyError(item, _kind(output))


def _kind(output: Any) -> str:
    if isinstance(output, Mapping):
        return f"{type(output).__name__} of {', '.join(map(str, output))}"
    if isinstance(output, (tuple, list)):
        return f"{type(output).__name__} of {len(output)}"
    return type(output).__name__


def units_last(tensor: torch.Tensor, unit_axis: int) -> torch.Tensor:
    """Return a view (n_images, n_units) or (n_images, height, width, n_units) of an output.

    Tokens are a map of width 1. `unit_axis` is 1 or -1.
    """
    if tensor.ndim == 2:
        return tensor
    moved = tensor if unit_axis == -1 else tensor.movedim(1, -1)
    return moved.unsqueeze(2) if tensor.ndim == 3 else moved


def copied(tensor: torch.Tensor, into: torch.Tensor | None, device: torch.device) -> torch.Tensor:
    """Return a copy in memory order on a device, float16 and bfloat16 as float32.

    Parameters
    ----------
    tensor : tensor
        Any memory order.
    into : tensor or None
        Where to put it, if it is large enough and of the right kind; otherwise memory is allocated.
    device : torch.device
        Where the copy is to be.
    """
    dtype = torch.float32 if tensor.dtype in _HALF else tensor.dtype
    fits = (
        into is not None
        and into.dtype == dtype
        and len(into) >= len(tensor)
        and into.shape[1:] == tensor.shape[1:]
    )
    if into is None or not fits:
        into = torch.empty(tensor.shape, dtype=dtype, device=device)
    copy = into[: len(tensor)]
    step = _columns_at_once(tensor)
    for start in range(0, tensor.shape[-1], step):
        copy[..., start : start + step].copy_(tensor[..., start : start + step])
    return copy


def _columns_at_once(tensor: torch.Tensor) -> int:
    """Return how many units to copy at once: many that lie far apart contend for the cache."""
    n_units = tensor.shape[-1]
    if tensor.ndim < 4 or tensor.is_cuda or tensor.stride(-1) < _FAR // 8:
        return max(1, n_units)
    return 16 if tensor.stride(-1) >= _FAR else 32
