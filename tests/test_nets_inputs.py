"""What loaders may yield, and that all networks get the same examples in the same order."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from convergent import nets
from tests.reference import layer_views as reference


class Words(nn.Module):
    """Adds up embeddings of words, as a network of tokens that takes keywords."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 3)
        self.pooled = nn.Identity()

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, scale: int = 1
    ) -> torch.Tensor:
        hidden = self.embed(input_ids) * scale
        if attention_mask is not None:
            hidden = hidden * attention_mask[:, :, None]
        pooled: torch.Tensor = self.pooled(hidden.mean(dim=1))
        return pooled


class TooLarge(Words):
    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, scale: int = 1
    ) -> torch.Tensor:
        if len(input_ids) > 2:
            raise RuntimeError("out of memory")
        return super().forward(input_ids, attention_mask, scale)


IDS = np.random.default_rng(0).integers(0, 20, size=(10, 6))
MASK = np.arange(6) < np.random.default_rng(1).integers(1, 7, size=(10, 1))
LABELS = np.arange(10) % 3
IMAGES = np.random.default_rng(2).normal(size=(10, 1, 2, 2)).astype(np.float32)


@pytest.mark.parametrize("network", [Words(), TooLarge()])
@pytest.mark.parametrize("batch_size", [3, 10])
@pytest.mark.parametrize("kind", [dict, UserDict])
def test_keywords_and_padding(network: Words, batch_size: int, kind: Any) -> None:
    loader = [
        kind(
            input_ids=torch.from_numpy(IDS[part]),
            attention_mask=MASK[part].astype(np.int64),
            labels=LABELS[part],
            scale=2,
        )
        for part in (slice(start, start + batch_size) for start in range(0, 10, batch_size))
    ]
    statistics = nets.collect({"x": network}, loader, layers=["embed", "pooled"])
    np.testing.assert_array_equal(statistics.labels, LABELS)
    output = network.embed.weight.detach().numpy()[IDS]
    layer = statistics.layers["embed"]
    np.testing.assert_array_equal(layer.rows[0], reference.positions(output, "last", MASK))
    zeroed = np.where(MASK[:, :, None], output, 0)
    np.testing.assert_array_equal(layer.images[0], reference.images(zeroed, "last"))
    assert statistics.layers["pooled"].rows[0].shape == (10, 3)
    whole = nets.collect({"x": network}, loader, layers=["embed"], attention_mask=None)
    np.testing.assert_array_equal(
        whole.layers["embed"].rows[0], reference.positions(output, "last")
    )


def test_keywords_beside_labels() -> None:
    statistics = nets.collect({"x": Words()}, [({"input_ids": IDS}, LABELS)], layers=["embed"])
    np.testing.assert_array_equal(statistics.labels, LABELS)
    tokens = [{"input_ids": IDS, "labels": IDS}]
    with pytest.raises(ValueError, match="`labels` must be one-dimensional"):
        nets.collect({"x": Words()}, tokens, layers=["embed"])
    assert nets.collect({"x": Words()}, tokens, layers=["embed"], labels=False).labels is None


def networks() -> dict[str, nn.Module]:
    return {"a": nn.Sequential(nn.Flatten()), "b": nn.Sequential(nn.Flatten(2), nn.Flatten(1))}


LAYERS = {"a": ["0"], "b": ["1"]}


def test_a_loader_for_each_network() -> None:
    loaders = {
        "b": nets.batches(2 * IMAGES, LABELS, batch_size=4),
        "a": nets.batches(IMAGES, LABELS, batch_size=4),
    }
    statistics = nets.collect(networks(), loaders, layers=LAYERS)
    (layer,) = statistics.layers.values()
    np.testing.assert_array_equal(layer.rows[1], 2 * layer.rows[0])
    np.testing.assert_array_equal(layer.rows[0], IMAGES.reshape(10, -1))
    np.testing.assert_array_equal(statistics.labels, LABELS)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            nets.batches(IMAGES, LABELS[::-1].copy(), batch_size=4),
            r"same images, got 1 from a and 2 from b for image 1 in batch 0, counted from 0",
        ),
        (
            [(IMAGES[:4], LABELS[:4]), (IMAGES[4:7], LABELS[4:7]), (IMAGES[7:], LABELS[7:])],
            "same images for every network, got 4 for 'a' and 3 for 'b' in batch 1, counted from 0",
        ),
        (
            nets.batches(IMAGES[:8], LABELS[:8], batch_size=4),
            "as many batches for every network, got only 2 for b",
        ),
    ],
)
def test_loaders_that_do_not_go_together(other: Any, message: str) -> None:
    loaders = {"a": nets.batches(IMAGES, LABELS, batch_size=4), "b": other}
    with pytest.raises(ValueError, match=message):
        nets.collect(networks(), loaders, layers=LAYERS)


def test_labels_given_twice_must_agree() -> None:
    loader = nets.batches(IMAGES, LABELS, batch_size=4)
    same = nets.collect(networks(), loader, layers=LAYERS, labels=LABELS.astype(float))
    np.testing.assert_array_equal(same.labels, LABELS)
    names = np.array(["red", "green", "blue"])[LABELS]
    named = nets.collect(networks(), loader, layers=LAYERS, labels=names)
    np.testing.assert_array_equal(named.labels, names)
    wrong = LABELS.copy()
    wrong[6] = 9
    with pytest.raises(
        ValueError, match="got 9 from `labels` and 0 from `loader` for image 2 in batch 1, counted"
    ):
        nets.collect(networks(), loader, layers=LAYERS, labels=wrong)


def test_loaders_that_shuffle_are_refused() -> None:
    dataset = TensorDataset(torch.from_numpy(IMAGES))
    plain = DataLoader(dataset, batch_size=4)
    shuffled = DataLoader(dataset, batch_size=4, shuffle=True)
    batched = DataLoader(
        dataset,
        batch_sampler=torch.utils.data.BatchSampler(RandomSampler(dataset), 4, drop_last=False),
    )
    assert nets.collect(networks(), plain, layers=LAYERS).settings["n_images"] == 10
    for loader, name in (
        (shuffled, "loader"),
        (batched, "loader"),
        ({"a": plain, "b": shuffled}, r"loader\['b'\]"),
    ):
        message = (
            f"`{name}` must yield the images in an order that can be repeated, got a .* with a"
        )
        with pytest.raises(ValueError, match=message):
            nets.collect(networks(), loader, layers=LAYERS)
    assert nets.collect(networks(), iter(shuffled), layers=LAYERS).settings["n_images"] == 10
