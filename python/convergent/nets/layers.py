"""Which modules of several networks are compared with each other, and what they put out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convergent import _validate

Layers = str | Sequence[str] | Sequence[Sequence[str]] | Mapping[str, Sequence[str]]


def corresponding_layers(
    networks: Mapping[str, nn.Module], layers: Layers
) -> dict[str, dict[str, str]]:
    """Return, for each layer by name, the module that stands for it in each network.

    A layer that is named twice counts once.

    Parameters
    ----------
    networks : mapping from name to Module
        The networks.
    layers : str, or list of str, or list of lists of str, or mapping from network to list of str
        Names of modules or patterns (``*`` also matches dots); for all networks, or a list for
        each.

    Raises
    ------
    ValueError
        If a network has no such module (the message lists those it has), or if the networks'
        lists differ in length.
    """
    found = {
        name: _matching_modules(name, networks[name], patterns)
        for name, patterns in _patterns_by_network(list(networks), layers).items()
    }
    counts = {name: len(modules) for name, modules in found.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"`layers` must be as many in every network, got {counts}")
    result: dict[str, dict[str, str]] = {}
    for modules in zip(*found.values()):
        layer = modules[0] if len(set(modules)) == 1 else " | ".join(modules)
        result[layer] = dict(zip(found, modules))
    if not result:
        raise ValueError("`layers` must name at least one layer, got none")
    return result


def _patterns_by_network(networks: list[str], layers: Layers) -> dict[str, list[str]]:
    if isinstance(layers, str):
        layers = [layers]
    if isinstance(layers, Mapping):
        if set(layers) != set(networks):
            raise ValueError(
                f"`layers` must have a list for each of {', '.join(networks)}, "
                f"got {', '.join(layers) or 'none'}"
            )
        return {name: list(layers[name]) for name in networks}
    if all(isinstance(pattern, str) for pattern in layers):
        patterns = [pattern for pattern in layers if isinstance(pattern, str)]
        return {name: list(dict.fromkeys(patterns)) for name in networks}
    if any(isinstance(patterns, str) for patterns in layers) or len(layers) != len(networks):
        raise ValueError(
            f"`layers` must be names, or one list for each of {len(networks)} networks, "
            f"got {layers}"
        )
    return {name: list(patterns) for name, patterns in zip(networks, layers)}


def _matching_modules(network: str, module: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Return the names that the patterns stand for, those of one pattern in the network's order."""
    available = [name for name, _ in module.named_modules(remove_duplicate=False) if name]
    found: list[str] = []
    for pattern in patterns:
        matches = [name for name in available if fnmatchcase(name, pattern)]
        if pattern in available:
            found.append(pattern)
        elif matches:
            found.extend(name for name in matches if name not in found)
        else:
            raise ValueError(
                f"network {network!r} has no module {pattern!r}; it has {', '.join(available)}"
            )
    return found


class LayerOutput(NamedTuple):
    """What a module put out, first axis images."""

    array: NDArray[Any]
    """On the host."""
    tensor: torch.Tensor
    """Where it was recorded: on the network's device, or the memory of `array`."""


class LayerOutputs:
    """What the chosen modules of one network put out in its last forward pass.

    Parameters
    ----------
    network : str
        The network's name.
    modules : sequence of str
        The modules' names.
    on_device : bool
        Whether the tensors stay on the network's device until they are taken; otherwise they go to
        the host at once, which keeps the device's memory free.
    """

    def __init__(self, network: str, modules: Sequence[str], on_device: bool) -> None:
        self._network = network
        self._on_device = on_device
        self._outputs: dict[str, list[Any]] = {module: [] for module in modules}

    def hook(self, name: str) -> Any:
        """Return a forward hook that keeps a copy: later modules may work in place."""

        def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is not None:
                tensor = tensor.detach()
                if tensor.dtype in (torch.float16, torch.bfloat16):
                    tensor = tensor.to(torch.float32)
                tensor = tensor.clone() if self._on_device else tensor.to("cpu", copy=True)
            self._outputs[name].append(tensor)

        return keep

    def take(self, n_images: int) -> dict[str, LayerOutput]:
        """Return the outputs by module and forget them."""
        taken = {}
        for module, outputs in self._outputs.items():
            name = f"layer {module!r} of network {self._network!r}"
            if not outputs:
                raise ValueError(f"{name} did not run in the forward pass")
            if len(outputs) > 1:
                raise ValueError(
                    f"{name} ran {len(outputs)} times in one forward pass; "
                    "choose a module that runs once"
                )
            if outputs[0] is None:
                raise ValueError(f"{name} must put out a tensor, got none")
            array = _validate.image_array(np.asarray(outputs[0].cpu()), f"output of {name}")
            if len(array) != n_images:
                raise ValueError(
                    f"{name} must put out one row for each of {n_images} images, got {len(array)}"
                )
            taken[module] = LayerOutput(array, outputs[0])
            outputs.clear()
        return taken


@contextmanager
def recording(
    networks: Mapping[str, nn.Module],
    layers: Mapping[str, Mapping[str, str]],
    *,
    on_device: bool = False,
) -> Iterator[dict[str, LayerOutputs]]:
    """Record the modules of every network inside the block; hooks are removed at its end."""
    with ExitStack() as stack:
        recorders = {}
        for name, network in networks.items():
            chosen = list(dict.fromkeys(modules[name] for modules in layers.values()))
            recorders[name] = LayerOutputs(name, chosen, on_device)
            by_name = dict(network.named_modules(remove_duplicate=False))
            for module in chosen:
                handle = by_name[module].register_forward_hook(recorders[name].hook(module))
                stack.callback(handle.remove)
        yield recorders


def first_tensor(output: Any) -> torch.Tensor | None:
    """Return the first tensor of an output, which may be nested in tuples, lists and mappings."""
    if isinstance(output, torch.Tensor):
        return output
    values: Sequence[Any] = ()
    if isinstance(output, Mapping):
        values = list(output.values())
    elif isinstance(output, (tuple, list)):
        values = output
    for value in values:
        tensor = first_tensor(value)
        if tensor is not None:
            return tensor
    return None
