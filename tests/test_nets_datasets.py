from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from convergent import nets


def test_digits_are_split_by_class() -> None:
    dataset = nets.digits()
    assert repr(dataset) == "ImageDataset('digits', 1437 + 360 images of 1 x 8 x 8, 10 classes)"
    assert dataset.train_images.dtype == np.float32
    assert dataset.train_images.min() == 0.0
    assert dataset.train_images.max() == 1.0
    shares = [
        np.bincount(labels, minlength=10) / len(labels)
        for labels in (dataset.train_labels, dataset.test_labels)
    ]
    np.testing.assert_allclose(shares[0], shares[1], rtol=0, atol=0.003)
    images = np.concatenate([dataset.train_images, dataset.test_images]).reshape(1797, -1)
    from sklearn.datasets import load_digits

    original = load_digits().data / 16.0
    assert sorted(map(tuple, images)) == sorted(map(tuple, original.astype(np.float32)))


def test_split_depends_on_the_seed_only() -> None:
    assert nets.digits(1).fingerprint() == nets.digits(1).fingerprint()
    assert nets.digits(1).fingerprint() != nets.digits(2).fingerprint()
    assert len(nets.digits(test_size=100).test_labels) == 100
    for size in (9, 1788):
        with pytest.raises(ValueError, match="`test_size` must be between 10 and 1787"):
            nets.digits(test_size=size)


def test_dataset_refuses_what_does_not_fit() -> None:
    images = np.zeros((4, 1, 8, 8), dtype=np.float32)
    labels = np.arange(4)
    names = tuple("abcd")
    nets.ImageDataset(images, labels, images, labels, names, "x")
    bad: Any
    for bad, message in (
        (images.astype(np.float64), "`test_images` must be a float32 array, got float64"),
        (images.tolist(), "`test_images` must be a float32 array, got list"),
    ):
        with pytest.raises(TypeError, match=message):
            nets.ImageDataset(images, labels, bad, labels, names, "x")
    with pytest.raises(TypeError, match="`train_labels` must be an int64 array, got int32"):
        nets.ImageDataset(images, labels.astype(np.int32), images, labels, names, "x")
    for bad, message in (
        (images[:, 0], r"`test_images` must be \(n_images, .* got shape \(4, 8, 8\)"),
        (images[:3], r"`test_labels` must label 3 images, got shape \(4,\)"),
        (images + np.float32(np.nan), "`test_images` must be finite"),
        (images[:, :, :7], r"`test_images` must have the shape of `train_images`"),
    ):
        with pytest.raises(ValueError, match=message):
            nets.ImageDataset(images, labels, bad, labels, names, "x")
    with pytest.raises(ValueError, match=r"`train_labels` must lie in \[0, 3\), got 0 to 3"):
        nets.ImageDataset(images, labels, images, labels, names[:3], "x")


def test_batches() -> None:
    images, labels = np.arange(10)[:, np.newaxis], np.arange(10)
    pairs = nets.batches(images, labels, batch_size=4)
    assert [len(batch) for batch, _ in pairs] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([batch for _, batch in pairs]), labels)
    np.testing.assert_array_equal(np.concatenate(nets.batches(images, batch_size=3)), images)
    with pytest.raises(ValueError, match="`labels` must label 10 images, got 9"):
        nets.batches(images, labels[:9])
    with pytest.raises(ValueError, match="`batch_size` must be at least 1, got 0"):
        nets.batches(images, batch_size=0)


def test_convnet_has_the_named_layers() -> None:
    network = nets.build_model("convnet", in_channels=3, image_size=13, widths=(4, 5, 6))
    names = [name for name, _ in network.named_children()]
    assert [name for name in names if not name.startswith("pool")] == [
        *("conv1", "relu1", "conv2", "relu2", "dense", "relu3", "output"),
    ]
    assert network(torch.zeros(2, 3, 13, 13)).shape == (2, 10)
    with pytest.raises(ValueError, match=r"`model` must be one of 'convnet', .* got 'resnet'"):
        nets.build_model("resnet")
    with pytest.raises(ValueError, match=r"`widths` must be three numbers, got \[4, 5\]"):
        nets.ConvNet(widths=(4, 5))
    with pytest.raises(ValueError, match="`image_size` must be at least 4, got 3"):
        nets.ConvNet(image_size=3)


def test_missing_torch_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "try:\n    from convergent import nets\nexcept ImportError as error:\n    print(error)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert 'pip install "convergent[full]"' in found.stdout
