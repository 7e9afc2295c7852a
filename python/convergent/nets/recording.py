"""What the chosen modules of networks put out, recorded by hooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convergent.nets.layers import EVERY_RUN, LayerChoice
from convergent.nets.outputs import chosen_tensor, copied, units_last
from convergent.nets.unit_axes import UnitAxes

_CPU = torch.device("cpu")


class LayerOutput(NamedTuple):
    """What a module put out for a batch."""

    tensor: torch.Tensor
    """(n_images, n_units) or (n_images, height, width, n_units), in memory order."""
    mask: torch.Tensor | None = None
    """Which tokens count, bool (n_images, n_tokens); None: all."""

    @property
    def images(self) -> NDArray[Any]:
        """On the host: (n_images, n_units) or (n_images, n_units, height, width); 0 if masked."""
        tensor = self.tensor
        if self._has_tokens(tensor):
            tensor = tensor.masked_fill(~self._mask(tensor)[:, :, None, None], 0)
        array = np.asarray(tensor.cpu())
        return array if array.ndim == 2 else array.transpose(0, 3, 1, 2)

    @property
    def positions(self) -> torch.Tensor:
        """(n_positions, n_units), the tokens that count or all positions."""
        rows = self.tensor.reshape(-1, self.tensor.shape[-1])
        return rows[self._mask(rows).reshape(-1)] if self._has_tokens(self.tensor) else rows

    def _has_tokens(self, tensor: torch.Tensor) -> bool:
        return self.mask is not None and tensor.shape[1:-1] == (self.mask.shape[1], 1)

    def _mask(self, tensor: torch.Tensor) -> torch.Tensor:
        assert self.mask is not None
        return self.mask.to(tensor.device)

    @classmethod
    def joined(cls, parts: Sequence[LayerOutput]) -> LayerOutput:
        """Return the output for the images of all parts."""
        return parts[0] if len(parts) == 1 else cls(torch.cat([part.tensor for part in parts]))


class LayerOutputs:
    """What the chosen modules of one network put out in its last forward pass.

    Parameters
    ----------
    name : str
        The network's name.
    network : Module
        The network.
    choices : sequence of LayerChoice
        What to record.
    axes : UnitAxes
        Tells where the units are, once the network has run.
    device : torch.device
        Where the copies are kept.

    Attributes
    ----------
    reuses_memory : bool
        Whether outputs are overwritten by those of the next forward pass after they were taken.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        choices: Sequence[LayerChoice],
        axes: UnitAxes,
        device: torch.device = _CPU,
    ) -> None:
        self._name = name
        self._modules = dict(network.named_modules(remove_duplicate=False))
        self._choices = tuple(dict.fromkeys(choices))
        self._axes = axes
        self._device = device
        self.reuses_memory = False
        self._axis: dict[LayerChoice, int] = {}
        self._memory: dict[LayerChoice, torch.Tensor] = {}
        self._n_runs: dict[str, int] = {}
        self._n_runs_before: dict[str, int] = {}
        self._kept: dict[LayerChoice, torch.Tensor | None] = {}

    @contextmanager
    def recording(self) -> Iterator[LayerOutputs]:
        """Record inside the block; hooks are removed at its end."""
        names = dict.fromkeys(choice.module for choice in self._choices)
        handles = [self._modules[name].register_forward_hook(self._hook(name)) for name in names]
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str) -> Any:
        """Return a forward hook that keeps copies: later modules may work in place."""
        choices = [choice for choice in self._choices if choice.module == name]

        def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self._n_runs[name] = run = self._n_runs.get(name, 0) + 1
            for choice in choices:
                if choice.run == EVERY_RUN:
                    self._keep(choice._replace(run=str(run)), output)
                elif (choice.run or "1") == str(run):
                    self._keep(choice, output)

        return keep

    def _keep(self, choice: LayerChoice, output: Any) -> None:
        try:
            tensor = chosen_tensor(output, choice.items)
        except KeyError as error:
            item, found = error.args
            raise ValueError(f"{self._title(choice)} has no {item!r} in its {found}") from None
        if tensor is not None and tensor.ndim:
            if choice in self._axis:
                tensor = units_last(tensor, self._axis[choice])
            memory = self._memory.get(choice) if self.reuses_memory else None
            tensor = copied(tensor.detach(), memory, self._device)
        self._kept[choice] = tensor

    def forget(self) -> None:
        """Forget the outputs of a forward pass that was not finished."""
        self._kept.clear()
        self._n_runs.clear()

    def take(self, n_images: int) -> dict[LayerChoice, LayerOutput]:
        """Return the outputs, a choice of every run as one of each run, and forget them."""
        for choice in self._choices:
            self._check_runs(choice)
        taken = {
            choice: LayerOutput(self._arranged(choice, tensor, n_images))
            for choice, tensor in self._kept.items()
        }
        self._n_runs_before = dict(self._n_runs)
        self.forget()
        return taken

    def _check_runs(self, choice: LayerChoice) -> None:
        n_runs, title = self._n_runs.get(choice.module, 0), self._title(choice)
        if n_runs == 0:
            raise ValueError(f"{title} did not run in the forward pass")
        if choice.run == "" and n_runs > 1:
            first, every = (str(choice._replace(run=run)) for run in ("1", EVERY_RUN))
            raise ValueError(
                f"{title} ran {n_runs} times in one forward pass; choose a run, such as {first!r}, "
                f"or all of them by {every!r}"
            )
        if choice.run not in ("", EVERY_RUN) and int(choice.run) > n_runs:
            raise ValueError(f"{title} must have that many runs, got {n_runs} in the forward pass")
        before = self._n_runs_before.get(choice.module, n_runs)
        if choice.run == EVERY_RUN and before != n_runs:
            raise ValueError(f"{title} must run as often in every batch, got {before} and {n_runs}")

    def _arranged(
        self, choice: LayerChoice, tensor: torch.Tensor | None, n_images: int
    ) -> torch.Tensor:
        """Return a checked output, its units last."""
        title = self._title(choice)
        if tensor is None:
            raise ValueError(f"{title} must put out a tensor, got none")
        if choice not in self._axis:
            if tensor.ndim not in (2, 3, 4) or tensor.numel() == 0:
                raise ValueError(
                    f"output of {title} must be (n_images, n_units), (n_images, n_channels, "
                    "height, width) or (n_images, n_tokens, n_units), not empty, "
                    f"got shape {tuple(tensor.shape)}"
                )
            axis = self._axes.axis(choice, tensor.shape)
            self._axis[choice] = axis
            tensor = units_last(tensor, axis).contiguous()
        if len(tensor) != n_images:
            raise ValueError(
                f"{title} must put out one row for each of {n_images} images, got {len(tensor)}"
            )
        if self.reuses_memory and len(tensor) > len(self._memory.get(choice, ())):
            self._memory[choice] = tensor
        return tensor

    def _title(self, choice: LayerChoice) -> str:
        return f"layer {str(choice)!r} of network {self._name!r}"


def n_runs(outputs: Mapping[LayerChoice, LayerOutput]) -> dict[LayerChoice, int]:
    """Return how many outputs there are of every choice of every run."""
    counts: dict[LayerChoice, int] = {}
    for choice in outputs:
        every = choice._replace(run=EVERY_RUN)
        counts[every] = counts.get(every, 0) + 1
    return counts
