"""Small image sets in the formats that are published, written by tests for themselves."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


def images_of(n_images: int, *shape: int, seed: int = 0) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, (n_images, *shape), dtype=np.uint8)


def write_cifar10(root: Path, n_images: int = 6, protocol: int = 2) -> tuple[Bytes, list[int]]:
    """Write the folder and return all training images and labels."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    everything, labels = [], []
    for seed, name in enumerate([*(f"data_batch_{part}" for part in range(1, 6)), "test_batch"]):
        images = images_of(n_images, 3, 32, 32, seed=seed)
        numbers = [(seed + image) % 10 for image in range(n_images)]
        content = {"data": images.reshape(n_images, 3072), "labels": numbers, "batch_label": name}
        (folder / name).write_bytes(pickle.dumps(content, protocol=protocol))
        everything.append(images)
        labels += numbers
    meta = {"label_names": [f"class {number}" for number in range(10)], "num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=protocol))
    return np.concatenate(everything), labels


def write_cifar100(root: Path, n_images: int = 8) -> Bytes:
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    images = images_of(n_images, 3, 32, 32)
    for name in ("train", "test"):
        content = {
            "data": images.reshape(n_images, 3072),
            "fine_labels": list(range(90, 90 + n_images)),
            "coarse_labels": [0] * n_images,
        }
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    meta = {
        "fine_label_names": [f"fine {number}" for number in range(100)],
        "coarse_label_names": ["coarse"],
    }
    (folder / "meta").write_bytes(pickle.dumps(meta, protocol=2))
    return images


def write_mnist(root: Path, folder: str = "MNIST", compressed: bool = False) -> Bytes:
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    images = images_of(5, 28, 28)
    for part in ("train", "t10k"):
        files = {
            "images-idx3": struct.pack(">4I", 0x803, 5, 28, 28) + images.tobytes(),
            "labels-idx1": struct.pack(">2I", 0x801, 5) + bytes(range(5)),
        }
        for kind, content in files.items():
            path = raw / f"{part}-{kind}-ubyte"
            if compressed:
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content))
            else:
                path.write_bytes(content)
    return images


def python_2_batch(images: Bytes, labels: list[int]) -> bytes:
    """Return a batch as Python 2 wrote the published ones: text is bytes, arrays come in pieces."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    n_images = len(images)
    return b"".join(
        [
            *(b"\x80\x02}(", text(b"labels"), b"](", *(b"K" + bytes([n]) for n in labels), b"e"),
            *(text(b"data"), b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\nndarray\n"),
            *(b"K\x00\x85", text(b"b"), b"\x87R(K\x01K", bytes([n_images]), b"M\x00\x0c\x86"),
            *(b"cnumpy\ndtype\n", text(b"u1"), b"K\x00K\x01\x87R(K\x03", text(b"|")),
            *(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T",),
            *(struct.pack("<i", n_images * 3072), images.tobytes(), b"tbu."),
        ]
    )
