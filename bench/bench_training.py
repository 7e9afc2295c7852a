"""Ten ConvNets trained together, as one computation with an axis of networks, beside one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.harness import Session
from convergent import nets

N_NETWORKS = 10
Weights = list[dict[str, Any]]


def images(n_train: int, side: int, n_channels: int) -> nets.ImageDataset:
    """Return noise with a different mean in each class; how fast a network learns is no matter here."""
    random = np.random.default_rng(0)
    splits = []
    for n in (n_train, 256):
        labels = random.integers(10, size=n)
        noise = random.standard_normal((n, n_channels, side, side))
        splits += [(noise + 0.1 * labels[:, None, None, None]).astype(np.float32), labels]
    names = tuple(str(label) for label in range(10))
    return nets.ImageDataset(*splits, class_names=names, name="noise")


def close(tolerance: float) -> Callable[[Weights, Weights], None]:
    """Return a check that the networks of both ways agree."""

    def check(ours: Weights, theirs: Weights) -> None:
        for network, other in zip(ours, theirs):
            for name, value in network.items():
                np.testing.assert_allclose(value, other[name], rtol=0, atol=tolerance)

    return check


def trained(dataset: nets.ImageDataset, widths: tuple[int, int, int], **settings: Any) -> Weights:
    """Return the weights of ten networks after an epoch."""
    with tempfile.TemporaryDirectory() as folder:
        paths = nets.train(
            "convnet",
            dataset,
            seeds=range(N_NETWORKS),
            out=Path(folder),
            epochs=1,
            checkpoints=(),
            learning_rate=0.01,
            model_parameters={"widths": widths},
            **settings,
        )
        checkpoints = [nets.load_checkpoint(path / "epoch-001.safetensors")[0] for path in paths]
    return [{name: value.numpy() for name, value in found.items()} for found in checkpoints]


def run(session: Session) -> None:
    """Race both ways on a GPU if there is one, else on the processor."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = (
        torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    )
    sizes = [("digits", 1437, 8, 1, (16, 32, 64))]
    if device == "cuda" or session.long:
        sizes.append(("CIFAR", 10_000 if device == "cuda" else 256, 32, 3, (32, 64, 512)))
    for size, n_train, side, n_channels, widths in sizes:
        dataset = images(n_train, side, n_channels)
        for precision, tolerance in (("float32", 1e-4), ("bfloat16", 5e-2)):
            settings: dict[str, Any] = {"device": device, "precision": precision}
            session.race(
                f"an epoch of {N_NETWORKS} ConvNets on {n_train:,} images as of {size}, {precision}, {name}",
                {
                    "together": lambda d=dataset, w=widths, s=settings: trained(
                        d, w, ensemble=True, **s
                    ),
                    "one by one": lambda d=dataset, w=widths, s=settings: trained(
                        d, w, ensemble=False, **s
                    ),
                },
                close(tolerance),
                runs=min(session.runs, 3),
            )
