"""How products are computed in training: precision, compilation, and the same bits every time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


def products_in(precision: str, device: torch.device, *, cache: bool = True) -> Any:
    """Return a context in which products and convolutions have a precision."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, precision), cache_enabled=cache)


def loss_scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """Return what keeps small gradients from vanishing in float16; idle in other precisions."""
    kind = "cuda" if device.type == "cuda" else "cpu"
    return torch.amp.GradScaler(kind, enabled=precision == "float16")


def scaler_tensors(scaler: torch.amp.GradScaler) -> dict[str, torch.Tensor]:
    """Return the state of a scaler that changes."""
    state = scaler.state_dict()
    if not state:
        return {}
    return {
        "scale": torch.tensor(state["scale"], dtype=torch.float64),
        "growth_tracker": torch.tensor(state["_growth_tracker"]),
    }


def restore_scaler(scaler: torch.amp.GradScaler, tensors: dict[str, torch.Tensor]) -> None:
    """Take up the state of `scaler_tensors`."""
    if scaler.is_enabled() and tensors:
        changed = {
            "scale": tensors["scale"].item(),
            "_growth_tracker": int(tensors["growth_tracker"].item()),
        }
        scaler.load_state_dict({**scaler.state_dict(), **changed})


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy, in float32 at least."""
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    return nn.functional.cross_entropy(logits, labels)


@contextmanager
def compiler_errors_named() -> Iterator[None]:
    """Say which setting to change where torch cannot compile a network."""
    from torch._dynamo.exc import TorchDynamoException

    try:
        yield
    except TorchDynamoException as error:
        brief = str(error).strip().split("\n")[0]
        raise RuntimeError(
            f"`compile` must be False here: torch could not compile the network ({brief})"
        ) from error


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Ask CUDA for algorithms that give the same bits every time, and give its settings back.

    Operations without such an algorithm warn and go on.
    """
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault(_CUBLAS, ":4096:8")  # read when the first product is computed
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    was_strict = torch.are_deterministic_algorithms_enabled()
    warned_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn.deterministic, cudnn.benchmark = True, False
    torch.use_deterministic_algorithms(True, warn_only=warned_only or not was_strict)
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
        torch.use_deterministic_algorithms(was_strict, warn_only=warned_only)
