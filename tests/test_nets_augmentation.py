from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from convergent import nets
from convergent.nets.augmentation import Draws
from tests.reference import training as reference
from tests.test_nets_training import metrics, noisy_network, small_digits, weights


@pytest.mark.parametrize("kind", ["crop", "crop_flip"])
def test_crops_are_those_of_the_definition(kind: str) -> None:
    images = torch.rand(40, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    draws = Draws.of_epoch(kind, seed=3, epoch=2, n_images=40, device="cpu")
    assert draws is not None
    rows = torch.tensor([7, 0, 39, 12, 7])
    found = draws.of_images(rows).apply(images[rows])
    assert found.is_contiguous()
    for row, image in zip(rows.tolist(), found):
        expected = reference.cropped(
            images[row].numpy(),
            int(draws.top[row]),
            int(draws.left[row]),
            bool(draws.mirrored[row]),
        )
        np.testing.assert_array_equal(image.numpy(), expected)
    assert bool(draws.mirrored.any()) == (kind == "crop_flip")


def test_draws_are_uniform_and_of_seed_and_epoch() -> None:
    def drawn(seed: int, epoch: int) -> Draws:
        draws = Draws.of_epoch("crop_flip", seed, epoch, 9000, "cpu")
        assert draws is not None
        return draws

    first = drawn(0, 1)
    for offsets in (first.top, first.left):
        counts = torch.bincount(offsets)
        assert len(counts) == 9
        assert counts.min() > 850
        assert counts.max() < 1150
    assert abs(first.mirrored.double().mean() - 0.5) < 0.03
    assert torch.equal(first.top, drawn(0, 1).top)
    assert not torch.equal(first.top, drawn(0, 2).top)
    assert not torch.equal(first.top, drawn(1, 1).top)
    assert Draws.of_epoch("none", 0, 1, 10, "cpu") is None


def test_stacked_draws_are_each_seed_s_own() -> None:
    images = torch.rand(2, 5, 1, 4, 4)
    single = [Draws.of_epoch("crop_flip", seed, 1, 30, "cpu") for seed in (4, 9)]
    stacked = Draws.stacked(single)
    assert stacked is not None
    rows = torch.stack([torch.arange(5), torch.arange(20, 25)])
    found = stacked.of_images(rows).apply(images)
    for draws, row, image, both in zip(single, rows, images, found):
        assert draws is not None
        assert torch.equal(draws.of_images(row).apply(image), both)
    assert Draws.stacked([None, None]) is None


def test_augmented_training_resumes_to_the_same_bits(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {
        "seeds": [0], "epochs": 3, "batch_size": 50, "augmentation": "crop_flip",
    }  # fmt: skip
    (whole,) = nets.train(noisy_network, small_digits(), out=tmp_path / "whole", **arguments)

    def stop(description: str, done: int, total: int) -> None:
        if done == 2:
            raise InterruptedError

    out = tmp_path / "cut"
    with pytest.raises(InterruptedError):
        nets.train(noisy_network, small_digits(), out=out, progress=stop, **arguments)
    (again,) = nets.train(noisy_network, small_digits(), out=out, **arguments)
    assert weights(again) == weights(whole)
    assert metrics(again) == metrics(whole)
    arguments["augmentation"] = "none"
    (plain,) = nets.train(noisy_network, small_digits(), out=tmp_path / "plain", **arguments)
    assert weights(plain)[0] == weights(whole)[0]
    assert weights(plain)[1] != weights(whole)[1]
