"""Networks in turns and batches in parts give what all at once gives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

import convergent as cv
from convergent import nets
from convergent.nets import network_runs
from convergent.nets.inputs import Batch
from convergent.nets.layers import LayerChoice
from convergent.nets.network_runs import NetworkRun, Turns, is_out_of_memory
from convergent.statistics import image_rows

IMAGES = np.random.default_rng(0).normal(size=(150, 1, 8, 8))
LABELS = np.arange(150) % 7
LAYERS = ["conv1", "relu2", "dense"]


pytestmark = pytest.mark.usefixtures("one_torch_thread")


def convnets(kind: Callable[..., nn.Module] = nets.ConvNet) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {"a": kind(widths=(6, 9, 8)).double(), "b": kind(widths=(5, 9, 7)).double()}


def assert_same(one: cv.Statistics, other: cv.Statistics, tolerance: float = 1e-9) -> None:
    assert one.settings == other.settings
    np.testing.assert_array_equal(one.labels, other.labels)
    for name, ours in one.layers.items():
        theirs = other.layers[name]
        for i, j in ((0, 0), (0, 1), (1, 1)):
            assert_close(
                ours.moments, theirs.moments, lambda m, i=i, j=j: m.covariance(i, j), tolerance
            )
        assert_close(ours.moments, theirs.moments, lambda m: m.mean(), tolerance)
        assert_close(ours.factor, theirs.factor, lambda f: f.triangle(), tolerance)
        assert_close(ours.factor, theirs.factor, lambda f: f.triangle(center=True), tolerance)
        for kind in ("rows", "images"):  # float32: a last digit may differ
            for x, y in zip(getattr(ours, kind), getattr(theirs, kind)):
                np.testing.assert_allclose(x, y, rtol=2e-7, atol=1e-12)
        for top, their_top in zip(ours.top, theirs.top):
            np.testing.assert_array_equal(top.images, their_top.images)
            np.testing.assert_array_equal(top.positions, their_top.positions)


def assert_close(one: Any, other: Any, values: Any, tolerance: float) -> None:
    found, expected = values(one), values(other)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.fixture(scope="module")
def whole() -> cv.Statistics:
    return collected(convnets(), 128)


def collected(networks: Any, batch_size: int = 40, **how: Any) -> cv.Statistics:
    loader = nets.batches(IMAGES, LABELS, batch_size=batch_size)
    return nets.collect(networks, loader, layers=LAYERS, n_rows=200, max_units=50, **how)


@pytest.mark.parametrize("batch_size", [1, 7, 150])
def test_the_batch_size_does_not_matter(batch_size: int, whole: cv.Statistics) -> None:
    assert_same(collected(convnets(), batch_size), whole)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
def test_the_device_does_not_matter(whole: cv.Statistics) -> None:
    for at_once in (None, 1):
        assert_same(collected(convnets(), device="cuda", at_once=at_once), whole, 1e-6)


@pytest.mark.parametrize("at_once", [1, 2, 5])
@pytest.mark.parametrize("group", [1, 2, 8])
def test_networks_in_turns(
    at_once: int, group: int, whole: cv.Statistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_runs, "GROUP", group)
    assert_same(collected(convnets(), at_once=at_once), whole)


def test_networks_are_on_the_device_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without a second device, what would be moved is told by name."""
    moves: list[str] = []
    networks = {name: nn.Linear(64, 2) for name in "abc"}
    names = {id(network): name for name, network in networks.items()}

    def to(module: nn.Module, device: Any) -> nn.Module:
        moves.append(f"{names[id(module)]} {torch.device(device).type}")
        return module

    monkeypatch.setattr(nn.Module, "to", to)
    monkeypatch.setattr(network_runs, "GROUP", 2)

    class Run:
        def outputs(self, batch: Any) -> Any:
            moves.append(f"run {batch}")
            return batch

    batches: list[Any] = [dict.fromkeys("abc", number) for number in range(3)]
    runs: Any = {name: Run() for name in networks}
    turns = Turns(networks, runs, torch.device("meta"), at_once=2)
    assert list(turns.outputs(batches)) == batches
    both = ["a meta", "b meta", "run 0", "run 0", "run 1", "run 1", "b cpu", "a cpu"]
    last = ["a meta", "b meta", "run 2", "run 2", "b cpu", "a cpu", "c meta", "run 2", "c cpu"]
    assert moves == [*both, "c meta", "run 0", "run 1", "c cpu", *last]
    with pytest.raises(ValueError, match="`at_once` must be at least 1, got 0"):
        collected(convnets(), at_once=0)


def test_networks_as_functions(whole: cv.Statistics) -> None:
    networks = convnets()
    calls = []

    def load(name: str) -> nn.Module:
        calls.append(name)
        return networks[name]

    functions = {"a": lambda: load("a"), "b": networks["b"]}
    assert_same(collected(functions, at_once=1), whole)
    assert calls == ["a"]
    with pytest.raises(TypeError, match=r"`networks\['a'\]` must be a torch Module, or .* got int"):
        collected({"a": lambda: 3})


class Greedy(nets.ConvNet):
    """Runs out of memory with more than 20 images."""

    error: type[Exception] = torch.cuda.OutOfMemoryError
    text = "CUDA out of memory"
    most = 20
    sizes: list[int]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = self.conv1(images)  # what hooks have seen by then is to be forgotten
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise self.error(self.text)
        hidden = self.pool2(self.relu2(self.conv2(self.pool1(self.relu1(hidden)))))
        logits: torch.Tensor = self.output(self.relu3(self.dense(hidden.flatten(1))))
        return logits


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (torch.cuda.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2 GiB"),
        (RuntimeError, "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
        (RuntimeError, "MPS backend out of memory"),
        (MemoryError, ""),
    ],
)
@pytest.mark.parametrize("at_once", [None, 1])
def test_batches_that_do_not_fit_are_split(
    error: type[Exception], text: str, at_once: int | None, whole: cv.Statistics
) -> None:
    networks = convnets(Greedy)
    for network in networks.values():
        network.sizes = []  # type: ignore[assignment]
        network.error, network.text = error, text  # type: ignore[assignment]
    assert_same(collected(networks, 70, at_once=at_once), whole)
    # 70 do not fit, nor 35; 18 do, and are remembered.
    expected = [70, 35, 18, 18, 18, 16, 18, 18, 18, 16, 10]
    assert [network.sizes for network in networks.values()] == [expected, expected]


def test_a_single_image_that_does_not_fit_and_other_errors() -> None:
    networks = convnets(Greedy)
    for network in networks.values():
        network.sizes, network.most = [], 0  # type: ignore[assignment]
    with pytest.raises(torch.cuda.OutOfMemoryError, match="CUDA out of memory"):
        collected(networks)
    for network in networks.values():
        network.sizes, network.error, network.text = [], RuntimeError, "shape"  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="shape"):
        collected(networks)
    assert networks["a"].sizes == [40]
    assert all(not m._forward_hooks and m.training for m in networks["a"].modules())
    assert not is_out_of_memory(ValueError("out of memory"))


class Seen(nn.Module):
    """Keeps how the images lay that it was given; with `view`, as some networks flatten."""

    def __init__(self, *, first: nn.Module, flatten: str = "view") -> None:
        super().__init__()
        self.first = first
        self.flatten = flatten
        self.layouts: list[bool] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.layouts.append(images.is_contiguous(memory_format=torch.channels_last))
        found: torch.Tensor = self.first(images)
        return found.view(len(found), -1) if self.flatten == "view" else found.flatten(1)


def test_convolutions_on_a_cpu_run_channels_last() -> None:
    images = np.random.default_rng(1).normal(size=(20, 3, 8, 8)).astype(np.float32)
    torch.manual_seed(1)
    convolution, linear = nn.Conv2d(3, 5, 3), nn.Linear(8, 4)
    kinds = [
        (Seen(first=convolution, flatten="flatten"), [True] * 3),
        (Seen(first=convolution), [True, False, False, False]),  # once, then as it wants it
        (Seen(first=linear), [False] * 3),
        (Seen(first=nn.Conv2d(3, 5, 3).double()), [False] * 3),
    ]
    found = []
    for network, layouts in kinds:
        loader = [images[start : start + 7] for start in range(0, 20, 7)]
        found.append(nets.collect({"a": network}, loader, layers=["first"], unit_axis=1))
        assert network.layouts == layouts
    moments: list[Any] = [statistics.layers["first"].moments for statistics in found[:2]]
    covariances = [one.covariance(0, 0) for one in moments]
    np.testing.assert_allclose(covariances[0], covariances[1], rtol=1e-5, atol=1e-6)
    expected = convolution(torch.tensor(images)).detach().double().mean(dim=(0, 2, 3))
    for one in moments:
        np.testing.assert_allclose(one.mean(0), expected, rtol=1e-4, atol=1e-6)


def test_precision() -> None:
    networks: dict[str, nn.Module] = {"a": nets.ConvNet(), "b": nets.ConvNet()}
    images = IMAGES.astype(np.float32)
    exact = nets.collect(networks, images, layers=["conv2"])
    rounded = nets.collect(networks, images, layers=["conv2"], precision="bfloat16")
    assert rounded.settings["precision"] == "bfloat16"
    ours, theirs = (one.layers["conv2"].images[0] for one in (rounded, exact))
    assert 0 < np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max()
    np.testing.assert_array_equal(ours, torch.from_numpy(ours).to(torch.bfloat16).float().numpy())
    with pytest.raises(ValueError, match="`precision` must be one of 'float16', 'bfloat16', got"):
        nets.collect(networks, images, layers=["conv2"], precision="half")


def test_outputs_are_overwritten_only_where_they_were_taken() -> None:
    network = nn.Sequential(nn.Identity())
    host = torch.device("cpu")
    choice = LayerChoice("0")
    run = NetworkRun("x", network, [choice], device=host, kept_on=host)
    run.recorder.reuses_memory = True
    batches = [Batch(torch.full((n, 2), float(n))) for n in (3, 2, 3, 5, 4)]
    with run.recorder.recording():
        for batch in batches:
            output = run.outputs(batch)[choice].tensor
            assert output.shape == (batch.n_images, 2)
            assert (output == batch.n_images).all()


def test_many_images_go_to_a_file(monkeypatch: pytest.MonkeyPatch, whole: cv.Statistics) -> None:
    monkeypatch.setattr(image_rows.ImageRows.__init__, "__defaults__", (5_000,))
    filed = collected(convnets())
    assert_same(filed, whole)
    for x in filed.layers["conv1"].images:
        assert not x.flags.writeable
    assert all(x.flags.writeable for x in whole.layers["conv1"].images)


PROGRAM = """
import resource, sys
import numpy as np, torch
from pathlib import Path
from convergent import nets
torch.set_num_threads(1)
torch.manual_seed(0)
networks = {name: nets.ConvNet(in_channels=3, image_size=16) for name in "ab"}
def batches(n):
    for start in range(n):
        yield np.random.default_rng(start).normal(size=(64, 3, 16, 16)).astype(np.float32)
def peak():
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return int(line.split()[1]) / 1024
how = dict(layers=["relu1", "relu2", "dense"], n_rows=1000)
nets.collect(networks, batches(12), **how)
short = peak()
nets.collect(networks, batches(120), **how)
print(peak() - short)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    program = PROGRAM.replace(
        "how =",
        "import convergent.statistics.image_rows as r\nr.ImageRows.__init__.__defaults__ = (1 << 20,)\nhow =",
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    # Rows of 7,680 images of 1,000 units, two networks and two layers alone would be 120 MB.
    assert float(done.stdout) < 15.0
