"""Collecting from two ResNet18 beside their bare forward passes, batch by batch in turn."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from bench.harness import Row, Session
from convergent import _validate, nets

BATCH = 128
N_TEST_IMAGES = 10_000
N_ROWS = 60_000
LAYERS = ["relu", *(f"layer{stage}.{block}" for stage in range(1, 5) for block in range(2))]
CONTENDERS: dict[str, dict[str, Any]] = {
    "all": {},
    "without factor": {"factor": False},
    "without factor and top images": {"factor": False, "n_top": 0},
    "images view and top images": {"views": ["images"]},
    "images view": {"views": ["images"], "n_top": 0},
}


def resnet18(seed: int, width: int) -> nn.Module:
    """Return torchvision's ResNet18 for 32-pixel images: a 3 x 3 stem, no pooling; any width."""
    torch.manual_seed(seed)
    network = ResNet(BasicBlock, [2, 2, 2, 2], num_classes=10)
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    for name, module in list(network.named_modules()):
        parent = network.get_submodule(name.rpartition(".")[0])
        if isinstance(module, nn.Conv2d):
            module = copy.deepcopy(module)
            n_in = 3 if name == "conv1" else module.in_channels * width // 64
            n_out = module.out_channels * width // 64
            how = {"stride": module.stride, "padding": module.padding, "bias": False}
            setattr(
                parent, name.rpartition(".")[2], nn.Conv2d(n_in, n_out, module.kernel_size, **how)
            )
        elif isinstance(module, nn.BatchNorm2d):
            n_units = module.num_features * width // 64
            setattr(parent, name.rpartition(".")[2], nn.BatchNorm2d(n_units))
    network.fc = nn.Linear(8 * width, 10)
    return network.eval()


@dataclass
class Clock:
    """A loader that runs the bare networks on each batch first, and times both."""

    networks: Mapping[str, nn.Module]
    images: torch.Tensor
    bare: list[float] = field(default_factory=list)
    bare_channels_last: list[float] = field(default_factory=list)
    collecting: list[float] = field(default_factory=list)

    def __iter__(self) -> Iterator[torch.Tensor]:
        for batch in torch.split(self.images, BATCH):
            self.bare.append(self._pass(batch))
            # As collect runs convolutions on a CPU.
            self.bare_channels_last.append(
                self._pass(batch.contiguous(memory_format=torch.channels_last))
            )
            start = time.perf_counter()
            yield batch
            self.collecting.append(time.perf_counter() - start)

    def _pass(self, batch: torch.Tensor) -> float:
        start = time.perf_counter()
        with torch.inference_mode():
            for network in self.networks.values():
                network(batch)
        return time.perf_counter() - start


def check(networks: Mapping[str, nn.Module], images: torch.Tensor, statistics: Any) -> None:
    """Assert that the means of the first layer are those of the networks."""
    for i, network in enumerate(networks.values()):
        with torch.inference_mode():
            output = torch.relu(network.bn1(network.conv1(images)))  # type: ignore[operator]
        expected = output.double().mean(dim=(0, 2, 3)).numpy()
        found = statistics.layers["relu"].moments.mean(i)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def race(session: Session, width: int, n_images: int) -> None:
    """Print the time of a batch beside the bare networks; the first batch, which sets up, is not counted."""
    networks = {name: resnet18(seed, width) for seed, name in enumerate("ab")}
    bare = copy.deepcopy(networks)
    images = torch.randn(n_images, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    # So that rows enter the sample as often as in a pass over all test images.
    n_rows = max(1, N_ROWS * n_images // N_TEST_IMAGES)
    title = f"collect from two ResNet18 of width {width}, 9 layers, batches of {BATCH}"
    print(f"\n{title}", flush=True)
    for name, how in CONTENDERS.items():
        clock = Clock(bare, images)
        statistics = nets.collect(networks, clock, layers=LAYERS, n_rows=n_rows, **how)
        if statistics.layers["relu"].moments is not None:
            check(bare, images, statistics)
        ours, theirs = clock.collecting[1:], clock.bare[1:]
        others = clock.bare_channels_last[1:]
        other_ratio = median(a / b for a, b in zip(ours, others))
        ratio = median(a / b for a, b in zip(ours, theirs))
        session.rows.append(Row(title, name, median(ours), min(ours), max(ours), len(ours), ratio))
        print(
            f"  {name:<30} {median(ours) * 1e3:>8.0f} ms a batch, bare {median(theirs) * 1e3:>8.0f}"
            f"   x {ratio:.2f} (median of the batches), {min(ours) / min(theirs):.2f} (least times);"
            f" bare with channels last {median(others) * 1e3:>6.0f}   x {other_ratio:.2f}",
            flush=True,
        )


def run(session: Session) -> None:
    """Use all processors, as the kernels do."""
    before = torch.get_num_threads()
    torch.set_num_threads(_validate.available_processors())
    try:
        for width in (64, 16):
            race(session, width, BATCH * (1 + (15 if session.long else session.runs)))
    finally:
        torch.set_num_threads(before)
