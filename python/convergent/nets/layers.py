"""Which modules of several networks are compared with each other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch import nn

Layers = str | Sequence[str] | Sequence[Sequence[str]] | Mapping[str, Sequence[str]]

EVERY_RUN = "*"
_SELECTION = re.compile(r"(?P<module>[^:@]*)(?P<items>(?::[^:@]+)*)(?:@(?P<run>[1-9]\d*|\*))?")


class LayerChoice(NamedTuple):
    """What is recorded of a module: which part of its output, and of which run."""

    module: str
    """The module's name; "" is the network itself."""
    items: tuple[str, ...] = ()
    """Numbers, keys or names of fields that lead to the tensor."""
    run: str = ""
    """Number of the run in one forward pass, "*" for every one, "" for the only one."""

    @classmethod
    def read(cls, text: str) -> LayerChoice | None:
        """Return what ``"module:item:item@run"`` asks for; None if it is no such text."""
        found = _SELECTION.fullmatch(text)
        if found is None:
            return None
        items = tuple(item for item in found["items"].split(":") if item)
        return cls(found["module"], items, found["run"] or "")

    def __str__(self) -> str:
        items = "".join(f":{item}" for item in self.items)
        return f"{self.module}{items}" + (f"@{self.run}" if self.run else "")


def corresponding_layers(
    networks: Mapping[str, nn.Module], layers: Layers
) -> dict[str, dict[str, LayerChoice]]:
    """Return, for each layer by name, what stands for it in each network.

    A layer that is named twice counts once.

    Parameters
    ----------
    networks : mapping from name to Module
        The networks.
    layers : str, or list of str, or list of lists of str, or mapping from network to list of str
        Names of modules or patterns (``*`` also matches dots), each with items and a run if need
        be (``"module:item@run"``); for all networks, or a list for each.

    Raises
    ------
    ValueError
        If a network has no such module (the message lists those it has), or if the networks'
        lists differ in length.
    """
    found = {
        name: _matching_choices(name, networks[name], patterns)
        for name, patterns in _patterns_by_network(list(networks), layers).items()
    }
    counts = {name: len(choices) for name, choices in found.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"`layers` must be as many in every network, got {counts}")
    result = _by_layer([dict(zip(found, choices)) for choices in zip(*found.values())])
    if not result:
        raise ValueError("`layers` must name at least one layer, got none")
    return result


def with_runs(
    layers: Mapping[str, Mapping[str, LayerChoice]],
    n_runs: Mapping[str, Mapping[LayerChoice, int]],
) -> dict[str, dict[str, LayerChoice]]:
    """Return the layers with one for every run where every run is asked for.

    Parameters
    ----------
    layers : mapping from layer to mapping from network to LayerChoice
        The layers.
    n_runs : mapping from network to mapping from LayerChoice to int
        How often the modules ran.

    Raises
    ------
    ValueError
        If the modules of a layer did not run equally often.
    """
    expanded: list[dict[str, LayerChoice]] = []
    for layer, choices in layers.items():
        counts = {
            network: n_runs[network][choice]
            for network, choice in choices.items()
            if choice.run == EVERY_RUN
        }
        if len(set(counts.values())) > 1:
            raise ValueError(f"layer {layer!r} must run as often in every network, got {counts}")
        for run in range(1, 1 + max(counts.values(), default=1)):
            expanded.append(
                {
                    network: choice._replace(run=str(run)) if network in counts else choice
                    for network, choice in choices.items()
                }
            )
    return _by_layer(expanded)


def _by_layer(rows: Sequence[dict[str, LayerChoice]]) -> dict[str, dict[str, LayerChoice]]:
    result: dict[str, dict[str, LayerChoice]] = {}
    for row in rows:
        names = [str(choice) for choice in row.values()]
        result[names[0] if len(set(names)) == 1 else " | ".join(names)] = row
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


def _matching_choices(
    network: str, module: nn.Module, patterns: Sequence[str]
) -> list[LayerChoice]:
    """Return what the patterns stand for, the modules of one pattern in the network's order."""
    available = [name for name, _ in module.named_modules(remove_duplicate=False) if name]
    found: list[LayerChoice] = []
    for pattern in patterns:
        asked = _asked(pattern, available)
        if asked is not None and (asked.module == "" or asked.module in available):
            found.append(asked)
            continue
        matches = [name for name in available if asked and fnmatchcase(name, asked.module)]
        if asked is None or not matches:
            raise ValueError(
                f"network {network!r} has no module {pattern!r}; it has {', '.join(available)}"
            )
        choices = [asked._replace(module=name) for name in matches]
        found.extend(choice for choice in choices if choice not in found)
    return found


def _asked(pattern: str, available: Sequence[str]) -> LayerChoice | None:
    if pattern in available:  # a name may hold any character
        return LayerChoice(pattern)
    return LayerChoice.read(pattern) if pattern else None
