"""The shared response of ten ConvNets, compared as by Lu et al. (2018): docs/gallery_shared.md.

``python -m bench.gallery_shared [--dataset cifar10 | cifar100] [--work DIR] [--figures DIR] [--images N] [--units N]``.
The networks are trained before, by ``python -m bench.gallery_networks convnet --dataset ...``. What is computed is
kept in the work folder: a second run only draws, and one that was stopped goes on. Images are looked for in
$CONVERGENT_SHARED/data; they are lossless JPEG XL, which needs a decoder such as pylibjxl.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import convergent as cv
from bench import gallery_networks as source
from convergent import nets
from convergent.report import figures
from convergent.study import CompareSettings, Epoch, Study, Trajectory, compare, follow_training
from convergent.study_trajectory import collected_images

LAYERS = ["relu1", "relu2", "relu3"]
DPI = 110
PAPER = {"cifar10": 0.91, "cifar100": 0.89}
"""Variance explained in the last hidden layer, the paper's only numbers of ConvNets."""
Networks = dict[str, nn.Module]
MEASURES = ["shared_response"]


def trained(arguments: argparse.Namespace) -> dict[int, Networks]:
    """Return the networks by epoch and seed, of the seeds that are trained to the end."""
    by_seed = source.convnet_epochs(arguments.work, arguments.dataset)
    epochs = {epoch for of_seed in by_seed.values() for epoch in of_seed}
    ended = {seed: of_seed for seed, of_seed in by_seed.items() if set(of_seed) == epochs}
    for seed in list(ended)[arguments.seeds :]:
        del ended[seed]
    print(f"{len(ended)} networks, epochs {sorted(epochs)}")
    return {epoch: {seed: ended[seed][epoch] for seed in ended} for epoch in sorted(epochs)}


def images_and_labels(dataset: str, n_images: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the first test images, as the networks take them."""
    load = {"cifar10": source.cifar10_pixels, "cifar100": source.cifar100_pixels}[dataset]
    pixels, labels = load("test")
    return source.normalised(pixels[:n_images]), labels[:n_images]


def digest(networks: Networks) -> str:
    """Return a text that changes with the weights."""
    found = blake2b(digest_size=16)
    for network in networks.values():
        for tensor in network.state_dict().values():
            found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def statistics_of(networks: Networks, arguments: argparse.Namespace, folder: Path) -> cv.Statistics:
    """Return the images view of the networks at the end, from `folder` where it is of these."""
    weights = digest(networks)
    if cv.Statistics.is_complete(folder):
        stored = cv.Statistics.load(folder)
        if stored.settings.get("weights") == weights:
            return stored
    images, labels = images_and_labels(arguments.dataset, arguments.images)
    start = time.perf_counter()
    statistics = nets.collect(
        networks,
        nets.batches(images, labels),
        layers=LAYERS,
        views=("images",),
        factor=False,
        max_units=arguments.units,
        n_top=0,
    )
    print(f"collected in {time.perf_counter() - start:.0f} s", flush=True)
    statistics.settings["weights"] = weights
    statistics.save(folder)
    return cv.Statistics.load(folder)


def earlier_epochs(
    by_epoch: dict[int, Networks], final: cv.Statistics, arguments: argparse.Namespace
) -> dict[int, Epoch]:
    """Return the epochs before the last."""

    def collect(networks: Networks) -> cv.Statistics:
        images, labels = images_and_labels(arguments.dataset, arguments.images)
        return collected_images(networks, nets.batches(images, labels), final)

    return {
        epoch: Epoch(digest(networks), partial(collect, networks))
        for epoch, networks in by_epoch.items()
        if epoch != max(by_epoch)
    }


def print_with_time(description: str, done: int, total: int) -> None:
    """Print how far the work is."""
    print(f"{time.strftime('%H:%M:%S')} {description}: {done}/{total}", flush=True)


def print_tables(study: Study, trajectory: Trajectory, dataset: str) -> None:
    """Print the page's tables as Markdown."""
    print(
        "\n| layer | units | variance explained | one left out | consistency | agreement | by rank | native |"
    )
    print(f"|{'---|' * 8}")
    for layer in study.layers:
        (result,) = study.of(layer.name, "shared_response")
        cells = [
            with_interval(result.scalars, name)
            for name in (
                "variance_explained",
                "variance_explained_leave_one_out",
                "consistency",
                "agreement",
            )
        ]
        cells.append(f"{result.scalars['agreement_rank']:.3f}")
        cells.append(with_interval(result.scalars, "agreement_native"))
        width = f"{result.scalars['n_features']:.0f}"
        print(f"| {layer.name} | {width} | {' | '.join(cells)} |")
        print(f"  class gaps {result.arrays['class_gaps'].round(3)}", end="")
        print(f", shares {result.arrays['class_shares'].round(3)}")
    print(f"paper, last layer, variance explained: {PAPER[dataset]:.2f}\n")
    for quantity in ("agreement", "agreement_rank"):
        print(f"| {quantity}, epoch | {' | '.join(map(str, trajectory.epochs))} |")
        print(f"|{'---|' * (len(trajectory.epochs) + 1)}")
        for layer_name in trajectory.layers:
            values = trajectory.values(layer_name, quantity)
            print(f"| {layer_name} | {' | '.join(f'{value:.3f}' for value in values)} |")


def with_interval(scalars: dict[str, float], name: str) -> str:
    """Return a value and its interval."""
    low, high = scalars.get(f"{name}_low"), scalars.get(f"{name}_high")
    ends = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return f"{scalars[name]:.3f}{ends}"


def draw(study: Study, trajectory: Trajectory, dataset: str, folder: Path) -> None:
    """Draw the page's figures."""
    names = source.CLASSES if dataset == "cifar10" else None
    (last,) = study.of(LAYERS[-1], "shared_response")
    (first,) = study.of(LAYERS[0], "shared_response")
    drawn = {
        "class_means": figures.class_mean_panels(last, names),
        "class_means_first": figures.class_mean_panels(first, names),
        "rsms": figures.rsm_panels(last),
        "rsms_first": figures.rsm_panels(first),
        "training": figures.agreement_during_training(trajectory),
        "variance": figures.variance_over_layers(study),
        "consistency": figures.consistency_over_layers(study),
        "agreement": figures.agreement_bars(study),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        path = folder / f"shared_{dataset}_{name}.png"
        figure.savefig(path, dpi=DPI)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Collect, compare, follow the training, draw, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=tuple(PAPER), default="cifar10")
    parser.add_argument("--work", type=Path, default=source.ROOT / "build" / "gallery")
    parser.add_argument("--figures", type=Path, default=source.ROOT / "docs" / "gallery")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--units", type=int, default=1_000, help="of a layer, at most")
    parser.add_argument("--seeds", type=int, default=10, help="networks, at most")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    by_epoch = trained(arguments)
    last = max(by_epoch)
    size = f"{arguments.images}-{arguments.units}-{len(by_epoch[last])}"
    folder = arguments.work / f"shared-{arguments.dataset}-{size}"
    statistics = statistics_of(by_epoch[last], arguments, folder / "statistics")
    # As many features as there are units: rotations, as the paper has them.
    settings = CompareSettings(MEASURES, n_features=arguments.units)
    options: dict[str, Any] = {"settings": settings, "n_threads": arguments.threads}
    options["progress"] = print_with_time
    study = compare(statistics, out=folder / "comparison", **options)
    earlier = earlier_epochs(by_epoch, statistics, arguments)
    trajectory = follow_training(statistics, earlier, last, out=folder / "trajectory", **options)
    print_tables(study, trajectory, arguments.dataset)
    draw(study, trajectory, arguments.dataset, arguments.figures)


if __name__ == "__main__":
    main()
