"""Which axis of a module's output counts its units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from convergent.nets.layers import LayerChoice
from convergent.nets.outputs import first_tensor

UnitAxis = int | Mapping[str, int] | None

SECOND, LAST = 1, -1
_SECOND_TYPES = tuple(
    getattr(nn, f"{kind}{n_axes}d")
    for kind in (
        "Conv",
        "ConvTranspose",
        "BatchNorm",
        "InstanceNorm",
        "MaxPool",
        "AvgPool",
        "AdaptiveMaxPool",
        "AdaptiveAvgPool",
        "LPPool",
    )
    for n_axes in (1, 2)
)
_LAST_TYPES = (nn.Linear, nn.Embedding, nn.MultiheadAttention, nn.RNNBase)
# Norms over the last axis; other classes derive from them and work on the second one.
_LAST_NAMES = ("LayerNorm", "RMSNorm")
_UNTOLD = {3: LAST, 4: SECOND}


class UnitAxes:
    """Finds the axis of the units of a network's outputs.

    Outputs (n_images, n_units) leave no choice. Of others a module whose kind tells decides for
    itself (convolutions, batch norms and poolings have their units second; linear maps, layer norms
    and attention last). For any other module the smallest part of the network around it decides
    that has modules which tell and put out as many axes: its own modules, those of its parent, and
    so on. Nothing there: units are last of three axes and second of four.

    Parameters
    ----------
    name : str
        The network's name.
    network : Module
        The network.
    given : int, or mapping from str to int, or None
        The axis, 1 or -1, of all layers, or by the name of the layer or module, or pattern.
    """

    def __init__(self, name: str, network: nn.Module, given: UnitAxis = None) -> None:
        self._name = name
        self._modules = dict(network.named_modules(remove_duplicate=False))
        self._given = {"*": given} if isinstance(given, int) else dict(given or {})
        self._n_axes: dict[str, set[int]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note how many axes the modules put out inside the block."""
        with ExitStack() as stack:
            for name, module in self._modules.items():
                if _told_by(module) is not None:
                    stack.callback(module.register_forward_hook(self._note(name)).remove)
            yield

    def _note(self, name: str) -> Any:
        def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is not None:
                self._n_axes.setdefault(name, set()).add(tensor.ndim)

        return note

    def axis(self, choice: LayerChoice, shape: torch.Size) -> int:
        """Return the axis of an output's units, 1 or -1.

        Raises
        ------
        ValueError
            If it cannot be told; the message names the shape.
        """
        for pattern, axis in self._given.items():
            if fnmatchcase(str(choice), pattern) or fnmatchcase(choice.module, pattern):
                return axis
        if len(shape) not in _UNTOLD:
            return SECOND
        told = _told_by(self._modules[choice.module])
        if told is not None:
            return told
        part = choice.module
        while True:
            found = self._told_within(part, len(shape))
            if len(found) == 1:
                return found.pop()
            if found:
                raise ValueError(
                    f"layer {str(choice)!r} of network {self._name!r} puts out shape "
                    f"{tuple(shape)} in a part of the network that has units both second and "
                    f"last; say which: unit_axis={{{str(choice)!r}: 1}}, or -1"
                )
            if part == "":
                return _UNTOLD[len(shape)]
            part = part.rpartition(".")[0]

    def _told_within(self, part: str, n_axes: int) -> set[int]:
        """Return the axes that modules of a part tell that put out so many axes."""
        prefix = f"{part}." if part else ""
        found = set()
        for name, seen in self._n_axes.items():
            told = _told_by(self._modules[name]) if n_axes in seen else None
            if told is not None and (name == part or name.startswith(prefix)):
                found.add(told)
        return found


def _told_by(module: nn.Module) -> int | None:
    if isinstance(module, (*_SECOND_TYPES, nn.GroupNorm)):
        return SECOND
    if isinstance(module, _LAST_TYPES) or type(module).__name__ in _LAST_NAMES:
        return LAST
    return None


def check_unit_axis(value: Any) -> UnitAxis:
    """Return an axis, or axes by layer or pattern, as given.

    Raises
    ------
    ValueError
        If an axis is neither 1 nor -1.
    """
    axes = list(value.values()) if isinstance(value, Mapping) else [value]
    for axis in axes:
        is_axis = isinstance(axis, int) and not isinstance(axis, bool) and axis in (SECOND, LAST)
        if not is_axis and value is not None:
            raise ValueError(f"`unit_axis` must be 1 (units second) or -1 (last), got {axis!r}")
    found: UnitAxis = value
    return found
