"""Weights on disk as safetensors: whole or absent, and nothing is executed when they are read."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from convergent import _storage

FORMAT = "convergent.checkpoint/1"
_METADATA = "convergent"
_PICKLE_PROTOCOLS = tuple(bytes([0x80, protocol]) for protocol in range(1, 6))


def save_checkpoint(
    path: str | os.PathLike[str],
    tensors: Mapping[str, torch.Tensor] | torch.nn.Module,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write tensors (or a network's weights) under a temporary name, then rename; return the path.

    Parameters
    ----------
    path : path
        By custom ``*.safetensors``.
    tensors : mapping from name to tensor, or Module
        Copied to the CPU; tied weights are written once for each name.
    metadata : mapping of text to text, or None
        Kept in the file's header, with the format's name.
    """
    if isinstance(tensors, torch.nn.Module):
        tensors = tensors.state_dict()
    copies = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    # One entry only: the library writes several in an order that differs from run to run.
    header = json.dumps({"format": FORMAT, **(metadata or {})})
    content = save(copies, metadata={_METADATA: header})
    with _storage.replacing(path) as stream:
        stream.write(content)
    return Path(path)


def load_checkpoint(
    path: str | os.PathLike[str], *, format_name: str | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the tensors (on the CPU) and the metadata of a safetensors file.

    Parameters
    ----------
    path : path
        Any safetensors file; files of `torch.save` are refused unread, because reading them can run
        code.
    format_name : str or None
        The format that the metadata must name, if any.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is a pickle, truncated, no safetensors file, or of another format; the message
        names it.
    """
    _refuse_pickle(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as archive:
            metadata = _metadata(archive.metadata() or {})
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
    except (SafetensorError, struct.error, OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is truncated or no safetensors file: {error}") from error
    if format_name is not None and metadata.get("format") != format_name:
        raise ValueError(
            f"{path} must be of format {format_name}, got {metadata.get('format', 'no format')}"
        )
    return tensors, metadata


def load_weights(network: torch.nn.Module, path: str | os.PathLike[str]) -> dict[str, str]:
    """Fill a network with the weights of a file; return the file's metadata.

    Raises
    ------
    ValueError
        If the file is refused (see `load_checkpoint`), or its names or shapes are another
        network's.
    """
    tensors, metadata = load_checkpoint(path)
    fill(network, tensors, path)
    return metadata


def fill(
    network: torch.nn.Module, tensors: Mapping[str, torch.Tensor], path: str | os.PathLike[str]
) -> None:
    """Fill a network with the tensors that came from `path`."""
    try:
        network.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        raise ValueError(f"{path} holds weights of another network: {error}") from error


def _metadata(header: Mapping[str, str]) -> dict[str, str]:
    """Return our own entry if there is one, else all of another program's."""
    if _METADATA not in header:
        return dict(header)
    return {str(name): str(value) for name, value in json.loads(header[_METADATA]).items()}


def _refuse_pickle(path: str | os.PathLike[str]) -> None:
    with Path(path).open("rb") as stream:
        start = stream.read(9)
    if start[8:] == b"{":  # safetensors: eight bytes of length, then the header's JSON
        return
    if start.startswith((b"PK\x03\x04", *_PICKLE_PROTOCOLS)):
        raise ValueError(
            f"{path} must be a safetensors file, got a pickle or zip archive (as torch.save "
            "makes), which can run code when it is read; save the weights with safetensors"
        )
