"""Batches of a loader, as networks are given them: the same examples for every network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, SubsetRandomSampler, WeightedRandomSampler

from convergent.nets.datasets import batches
from convergent.nets.memory_format import with_channels_last
from convergent.statistics.collected import check_labels

_RANDOM = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
_LABEL_KEYS = ("labels", "label")


class Batch:
    """Images of a batch, or what stands for them, with labels and the mask of padding.

    Parameters
    ----------
    given : array, tensor or mapping from keyword to array or tensor
        What the network is called with.
    labels : array or None
        One an example.
    mask : tensor of bool, shape (n_examples, n_tokens), or None
        Which tokens are no padding.
    """

    def __init__(
        self, given: Any, labels: NDArray[Any] | None = None, mask: torch.Tensor | None = None
    ) -> None:
        self._given = given
        self._moved: Any = None
        self._device: torch.device | None = None
        self.labels = labels
        self.mask = mask
        self.n_images = _length(given)

    def call(
        self, network: nn.Module, device: torch.device, part: slice, *, channels_last: bool = False
    ) -> None:
        """Run a network on some of the examples, which are moved to its device once for all.

        With `channels_last`, images are laid out that way in memory.
        """
        if self._device != device:
            self._moved = _each(self._given, lambda value: _as_tensor(value).to(device))
            self._device = device
        own = self._moved
        if isinstance(self._given, np.ndarray) and own.is_floating_point():
            own = own.to(float_dtype(network))
        if channels_last:
            own = _each(own, with_channels_last)
        if part != slice(0, self.n_images):
            own = _each(own, lambda value: value[part] if self._is_split(value) else value)
        if isinstance(own, Mapping):
            network(**own)
        else:
            network(own)

    def _is_split(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.ndim > 0 and len(value) == self.n_images


def float_dtype(network: nn.Module) -> torch.dtype:
    """Return the precision that arrays, which have no torch dtype of their own, are given."""
    for parameter in network.parameters():
        if parameter.is_floating_point():
            return parameter.dtype
    return torch.get_default_dtype()


def _each(given: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(given, Mapping):
        return {
            str(key): change(value) if isinstance(value, (np.ndarray, torch.Tensor)) else value
            for key, value in given.items()
        }
    return change(given)


def _as_tensor(value: Any) -> torch.Tensor:
    # `torch.tensor` copies, so that memory that must not be written to gives no warning.
    return torch.tensor(value) if isinstance(value, np.ndarray) else value


def _length(given: Any) -> int:
    values = list(given.values()) if isinstance(given, Mapping) else [given]
    for value in values:
        if isinstance(value, (np.ndarray, torch.Tensor)) and value.ndim > 0:
            return len(value)
    kind = f"dict of {', '.join(map(str, given))}" if isinstance(given, Mapping) else ""
    raise TypeError(
        "`loader` must yield images, (images, labels, ...) or keywords of the networks, "
        f"got {kind or type(given).__name__}"
    )


class Inputs:
    """Reads the batches of a loader, or of one a network, and checks that they go together.

    Parameters
    ----------
    loader : iterable, array or tensor, or mapping from network to these
        See `collect`.
    networks : sequence of str
        Names of the networks.
    labels : bool or array
        See `collect`.
    mask_key : str or None
        Which entry of a batch of keywords is 0 for padding.

    Raises
    ------
    TypeError
        If a loader is no array, tensor or iterable.
    ValueError
        If a loader is missing, or shuffles.
    """

    def __init__(
        self, loader: Any, networks: Sequence[str], labels: Any, mask_key: str | None
    ) -> None:
        self._networks = list(networks)
        self._labels, self._mask_key = labels, mask_key
        if isinstance(loader, Mapping):
            if set(loader) != set(networks):
                raise ValueError(
                    f"`loader` must have a loader for each of {', '.join(networks)}, "
                    f"got {', '.join(map(str, loader)) or 'none'}"
                )
            self._sources = {
                name: _source(loader[name], f"loader[{name!r}]") for name in self._networks
            }
        else:
            self._sources = {"": _source(loader, "loader")}
        sizes = [len(source) for source in self._sources.values() if isinstance(source, Sized)]
        self.n_batches = sizes[0] if sizes else 0
        self._found: list[NDArray[Any]] = []
        self._n_read = self._n_images = 0

    def __iter__(self) -> Iterator[dict[str, Batch]]:
        """Yield a batch for each network."""
        for given in zip_longest(*self._sources.values(), fillvalue=self):
            if any(value is self for value in given):
                counts = [name for name, value in zip(self._sources, given) if value is self]
                raise ValueError(
                    "`loader` must have as many batches for every network, got only "
                    f"{self._n_read} for {', '.join(counts)}"
                )
            read = {name: self._batch(value) for name, value in zip(self._sources, given)}
            self._refuse_unlike(read)
            first = next(iter(read.values()))
            self._take_labels(first)
            self._n_images += first.n_images
            self._n_read += 1
            yield {name: read.get(name, first) for name in self._networks}
        if self._n_read == 0:
            raise ValueError("`loader` must yield at least one batch, got none")

    def _batch(self, given: Any) -> Batch:
        labels: Any = None
        if isinstance(given, (tuple, list)) and len(given) > 0:
            labels = given[1] if len(given) > 1 else None
            given = given[0]
        mask = None
        if isinstance(given, Mapping):
            given = dict(given)
            for key in _LABEL_KEYS:
                labels = given.pop(key, labels)
            if self._mask_key in given and given[self._mask_key] is not None:
                mask = torch.as_tensor(given[self._mask_key]).cpu() != 0
        batch = Batch(given, None, mask)
        if labels is not None and self._labels is not False:
            batch.labels = check_labels(np.asarray(labels), batch.n_images)
        return batch

    def _refuse_unlike(self, batches_read: Mapping[str, Batch]) -> None:
        (name, batch), *others = batches_read.items()
        where = f"in batch {self._n_read}, counted from 0"
        for other_name, other in others:
            if other.n_images != batch.n_images:
                raise ValueError(
                    f"`loader` must yield the same images for every network, got {batch.n_images} "
                    f"for {name!r} and {other.n_images} for {other_name!r} {where}"
                )
            if batch.labels is not None and other.labels is not None:
                _refuse_other_labels(batch.labels, other.labels, name, other_name, where)

    def _take_labels(self, batch: Batch) -> None:
        if batch.labels is None:
            return
        if self._labels is True:
            self._found.append(batch.labels)
            return
        stop = self._n_images + batch.n_images
        own = np.asarray(self._labels)[self._n_images : stop]
        if own.dtype.kind in "biuf" and batch.labels.dtype.kind in "biuf" and len(own):
            where = f"in batch {self._n_read}, counted from 0"
            _refuse_other_labels(own, batch.labels[: len(own)], "`labels`", "`loader`", where)

    def labels(self) -> Any:
        """Return the labels of all images read; None if there are none."""
        if self._labels is False or (self._labels is True and not self._found):
            return None
        if self._labels is not True:
            return self._labels
        if len(self._found) != self._n_read:
            raise ValueError(
                "`loader` must yield labels with every batch or none, "
                f"got {len(self._found)} of {self._n_read}"
            )
        return np.concatenate(self._found)


def _refuse_other_labels(
    ours: NDArray[Any], theirs: NDArray[Any], our_name: str, their_name: str, where: str
) -> None:
    differ = np.flatnonzero(ours != theirs)
    if differ.size:
        image = int(differ[0])
        raise ValueError(
            f"labels must be those of the same images, got {ours[image]} from {our_name} and "
            f"{theirs[image]} from {their_name} for image {image} {where}"
        )


def _source(loader: Any, name: str) -> Iterable[Any]:
    if isinstance(loader, (np.ndarray, torch.Tensor)):
        return batches(loader)
    if isinstance(loader, DataLoader):
        samplers = (loader.sampler, getattr(loader.batch_sampler, "sampler", None))
        for sampler in samplers:
            if isinstance(sampler, _RANDOM):
                raise ValueError(
                    f"`{name}` must yield the images in an order that can be repeated, got a "
                    f"DataLoader with a {type(sampler).__name__}; use shuffle=False"
                )
    if isinstance(loader, Iterable) and not isinstance(loader, (str, bytes, Mapping)):
        return loader
    raise TypeError(
        f"`{name}` must be an array, a tensor or an iterable of batches, "
        f"got {type(loader).__name__}"
    )
