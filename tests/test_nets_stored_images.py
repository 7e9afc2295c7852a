"""MNIST and CIFAR as torchvision keeps them, or packed: small files that the tests write."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

from convergent import nets
from tests.stored_image_files import (
    python_2_batch,
    write_cifar10,
    write_cifar100,
    write_mnist,
)

Bytes = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONVERGENT_DATA", raising=False)


def restored(images: NDArray[np.float32], mean: Any, std: Any) -> NDArray[np.float64]:
    """Return pixels 0 to 255 again."""
    shape = (-1, 1, 1)
    scaled = images * np.asarray(std).reshape(shape) + np.asarray(mean).reshape(shape)
    return np.asarray(scaled * 255.0)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_cifar10(tmp_path: Path, protocol: int) -> None:
    images, labels = write_cifar10(tmp_path, protocol=protocol)
    dataset = nets.load_dataset("cifar10", tmp_path)
    assert repr(dataset) == "ImageDataset('cifar10', 30 + 6 images of 3 x 32 x 32, 10 classes)"
    found = restored(dataset.train_images, dataset.mean, dataset.std)
    np.testing.assert_allclose(found, images[:30], rtol=0, atol=1e-4)
    assert [*dataset.train_labels, *dataset.test_labels] == labels
    assert dataset.class_names[3] == "class 3"
    assert dataset.may_flip
    assert dataset.train_images.dtype == np.float32
    value = (images[0, 1, 2, 3] / 255 - 0.4822) / 0.2435
    assert dataset.train_images[0, 1, 2, 3] == pytest.approx(value, rel=1e-6)


def test_cifar10_as_python_2_wrote_it(tmp_path: Path) -> None:
    images, labels = write_cifar10(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(python_2_batch(images[:6], labels[:6]))
    assert pickle.loads(path.read_bytes(), encoding="latin1")["labels"] == labels[:6]
    dataset = nets.load_dataset("cifar10", tmp_path)
    np.testing.assert_array_equal(dataset.test_images, dataset.train_images[:6])
    np.testing.assert_array_equal(dataset.test_labels, labels[:6])


def test_cifar100_has_the_fine_classes(tmp_path: Path) -> None:
    images = write_cifar100(tmp_path)
    dataset = nets.load_dataset("cifar100", tmp_path)
    np.testing.assert_array_equal(dataset.test_labels, range(90, 98))
    assert dataset.class_names[99] == "fine 99"
    found = restored(dataset.test_images, dataset.mean, dataset.std)
    np.testing.assert_allclose(found, images, rtol=0, atol=1e-4)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")]
)
def test_mnist(tmp_path: Path, name: str, folder: str, compressed: bool) -> None:
    images = write_mnist(tmp_path, folder, compressed)
    dataset = nets.load_dataset(name, tmp_path)
    assert dataset.name == name
    found = restored(dataset.test_images, dataset.mean, dataset.std)
    np.testing.assert_allclose(found[:, 0], images, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(dataset.train_labels, range(5))
    assert dataset.may_flip == (name == "fashion_mnist")
    assert dataset.class_names[4] == ("4" if name == "mnist" else "Coat")


def test_torchvision_reads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own classes on the same folders, but for the checksums of the published files."""
    datasets = pytest.importorskip("torchvision").datasets
    write_cifar10(tmp_path)
    write_cifar100(tmp_path)
    write_mnist(tmp_path)
    write_mnist(tmp_path, "FashionMNIST")
    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(datasets.cifar, "check_integrity", lambda *_: True)
    for name, kind in (("cifar10", datasets.CIFAR10), ("cifar100", datasets.CIFAR100)):
        theirs = kind(str(tmp_path), train=True)
        ours = nets.load_dataset(name, tmp_path)
        found = restored(ours.train_images, ours.mean, ours.std).transpose(0, 2, 3, 1)
        np.testing.assert_allclose(found, theirs.data, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(ours.train_labels, theirs.targets)
        assert list(ours.class_names) == theirs.classes
    mnist = datasets.MNIST(str(tmp_path), train=False)
    ours = nets.load_dataset("mnist", tmp_path)
    np.testing.assert_allclose(ours.pixels()[:, 0] * 255, mnist.data, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(ours.test_labels, mnist.targets)
    fashion = nets.load_dataset("fashion_mnist", tmp_path)
    assert list(fashion.class_names) == datasets.FashionMNIST.classes


def test_pixels_undo_the_scale(tmp_path: Path) -> None:
    images, _ = write_cifar10(tmp_path)
    dataset = nets.load_dataset("cifar10", tmp_path)
    pixels = dataset.pixels("train")
    assert pixels.dtype == np.float32
    assert 0.0 <= pixels.min() < pixels.max() <= 1.0
    np.testing.assert_allclose(pixels, images[:30] / 255.0, rtol=0, atol=1e-6)
    digits = nets.digits()
    assert digits.pixels() is digits.test_images
    assert not digits.may_flip
    with pytest.raises(ValueError, match="`split` must be one of 'train', 'test', got 'val'"):
        dataset.pixels("val")


def test_the_root_is_found_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path)
    with pytest.raises(ValueError, match=r"'mnist' \(--data .*CONVERGENT_DATA must name it"):
        nets.load_dataset("mnist")
    monkeypatch.setenv("CONVERGENT_DATA", str(tmp_path))
    assert len(nets.load_dataset("mnist").train_labels) == 5
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        nets.load_dataset("mnist", tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": None}, "must hold images of uint8"),
        ({"data": np.zeros((6, 3000), np.uint8)}, r"of shape \(3, 32, 32\), .* got \(6, 3000\)"),
        ({"labels": [1, 2]}, "must hold a label for each of 6 images"),
        ({"labels": ["a"] * 6}, "must hold a label for each of 6 images"),
    ],
)
def test_batches_that_do_not_fit(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write_cifar10(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    content = {**pickle.loads(path.read_bytes()), **change}
    path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ValueError, match=f"test_batch .*{message}"):
        nets.load_dataset("cifar10", tmp_path)


def test_other_pickles_than_batches(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    folder = tmp_path / "cifar-10-batches-py"
    whole = (folder / "batches.meta").read_bytes()
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": 3}))
    with pytest.raises(ValueError, match="must hold 'label_names', the names of the classes"):
        nets.load_dataset("cifar10", tmp_path)
    (folder / "batches.meta").write_bytes(whole)
    (folder / "test_batch").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="test_batch must hold 'data' and 'labels'"):
        nets.load_dataset("cifar10", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (struct.pack(">4I", 0x803, 6, 28, 28) + bytes(10), "is truncated or no IDX file"),
        (b"short", "is truncated or no IDX file"),
        (struct.pack(">4I", 0x801, 1, 28, 28) + bytes(784), "no IDX file of bytes with 3 axes"),
        (struct.pack(">4I", 0x803, 1, 20, 28) + bytes(560), r"of shape \(1, 28, 28\)"),
        (struct.pack(">4I", 0x803, 4, 28, 28) + bytes(4 * 784), "a label for each of 4 images"),
    ],
)
def test_damaged_idx_files(tmp_path: Path, content: bytes, message: str) -> None:
    write_mnist(tmp_path)
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"train-images-idx3-ubyte .*{message}"):
        nets.load_dataset("mnist", tmp_path)
    path.unlink()
    path.with_name(f"{path.name}.gz").write_bytes(b"no gzip")
    with pytest.raises(ValueError, match=r"\.gz is truncated or no IDX file"):
        nets.load_dataset("mnist", tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mnist", r"MNIST/raw/ with train-images-idx3-ubyte\[\.gz\], .* or packed \(mnist_train"),
        ("fashion_mnist", "FashionMNIST/raw/ with"),
        ("cifar10", "cifar-10-batches-py/ with data_batch_1, .* or packed .cifar10_train1.npz, "),
        ("cifar100", "cifar-100-python/ with train, test, meta"),
    ],
)
def test_missing_files_show_what_is_expected(tmp_path: Path, name: str, expected: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"{expected}.*Nothing is downloaded unless"):
        nets.load_dataset(name, tmp_path)


def test_one_missing_file(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_4").unlink()
    with pytest.raises(FileNotFoundError, match=r"no file .*data_batch_4;"):
        nets.load_dataset("cifar10", tmp_path)


def test_nothing_is_fetched_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = pytest.importorskip("torchvision").datasets.utils
    asked: list[str] = []

    def fetched(url: str, root: str, **options: Any) -> None:
        asked.append(url)
        assert options["md5"]
        if "cifar" in url:
            write_cifar10(Path(root))
        elif len(asked) == 2:
            raise RuntimeError("not found")  # so the next mirror is tried
        elif not (tmp_path / "MNIST").exists():
            write_mnist(tmp_path)

    monkeypatch.setattr(fetch, "download_and_extract_archive", fetched)
    with pytest.raises(FileNotFoundError):
        nets.load_dataset("cifar10", tmp_path)
    assert not asked
    assert len(nets.load_dataset("cifar10", tmp_path, download=True).test_labels) == 6
    assert asked == ["https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"]
    nets.load_dataset("cifar10", tmp_path, download=True)
    assert len(asked) == 1  # it is there now
    assert len(nets.load_dataset("mnist", tmp_path, download=True).test_labels) == 5
    files = [url.rpartition("/")[2] for url in asked[1:]]
    assert files[0] == files[1] == "train-images-idx3-ubyte.gz"
    assert len(set(files)) == 4

    def refused(*_: Any, **__: Any) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr(fetch, "download_and_extract_archive", refused)
    with pytest.raises(OSError, match=r"train-images-idx3-ubyte\.gz could not be downloaded: http"):
        nets.load_dataset("fashion_mnist", tmp_path, download=True)


def test_arguments_that_do_not_go_with_a_data_set(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    for name in ("mnist", "digits"):
        with pytest.raises(ValueError, match=f"`image_size` must be None for '{name}', .* got 32"):
            nets.load_dataset(name, tmp_path, image_size=32)
    with pytest.raises(ValueError, match=r"`dataset` must be one of 'digits', .* got 'svhn'"):
        nets.load_dataset("svhn")
    with pytest.raises(TypeError, match="`download`"):
        nets.load_dataset("mnist", tmp_path, download="yes")  # type: ignore[arg-type]


def test_scale_must_fit_the_channels() -> None:
    digits = nets.digits()
    parts = (digits.train_images, digits.train_labels, digits.test_images, digits.test_labels)
    for mean, std, message in (
        ((0.1,), None, "`mean` and `std` must both be given, or neither"),
        ((0.1, 0.2), (0.1,), "`mean` must be 1 numbers, got 2"),
        ((0.1,), (0.0,), r"`std` must be positive, got 0\.0"),
    ):
        with pytest.raises(ValueError, match=message):
            nets.ImageDataset(*parts, digits.class_names, "x", mean, std)
