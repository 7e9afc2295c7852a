"""VGG, ResNet and the deep narrow networks: shapes, parameters, rectifiers, torchvision's answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("torchvision")

import torch
import torchvision
from torch import nn

from convergent import nets

VGGS = [f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")]
RESNETS = ["resnet18", "resnet34"]
SMALL = [name for name in nets.MODELS if name != "alexnet"]


pytestmark = pytest.mark.usefixtures("one_torch_thread")


def narrow(name: str, **parameters: Any) -> nn.Module:
    """Return a network that is quick to run."""
    width = 0.05 if name.startswith("alexnet") else 2
    return nets.build_model(name, width=width, **parameters).eval()


def n_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def take_by_order(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Fill a network with weights that have other names but stand in the same order."""
    own = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    given = [value for name, value in weights.items() if not name.endswith("num_batches_tracked")]
    assert len(own) == len(given)
    network.load_state_dict(dict(zip(own, given)), strict=False)


def run_counts(network: nn.Module, images: torch.Tensor) -> dict[str, int]:
    """Return how often each rectifier ran in one forward pass."""
    counts: dict[str, int] = {}

    def count(name: str) -> Any:
        counts[name] = 0

        def hook(*_: Any) -> None:
            counts[name] += 1

        return hook

    for name, module in network.named_modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(count(name))
    network(images)
    return counts


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 28), (3, 32), (2, 40)])
def test_small_images_of_any_size(name: str, channels: int, size: int) -> None:
    network = narrow(name, in_channels=channels, image_size=size, n_classes=7)
    assert network(torch.zeros(2, channels, size, size)).shape == (2, 7)


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "vgg19_bn", *RESNETS])
@pytest.mark.parametrize(("channels", "size"), [(3, 64), (1, 75), (3, 96)])
def test_large_images_of_any_size(name: str, channels: int, size: int) -> None:
    network = narrow(name, in_channels=channels, image_size=size, n_classes=5)
    assert network(torch.zeros(2, channels, size, size)).shape == (2, 5)


@pytest.mark.parametrize("name", nets.MODELS)
def test_every_rectifier_runs_once_and_is_found_by_name(name: str) -> None:
    size = 64 if name in {"alexnet", *RESNETS, "vgg16_bn"} else 16
    network = narrow(name, in_channels=1, image_size=size)
    counts = run_counts(network, torch.zeros(1, 1, size, size))
    assert set(counts.values()) == {1}
    assert all("relu" in relu.rpartition(".")[2] for relu in counts)
    images = torch.rand(3, 1, size, size)
    found = nets.collect({"a": network}, [images], layers=["*relu*"], factor=False, n_top=0)
    assert list(found.layers) == list(counts)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("alexnet", 7),
        ("vgg11_bn", 8),
        ("vgg16", 13),
        ("resnet18", 17),
        ("resnet34", 33),
        ("resnet20", 19),
        ("resnet110", 109),
        ("plain20", 19),
        ("plain34", 33),
        ("plain42", 41),
        ("plain44", 43),
    ],
)
def test_layers_are_as_many_as_the_name_says(name: str, count: int) -> None:
    """All layers with weights but the output have a rectifier; shortcuts do not count."""
    network = narrow(name, image_size=64 if name == "alexnet" else 32)
    assert sum(isinstance(module, nn.ReLU) for module in network.modules()) == count


@pytest.mark.parametrize("name", VGGS)
def test_vgg_for_large_images_is_torchvisions(name: str) -> None:
    with torch.device("meta"):
        own = nets.build_model(name, image_size=224, n_classes=1000)
        theirs = getattr(torchvision.models, name)()
    assert n_parameters(own) == n_parameters(theirs)
    shapes = [[value.shape for value in net.state_dict().values()] for net in (own, theirs)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", RESNETS)
def test_resnet_for_large_images_is_torchvisions(name: str) -> None:
    theirs = getattr(torchvision.models, name)().eval()
    own = nets.build_model(name, image_size=224, n_classes=1000).eval()
    own.load_state_dict(theirs.state_dict(), strict=True)
    assert n_parameters(own) == {"resnet18": 11_689_512, "resnet34": 21_797_672}[name]
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(own(images), theirs(images), rtol=0, atol=0)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_vgg_gives_torchvisions_answers(batch_norm: bool) -> None:
    """With torchvision's own layers, narrow ones, between images and answer."""
    own = nets.VGG(11, batch_norm, image_size=64, width=4, n_classes=3).eval()
    cfg: list[int | str] = [4, "M", 8, "M", 16, 16, "M", 32, 32, "M", 32, 32, "M"]
    theirs = torchvision.models.VGG(torchvision.models.vgg.make_layers(cfg, batch_norm))
    theirs.classifier = nn.Sequential(
        *(nn.Linear(32 * 49, 256), nn.ReLU(), nn.Dropout()),
        *(nn.Linear(256, 256), nn.ReLU(), nn.Dropout(), nn.Linear(256, 3)),
    )
    theirs.eval()
    take_by_order(own, theirs.state_dict())
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(own(images), theirs(images), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("alexnet", 62_378_344),  # Krizhevsky et al.'s network in one tower
        ("resnet20", 269_722),  # He et al. (2016), Table 6: .27, .46, .66, .85 and 1.7 million
        ("resnet32", 464_154),
        ("resnet44", 658_586),
        ("resnet56", 853_018),
        ("resnet110", 1_727_962),
        ("resnet18", 11_173_962),
    ],
)
def test_known_numbers_of_parameters(name: str, number: int) -> None:
    with torch.device("meta"):
        network = nets.build_model(name)
    assert n_parameters(network) == number


def test_plain_is_the_residual_network_without_shortcuts() -> None:
    """The same kernels in the same order; the plain one's convolutions have a bias as well."""
    for depth in (20, 44):
        kernels = []
        for name in (f"resnet{depth}", f"plain{depth}"):
            modules = nets.build_model(name).modules()
            convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
            kernels.append([(tuple(c.weight.shape), c.stride) for c in convolutions])
        assert kernels[0] == kernels[1]


def test_a_residual_block_adds_what_it_gets() -> None:
    network: Any = nets.CifarResNet(8, width=3).eval()
    block = network.layer2[0]
    with torch.no_grad():
        block.bn2.weight.zero_()
    maps = torch.rand(2, 3, 6, 6)
    summed = block(maps)
    assert summed.shape == (2, 6, 3, 3)
    torch.testing.assert_close(summed[:, 1:4], maps[:, :, ::2, ::2], rtol=0, atol=0)
    assert not summed[:, [0, 4, 5]].any()


def test_alexnet_has_the_papers_maps() -> None:
    """Li et al. (2016), Section 4.1: conv1 gives 55 x 55 x 96; pooling comes before normalisation."""
    shapes: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        network = nets.AlexNet()
        maps = torch.zeros(1, 3, 227, 227)
        for name, module in network.named_children():
            maps = module(maps)
            shapes[name] = tuple(maps.shape[1:])
    assert shapes["conv1"] == (96, 55, 55)
    assert shapes["pool1"] == (96, 27, 27)
    assert shapes["conv2"] == (256, 27, 27)
    assert shapes["pool2"] == (256, 13, 13)
    assert shapes["conv5"] == (256, 13, 13)
    assert shapes["pool5"] == (256, 6, 6)
    assert shapes["fc7"] == (4096,)
    names = [name for name, _ in network.named_children()]
    assert names[:5] == ["conv1", "relu1", "pool1", "norm1", "conv2"]
    convolutions = [module for module in network if isinstance(module, nn.Conv2d)]
    assert all(module.groups == 1 for module in convolutions)


def test_stems_of_resnet() -> None:
    small: Any = narrow("resnet18", image_size=63)
    large: Any = narrow("resnet18", image_size=64)
    assert (small.conv1.kernel_size, small.conv1.stride) == ((3, 3), (1, 1))
    assert isinstance(small.maxpool, nn.Identity)
    assert (large.conv1.kernel_size, large.conv1.stride) == ((7, 7), (2, 2))
    assert isinstance(large.maxpool, nn.MaxPool2d)


@pytest.mark.parametrize("name", ["vgg13_bn", "resnet34", "resnet32", "plain42", "convnet"])
def test_width_scales_every_layer(name: str) -> None:
    def widths(network: nn.Module) -> list[int]:
        return [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)]

    one, three = (nets.build_model(name, width=width, in_channels=1) for width in (1, 3))
    assert [3 * width for width in widths(one)] == widths(three)


@pytest.mark.parametrize("name", ["vgg11_bn", "resnet18", "resnet20", "plain20"])
def test_signals_keep_their_size(name: str) -> None:
    """First weights are neither vanishing nor exploding, in any layer."""
    torch.manual_seed(0)
    network = nets.build_model(name, width=16)
    last = list(run_counts(network, torch.randn(16, 3, 32, 32)))[-1]
    kept: list[torch.Tensor] = []
    network.get_submodule(last).register_forward_hook(lambda _m, _i, output: kept.append(output))
    network.train()(torch.randn(16, 3, 32, 32))
    assert 0.1 < kept[0].square().mean().sqrt() < 10.0


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("vgg11", {"image_size": 7}, "`image_size` must be at least 8, got 7"),
        ("vgg11", {"width": 0}, "`width` must be at least 1, got 0"),
        ("vgg11", {"image_size": 64, "dropout": 1.0}, r"`dropout` must lie in \[0, 1\), got 1\.0"),
        ("resnet18", {"in_channels": 0}, "`in_channels` must be at least 1, got 0"),
        ("resnet20", {"n_classes": 1}, "`n_classes` must be at least 2, got 1"),
        ("plain20", {"width": 0}, "`width` must be at least 1, got 0"),
        ("alexnet", {"image_size": 63}, "`image_size` must be at least 64, got 63"),
        ("convnet", {"width": 0}, "`width` must be at least 1, got 0"),
    ],
)
def test_bad_parameters(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nets.build_model(name, **parameters)


def test_bad_depths() -> None:
    from convergent.nets.residual import ResidualBlock
    from convergent.nets.resnet import ResNet

    with pytest.raises(ValueError, match="`depth` must be one of 11, 13, 16, 19, got 12"):
        nets.VGG(12)
    with pytest.raises(ValueError, match="`depth` must be 18 or 34, got 50"):
        ResNet(50)
    with pytest.raises(ValueError, match=r"`depth` must be 6n \+ 2, at least 8, got 21"):
        nets.CifarResNet(21)
    with pytest.raises(ValueError, match=r"`depth` must be one of 20, 32, 34, .* got 26"):
        nets.PlainNet(26)
    with pytest.raises(ValueError, match="`dilation` must be 1, 64 and 1, got 1, 64 and 2"):
        ResidualBlock(4, 4, dilation=2)
