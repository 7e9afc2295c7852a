"""Tensors of activations on a device: what is accepted, and which devices can sum them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

_WITHOUT_FLOAT64 = ("mps",)


def has_float64(device: torch.device) -> bool:
    """Whether a device has float64, in which everything is summed."""
    return device.type not in _WITHOUT_FLOAT64


def refuse_without_float64(device: torch.device, instead: str) -> None:
    """Refuse a device that has no float64."""
    if not has_float64(device):
        raise ValueError(
            f"`device` must have float64, which {device.type} has not; use {instead}, on the host"
        )


def check_activations(activations: Sequence[torch.Tensor], widths: Sequence[int]) -> None:
    """Refuse anything but one finite matrix a network, of its width and of the same examples."""
    if len(activations) != len(widths):
        raise ValueError(f"`activations` must hold {len(widths)} networks, got {len(activations)}")
    for i, (tensor, width) in enumerate(zip(activations, widths)):
        _check_matrix(tensor, f"activations[{i}]")
        if tensor.shape[1] != width:
            raise ValueError(f"`activations[{i}]` must have {width} units, got {tensor.shape[1]}")
        if len(tensor) != len(activations[0]):
            raise ValueError(
                f"`activations[{i}]` must have as many examples as `activations[0]`, "
                f"got {len(tensor)} and {len(activations[0])}"
            )
    for i, tensor in enumerate(activations):
        _refuse_non_finite(tensor, f"activations[{i}]")


def fill_block(
    block: torch.Tensor, n_filled: int, tensors: Sequence[torch.Tensor], widths: Sequence[int]
) -> Iterator[int]:
    """Copy examples into the free rows of a block; yield how many rows are filled after each copy.

    A full block is begun anew at its first row: the caller has taken its rows by then.
    """
    start, n_examples = 0, len(tensors[0])
    while start < n_examples:
        stop = min(n_examples, start + len(block) - n_filled)
        rows = block[n_filled : n_filled + stop - start]
        for tensor, columns in zip(tensors, torch.split(rows, list(widths), dim=1)):
            columns.copy_(tensor.detach()[start:stop])
        n_filled += stop - start
        start = stop
        yield n_filled
        n_filled %= len(block)


def _check_matrix(tensor: object, name: str) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"`{name}` must be a tensor, got {type(tensor).__name__}")
    if tensor.is_complex():
        raise TypeError(f"`{name}` must be real, got complex values ({tensor.dtype})")
    if tensor.ndim != 2:
        raise ValueError(
            f"`{name}` must be two-dimensional (n_examples, n_units), "
            f"got shape {tuple(tensor.shape)}"
        )
    if tensor.numel() == 0:
        raise ValueError(f"`{name}` must not be empty, got shape {tuple(tensor.shape)}")


def _refuse_non_finite(tensor: torch.Tensor, name: str) -> None:
    finite = torch.isfinite(tensor)
    if bool(finite.all()):
        return
    first = int(torch.nonzero(~finite.all(dim=0))[0, 0])
    raise ValueError(
        f"`{name}` must be finite, got {int((~finite).sum())} NaN or infinite values, "
        f"the first in unit {first}"
    )
