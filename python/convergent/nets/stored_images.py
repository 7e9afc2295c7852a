"""MNIST and CIFAR from the files that torchvision keeps, or from packed ones."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError

import numpy as np

from convergent.nets.packed_images import read_packed
from convergent.nets.raw_images import RawImages, Split, checked_split, joined
from convergent.nets.restricted_pickle import read_pickle

_MNIST_SHAPE = (1, 28, 28)
_CIFAR_SHAPE = (3, 32, 32)
_IDX_MAGIC = {1: 0x801, 3: 0x803}
_DIGITS = tuple(str(digit) for digit in range(10))
_CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


class StoredSet(NamedTuple):
    """Where a data set lies below the root, and what its files are called."""

    torchvision_name: str
    folder: str
    train: tuple[str, ...]
    test: str
    packed: str
    n_packed: int
    labels: str = "labels"
    meta: str = ""
    meta_key: str = ""
    class_names: tuple[str, ...] = ()

    @property
    def packed_train(self) -> tuple[str, ...]:
        """Names of the packed files of training images."""
        if self.n_packed == 1:
            return (f"{self.packed}_train.npz",)
        return tuple(f"{self.packed}_train{part}.npz" for part in range(1, self.n_packed + 1))

    @property
    def packed_test(self) -> str:
        """Name of the packed file of test images."""
        return f"{self.packed}_test.npz"


SETS = {
    "mnist": StoredSet(
        "MNIST", "MNIST/raw", ("train",), "t10k", "mnist", 1, class_names=_DIGITS
    ),
    "fashion_mnist": StoredSet(
        "FashionMNIST", "FashionMNIST/raw", ("train",), "t10k", "fashionmnist", 1,
        class_names=_CLOTHES,
    ),
    "cifar10": StoredSet(
        "CIFAR10", "cifar-10-batches-py", tuple(f"data_batch_{part}" for part in range(1, 6)),
        "test_batch", "cifar10", 5, "labels", "batches.meta", "label_names",
    ),
    "cifar100": StoredSet(
        "CIFAR100", "cifar-100-python", ("train",), "test", "cifar100", 5,
        "fine_labels", "meta", "fine_label_names",
    ),
}  # fmt: skip
"""Data sets by name."""


def read_stored(name: str, root: Path, download: bool) -> RawImages:
    """Return a data set of `SETS` from below `root`.

    Raises
    ------
    FileNotFoundError
        If a file is missing; the message shows what is expected where.
    ValueError
        If a file is truncated or foreign.
    """
    stored = SETS[name]
    packed = [*stored.packed_train, stored.packed_test]
    if not (root / stored.folder).is_dir() and any((root / file).exists() for file in packed):
        return _read_packed_set(name, root)
    try:
        return _read_folder(name, root)
    except FileNotFoundError:
        if not download:
            raise
    _download(stored, root)
    return _read_folder(name, root)


def _read_folder(name: str, root: Path) -> RawImages:
    stored, folder = SETS[name], root / SETS[name].folder
    if not stored.meta:
        train, test = (_read_idx_split(name, root, part) for part in (*stored.train, stored.test))
        return RawImages(train, test, stored.class_names)
    train = joined([_read_batch(_there(name, root, folder / f), stored) for f in stored.train])
    test = _read_batch(_there(name, root, folder / stored.test), stored)
    return RawImages(train, test, _class_names(_there(name, root, folder / stored.meta), stored))


def _read_packed_set(name: str, root: Path) -> RawImages:
    stored = SETS[name]
    shape = _CIFAR_SHAPE if stored.meta else _MNIST_SHAPE
    splits = []
    for file in (*stored.packed_train, stored.packed_test):
        path = _there(name, root, root / file)
        splits.append(checked_split(path, *read_packed(path, stored.labels), shape))
    names = stored.class_names
    if stored.meta:
        names = _class_names(_there(name, root, root / stored.meta), stored)
    return RawImages(joined(splits[:-1]), splits[-1], names)


def _read_batch(path: Path, stored: StoredSet) -> Split:
    content = read_pickle(path)
    if not isinstance(content, dict) or not {"data", stored.labels} <= set(content):
        raise ValueError(f"{path} must hold 'data' and {stored.labels!r}")
    images = content["data"]
    if isinstance(images, np.ndarray) and images.ndim == 2:
        images = images.reshape(len(images), *_CIFAR_SHAPE) if images.shape[1] == 3072 else images
    return checked_split(path, images, content[stored.labels], _CIFAR_SHAPE)


def _class_names(path: Path, stored: StoredSet) -> tuple[str, ...]:
    content = read_pickle(path)
    names = content.get(stored.meta_key) if isinstance(content, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, (str, bytes)) for name in names):
        raise ValueError(f"{path} must hold {stored.meta_key!r}, the names of the classes")
    return tuple(name if isinstance(name, str) else name.decode("latin1") for name in names)


def _read_idx_split(name: str, root: Path, part: str) -> Split:
    folder = root / SETS[name].folder
    paths = [folder / f"{part}-images-idx3-ubyte", folder / f"{part}-labels-idx1-ubyte"]
    images, labels = (_read_idx(name, root, path, n) for path, n in zip(paths, (3, 1)))
    return checked_split(paths[0], images[:, np.newaxis], labels, _MNIST_SHAPE)


def _read_idx(name: str, root: Path, path: Path, n_axes: int) -> Any:
    """Return the array of an IDX file, which may be compressed."""
    packed = path.with_name(f"{path.name}.gz")
    if not path.exists() and packed.exists():
        path = packed
    content = _there(name, root, path).read_bytes()
    try:
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        magic, *shape = struct.unpack_from(f">{1 + n_axes}I", content)
        array = np.frombuffer(content, dtype=np.uint8, offset=4 * (1 + n_axes)).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise ValueError(f"{path} is truncated or no IDX file: {error}") from error
    if magic != _IDX_MAGIC[n_axes]:
        raise ValueError(f"{path} is no IDX file of bytes with {n_axes} axes, got {magic:#x}")
    return array


def _there(name: str, root: Path, path: Path) -> Path:
    """Return a path that exists, or explain where the data set's files are looked for."""
    if path.is_file():
        return path
    stored = SETS[name]
    if stored.meta:
        files = ", ".join((*stored.train, stored.test, stored.meta))
    else:
        parts = (*stored.train, stored.test)
        files = ", ".join(
            f"{part}-{kind}-ubyte[.gz]" for part in parts for kind in ("images-idx3", "labels-idx1")
        )
    packed = ", ".join((*stored.packed_train, stored.packed_test, *filter(None, [stored.meta])))
    raise FileNotFoundError(
        f"there is no file {path}; data set {name!r} is looked for in {root}, as torchvision keeps "
        f"it ({stored.folder}/ with {files}) or packed ({packed}). Nothing is downloaded unless it "
        "is asked for: download=True, or --download on the command line"
    )


def _download(stored: StoredSet, root: Path) -> None:
    """Fetch a data set from where torchvision has it from; checksums are torchvision's."""
    try:
        from torchvision import datasets
        from torchvision.datasets.utils import download_and_extract_archive
    except ImportError as error:
        raise ImportError(
            'to download data install torchvision: pip install "convergent[full]"'
        ) from error
    source: Any = getattr(datasets, stored.torchvision_name)
    if stored.meta:
        download_and_extract_archive(
            source.url, str(root), filename=source.filename, md5=source.tgz_md5
        )
        return
    folder = root / stored.folder
    for file, md5 in source.resources:
        errors = []
        for mirror in source.mirrors:
            try:
                download_and_extract_archive(f"{mirror}{file}", str(folder), filename=file, md5=md5)
                break
            except (URLError, RuntimeError) as error:
                errors.append(f"{mirror}: {error}")
        else:
            raise OSError(f"{file} could not be downloaded: {'; '.join(errors)}")
