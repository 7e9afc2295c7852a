"""Folders of photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("torchvision")

from PIL import Image

from convergent import nets
from convergent.nets import image_folder

CLASSES = ("bird", "cat")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def write(
    root: Path, height: int = 12, width: int = 12, test: str = "test", per_class: int = 3
) -> None:
    """Write images whose class and number can be read from their pixels."""
    for split in ("train", test):
        for label, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(per_class):
                pixels = np.full((height, width, 3), 50 * label + number, dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")


@pytest.mark.parametrize("test", ["test", "val"])
@pytest.mark.parametrize(("name", "below"), [("imagefolder", "."), ("imagenet", "imagenet")])
def test_images_of_one_size(tmp_path: Path, test: str, name: str, below: str) -> None:
    write(tmp_path / below, test=test)
    dataset = nets.load_dataset(name, tmp_path)
    assert repr(dataset) == f"ImageDataset('{name}', 6 + 6 images of 3 x 12 x 12, 2 classes)"
    assert dataset.class_names == CLASSES
    np.testing.assert_array_equal(dataset.train_labels, [0, 0, 0, 1, 1, 1])
    values = [0, 1, 2, 50, 51, 52]
    np.testing.assert_allclose(dataset.pixels()[:, 0, 0, 0] * 255, values, rtol=0, atol=1e-4)
    assert (dataset.mean, dataset.std) == (MEAN, STD)
    expected = (52 / 255 - MEAN[2]) / STD[2]
    assert dataset.train_images[5, 2, 3, 4] == pytest.approx(expected, rel=1e-6)
    assert dataset.may_flip == (name == "imagenet")


def test_resized_by_the_shorter_side_and_cropped(tmp_path: Path) -> None:
    """The left half is dark, the right one bright: what is cut off is the same on both sides."""
    write(tmp_path)
    picture = np.zeros((20, 60, 3), dtype=np.uint8)
    picture[:, 30:] = 200
    for folder in (tmp_path / "train" / "bird", tmp_path / "test" / "cat"):
        Image.fromarray(picture).save(folder / "0.png")
    with pytest.raises(ValueError, match=r"12 x 12.*0\.png.*20 x 60.*give `image_size`|20 x 60"):
        nets.load_dataset("imagefolder", tmp_path)
    dataset = nets.load_dataset("imagefolder", tmp_path, image_size=10)
    assert dataset.train_images.shape == (6, 3, 10, 10)
    cropped = dataset.pixels("train")[0, 0] * 255
    np.testing.assert_allclose(cropped[:, :4], 0, atol=1)
    np.testing.assert_allclose(cropped[:, 6:], 200, atol=1)
    np.testing.assert_allclose(dataset.pixels("train")[3, 0] * 255, 50, atol=1e-4)


def test_grey_images_and_palettes_become_rgb(tmp_path: Path) -> None:
    write(tmp_path)
    folder = tmp_path / "train" / "bird"
    Image.fromarray(np.full((12, 12), 77, dtype=np.uint8)).save(folder / "0.png")
    Image.new("RGBA", (12, 12), (10, 20, 30, 255)).save(folder / "1.png")
    pixels = nets.load_dataset("imagefolder", tmp_path).pixels("train")[:2, :, 0, 0] * 255
    np.testing.assert_allclose(pixels, [[77, 77, 77], [10, 20, 30]], rtol=0, atol=1e-4)


def test_missing_folders(tmp_path: Path) -> None:
    for name in ("imagefolder", "imagenet"):
        with pytest.raises(FileNotFoundError, match=rf"'{name}': expected .*/train/CLASS/\*\.png"):
            nets.load_dataset(name, tmp_path)
    write(tmp_path)
    for path in (tmp_path / "test" / "cat").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match="cat"):
        nets.load_dataset("imagefolder", tmp_path)
    (tmp_path / "test" / "cat").rmdir()
    with pytest.raises(ValueError, match="must hold the same classes, got cat in one of them only"):
        nets.load_dataset("imagefolder", tmp_path)


def test_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "test" / "cat" / "1.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1\.png is no image that can be read"):
        nets.load_dataset("imagefolder", tmp_path)


def test_too_many_images_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.setattr(image_folder, "_memory", lambda: 10_000)
    monkeypatch.setattr(image_folder, "_read", lambda *_: pytest.fail("read"))
    message = "holds 12 images, 0 GB at 12 x 12 pixels, .* choose a smaller `image_size`"
    with pytest.raises(MemoryError, match=message):
        nets.load_dataset("imagefolder", tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"download": True}, "`download` must be False for 'imagefolder'"),
        ({"image_size": 0}, "`image_size` must be at least 1, got 0"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    write(tmp_path)
    with pytest.raises(ValueError, match=message):
        nets.load_dataset("imagefolder", tmp_path, **options)
