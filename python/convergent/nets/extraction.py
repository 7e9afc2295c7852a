"""One pass over the data, all networks at once: activations in, statistics out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from convergent import _validate
from convergent.nets.device_sums import DeviceSums, keeps_sums
from convergent.nets.inputs import Inputs
from convergent.nets.layers import LayerChoice, Layers, corresponding_layers, with_runs
from convergent.nets.network_runs import (
    PRECISIONS,
    NetworkRun,
    Outputs,
    Turns,
    in_evaluation_mode,
    loaded_networks,
)
from convergent.nets.recording import n_runs
from convergent.nets.unit_axes import UnitAxis, check_unit_axis
from convergent.statistics.builder import VIEWS, StatisticsBuilder
from convergent.statistics.collected import Statistics

Progress = Callable[[str, int, int], None]
Network = nn.Module | Callable[[], nn.Module]

_CPU = torch.device("cpu")


def collect(
    networks: Mapping[str, Network],
    loader: Any,
    *,
    layers: Layers,
    device: str | torch.device = "cpu",
    views: Sequence[str] = VIEWS,
    factor: bool = True,
    n_rows: int = 60_000,
    max_units: int = 1_000,
    seed: int = 0,
    n_top: int = 9,
    labels: Any = True,
    unit_axis: UnitAxis = None,
    attention_mask: str | None = "attention_mask",
    at_once: int | None = None,
    precision: str | None = None,
    progress: Progress | None = None,
) -> Statistics:
    """Return the statistics of several networks' layers from one pass over the data.

    Every batch goes through every network, in evaluation mode and without gradients. Afterwards the
    networks are on their old device and in their old mode, and all hooks are gone, also if
    something failed.

    Parameters
    ----------
    networks : mapping from name to Module, or to function that returns one
        The networks to compare. Functions are called once, without arguments.
    loader : iterable, array or tensor, or mapping from network to these
        Yields images, or tuples that start with images and labels, as a DataLoader does; or all
        images at once, (n_images, ...). Instead of images a batch may be a mapping, such as
        ``{"input_ids": ..., "attention_mask": ...}``, which the networks get as keywords; its entry
        ``"labels"`` or ``"label"`` is taken out as labels. With a loader for each network these must
        yield the same examples in the same order, each prepared for its network.
    layers : list of str, list of lists of str, or mapping from network to list of str
        Names of modules, or patterns such as ``"relu*"`` (``*`` also matches dots), for all
        networks; or one list a network, whose layers then correspond by position. See Notes for
        parts of outputs and runs of modules.
    device : str or torch.device
        Where the networks run. Elsewhere than on the CPU moments and factor are accumulated there
        too, in float64 and from outputs that stay there until their batch is done; MPS has no
        float64 and leaves it to the CPU.
    views : sequence of {"positions", "images"}
        What to keep: channels with every position an example (moments, factor, rows), or flattened
        units with every image an example.
    factor : bool
        Whether to keep the joint triangular factor, which subspace matches need.
    n_rows : int
        Rows of the positions view to sample.
    max_units : int
        Largest number of flattened units to keep in the images view.
    seed : int
        For the sample and the choice of units.
    n_top : int
        How many images that each unit responds to most are kept, with the position in the layer's
        map: what `unit_patches` shows. 0 for none.
    labels : bool or array, shape (n_images,)
        Whether to keep the labels that the loader yields, or the labels themselves. Numbers must be
        those that the loader yields, if it does: that shows that the order is the same.
    unit_axis : int, or mapping from str to int, or None
        Which axis of outputs with three or four holds the units: 1 (second) or -1 (last), for all
        layers or by the name or a pattern of the layer or module. See Notes for what is found
        without.
    attention_mask : str or None
        Entry of a batch of keywords that is 0 where a token is padding. In layers of as many tokens
        padding is no example of the positions view, and 0 in the images view. None keeps it.
    at_once : int or None
        How many networks are on the device at a time; None for all. With fewer than there are, they
        take turns, a few batches each; their outputs wait on the host.
    precision : {"float16", "bfloat16"} or None
        Lets torch run some operations in that precision (autocast). The statistics are accumulated
        in float64 as ever.
    progress : callable or None
        Called as ``progress(description, done, total)`` after each batch; `total` is 0 if it is not
        known.

    Returns
    -------
    Statistics
        One entry a layer, named as the module, or ``"module of a | module of b"`` where they
        differ.

    Raises
    ------
    TypeError
        If `networks` are no torch modules, or the loader yields something else.
    ValueError
        If a network has no such layer, a layer did not run or ran several times, it cannot be told
        which axis of its output holds the units, the networks differ in positions, or an activation
        is NaN or infinite; if loaders differ in batches or labels, or a DataLoader shuffles: then
        images with large responses could not be found again (``iter(loader)`` hides it).

    Notes
    -----
    A layer is ``module:item:item@run``. The first tensor of what a module puts out counts, in
    tuples, lists, mappings and dataclasses; items choose another by number, key or name of a field:
    ``"encoder.layer.3:1"``, ``"decoder:hidden_states:-1"``. ``":last_hidden_state"`` is of what the
    network itself puts out. A module that runs several times in a forward pass needs a run:
    ``"layer1.0.relu@2"`` is the second, ``"layer1.0.relu@*"`` are all, each a layer.

    Outputs may be (n_images, n_units); maps (n_images, n_channels, height, width) or channels last;
    or tokens (n_images, n_tokens, n_units) or (n_images, n_channels, length). Tokens are a map of
    width 1: in the positions view each is an example; in the images view they are flattened, all
    tokens of the first unit first. The axis of the units is told by the kind of module
    (convolutions, batch norms, poolings: second; linear maps, layer norms, attention: last), or by
    the kinds of the modules in it or around it that put out as many axes.

    Memory holds one batch (eight where networks take turns) of the chosen outputs and the
    statistics, whatever the number of images; rows of the images view beyond 16 MiB a layer and
    network are in a temporary file. A batch that is too large for memory is halved until it
    fits, and later batches are cut as small.

    Networks with convolutions in single precision get images with channels last in memory on a CPU,
    where oneDNN is a seventh to a half faster so; one that fails on them, as by ``view``, gets them as
    they come. The last digits of its outputs depend on it.

    The statistics are the same for any batch size, as far as the networks' outputs are: those of
    float32 networks may differ in the last digits.

    Examples
    --------
    >>> import numpy as np
    >>> from convergent import nets
    >>> networks = {"a": nets.ConvNet(), "b": nets.ConvNet()}
    >>> images = np.random.default_rng(0).normal(size=(20, 1, 8, 8)).astype(np.float32)
    >>> nets.collect(networks, images, layers=["relu1", "dense"]).layers["dense"]
    LayerStatistics('dense', widths=[64, 64], moments of 20 examples, factor, 20 rows, 20 images, top examples)
    """
    modules = loaded_networks(networks)
    correspondence = corresponding_layers(modules, layers)
    where = torch.device(device)
    on_device = keeps_sums(where)
    builder = StatisticsBuilder(
        list(modules),
        views=views,
        moments=not on_device,
        factor=factor and not on_device,
        n_rows=n_rows,
        max_units=max_units,
        seed=seed,
        n_top=n_top,
        n_threads=max(1, _validate.available_processors() // len(correspondence)),
    )
    sums = DeviceSums(where, factor) if on_device and "positions" in views else None
    inputs = Inputs(loader, list(modules), labels, attention_mask)
    runs = _runs(
        modules,
        correspondence,
        unit_axis=check_unit_axis(unit_axis),
        device=where,
        kept_on=where if sums is not None and at_once is None else _CPU,
        precision=None
        if precision is None
        else _validate.choice(precision, "precision", list(PRECISIONS)),
    )
    turns = Turns(modules, runs, where, at_once)
    with _ready(modules, runs, at_once), _Updates(builder, sums, correspondence) as updates:
        for n_batches, outputs in enumerate(turns.outputs(inputs), start=1):
            updates.take(outputs)
            if progress:
                progress("collect", n_batches, inputs.n_batches)
    return builder.finish(
        labels=inputs.labels(),
        settings=_settings(updates.layers, precision),
        moments=None if sums is None else sums.moments(),
        factors=None if sums is None else sums.factors(),
    )


def _settings(
    layers: Mapping[str, Mapping[str, LayerChoice]], precision: str | None
) -> dict[str, Any]:
    modules = {
        layer: {name: str(choice) for name, choice in choices.items()}
        for layer, choices in layers.items()
    }
    settings: dict[str, Any] = {"source": "networks", "layers": modules}
    return settings if precision is None else {**settings, "precision": precision}


def _runs(
    networks: Mapping[str, nn.Module],
    layers: Mapping[str, Mapping[str, LayerChoice]],
    **how: Any,
) -> dict[str, NetworkRun]:
    return {
        name: NetworkRun(name, network, [choices[name] for choices in layers.values()], **how)
        for name, network in networks.items()
    }


@contextmanager
def _ready(
    networks: Mapping[str, nn.Module], runs: Mapping[str, NetworkRun], at_once: int | None
) -> Iterator[None]:
    """Have networks in evaluation mode and their layers recorded inside the block."""
    with ExitStack() as stack:
        stack.enter_context(in_evaluation_mode(networks))
        for run in runs.values():
            # A batch's statistics are taken before the next batch runs, unless networks take turns.
            run.recorder.reuses_memory = at_once is None
            stack.enter_context(run.recorder.recording())
        yield


class _Updates:
    """Brings the outputs of batches into the statistics, several layers at a time."""

    def __init__(
        self,
        builder: StatisticsBuilder,
        sums: DeviceSums | None,
        layers: Mapping[str, Mapping[str, LayerChoice]],
    ) -> None:
        self._builder, self._sums = builder, sums
        self.layers = layers
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> _Updates:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def take(self, outputs: Mapping[str, Outputs]) -> None:
        """Take in one batch: what the layers of each network put out."""
        if self._pool is None:  # the first batch tells how often modules run, and fixes the order
            self.layers = with_runs(
                self.layers, {name: n_runs(found) for name, found in outputs.items()}
            )
            for layer in self.layers:
                self._take_positions(layer, outputs)
                self._take_images(layer, outputs)
            self._pool = ThreadPoolExecutor(max_workers=_validate.available_processors())
        else:
            tasks = [self._pool.submit(self._take_positions, x, outputs) for x in self.layers]
            tasks += [self._pool.submit(self._take_images, x, outputs) for x in self.layers]
            wait(tasks)
            for task in tasks:
                task.result()
        if self._sums is not None:  # the builder has checked the values
            for layer, choices in self.layers.items():
                chosen = [outputs[name][choice] for name, choice in choices.items()]
                self._sums.take(layer, [output.positions for output in chosen])

    def _take_positions(self, layer: str, outputs: Mapping[str, Outputs]) -> None:
        choices = self.layers[layer].items()
        chosen = {name: outputs[name][choice].positions for name, choice in choices}
        self._builder.update_positions(
            layer, {name: rows.cpu().numpy() for name, rows in chosen.items()}
        )

    def _take_images(self, layer: str, outputs: Mapping[str, Outputs]) -> None:
        choices = self.layers[layer].items()
        self._builder.update_images(
            layer, {name: outputs[name][choice].images for name, choice in choices}
        )
