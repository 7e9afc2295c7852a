"""Packed image sets: the real ones, where they are, and damaged files."""

from __future__ import annotations

import hashlib
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from convergent import nets
from convergent.nets.packed_images import read_packed
from convergent.nets.restricted_pickle import read_pickle


@pytest.fixture
def packed(shared: Path) -> Path:
    pytest.importorskip("pylibjxl")
    folder = shared / "data"
    if not (folder / "mnist_test.npz").exists():
        pytest.skip(f"no packed image sets in {folder}")
    return folder


def test_mnist_has_the_published_bytes(packed: Path) -> None:
    """The MD5 sum of the published file of test images, whose header is rebuilt."""
    images, labels = read_packed(packed / "mnist_test.npz", "labels")
    header = np.array([0x803, 10_000, 28, 28], dtype=">u4").tobytes()
    digest = hashlib.md5(header + images.tobytes(), usedforsecurity=False).hexdigest()
    assert digest == "2646ac647ad5339dbf082846283269ea"
    np.testing.assert_array_equal(labels[:5], [7, 2, 1, 0, 4])


def test_mnist_by_name(packed: Path) -> None:
    dataset = nets.load_dataset("mnist", packed)
    assert repr(dataset) == "ImageDataset('mnist', 60000 + 10000 images of 1 x 28 x 28, 10 classes)"
    assert abs(float(dataset.train_images.mean())) < 1e-3
    assert float(dataset.train_images.std()) == pytest.approx(1.0, abs=1e-3)


def test_networks_classify_the_images_as_they_are_known_to(packed: Path) -> None:
    """Channels, order, scale and network all fit: published accuracy .837 on all test images."""
    weights = packed / "nets" / "cifar10_vgg11bn_w16_seed0.npz"
    if not weights.exists():
        pytest.skip("no trained networks in the reference data")
    network = nets.build_model("vgg11_bn", width=16).eval()
    own = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    with np.load(weights) as stored:
        values = [torch.from_numpy(stored[name].astype(np.float32)) for name in stored.files]
    network.load_state_dict(dict(zip(own, values, strict=True)), strict=False)
    images, labels = read_packed(packed / "cifar10_test.npz", "labels")
    mean = np.array([0.4914, 0.4822, 0.4465], dtype=np.float32)
    std = np.array([0.247, 0.2435, 0.2616], dtype=np.float32)
    inputs = (images[:1000] / np.float32(255) - mean.reshape(-1, 1, 1)) / std.reshape(-1, 1, 1)
    with torch.inference_mode():
        found = network(torch.from_numpy(inputs)).argmax(dim=1).numpy()
    assert (found == labels[:1000]).mean() == pytest.approx(0.837, abs=0.03)


def test_the_published_class_names_are_read(packed: Path) -> None:
    """Pickles of Python 2."""
    names = read_pickle(packed / "meta")["fine_label_names"]
    assert (len(names), names[:2]) == (100, [b"apple", b"aquarium_fish"])
    assert read_pickle(packed / "batches.meta")["label_names"][9] == b"truck"


def test_cifar_by_name(tmp_path: Path) -> None:
    """Sheets of two rows of 40 images, written here."""
    jxl = pytest.importorskip("pylibjxl")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (6, 80, 32, 32, 3), dtype=np.uint8)
    labels = random.integers(0, 10, (6, 80), dtype=np.uint8)
    for number, name in enumerate([*(f"train{part}" for part in range(1, 6)), "test"]):
        sheet = np.concatenate([np.hstack([*images[number, row : row + 40]]) for row in (0, 40)])
        content = np.frombuffer(jxl.encode(sheet, lossless=True), dtype=np.uint8)
        np.savez(tmp_path / f"cifar10_{name}.npz", jxl00=content, labels=labels[number])
    meta = {"label_names": [f"class {number}" for number in range(10)]}
    (tmp_path / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    dataset = nets.load_dataset("cifar10", tmp_path)
    assert (len(dataset.train_images), len(dataset.test_images)) == (400, 80)
    pixels = dataset.pixels("train").transpose(0, 2, 3, 1) * 255
    np.testing.assert_allclose(pixels, images[:5].reshape(-1, 32, 32, 3), rtol=0, atol=1e-4)
    np.testing.assert_array_equal(dataset.test_labels, labels[5])
    assert dataset.class_names[7] == "class 7"


def test_damaged_files(tmp_path: Path) -> None:
    pytest.importorskip("pylibjxl")
    path = tmp_path / "mnist_train.npz"
    np.savez(tmp_path / "mnist_test.npz", labels=np.zeros(3))
    for content in (b"no archive", b"PK\x03\x04 truncated"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"mnist_train\.npz is truncated or no packed image"):
            nets.load_dataset("mnist", tmp_path)
    np.savez(path, labels=np.zeros(3), jxl00=np.zeros(10, dtype=np.uint8))
    with pytest.raises(ValueError, match=r"mnist_train\.npz is truncated or no packed image"):
        nets.load_dataset("mnist", tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no file .*mnist_train\.npz"):
        nets.load_dataset("mnist", tmp_path)


def test_without_a_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "mnist_train.npz", labels=np.zeros(3))
    monkeypatch.setitem(sys.modules, "pylibjxl", None)
    with pytest.raises(ImportError, match=r"pip install pylibjxl; or .* unpack_torchvision\.py"):
        nets.load_dataset("mnist", tmp_path)
