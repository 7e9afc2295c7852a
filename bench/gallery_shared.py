"""The shared response of ten ConvNets, compared as by Lu et al. (2018): docs/gallery_shared.md.

``python -m bench.gallery_shared [--dataset cifar10 | cifar100] [--work DIR] [--figures DIR] [--images N] [--units N]``.
The networks are trained before, by ``python -m bench.gallery_networks convnet --dataset ...``. What is computed is
kept in the work folder: a second run only draws, and one that was stopped goes on. Images are looked for in
$CONVERGENT_SHARED/data; they are lossless JPEG XL, which needs a decoder such as pylibjxl.
"""

from __future__ import annotations

import argparse
import io
import time
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import nn

import convergent as cv
from bench import gallery_networks as source
from convergent import nets
from convergent.report import figures
from convergent.study import CompareSettings, Epoch, Study, Trajectory, compare, follow_training
from convergent.study_trajectory import collected_images

LAYERS = ["relu1", "relu2", "relu3"]
PLACES = ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "dense", "relu3", "output"]
"""Every place in the networks: also before the rectifiers, after the poolings, and the output."""
DPI = 110
LARGE = 150_000
PAPER = {"cifar10": 0.91, "cifar100": 0.89}
"""Variance explained in the last layer, the paper's only numbers of ConvNets."""
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


def statistics_of(
    networks: Networks, layers: list[str], arguments: argparse.Namespace, folder: Path
) -> cv.Statistics:
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
        layers=layers,
        views=("images",),
        factor=False,
        max_units=arguments.units,
        n_top=0,
    )
    print(f"collected in {time.perf_counter() - start:.0f} s", flush=True)
    statistics.settings["weights"] = weights
    statistics.save(folder)
    return cv.Statistics.load(folder)


def joined(first: Study, second: Study) -> Study:
    """Return the layers of two studies of the same networks as one, in the order of the networks."""
    layers = {layer.name: layer for layer in (*first.layers, *second.layers)}
    results = (*first.results, *second.results)
    return replace(first, layers=tuple(layers[name] for name in PLACES), results=results)


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


def print_layers(study: Study) -> None:
    """Print a study's numbers, one row a layer, as Markdown."""
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


def print_training(trajectory: Trajectory) -> None:
    """Print the numbers of each epoch as Markdown."""
    for quantity in ("agreement", "agreement_rank", "variance_explained"):
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
        save(figure, path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def save(figure: Figure, path: Path) -> None:
    """Write a PNG; a large one, which shows matrices, in 256 colours."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI)
    if buffer.tell() > LARGE:
        image = Image.open(buffer).convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT)
        image.save(path, optimize=True)
    else:
        path.write_bytes(buffer.getvalue())


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
    statistics = statistics_of(by_epoch[last], LAYERS, arguments, folder / "statistics")
    # As many features as there are units: rotations, as the paper has them.
    settings = CompareSettings(MEASURES, n_features=arguments.units)
    options: dict[str, Any] = {"settings": settings, "n_threads": arguments.threads}
    options["progress"] = print_with_time
    study = compare(statistics, out=folder / "comparison", **options)
    earlier = earlier_epochs(by_epoch, statistics, arguments)
    trajectory = follow_training(statistics, earlier, last, out=folder / "trajectory", **options)
    place = folder / "elsewhere"
    left = [name for name in PLACES if name not in LAYERS]
    others = statistics_of(by_epoch[last], left, arguments, place / "statistics")
    study = joined(study, compare(others, out=place / "comparison", **options))
    print_layers(study)
    print(f"paper, last layer, variance explained: {PAPER[arguments.dataset]:.2f}\n")
    print_training(trajectory)
    draw(study, trajectory, arguments.dataset, arguments.figures)


if __name__ == "__main__":
    main()
