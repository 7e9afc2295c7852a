"""One pass over the data, all networks at once: activations in, statistics out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convergent.nets.datasets import batches
from convergent.nets.device_factor import DeviceFactors, keeps_factors
from convergent.nets.layers import (
    LayerOutput,
    LayerOutputs,
    Layers,
    corresponding_layers,
    recording,
)
from convergent.statistics.builder import VIEWS, StatisticsBuilder, positions_view
from convergent.statistics.collected import Statistics, check_labels

Progress = Callable[[str, int, int], None]


def collect(
    networks: Mapping[str, nn.Module],
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
    progress: Progress | None = None,
) -> Statistics:
    """Return the statistics of several networks' layers from one pass over the data.

    Every batch goes through every network, in evaluation mode and without gradients. Afterwards the
    networks are on their old device and in their old mode, and all hooks are gone, also if
    something failed.

    Parameters
    ----------
    networks : mapping from name to Module
        The networks to compare.
    loader : iterable, array or tensor
        Yields images, or tuples that start with images and labels, as a DataLoader does; or all
        images at once, (n_images, ...).
    layers : list of str, list of lists of str, or mapping from network to list of str
        Names of modules, or patterns such as ``"relu*"`` (``*`` also matches dots), for all
        networks; or one list a network, whose layers then correspond by position. A module must put
        out (n_images, n_units) or (n_images, n_channels, height, width); of a tuple or mapping the
        first tensor counts.
    device : str or torch.device
        Where the networks run. Elsewhere than on the CPU the factor is accumulated there too, in
        float64 and from outputs that stay there until their batch is done; MPS has no float64 and
        leaves it to the CPU.
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
        Whether to keep the labels that the loader yields, or the labels themselves.
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
        If a network has no such layer, a layer did not run or ran several times, its output has
        another shape, the networks differ in positions, or an activation is NaN or infinite.
    """
    _check_networks(networks)
    correspondence = corresponding_layers(networks, layers)
    on_device = factor and keeps_factors(torch.device(device))
    builder = StatisticsBuilder(
        list(networks),
        views=views,
        factor=factor and not on_device,
        n_rows=n_rows,
        max_units=max_units,
        seed=seed,
        n_top=n_top,
    )
    source = _as_loader(loader)
    total = len(source) if isinstance(source, Sized) else 0
    found_labels: list[NDArray[Any]] = []
    n_batches = 0
    factors = DeviceFactors(torch.device(device)) if on_device and "positions" in views else None
    recorded = recording(networks, correspondence, on_device=factors is not None)
    with evaluating(networks, device), recorded as recorders:
        for batch in source:
            images, batch_labels = _split_batch(batch)
            outputs = _forward(networks, recorders, images, device)
            _update(builder, factors, correspondence, outputs)
            n_batches += 1
            if batch_labels is not None and labels is True:
                found_labels.append(batch_labels)
            if progress:
                progress("collect", n_batches, total)
    if n_batches == 0:
        raise ValueError("`loader` must yield at least one batch, got none")
    return builder.finish(
        labels=_joined_labels(labels, found_labels, n_batches),
        settings={"source": "networks", "layers": correspondence},
        factors=None if factors is None else factors.finish(),
    )


def _check_networks(networks: Any) -> None:
    if not isinstance(networks, Mapping) or not networks:
        raise TypeError(f"`networks` must map names to networks, got {type(networks).__name__}")
    for name, network in networks.items():
        if not isinstance(network, nn.Module):
            raise TypeError(
                f"`networks[{name!r}]` must be a torch Module, got {type(network).__name__}"
            )


def _as_loader(loader: Any) -> Iterable[Any]:
    if isinstance(loader, (np.ndarray, torch.Tensor)):
        return batches(loader)
    if isinstance(loader, Iterable) and not isinstance(loader, (str, bytes, Mapping)):
        return loader
    raise TypeError(
        "`loader` must be an array, a tensor or an iterable of batches, "
        f"got {type(loader).__name__}"
    )


def _split_batch(batch: Any) -> tuple[torch.Tensor | NDArray[Any], NDArray[Any] | None]:
    """Return images and labels of one batch."""
    batch_labels = None
    if isinstance(batch, (tuple, list)) and len(batch) > 0:
        batch_labels = np.asarray(batch[1]) if len(batch) > 1 else None
        batch = batch[0]
    if not isinstance(batch, (np.ndarray, torch.Tensor)) or batch.ndim == 0:
        raise TypeError(
            f"`loader` must yield images or (images, labels, ...), got {type(batch).__name__}"
        )
    if batch_labels is not None:
        check_labels(batch_labels, len(batch))
    return batch, batch_labels


@torch.inference_mode()
def _forward(
    networks: Mapping[str, nn.Module],
    recorders: Mapping[str, LayerOutputs],
    images: torch.Tensor | NDArray[Any],
    device: str | torch.device,
) -> dict[str, dict[str, LayerOutput]]:
    """Return the outputs of every network's chosen modules."""
    given = torch.tensor(images) if isinstance(images, np.ndarray) else images
    given = given.to(device)
    outputs = {}
    for name, network in networks.items():
        own = given
        if isinstance(images, np.ndarray) and given.is_floating_point():
            own = given.to(float_dtype(network))
        network(own)
        outputs[name] = recorders[name].take(len(images))
    return outputs


def float_dtype(network: nn.Module) -> torch.dtype:
    """Return the precision that arrays, which have no torch dtype of their own, are given."""
    for parameter in network.parameters():
        if parameter.is_floating_point():
            return parameter.dtype
    return torch.get_default_dtype()


def _update(
    builder: StatisticsBuilder,
    factors: DeviceFactors | None,
    correspondence: Mapping[str, Mapping[str, str]],
    outputs: Mapping[str, Mapping[str, LayerOutput]],
) -> None:
    for layer, modules in correspondence.items():
        chosen = {network: outputs[network][module] for network, module in modules.items()}
        images = {network: output.array for network, output in chosen.items()}
        positions = {network: positions_view(array) for network, array in images.items()}
        builder.update(layer, positions, images)
        if factors is not None:  # the builder has checked the values
            factors.take(layer, [output.tensor for output in chosen.values()])


def _joined_labels(labels: Any, found: list[NDArray[Any]], n_batches: int) -> Any:
    if labels is False or (labels is True and not found):
        return None
    if labels is not True:
        return labels
    if len(found) != n_batches:
        raise ValueError(
            f"`loader` must yield labels with every batch or none, got {len(found)} of {n_batches}"
        )
    return np.concatenate(found)


@contextmanager
def evaluating(networks: Mapping[str, nn.Module], device: str | torch.device) -> Iterator[None]:
    """Put networks on a device and into evaluation mode; undo both at the end."""
    with ExitStack() as stack:
        for network in networks.values():
            for module in network.modules():
                stack.callback(setattr, module, "training", module.training)
            network.eval()
            tensors = [*network.parameters(), *network.buffers()]
            if tensors and tensors[0].device != torch.device(device):
                stack.callback(network.to, tensors[0].device)
                network.to(device)
        yield
