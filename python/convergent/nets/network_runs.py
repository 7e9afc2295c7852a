"""Runs networks over batches: all on the device at once or in turns, split where memory is short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import islice
from typing import Any

import torch
from torch import nn

from convergent import _validate
from convergent.nets.inputs import Batch, float_dtype
from convergent.nets.layers import LayerChoice
from convergent.nets.memory_format import runs_faster_channels_last
from convergent.nets.recording import LayerOutput, LayerOutputs
from convergent.nets.unit_axes import UnitAxes, UnitAxis

PRECISIONS = {"float16": torch.float16, "bfloat16": torch.bfloat16}
GROUP = 8  # batches for which a network stays on the device where networks take turns
_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")

Outputs = dict[LayerChoice, LayerOutput]


class NetworkRun:
    """Runs one network over batches and returns what its layers put out.

    Parameters
    ----------
    name : str
        The network's name.
    network : Module
        The network.
    choices : sequence of LayerChoice
        What to record.
    unit_axis : int, or mapping from str to int, or None
        Where the units are, if not found by `UnitAxes`.
    device : torch.device
        Where the network runs, and the batches are moved to.
    kept_on : torch.device
        Where the outputs are kept.
    precision : str or None
        A key of `PRECISIONS`, or None for the network's own.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        choices: Sequence[LayerChoice],
        *,
        unit_axis: UnitAxis = None,
        device: torch.device,
        kept_on: torch.device,
        precision: str | None = None,
    ) -> None:
        self._network = network
        self._axes = UnitAxes(name, network, unit_axis)
        self.recorder = LayerOutputs(name, network, choices, self._axes, kept_on)
        self._device = device
        self._dtype = None if precision is None else PRECISIONS[precision]
        self._most: int | None = None  # images that fit into memory
        self._is_first = True
        self._channels_last = runs_faster_channels_last(network, device, float_dtype(network))

    @torch.inference_mode()
    def outputs(self, batch: Batch) -> Outputs:
        """Return the layers' outputs for a batch."""
        parts: list[Outputs] = []
        start = 0
        while start < batch.n_images:
            stop = min(batch.n_images, start + (self._most or batch.n_images))
            if self._has_run(batch, slice(start, stop)):
                parts.append(self.recorder.take(stop - start))
                start = stop
        joined = {
            choice: LayerOutput.joined([part[choice] for part in parts]) for choice in parts[0]
        }
        return {choice: output._replace(mask=batch.mask) for choice, output in joined.items()}

    def _has_run(self, batch: Batch, part: slice) -> bool:
        """Run the network on a part of a batch; False, and smaller parts next, if too large."""
        n_images = part.stop - part.start
        try:
            with self._axes.watching() if self._is_first else nullcontext(), self._autocast():
                batch.call(self._network, self._device, part, channels_last=self._channels_last)
        except (RuntimeError, MemoryError) as error:
            if self._is_first and self._channels_last and not is_out_of_memory(error):
                # Such as of `view`, for which the last axis must come last in memory, too.
                self._channels_last = False
                self.recorder.forget()
                return self._has_run(batch, part)
            if n_images == 1 or not is_out_of_memory(error):
                raise
        else:
            self._is_first = False
            return True
        self._most = (n_images + 1) // 2
        self.recorder.forget()
        self.recorder.reuses_memory = False
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return False

    def _autocast(self) -> Any:
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=self._dtype)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was too short."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _NO_MEMORY)


def loaded_networks(networks: Any) -> dict[str, nn.Module]:
    """Return the networks of a mapping by name; those given as functions are made.

    Raises
    ------
    TypeError
        If `networks` is no mapping, or something in it is no torch module nor makes one.
    """
    if not isinstance(networks, Mapping) or not networks:
        raise TypeError(f"`networks` must map names to networks, got {type(networks).__name__}")
    loaded = {}
    for name, given in networks.items():
        network = given
        if not isinstance(given, nn.Module) and callable(given):
            network = given()
        if not isinstance(network, nn.Module):
            raise TypeError(
                f"`networks[{name!r}]` must be a torch Module, or a function that returns one, "
                f"got {type(network).__name__}"
            )
        loaded[name] = network
    return loaded


class Turns:
    """Runs networks over a stream of batches, some of them on the device at a time.

    Parameters
    ----------
    networks : mapping from name to Module
        The networks.
    runs : mapping from name to NetworkRun
        How each is run.
    device : torch.device
        Where to.
    at_once : int or None
        Networks on the device at a time; None for all.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        runs: Mapping[str, NetworkRun],
        device: torch.device,
        at_once: int | None,
    ) -> None:
        names = list(networks)
        n_turn = len(names) if at_once is None else _validate.integer(at_once, "at_once", low=1)
        self._turns = [names[start : start + n_turn] for start in range(0, len(names), n_turn)]
        self._networks, self._runs, self._device = networks, runs, device

    def outputs(self, batches: Iterable[Mapping[str, Batch]]) -> Iterator[dict[str, Outputs]]:
        """Yield what the layers of all networks put out for each batch.

        Where networks take turns, the outputs of a group of batches are held until all have run.
        """
        group_size = 1 if len(self._turns) == 1 else GROUP
        stream = iter(batches)
        with ExitStack() as stack:
            if len(self._turns) == 1:
                stack.enter_context(self._placed(self._turns[0]))
            while group := list(islice(stream, group_size)):
                found: list[dict[str, Outputs]] = [{} for _ in group]
                for turn in self._turns:
                    with nullcontext() if len(self._turns) == 1 else self._placed(turn):
                        for batch, outputs in zip(group, found):
                            for name in turn:
                                outputs[name] = self._runs[name].outputs(batch[name])
                while found:
                    yield found.pop(0)

    @contextmanager
    def _placed(self, names: Sequence[str]) -> Iterator[None]:
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(placed(self._networks[name], self._device))
            yield


@contextmanager
def placed(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Put a network on a device, and back where it was at the end."""
    first = next(iter([*network.parameters(), *network.buffers()]), None)
    if first is None or first.device == device:
        yield
        return
    try:
        network.to(device)
        yield
    finally:
        network.to(first.device)


@contextmanager
def evaluating(networks: Mapping[str, nn.Module], device: str | torch.device) -> Iterator[None]:
    """Put networks on a device and into evaluation mode; undo both at the end."""
    with ExitStack() as stack:
        stack.enter_context(in_evaluation_mode(networks))
        for network in networks.values():
            stack.enter_context(placed(network, torch.device(device)))
        yield


@contextmanager
def in_evaluation_mode(networks: Mapping[str, nn.Module]) -> Iterator[None]:
    """Put networks into evaluation mode; each of their modules is back in its own at the end."""
    with ExitStack() as stack:
        for network in networks.values():
            for module in network.modules():
                stack.callback(setattr, module, "training", module.training)
            network.eval()
        yield
