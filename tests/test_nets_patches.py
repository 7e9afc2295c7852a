"""Patches of images that units respond to most, and their deconvolutions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

import torch
from torch import nn

import convergent as cv
from convergent import nets
from convergent.statistics import UnitPatches
from tests.reference import deconvolution as reference

SIZE = 12


pytestmark = pytest.mark.usefixtures("one_torch_thread")


class Small(nn.Module):
    """Two convolutions and a dense layer; rectifiers work in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.relu1 = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(4, 5, 3, padding=1)
        self.relu2 = nn.ReLU(inplace=True)
        self.dense = nn.Linear(5 * (SIZE // 2) ** 2, 6)
        self.relu3 = nn.ReLU(inplace=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = self.pool(self.relu1(self.conv1(images)))
        hidden = self.relu2(self.conv2(hidden))
        logits: torch.Tensor = self.relu3(self.dense(hidden.flatten(1)))
        return logits

    def weights(self) -> dict[str, NDArray[np.float64]]:
        """For the literal twin."""
        return {
            name: tensor.detach().numpy().astype(np.float64)
            for name, tensor in {
                "conv1": self.conv1.weight,
                "bias1": self.conv1.bias,
                "conv2": self.conv2.weight,
                "bias2": self.conv2.bias,
                "dense": self.dense.weight,
            }.items()
            if tensor is not None
        }


@pytest.fixture
def network() -> Small:
    torch.manual_seed(3)
    return Small()


@pytest.fixture
def images() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((14, 3, SIZE, SIZE)).astype(np.float32)


@pytest.fixture
def statistics(network: Small, images: NDArray[np.float32]) -> cv.Statistics:
    layers = {"a": ["relu1", "relu2", "relu3"], "b": ["relu1", "relu2", "relu3"]}
    other = Small()
    return nets.collect({"a": other, "b": network}, images, layers=layers, n_top=3)


def patches_of(
    network: nn.Module, images: Any, statistics: Any, layer: str = "relu2", **options: Any
) -> UnitPatches:
    return nets.unit_patches(network, images, statistics, layer, **{"network_name": "b", **options})


def expected_patch(image: NDArray[Any], box: NDArray[Any], fill: float) -> NDArray[Any]:
    """Cut a box out of an image (height, width, channels) that has a wide frame of `fill`."""
    frame = 50
    framed = np.pad(image, ((frame, frame), (frame, frame), (0, 0)), constant_values=fill)
    top, left, bottom, right = box + frame
    return framed[top:bottom, left:right]


@pytest.mark.parametrize("layer", ["relu1", "relu2"])
def test_patches_are_cut_from_the_images_where_units_respond_most(
    network: Small, images: NDArray[np.float32], statistics: cv.Statistics, layer: str
) -> None:
    found = patches_of(network, images, statistics, layer)
    size = {"relu1": 3, "relu2": 8}[layer]
    with torch.inference_mode():
        activations = images_through(network, images)[layer]
    n_inside = 0
    for unit in found.units:
        best = activations[:, unit].reshape(len(images), -1)
        order = np.argsort(-best.max(axis=1), kind="stable")[:3]
        np.testing.assert_array_equal(found.images[unit], order)
        np.testing.assert_allclose(found.values[unit], best.max(axis=1)[order], rtol=1e-6)
        for rank, image in enumerate(order):
            row, column = divmod(int(best[image].argmax()), activations.shape[3])
            start = (
                np.array([row, column]) - 1 if layer == "relu1" else np.array([row, column]) * 2 - 3
            )
            box = np.concatenate([start, start + size])
            np.testing.assert_array_equal(found.boxes[unit, rank], box)
            whole = images[image].transpose(1, 2, 0)
            np.testing.assert_array_equal(found.pixels[unit, rank], expected_patch(whole, box, 0.5))
            if box.min() >= 0 and box.max() <= SIZE:
                n_inside += 1
                top, left, bottom, right = box
                np.testing.assert_array_equal(
                    found.pixels[unit, rank], whole[top:bottom, left:right]
                )
    assert n_inside > 0


def images_through(network: Small, images: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    first = network.relu1(network.conv1(torch.from_numpy(images)))
    second = network.relu2(network.conv2(network.pool(first.clone())))
    return {"relu1": first.numpy(), "relu2": second.numpy()}


def test_dense_units_see_whole_images(
    network: Small, images: NDArray[np.float32], statistics: cv.Statistics
) -> None:
    found = patches_of(network, images, statistics, "relu3", units=[4, 1])
    assert found.units.tolist() == [4, 1]
    assert (found.boxes == [0, 0, SIZE, SIZE]).all()
    for i, rank in np.ndindex(2, 3):
        whole = images[found.images[i, rank]].transpose(1, 2, 0)
        np.testing.assert_array_equal(found.pixels[i, rank], whole)


def test_fields_larger_than_the_image_show_all_of_it() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, (9, 3), padding=(4, 1)))
    images = np.random.default_rng(0).random((5, 1, 8, 8)).astype(np.float32)
    statistics = nets.collect({"b": network}, images, layers=["0"], n_top=2)
    found = patches_of(network, images, statistics, "0")
    assert found.pixels.shape == (2, 2, 8, 3, 1)
    for unit, rank in np.ndindex(2, 2):
        top, left, bottom, right = found.boxes[unit, rank]
        assert (bottom - top, right - left) == (9, 3)
        whole = images[found.images[unit, rank]].transpose(1, 2, 0)
        window = np.array([0, left, 8, right])
        np.testing.assert_array_equal(found.pixels[unit, rank], expected_patch(whole, window, 0.5))


@pytest.mark.parametrize("kind", ["uint8 last", "uint8 first", "float last", "tensor", "grey"])
def test_pixels_beside_the_networks_input(
    network: Small, images: NDArray[np.float32], kind: str
) -> None:
    shown = (255.0 * images).astype(np.uint8)
    last = shown.transpose(0, 2, 3, 1)
    pixels: Any = {
        "uint8 last": last,
        "uint8 first": shown,
        "float last": last / 255.0,
        "tensor": torch.from_numpy(shown),
        "grey": last[..., :1],
    }[kind]
    inputs = 4.0 * images - 2.0
    statistics = nets.collect({"b": network}, inputs, layers=["relu2"], n_top=2)
    found = patches_of(network, inputs, statistics, pixels=pixels)
    expected = last[..., :1] if kind == "grey" else last
    for unit, rank in np.ndindex(found.values.shape):
        patch = expected_patch(
            expected[found.images[unit, rank]] / 255.0, found.boxes[unit, rank], 0.5
        )
        np.testing.assert_allclose(found.pixels[unit, rank], patch, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layer", ["relu1", "relu2", "relu3"])
def test_deconvolutions_agree_with_a_literal_one(
    network: Small, images: NDArray[np.float32], statistics: cv.Statistics, layer: str
) -> None:
    pytest.importorskip("captum")
    found = patches_of(network, images, statistics, layer, deconvolve=True)
    assert found.deconvolutions is not None
    assert found.deconvolutions.shape == found.pixels.shape
    weights = network.weights()
    if layer == "relu1":
        weights["conv2"] = np.zeros((4, 4, 3, 3))
        weights["conv2"][range(4), range(4), 1, 1] = 1.0
    top = statistics.layers[layer].top[1]
    assert np.abs(found.deconvolutions).max() > 0.0
    for unit, rank in np.ndindex(found.values.shape):
        image = images[found.images[unit, rank]].astype(np.float64)
        place = tuple(int(number) for number in top.positions[unit, rank])
        if layer == "relu1":
            signal = np.zeros((4, SIZE, SIZE))
            signal[(unit, *place)] = 1.0
            whole = reference.transposed3x3(signal, weights["conv1"])
        else:
            neuron = (unit,) if layer == "relu3" else (unit, *place)
            whole = reference.deconvolution(weights, image, neuron)
        patch = expected_patch(whole.transpose(1, 2, 0), found.boxes[unit, rank], 0.0)
        np.testing.assert_allclose(found.deconvolutions[unit, rank], patch, rtol=0, atol=1e-6)


def test_network_is_left_as_it_was(
    network: Small, images: NDArray[np.float32], statistics: cv.Statistics
) -> None:
    pytest.importorskip("captum")
    network.train()
    patches_of(network, images, statistics, deconvolve=True)
    for module in network.modules():
        assert module.training
        assert not module._forward_hooks
        assert not module._backward_hooks
        assert not module._forward_pre_hooks
    assert all(module.inplace for module in (network.relu1, network.relu2, network.relu3))
    assert all(parameter.grad is None for parameter in network.parameters())


def test_without_captum(
    network: Small,
    images: NDArray[np.float32],
    statistics: cv.Statistics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ImportError, match=r'captum.*pip install "convergent\[full\]"'):
        patches_of(network, images, statistics, deconvolve=True)
    assert patches_of(network, images, statistics).deconvolutions is None


def test_layers_of_other_names_in_other_networks(images: NDArray[np.float32]) -> None:
    torch.manual_seed(0)
    networks: dict[str, nn.Module] = {
        "a": nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()),
        "b": nn.Sequential(nn.Conv2d(3, 2, 3), nn.Identity(), nn.ReLU()),
    }
    statistics = nets.collect(networks, images, layers=[["1"], ["2"]], n_top=2)
    found = patches_of(networks["b"], images, statistics, "1 | 2")
    assert (found.network, found.layer) == ("b", "1 | 2")
    assert found.pixels.shape == (2, 2, 3, 3, 3)


def test_double_precision(images: NDArray[np.float32]) -> None:
    network = Small().double()
    statistics = nets.collect({"b": network}, images, layers=["relu2"], n_top=2)
    assert patches_of(network, images, statistics).values.dtype == np.float32


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "network": ({"network": 3}, TypeError, "`network` must be a torch Module, got int"),
    "statistics": ({"statistics": {}}, TypeError, "`statistics` must be Statistics, got dict"),
    "layer": ({"layer": "relu9"}, ValueError, "`layer` must be one of 'relu1', 'relu2', 'relu3'"),
    "name": ({"network_name": "c"}, ValueError, "`network_name` must be one of 'a', 'b'"),
    "other network": ({"network_name": "a"}, ValueError, "must be those of `statistics`, in their"),
    "images": ({"images": [1]}, TypeError, "`images` must be an array or a tensor, got list"),
    "shape": ({"images": np.zeros((14, 3))}, ValueError, r"`images` must be \(n_images, n_ch"),
    "fewer": (
        {"images": np.zeros((9, 3, 12, 12))},
        ValueError,
        "must be the 14 images of .* got 9",
    ),
    "maps": ({"images": np.zeros((14, 3, 14, 14))}, ValueError, r"has maps of \(7, 7\)"),
    "units": ({"units": [0, 5]}, ValueError, r"`units` must lie in \[0, 5\), got 0 to 5"),
    "no units": ({"units": []}, ValueError, r"`units` must be a list of whole numbers, got \[\]"),
    "half": ({"units": [0.5]}, ValueError, r"`units` must be a list of whole numbers, got \[0.5\]"),
    "pixels": ({"pixels": "x"}, TypeError, "`pixels` must be an array or a tensor, got str"),
    "pixel shape": (
        {"pixels": np.zeros((14, 12, 12, 2))},
        ValueError,
        r"`pixels` must show images of shape \(14, 3, 12, 12\).*got shape \(14, 12, 12, 2\)",
    ),
    "pixel dtype": (
        {"pixels": np.zeros((14, 3, 12, 12), int)},
        ValueError,
        "`pixels` must be uint8 or floating point numbers, got int64",
    ),
    "pixel range": (
        {"pixels": np.full((14, 3, 12, 12), 1.5)},
        ValueError,
        r"`pixels` must lie in \[0, 1\], got 1\.5 to 1\.5 in image",
    ),
    "NaN": (
        {"pixels": np.full((14, 3, 12, 12), np.nan)},
        ValueError,
        r"`pixels` must lie in \[0, 1\]",
    ),
    "channels": (
        {"pixels": np.zeros((14, 12, 12, 1)), "deconvolve": True},
        ValueError,
        "`pixels` must have the network's 3 channels to be deconvolved, got 1",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(
    network: Small, images: NDArray[np.float32], statistics: cv.Statistics, name: str
) -> None:
    change, error, message = BAD[name]
    arguments: dict[str, Any] = {"network": network, "images": images, "statistics": statistics}
    with pytest.raises(error, match=message):
        patches_of(**{**arguments, **change})


def test_input_that_is_no_picture_needs_pixels(network: Small) -> None:
    images = np.random.default_rng(0).normal(size=(6, 3, SIZE, SIZE)).astype(np.float32)
    statistics = nets.collect({"b": network}, images, layers=["relu2"], n_top=2)
    with pytest.raises(ValueError, match=r"`images` must lie in \[0, 1\].*give what"):
        patches_of(network, images, statistics)


def test_images_in_another_order_are_refused(
    network: Small, images: NDArray[np.float32], statistics: cv.Statistics
) -> None:
    with pytest.raises(ValueError, match="must be those of `statistics`, in their order: unit"):
        patches_of(network, images[::-1].copy(), statistics)


def test_statistics_without_top_examples(network: Small, images: NDArray[np.float32]) -> None:
    statistics = nets.collect({"b": network}, images, layers=["relu2"], n_top=0)
    assert statistics.layers["relu2"].top == []
    with pytest.raises(ValueError, match="must hold the top examples of layer 'relu2', got none"):
        patches_of(network, images, statistics)


def test_saved_and_loaded(
    network: Small, images: NDArray[np.float32], statistics: cv.Statistics, tmp_path: Path
) -> None:
    found = patches_of(network, images, statistics)
    loaded = UnitPatches.load(found.save(tmp_path / "patches" / "b.npz"))
    assert repr(loaded) == repr(found)
    np.testing.assert_array_equal(loaded.pixels, found.pixels)
