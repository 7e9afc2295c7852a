from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

import torch

import convergent as cv
from convergent import nets
from tests.reference import networks as reference

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture
def images() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(30, 1, 8, 8)).astype(np.float32)


@pytest.fixture
def networks() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    return {"a": nets.ConvNet(widths=(4, 5, 6)), "b": nets.ConvNet(widths=(3, 5, 7))}


class Branching(torch.nn.Module):
    """Has modules that run twice, never, or put out something unusual."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(64, 4)
        self.twice = torch.nn.ReLU()
        self.never = torch.nn.ReLU()
        self.tuple = Putting(lambda x: (None, [x, x + 1]))
        self.mapping = Putting(lambda x: {"kind": "x", "hidden": x})
        self.nothing = Putting(lambda x: None)
        self.cube = Putting(lambda x: x[:, :, None, None, None])
        self.doubled = Putting(lambda x: torch.cat([x, x]))
        self.nan = Putting(lambda x: x * float("nan"))
        self.bfloat = Putting(lambda x: x.to(torch.bfloat16))
        self.inplace = torch.nn.ReLU(inplace=True)

    def forward(self, images: Any) -> Any:
        hidden = self.dense(images.flatten(1))
        self.twice(self.twice(hidden))
        for module in (self.tuple, self.mapping, self.nothing, self.cube, self.doubled):
            module(hidden)
        self.nan(hidden)
        self.bfloat(hidden)
        return self.inplace(hidden)


class Putting(torch.nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, hidden: Any) -> Any:
        return self.function(hidden)


def assert_close(one: cv.Statistics, other: cv.Statistics, tolerance: float) -> None:
    for name, ours in one.layers.items():
        theirs = other.layers[name]
        assert ours.moments is not None
        assert theirs.moments is not None
        assert ours.moments.n_examples == theirs.moments.n_examples
        scale = np.abs(ours.moments.covariance(0, 1)).max()
        np.testing.assert_allclose(
            ours.moments.covariance(0, 1),
            theirs.moments.covariance(0, 1),
            rtol=0,
            atol=tolerance * scale,
        )
        for kind in ("rows", "images"):
            for x, y in zip(getattr(ours, kind), getattr(theirs, kind)):
                np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * np.abs(y).max())
        for x, y in zip(ours.image_units, theirs.image_units):
            np.testing.assert_array_equal(x, y)


def test_convolutions_agree_with_plain_numpy(
    networks: dict[str, torch.nn.Module], images: NDArray[np.float32]
) -> None:
    statistics = nets.collect(networks, images[:3], layers=["conv1", "relu1"], max_units=100)
    for i, network in enumerate(networks.values()):
        weights = {name: value.double().numpy() for name, value in network.state_dict().items()}
        kernels, bias = weights["conv1.weight"], weights["conv1.bias"]
        expected = np.array(
            [reference.conv3x3(image.astype(np.float64), kernels, bias) for image in images[:3]]
        )
        for name, array in (("conv1", expected), ("relu1", np.maximum(expected, 0.0))):
            layer = statistics.layers[name]
            flat = array.reshape(3, -1)[:, layer.image_units[i]]
            np.testing.assert_allclose(layer.images[i], flat, rtol=0, atol=1e-5)
            positions = array.transpose(0, 2, 3, 1).reshape(-1, array.shape[1])
            np.testing.assert_allclose(layer.rows[i], positions, rtol=0, atol=1e-5)
            assert layer.moments is not None
            np.testing.assert_allclose(
                layer.moments.mean(i), positions.mean(axis=0), rtol=0, atol=1e-6
            )


def test_trained_networks_agree_with_plain_numpy(shared: Path) -> None:
    images = np.random.default_rng(1).random((300, 784)).astype(np.float32)
    networks, expected = {}, {}
    for seed in (0, 1):
        with np.load(shared / "data" / "nets" / f"mnist_mlp_bn200x3_seed{seed}.npz") as archive:
            weights = {name: archive[name] for name in archive.files}
        blocks: list[torch.nn.Module] = []
        for width in (784, 200, 200):
            blocks += [torch.nn.Linear(width, 200), torch.nn.BatchNorm1d(200), torch.nn.ReLU()]
        network = torch.nn.Sequential(*blocks, torch.nn.Linear(200, 10))
        network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
        networks[str(seed)] = network
        expected[str(seed)] = reference.mlp_layers(weights, images.astype(np.float64))
    statistics = nets.collect(networks, nets.batches(images, batch_size=77), layers=["2", "5", "8"])
    for name, layer in statistics.layers.items():
        arrays = [expected[network][name] for network in statistics.networks]
        for i, array in enumerate(arrays):
            # float32 sums over 784 and 200 inputs, against float64.
            np.testing.assert_allclose(layer.images[i], array, rtol=0, atol=2e-4)
            np.testing.assert_array_equal(layer.rows[i], layer.images[i])
        assert layer.moments is not None
        centred = [array - array.mean(axis=0) for array in arrays]
        np.testing.assert_allclose(
            layer.moments.covariance(0, 1), centred[0].T @ centred[1] / 299, rtol=0, atol=1e-4
        )
        assert layer.factor is not None
        triangle = layer.factor.triangle()
        np.testing.assert_allclose(
            triangle[:200, :200].T @ triangle[:200, 200:],
            layer.images[0].astype(np.float64).T @ layer.images[1].astype(np.float64),
            rtol=0,
            atol=1e-8,
        )


@pytest.mark.parametrize("batch_size", [1, 7])
def test_batch_size_changes_nothing_but_float32_rounding(
    networks: dict[str, torch.nn.Module], images: NDArray[np.float32], batch_size: int
) -> None:
    layers = ["relu*", "output"]
    whole = nets.collect(networks, nets.batches(images, batch_size=128), layers=layers)
    parts = nets.collect(networks, nets.batches(images, batch_size=batch_size), layers=layers)
    # Sums of at most 64 products in float32: 64 roundings of 6e-8 bound the difference.
    assert_close(parts, whole, 4e-6)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_batch_size_changes_no_bit_of_the_statistics(
    images: NDArray[np.float32], batch_size: int
) -> None:
    networks = {
        "a": torch.nn.Sequential(torch.nn.ReLU()),
        "b": torch.nn.Sequential(torch.nn.Tanh()),
    }
    whole = nets.collect(networks, nets.batches(images, batch_size=128), layers=["0"])
    parts = nets.collect(networks, nets.batches(images, batch_size=batch_size), layers=["0"])
    assert_close(parts, whole, 1e-9)


def test_ways_to_name_layers(
    networks: dict[str, torch.nn.Module], images: NDArray[np.float32]
) -> None:
    def names(layers: Any) -> list[str]:
        return list(nets.collect(networks, images, layers=layers, factor=False).layers)

    assert names(["relu1", "output"]) == ["relu1", "output"]
    assert names("relu*") == ["relu1", "relu2", "relu3"]
    assert names(["output", "relu[12]", "relu1", "output"]) == ["output", "relu1", "relu2"]
    by_position = [["conv1", "relu1"], ["conv1", "conv1"]]
    assert names(by_position) == ["conv1", "relu1 | conv1"]
    assert names({"b": ["conv2"], "a": ["relu2"]}) == ["relu2 | conv2"]
    layer = nets.collect(networks, images, layers={"a": ["dense"], "b": ["relu3"]})
    assert layer.settings["layers"] == {"dense | relu3": {"a": "dense", "b": "relu3"}}
    assert layer.layers["dense | relu3"].widths == (6, 7)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            ["conv9"],
            r"network 'a' has no module 'conv9'; it has conv1, relu1, pool1, conv2, .*outp",
        ),
        (["x*"], r"network 'a' has no module 'x\*'; it has conv1"),
        ([["conv1"], ["x"]], "network 'b' has no module 'x'"),
        ([["conv1"], ["conv1", "conv2"]], "`layers` must be as many in every network, got"),
        ([["conv1"]], "`layers` must be names, or one list for each of 2 networks"),
        (["conv1", ["conv2"]], "`layers` must be names, or one list for each of 2 networks"),
        ({"a": ["conv1"]}, "`layers` must have a list for each of a, b, got a"),
        ([], "`layers` must name at least one layer, got none"),
        ([["conv1"], ["conv2"]], r"as many positions in layer 'conv1 \| conv2', got \[1920, 480\]"),
    ],
)
def test_wrong_layers_are_refused(
    layers: Any, message: str, networks: dict[str, torch.nn.Module], images: NDArray[np.float32]
) -> None:
    with pytest.raises(ValueError, match=message):
        nets.collect(networks, images, layers=layers)
    assert_untouched(networks)


def assert_untouched(networks: Mapping[str, torch.nn.Module]) -> None:
    for network in networks.values():
        for module in network.modules():
            assert not module._forward_hooks
            assert module.training


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("never", "layer 'never' of network 'x' did not run in the forward pass"),
        ("twice", "layer 'twice' of network 'x' ran 2 times in one forward pass"),
        ("nothing", "layer 'nothing' of network 'x' must put out a tensor, got none"),
        (
            "cube",
            r"output of layer 'cube' of network 'x' must be \(n_images, n_units\), .* got shape "
            r"\(30, 4, 1, 1, 1\)",
        ),
        ("doubled", "layer 'doubled' of network 'x' must put out one row for each of 30 images"),
        ("nan", r"positions\['x'\] of layer 'nan'` must be finite, got 120 NaN"),
    ],
)
def test_unusual_layers_are_refused(layer: str, message: str, images: NDArray[np.float32]) -> None:
    networks = {"x": Branching()}
    with pytest.raises(ValueError, match=message):
        nets.collect(networks, images, layers=[layer])
    assert_untouched(networks)


def test_first_tensor_of_nested_outputs_counts(images: NDArray[np.float32]) -> None:
    network = Branching()
    layers = ["dense", "tuple", "mapping", "bfloat"]
    statistics = nets.collect({"x": network}, images, layers=layers)
    weight, bias = network.dense.weight.detach().numpy(), network.dense.bias.detach().numpy()
    expected = images.reshape(30, -1) @ weight.T + bias
    assert (expected < 0.0).any()  # so a later rectifier in place would show
    for name in layers[:3]:
        np.testing.assert_allclose(statistics.layers[name].images[0], expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(statistics.layers["bfloat"].images[0], expected, rtol=0, atol=0.02)


def test_networks_are_left_as_they_were(images: NDArray[np.float32]) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(64), torch.nn.Dropout())
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    statistics = nets.collect({"x": network}, images, layers=["2"])
    assert [module.training for module in network] == [True, False, True]
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    np.testing.assert_allclose(statistics.layers["2"].images[0], images.reshape(30, -1), rtol=1e-4)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_loaders_of_every_kind(
    networks: dict[str, torch.nn.Module], images: NDArray[np.float32]
) -> None:
    labels = np.arange(30)
    tensors = torch.tensor(images)
    dataset = torch.utils.data.TensorDataset(tensors, torch.tensor(labels))
    images.setflags(write=False)
    loaders: list[tuple[Any, bool]] = [
        (images, False),
        (images.astype(np.float64), False),
        (tensors, False),
        (nets.batches(images, labels, batch_size=8), True),
        (nets.batches(tensors, torch.tensor(labels), batch_size=8), True),
        (torch.utils.data.DataLoader(dataset, batch_size=8), True),
        (([batch] for batch in nets.batches(tensors, batch_size=8)), False),
        (
            ((batch, list(range(8)), "more") for batch in nets.batches(tensors[:24], batch_size=8)),
            True,
        ),
    ]
    whole = nets.collect(networks, images, layers=["relu2"])
    for loader, labelled in loaders:
        statistics = nets.collect(networks, loader, layers=["relu2"])
        assert (statistics.labels is not None) == labelled
        if statistics.settings["n_images"] == 30:
            assert_close(statistics, whole, 4e-6)
            if labelled:
                np.testing.assert_array_equal(statistics.labels, labels)
    given = nets.collect(networks, images, layers=["relu2"], labels=["x"] * 30)
    assert given.labels is not None
    dropped = nets.collect(networks, nets.batches(images, labels), layers=["relu2"], labels=False)
    assert dropped.labels is None


def test_wrong_loaders_are_refused(
    networks: dict[str, torch.nn.Module], images: NDArray[np.float32]
) -> None:
    mixed = [(images[:9], np.arange(9)), images[9:]]
    cases: list[tuple[Any, type[Exception], str]] = [
        (3, TypeError, "`loader` must be an array, a tensor or an iterable of batches, got int"),
        ({"x": images}, ValueError, "`loader` must have a loader for each of a, b, got x"),
        ({}, ValueError, "`loader` must have a loader for each of a, b, got none"),
        ({"a": images, "b": 3}, TypeError, r"`loader\['b'\]` must be an array, .* got int"),
        (["x"], TypeError, r"`loader` must yield images, \(images, labels, ...\) or .* got str"),
        ([{"x": "y"}], TypeError, "`loader` must yield images, .* got dict of x"),
        ([{"x": images}], TypeError, "unexpected keyword argument 'x'"),
        ([], ValueError, "`loader` must yield at least one batch, got none"),
        (mixed, ValueError, "labels with every batch or none, got 1 of 2"),
        ([(images, np.arange(9))], ValueError, "`labels` must label 30 images, got 9"),
    ]
    for loader, error, message in cases:
        with pytest.raises(error, match=message):
            nets.collect(networks, loader, layers=["relu2"])
        assert_untouched(networks)
    with pytest.raises(ValueError, match="`labels` must label 30 images, got 9"):
        nets.collect(networks, images, layers=["relu2"], labels=np.arange(9))
    nothing: dict[str, Any] = {}
    for wrong in ([networks["a"]], nothing):
        with pytest.raises(TypeError, match="`networks` must map names to networks, got"):
            nets.collect(wrong, images, layers=["relu2"])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"`networks\['a'\]` must be a torch Module, or .* got str"):
        nets.collect({"a": "net"}, images, layers=["relu2"])  # type: ignore[dict-item]


def test_views_seeds_and_progress(
    networks: dict[str, torch.nn.Module], images: NDArray[np.float32]
) -> None:
    reports: list[tuple[str, int, int]] = []
    statistics = nets.collect(
        networks,
        nets.batches(images, batch_size=16),
        layers=["conv1"],
        views=["images"],
        max_units=10,
        seed=1,
        progress=lambda *report: reports.append(report),
    )
    assert reports == [("collect", 1, 2), ("collect", 2, 2)]
    layer = statistics.layers["conv1"]
    assert (layer.moments, layer.factor, layer.rows) == (None, None, [])
    assert layer.widths == (256, 192)
    other = nets.collect(networks, images, layers=["conv1"], max_units=10, n_rows=50, seed=2)
    assert not np.array_equal(layer.image_units[0], other.layers["conv1"].image_units[0])
    assert [rows.shape for rows in other.layers["conv1"].rows] == [(50, 4), (50, 3)]

    def unsized() -> Iterator[Any]:
        yield from nets.batches(images, batch_size=16)

    reports.clear()
    nets.collect(
        networks,
        unsized(),
        layers=["conv1"],
        progress=lambda *report: reports.append(report),
    )
    assert reports == [("collect", 1, 0), ("collect", 2, 0)]


def test_collected_statistics_survive_the_disk(
    networks: dict[str, torch.nn.Module], images: NDArray[np.float32], tmp_path: Path
) -> None:
    statistics = nets.collect(
        networks, nets.batches(images, np.arange(30)), layers=["relu*"], max_units=20
    )
    loaded = cv.Statistics.load(statistics.save(tmp_path))
    assert_close(loaded, statistics, 0.0)
    assert loaded.settings == statistics.settings
    np.testing.assert_array_equal(loaded.labels, np.arange(30))
