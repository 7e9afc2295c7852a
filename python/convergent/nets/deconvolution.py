"""What of an image makes a unit respond: deconvolution (Zeiler and Fergus) by way of captum."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from convergent.nets.outputs import first_tensor

_BATCH = 128


def deconvolve(
    network: nn.Module, layer: str, images: torch.Tensor, neurons: torch.Tensor
) -> torch.Tensor:
    """Return the deconvolution of one neuron of a layer for each image.

    Parameters
    ----------
    network : Module
        In evaluation mode, its rectifiers being modules ``nn.ReLU``: only these rectify the signal
        on its way back; rectifiers that are functions pass it on as a gradient.
    layer : str
        Name of the module.
    images : tensor, shape (n, n_channels, height, width)
        The network's input.
    neurons : tensor of int64, shape (n, 3) or (n, 1)
        Unit, row and column in the layer's output; the unit alone where it has no positions.

    Returns
    -------
    tensor, shape of `images`
        Signed, on the CPU.

    Raises
    ------
    ImportError
        If captum is not installed.
    """
    method = _neuron_deconvolution(network, dict(network.named_modules())[layer])
    parts = []
    with _without_inplace(network), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        warnings.filterwarnings("ignore", message="Input Tensor .* did not already require grad")
        for start in range(0, len(images), _BATCH):
            part = slice(start, start + _BATCH)
            chosen = neurons[part].T

            def select(output: Any, chosen: torch.Tensor = chosen) -> torch.Tensor:
                tensor = first_tensor(output)
                assert tensor is not None
                selected: torch.Tensor = tensor[(torch.arange(chosen.shape[1]), *chosen)]
                return selected

            found = method.attribute(images[part], neuron_selector=select)
            parts.append(found.detach().cpu())
    return torch.cat(parts)


def _neuron_deconvolution(network: nn.Module, layer: nn.Module) -> Any:
    try:
        from captum.attr import NeuronDeconvolution
    except ImportError as error:
        raise ImportError(
            'deconvolution needs captum; install it with: pip install "convergent[full]"'
        ) from error
    return NeuronDeconvolution(network, layer)


@contextmanager
def _without_inplace(network: nn.Module) -> Iterator[None]:
    """Let rectifiers keep their input inside the block: backward hooks refuse it otherwise."""
    changed = [
        module for module in network.modules() if isinstance(module, nn.ReLU) and module.inplace
    ]
    try:
        for module in changed:
            module.inplace = False
        yield
    finally:
        for module in changed:
            module.inplace = True
