"""Subspace matches of four VGG11 networks on CIFAR-10: the figures and numbers of docs/gallery.md.

``python -m bench.gallery_subspace [--work DIR] [--figures DIR] [--images N]``. The networks and images are looked for
in $CONVERGENT_SHARED/data; images are lossless JPEG XL, which needs a decoder such as pylibjxl.
"""

from __future__ import annotations

import argparse
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

import convergent as cv
from bench.gallery_networks import cifar10_pixels, normalised, vgg11s
from convergent import nets
from convergent.report import figures
from convergent.report.figures.simple_matches import sizes_by_epsilon
from convergent.report.figures.subspace import pooled_levels
from convergent.study import CompareSettings, Study, compare

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ("similarity_over_layers", "similarity_curves", "unit_levels", "simple_match_sizes")


def every_tenth_batch(description: str, done: int, total: int) -> None:
    """Print how far the pass has come."""
    if done % 10 == 0:
        print(f"{description}: {done}/{total}", flush=True)


def collected(work: Path, n_images: int) -> cv.Statistics:
    """Return the statistics of the four networks, from `work` where they are there already."""
    folder = work / f"statistics-{n_images}"
    if cv.Statistics.is_complete(folder):
        return cv.Statistics.load(folder)
    pixels, labels = cifar10_pixels("test")
    images = normalised(pixels)
    networks = vgg11s()
    with torch.inference_mode():
        for name, network in networks.items():
            batches = nets.batches(torch.from_numpy(images))
            found = np.concatenate([network(batch).argmax(dim=1).numpy() for batch in batches])
            print(f"{name}: test accuracy {np.mean(found == labels):.3f}")
    start = time.perf_counter()
    statistics = nets.collect(
        networks,
        nets.batches(images[:n_images], labels[:n_images], batch_size=100),
        layers="relu*",
        views=("positions",),
        progress=every_tenth_batch,
    )
    print(f"collected in {time.perf_counter() - start:.0f} s")
    statistics.save(folder)
    return statistics


def centred_similarity(statistics: cv.Statistics, epsilon: float) -> dict[str, float]:
    """Return s(epsilon) of each layer with every unit's mean taken out first, over pairs."""
    found = {}
    for name, layer in statistics.layers.items():
        assert layer.factor is not None
        values = []
        for i, j in combinations(range(len(layer.networks)), 2):
            matcher = cv.SubspaceMatcher.from_factor(layer.factor, networks=(i, j), center=True)
            values.append(matcher.similarity(epsilon))
        found[name] = float(np.mean(values))
    return found


def print_table(result: Study, drawn: Study, centred: dict[str, float]) -> None:
    """Print the page's table: s as mean and standard deviation over pairs, levels, simple matches."""
    largest = max(result.settings.epsilons)
    heads = [f"s({epsilon:g})" for epsilon in result.settings.epsilons]
    heads += [
        f"s({largest:g}) drawn",
        f"s({largest:g}) centred",
        "levels",
        "simple matches",
        "sizes",
    ]
    print(f"| layer | units | {' | '.join(heads)} |")
    for layer in result.layers:
        cells = [
            spread(result.values(layer.name, "max_match", f"similarity_at_{epsilon:g}"))
            for epsilon in result.settings.epsilons
        ]
        cells.append(spread(drawn.values(layer.name, "max_match", f"similarity_at_{largest:g}")))
        cells.append(f"{centred[layer.name]:.3f}")
        levels = pooled_levels(result, layer.name)
        cells.append("{:.2f} / {:.2f} / {:.2f}".format(*np.percentile(levels, [5, 50, 95])))
        sizes = sizes_by_epsilon(result, layer.name)[len(result.settings.epsilons) - 1]
        cells.append(f"{sizes.size}")
        shares = (
            f"{np.mean(sizes == 2):.1%} of 2, median {np.median(sizes):g}" if sizes.size else "-"
        )
        print(f"| {layer.name} | {layer.widths[0]} | {' | '.join(cells)} | {shares} |")


def spread(values: list[float]) -> str:
    """Return mean and standard deviation over pairs."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def main() -> None:
    """Collect, compare, draw, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "gallery")
    parser.add_argument("--figures", type=Path, default=ROOT / "docs" / "gallery")
    parser.add_argument("--images", type=int, default=10_000)
    arguments = parser.parse_args()
    statistics = collected(arguments.work, arguments.images)
    start = time.perf_counter()
    settings = CompareSettings(["max_match", "simple_matches"])
    result = compare(statistics, settings=settings, out=arguments.work / "all")
    print(f"compared in {time.perf_counter() - start:.0f} s; {len(result.problems)} problems")
    settings = CompareSettings(["max_match"], convention="authors")
    drawn = compare(statistics, settings=settings, out=arguments.work / "authors")
    print_table(result, drawn, centred_similarity(statistics, max(settings.epsilons)))
    arguments.figures.mkdir(parents=True, exist_ok=True)
    for name in FIGURES:
        path = arguments.figures / f"subspace_{name}.png"
        getattr(figures, name)(result).savefig(path, dpi=120)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
