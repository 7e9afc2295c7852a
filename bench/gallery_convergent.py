"""Single units of networks on CIFAR-10, compared as by Li et al. (2016): docs/gallery_convergent.md.

``python -m bench.gallery_convergent [--work DIR] [--figures DIR] [--images N] [SET ...]`` for the sets "alexnet",
trained before by ``python -m bench.gallery_networks``, "vgg11" and "convnet", and as controls "untrained_vgg11" and
"untrained_convnet". Images and trained networks are looked for in $CONVERGENT_SHARED/data; images are lossless JPEG XL,
which needs a decoder such as pylibjxl.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

import convergent as cv
from bench import gallery_networks as source
from bench.gallery_convergent_figures import draw, layers_with_patches, shows_all_networks
from bench.gallery_convergent_tables import print_tables
from convergent import nets
from convergent.statistics import UnitPatches
from convergent.study import CompareSettings, Study, compare

MEASURES = (
    "activations",
    "correlation",
    "mutual_information",
    "recurring_units",
    "sparse_map",
    "unit_tree",
)
GROUPS_OF_UNITS = 0.2
"""First groups as a share of both networks' units: Li et al. took 40 of 192 and 100 of 512."""
Patches = dict[str, dict[str, UnitPatches]]


@dataclass(frozen=True)
class NetworkSet:
    """Networks that differ in their seeds only, and the layers to compare."""

    load: Callable[[argparse.Namespace], Mapping[str, nn.Module]]
    layers: tuple[str, ...]
    measures: tuple[str, ...] = MEASURES


def untrained(networks: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Return the networks with the weights that they started from, or others drawn in the same way."""
    for seed, network in enumerate(networks.values()):
        torch.manual_seed(seed)
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm2d)):
                module.reset_parameters()
    return dict(networks)


VGG11_LAYERS = tuple(f"relu{i}" for i in range(1, 9))
CONVNET_LAYERS = ("relu1", "relu2", "relu3")
SETS = {
    "alexnet": NetworkSet(
        lambda a: source.alexnets(a.work, a.width), tuple(f"relu{i}" for i in range(1, 6))
    ),
    "vgg11": NetworkSet(lambda a: source.vgg11s(), VGG11_LAYERS),
    "convnet": NetworkSet(lambda a: source.convnets(), CONVNET_LAYERS),
    "untrained_vgg11": NetworkSet(
        lambda a: untrained(source.vgg11s()), VGG11_LAYERS, ("correlation",)
    ),
    "untrained_convnet": NetworkSet(
        lambda a: untrained(source.convnets()), CONVNET_LAYERS, ("correlation",)
    ),
}


def every_tenth_batch(description: str, done: int, total: int) -> None:
    """Print how far the pass has come."""
    if done % 10 == 0:
        print(f"{description}: {done}/{total}", flush=True)


def accuracies(
    networks: Mapping[str, nn.Module], images: torch.Tensor, labels: torch.Tensor
) -> None:
    """Print the share of images that each network names rightly."""
    with torch.inference_mode():
        for name, network in networks.items():
            network.eval()
            found = torch.cat([network(batch).argmax(dim=1) for batch in nets.batches(images)])
            print(f"{name}: test accuracy {(found == labels).float().mean():.3f}")


def collected(name: str, arguments: argparse.Namespace) -> tuple[cv.Statistics, Patches]:
    """Return statistics and patches of a set of networks, from the work folder where they are there."""
    networks = dict(SETS[name].load(arguments))
    pixels, labels = (array[: arguments.images] for array in source.cifar10_pixels("test"))
    images = source.normalised(pixels)
    folder = folder_of(name, arguments)
    if not cv.Statistics.is_complete(folder / "statistics"):
        accuracies(networks, torch.from_numpy(images), torch.from_numpy(labels))
        start = time.perf_counter()
        collect(name, networks, images, labels).save(folder / "statistics")
        print(f"collected in {time.perf_counter() - start:.0f} s")
    statistics = cv.Statistics.load(folder / "statistics")
    patches: Patches = {}
    for layer in layers_with_patches(name):
        patches[layer] = {}
        n_shown = len(networks) if shows_all_networks(name, layer) else 2
        for network in list(networks)[:n_shown]:
            path = folder / "patches" / f"{layer}-{network}.npz"
            if not path.exists():
                nets.unit_patches(
                    networks[network],
                    images,
                    statistics,
                    layer,
                    network_name=network,
                    pixels=pixels,
                    deconvolve=True,
                ).save(path)
            patches[layer][network] = UnitPatches.load(path)
    return statistics, patches


def folder_of(name: str, arguments: argparse.Namespace) -> Path:
    """Return where statistics, patches and comparison of a set are kept."""
    folder: Path = arguments.work / f"convergent-{name}-{arguments.images}"
    return folder


def collect(
    name: str, networks: dict[str, nn.Module], images: np.ndarray, labels: np.ndarray
) -> cv.Statistics:
    """Collect all positions of a set's layers in one pass."""
    return nets.collect(
        networks,
        nets.batches(images, labels, batch_size=100),
        layers=list(SETS[name].layers),
        views=("positions",),
        factor=False,
        progress=every_tenth_batch,
    )


def compared(name: str, statistics: cv.Statistics, arguments: argparse.Namespace) -> Study:
    """Compare every pair of networks with the measures of Li et al., and group a fifth as many as there are units."""
    start = time.perf_counter()
    folder = folder_of(name, arguments)
    study = compare(
        statistics, settings=CompareSettings(SETS[name].measures), out=folder / "comparison"
    )
    problems, results = list(study.problems), list(study.results)
    for layer in study.layers if "unit_tree" in SETS[name].measures else ():
        n_groups = round(GROUPS_OF_UNITS * sum(layer.widths[:2]))
        settings = CompareSettings(["unit_groups"], n_groups=n_groups)
        grouped = compare(statistics, settings=settings, out=folder / f"groups-{n_groups}")
        results += grouped.of(layer.name, "unit_groups")
        problems += [problem for problem in grouped.problems if problem.task.layer == layer.name]
    print(f"compared in {time.perf_counter() - start:.0f} s")
    for problem in problems:
        print(f"problem: {problem.task}: {problem.reason}")
    return replace(study, results=tuple(results))


def main() -> None:
    """Collect, compare, draw, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(SETS), metavar="SET")
    parser.add_argument("--work", type=Path, default=source.ROOT / "build" / "gallery")
    parser.add_argument("--figures", type=Path, default=source.ROOT / "docs" / "gallery")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--width", type=float, default=0.25, help="of the AlexNets")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.sets:
        statistics, patches = collected(name, arguments)
        study = compared(name, statistics, arguments)
        print_tables(name, study)
        draw(name, study, patches, arguments.figures)


if __name__ == "__main__":
    main()
