"""Networks of other packages, as they are: built without weights, nothing is downloaded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("torchvision")

import torch
import torchvision
from torch import nn

from convergent import nets


def kept(build: Any, layers: Any, inputs: Any, **how: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    networks: dict[str, nn.Module] = {"a": build(), "b": build()}
    loader = inputs if isinstance(inputs, list) else nets.batches(inputs, batch_size=2)
    found = nets.collect(networks, loader, layers=layers, factor=False, max_units=20, **how)
    return dict(found.layers)


def shapes(found: dict[str, Any]) -> dict[str, tuple[int, int, tuple[int, ...]]]:
    return {
        name: (layer.widths[0], layer.moments.n_examples, layer.top[0].map_shape)
        for name, layer in found.items()
    }


def images(size: int) -> torch.Tensor:
    return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_resnet18_of_torchvision() -> None:
    layers = ["relu", "layer1.0.relu@2", "layer4.1.relu@*", "layer3.?", "avgpool", "fc"]
    found = kept(lambda: torchvision.models.resnet18(weights=None), layers, images(64))
    assert shapes(found) == {
        "relu": (64, 3 * 1024, (32, 32)),
        "layer1.0.relu@2": (64, 3 * 256, (16, 16)),
        "layer4.1.relu@1": (512, 3 * 4, (2, 2)),
        "layer4.1.relu@2": (512, 3 * 4, (2, 2)),
        "layer3.0": (256, 3 * 16, (4, 4)),
        "layer3.1": (256, 3 * 16, (4, 4)),
        "avgpool": (512, 3, (1, 1)),
        "fc": (1000, 3, ()),
    }
    with pytest.raises(ValueError, match=r"layer 'layer1.0.relu' of network 'a' ran 2 times"):
        kept(lambda: torchvision.models.resnet18(weights=None), ["layer1.0.relu"], images(64))


def test_vision_transformer_of_torchvision() -> None:
    block = "encoder.layers.encoder_layer_"
    layers = ["conv_proj", f"{block}[03]", f"{block}3.self_attention", f"{block}3.mlp.1", "heads"]
    found = kept(
        lambda: torchvision.models.vit_b_16(weights=None, image_size=32), layers, images(32)
    )
    assert shapes(found) == {
        "conv_proj": (768, 3 * 4, (2, 2)),
        f"{block}0": (768, 3 * 5, (5, 1)),
        f"{block}3": (768, 3 * 5, (5, 1)),
        f"{block}3.self_attention": (768, 3 * 5, (5, 1)),
        f"{block}3.mlp.1": (3072, 3 * 5, (5, 1)),
        "heads": (1000, 3, ()),
    }


def test_channels_last_of_torchvision() -> None:
    def build() -> nn.Module:
        network: nn.Module = torchvision.models.swin_t(weights=None)
        return network

    layers = ["features.0.0", "features.1.0", "features.1.1.mlp.1", "features.2"]
    assert shapes(kept(build, layers, images(32))) == {
        "features.0.0": (96, 3 * 64, (8, 8)),
        "features.1.0": (96, 3 * 64, (8, 8)),
        "features.1.1.mlp.1": (384, 3 * 64, (8, 8)),
        "features.2": (192, 3 * 16, (4, 4)),
    }
    with pytest.raises(ValueError, match=r"puts out shape \(2, 8, 8, 96\) .* unit_axis={'features"):
        kept(build, ["features.0"], images(32))
    given = kept(build, ["features.0"], images(32), unit_axis=-1)
    assert shapes(given) == {"features.0": (96, 3 * 64, (8, 8))}


def test_networks_of_timm() -> None:
    timm = pytest.importorskip("timm")
    layers = ["stem", "stages.3.blocks.1", "stages.0.blocks.0.mlp.act", "head.norm"]
    found = kept(lambda: timm.create_model("convnext_atto", pretrained=False), layers, images(64))
    assert shapes(found) == {
        "stem": (40, 3 * 256, (16, 16)),
        "stages.3.blocks.1": (320, 3 * 4, (2, 2)),
        "stages.0.blocks.0.mlp.act": (160, 3 * 256, (16, 16)),
        "head.norm": (320, 3, (1, 1)),
    }
    found = kept(
        lambda: timm.create_model("vit_tiny_patch16_224", pretrained=False, img_size=32),
        ["patch_embed", "blocks.3", "blocks.3.mlp.act"],
        images(32),
    )
    assert shapes(found) == {
        "patch_embed": (192, 3 * 4, (4, 1)),
        "blocks.3": (192, 3 * 5, (5, 1)),
        "blocks.3.mlp.act": (768, 3 * 5, (5, 1)),
    }


def test_networks_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    size = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
    }
    config = transformers.BertConfig(vocab_size=30, **size)
    ids = torch.randint(30, (4, 7), generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(ids)
    mask[1, 3:] = 0
    loader = [{"input_ids": ids, "attention_mask": mask}]
    layers = ["encoder.layer.?", "encoder.layer.1.attention.self:0", ":last_hidden_state"]
    found = kept(
        lambda: transformers.BertModel(config),
        [*layers, ":pooler_output", ":hidden_states:1"],
        [{**loader[0], "output_hidden_states": True}],
    )
    tokens = (16, 4 * 7 - 4, (7, 1))
    assert shapes(found) == {
        "encoder.layer.0": tokens,
        "encoder.layer.1": tokens,
        "encoder.layer.1.attention.self:0": tokens,
        ":last_hidden_state": tokens,
        ":pooler_output": (16, 4, ()),
        ":hidden_states:1": tokens,
    }
    rows = {name: layer.rows[0] for name, layer in found.items()}
    np.testing.assert_array_equal(rows[":hidden_states:1"], rows["encoder.layer.0"])
    np.testing.assert_array_equal(rows[":last_hidden_state"], rows["encoder.layer.1"])
    config = transformers.ViTConfig(image_size=16, patch_size=8, **size)
    found = kept(lambda: transformers.ViTModel(config), [":last_hidden_state"], images(16))
    assert shapes(found) == {":last_hidden_state": (16, 3 * 5, (5, 1))}
