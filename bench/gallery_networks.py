"""The networks of docs/gallery.md: AlexNets trained here, and the trained networks that come with the images.

``python -m bench.gallery_networks [--work DIR] [--seeds N] [--width W] [--epochs N]`` trains AlexNet32 on CIFAR-10 from
several seeds. It may be stopped at any time: the next run goes on after the last whole epoch. Images and the other
networks are looked for in $CONVERGENT_SHARED/data; images are lossless JPEG XL, which needs a decoder such as
pylibjxl.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convergent import nets

ROOT = Path(__file__).resolve().parents[1]
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
VGG11_CHANNELS = (16, "M", 32, "M", 64, 64, "M", 128, 128, "M", 128, 128, "M")


class MirroredAlexNet(nets.AlexNet32):
    """An AlexNet32 that mirrors half of the images it is trained on."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        if self.training:
            mirrored = torch.rand(len(images), 1, 1, 1) < 0.5
            images = torch.where(mirrored, images.flip(3), images)
        logits: torch.Tensor = super().forward(images)
        return logits


def shared_data() -> Path:
    """Return the folder of images and networks."""
    return Path(os.environ["CONVERGENT_SHARED"]) / "data"


def cifar10_pixels(split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the train or test images, uint8 (n, 32, 32, 3), and their labels."""
    folder = shared_data()
    spec = importlib.util.spec_from_file_location("load_packed", folder / "load_packed.py")
    assert spec is not None
    assert spec.loader is not None
    packed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packed)
    names = ["test"] if split == "test" else [f"train{part}" for part in range(1, 6)]
    parts = [packed.load(folder / f"cifar10_{name}.npz") for name in names]
    pixels = np.concatenate([part["x"] for part in parts])
    return pixels, np.concatenate([part["labels"] for part in parts]).astype(np.int64)


def normalised(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the networks' input, float32 (n, 3, 32, 32), of pixels (n, 32, 32, 3)."""
    scale = [1.0 / (255.0 * std) for std in STD]
    shift = [mean / std for mean, std in zip(MEAN, STD)]
    values = pixels * np.array(scale, np.float32) - np.array(shift, np.float32)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def cifar10() -> nets.ImageDataset:
    """Return CIFAR-10 as the networks take it."""
    train, train_labels = cifar10_pixels("train")
    test, test_labels = cifar10_pixels("test")
    return nets.ImageDataset(
        normalised(train), train_labels, normalised(test), test_labels, CLASSES, "cifar10"
    )


def alexnets(work: Path, width: float) -> dict[str, nn.Module]:
    """Return the AlexNets that were trained into `work`, by seed."""
    model = partial(nets.AlexNet32, width=width)
    return {
        path.name: nets.load_network(path, model)
        for path in sorted((work / "alexnet32").glob("seed-*"))
    }


def vgg11s() -> dict[str, nn.Module]:
    """Return four VGG11 with batch normalisation; their rectifiers are called relu1 to relu8."""
    return {f"seed {seed}": vgg11(_weights(f"cifar10_vgg11bn_w16_seed{seed}")) for seed in range(4)}


def convnets() -> dict[str, nn.Module]:
    """Return three networks of two convolutions; their rectifiers are called relu1 to relu3."""
    return {f"seed {seed}": convnet(_weights(f"cifar10_convnet_seed{seed}")) for seed in range(3)}


def vgg11(weights: Path) -> nn.Module:
    """Return a VGG11 of width 16."""
    modules: list[nn.Module] = []
    n_inputs = 3
    for width in VGG11_CHANNELS:
        if isinstance(width, str):
            modules.append(nn.MaxPool2d(2))
            continue
        convolution = nn.Conv2d(n_inputs, width, 3, padding=1, bias=False)
        modules += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
        n_inputs = width
    modules += [nn.Flatten(), nn.Linear(n_inputs, 10)]
    return _named(_filled(nn.Sequential(*modules), weights))


def convnet(weights: Path) -> nn.Module:
    """Return a network of two convolutions and two dense layers."""
    modules = [
        nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(4096, 512), nn.ReLU(), nn.Linear(512, 10),
    ]  # fmt: skip
    return _named(_filled(nn.Sequential(*modules), weights))


def _weights(name: str) -> Path:
    return shared_data() / "nets" / f"{name}.npz"


def _filled(network: nn.Sequential, weights: Path) -> nn.Sequential:
    with np.load(weights) as stored:
        state = {name: torch.from_numpy(stored[name].astype(np.float32)) for name in stored.files}
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing), missing
    return network.eval()


def _named(network: nn.Sequential) -> nn.Module:
    rectifiers = iter(range(1, 100))
    return nn.Sequential(
        OrderedDict(
            (f"relu{next(rectifiers)}" if isinstance(module, nn.ReLU) else f"module{i}", module)
            for i, module in enumerate(network)
        )
    )


def _print_epoch(description: str, done: int, total: int) -> None:
    print(f"{description}: epoch {done}/{total}", flush=True)


def main() -> None:
    """Train the AlexNets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "gallery")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.015, help="first learning rate")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings: dict[str, Any] = {
        "epochs": arguments.epochs,
        "checkpoints": (0, arguments.epochs),
        "batch_size": 64,
        "learning_rate": arguments.rate,
    }
    paths = nets.train(
        partial(MirroredAlexNet, width=arguments.width, dropout=0.0),
        cifar10(),
        seeds=range(arguments.seeds),
        out=arguments.work / "alexnet32",
        progress=_print_epoch,
        **settings,
    )
    for path in paths:
        print(path, (path / "metrics.csv").read_text().splitlines()[-1])


if __name__ == "__main__":
    main()
