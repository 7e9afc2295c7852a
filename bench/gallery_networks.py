"""The networks of docs/gallery.md: networks trained here, and the trained networks that come with the images.

``python -m bench.gallery_networks [alexnet32 | convnet] [--dataset cifar10 | cifar100] [--work DIR]`` trains
AlexNet32, or the ConvNet of Lu et al. (2018), from several seeds. It may be stopped at any time: the next run goes on
after the last whole epoch. Images and the other networks are looked for in $CONVERGENT_SHARED/data; images are lossless
JPEG XL, which needs a decoder such as pylibjxl.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path

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
PAPER_EPOCHS = (0, 1, 2, 4, 6, 9, 14, 21, 32, 50)
VGG11_CHANNELS = (16, "M", 32, "M", 64, 64, "M", 128, 128, "M", 128, 128, "M")


# Networks mirror by themselves: `nets.train` mirrors only images that it also crops.
def half_mirrored(images: torch.Tensor) -> torch.Tensor:
    """Return images of which each is mirrored with a probability of one half."""
    mirrored = torch.rand(len(images), 1, 1, 1) < 0.5
    return torch.where(mirrored, images.flip(3), images)


class MirroredAlexNet(nets.AlexNet32):
    """An AlexNet32 that mirrors half of the images it is trained on."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        logits: torch.Tensor = super().forward(half_mirrored(images) if self.training else images)
        return logits


class MirroredConvNet(nets.ConvNet):
    """The ConvNet of 32, 64 and 512 units, which mirrors half of the images it is trained on."""

    def __init__(self, n_classes: int) -> None:
        super().__init__(3, 32, (32, 64, 512), n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        logits: torch.Tensor = super().forward(half_mirrored(images) if self.training else images)
        return logits


def shared_data() -> Path:
    """Return the folder of images and networks."""
    return Path(os.environ["CONVERGENT_SHARED"]) / "data"


def cifar10_pixels(split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the train or test images of CIFAR-10, uint8 (n, 32, 32, 3), and their labels."""
    return _pixels("cifar10", split, "labels")


def cifar100_pixels(split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the train or test images of CIFAR-100, uint8 (n, 32, 32, 3), and their hundred classes."""
    return _pixels("cifar100", split, "fine_labels")


def _pixels(name: str, split: str, labels: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    folder = shared_data()
    spec = importlib.util.spec_from_file_location("load_packed", folder / "load_packed.py")
    assert spec is not None
    assert spec.loader is not None
    packed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packed)
    splits = ["test"] if split == "test" else [f"train{part}" for part in range(1, 6)]
    parts = [packed.load(folder / f"{name}_{part}.npz") for part in splits]
    pixels = np.concatenate([part["x"] for part in parts])
    return pixels, np.concatenate([part[labels] for part in parts]).astype(np.int64)


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


def cifar100() -> nets.ImageDataset:
    """Return CIFAR-100 with its hundred classes, prepared as CIFAR-10 is."""
    train, train_labels = cifar100_pixels("train")
    test, test_labels = cifar100_pixels("test")
    names = tuple(f"class {label}" for label in range(100))
    return nets.ImageDataset(
        normalised(train), train_labels, normalised(test), test_labels, names, "cifar100"
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


def convnet_epochs(work: Path, dataset: str) -> dict[str, dict[int, nn.Module]]:
    """Return the ConvNets that were trained into `work`: by seed, and by the epoch of the checkpoint."""
    n_classes = 100 if dataset == "cifar100" else 10
    model = partial(MirroredConvNet, n_classes)
    return {
        folder.name: {
            epoch: nets.load_network(path, model)
            for epoch, path in nets.checkpoint_paths(folder).items()
        }
        for folder in sorted((work / f"convnet-{dataset}").glob("seed-*"))
    }


def main() -> None:
    """Train the networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", nargs="?", choices=("alexnet32", "convnet"), default="alexnet32")
    parser.add_argument("--dataset", choices=("cifar10", "cifar100"), default="cifar10")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "gallery")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--width", type=float, default=0.25, help="of AlexNet32")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.015, help="first learning rate")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = cifar10() if arguments.dataset == "cifar10" else cifar100()
    model: Callable[[], nn.Module]
    if arguments.network == "alexnet32":
        model = partial(MirroredAlexNet, width=arguments.width, dropout=0.0)
        checkpoints, out, precision = [0, arguments.epochs], "alexnet32", "float32"
    else:
        model = partial(MirroredConvNet, len(data.class_names))
        checkpoints, out = [*PAPER_EPOCHS, arguments.epochs], f"convnet-{arguments.dataset}"
        precision = "bfloat16"
    paths = nets.train(
        model,
        data,
        seeds=range(arguments.seeds),
        out=arguments.work / out,
        epochs=arguments.epochs,
        checkpoints=sorted({epoch for epoch in checkpoints if epoch <= arguments.epochs}),
        batch_size=64,
        learning_rate=arguments.rate,
        precision=precision,
        progress=_print_epoch,
    )
    for path in paths:
        print(path, (path / "metrics.csv").read_text().splitlines()[-1])


if __name__ == "__main__":
    main()
