"""Statistics as a folder: written whole or not at all, and nothing read that was not saved."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import _storage
from convergent.statistics import StatisticsBuilder, collected
from tests.pickle_trap import Trap
from tests.small_statistics import assert_equal, small_activations

AWKWARD_NAMES = ["a/../../b", "..", "", "Re:lu* | conv?", "relu", "RELU", "é" * 300, "con", "a.b"]


@pytest.fixture
def arrays() -> dict[str, NDArray[Any]]:
    return small_activations()


def test_some_layers_are_loaded(arrays: dict[str, NDArray[Any]], tmp_path: Path) -> None:
    folder = cv.Statistics.from_layers({"one": arrays, "two": arrays}).save(tmp_path)
    shutil.rmtree(folder / "000-one")
    assert list(cv.Statistics.load(folder, layers=["two"]).layers) == ["two"]
    with pytest.raises(FileNotFoundError, match="000-one"):
        cv.Statistics.load(folder)
    with pytest.raises(ValueError, match="`layers` must be of one, two, got three"):
        cv.Statistics.load(folder, layers=["two", "three"])


@pytest.mark.parametrize("labels", [None, np.arange(60), np.array(["ä", "bc"] * 30)])
def test_save_and_load(
    arrays: dict[str, NDArray[Any]], labels: NDArray[Any] | None, tmp_path: Path
) -> None:
    statistics = cv.Statistics.from_arrays(arrays, labels=labels, max_units=4)
    loaded = cv.Statistics.load(statistics.save(tmp_path / "new" / "folder"))
    assert_equal(loaded, statistics)
    assert loaded.settings == statistics.settings
    if labels is None:
        assert loaded.labels is None
    else:
        np.testing.assert_array_equal(loaded.labels, labels)
    rows = loaded.layers["activations"].rows[0]
    assert isinstance(rows, np.memmap)
    assert not rows.flags.writeable
    assert not list(tmp_path.rglob("*.tmp"))


def test_layer_names_may_be_any_text(arrays: dict[str, NDArray[Any]], tmp_path: Path) -> None:
    stream = StatisticsBuilder(list(arrays))
    for name in AWKWARD_NAMES:
        stream.update(name, arrays, arrays)
    statistics = stream.finish()
    folder = statistics.save(tmp_path / "statistics")
    assert [entry.name for entry in tmp_path.iterdir()] == ["statistics"]
    folders = [entry.name for entry in folder.iterdir() if entry.is_dir()]
    assert len({name.lower() for name in folders}) == len(AWKWARD_NAMES)
    assert_equal(cv.Statistics.load(folder), statistics)


def test_saving_again_replaces(arrays: dict[str, NDArray[Any]], tmp_path: Path) -> None:
    cv.Statistics.from_arrays(arrays, labels=np.arange(60)).save(tmp_path)
    second = cv.Statistics.from_arrays({"c": arrays["b"], "d": arrays["a"]}, layer="other")
    assert_equal(cv.Statistics.load(second.save(tmp_path)), second)
    assert_equal(cv.Statistics.load(cv.Statistics.load(tmp_path).save(tmp_path)), second)


def test_interrupted_save_is_never_taken_for_whole(
    arrays: dict[str, NDArray[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statistics = cv.Statistics.from_arrays(arrays, labels=np.arange(60))
    calls = count_writes(statistics, tmp_path / "whole", monkeypatch)
    cv.Statistics.from_arrays(arrays).save(tmp_path / "half")
    for number in range(calls):
        fail_at_write(number, monkeypatch)
        with pytest.raises(OSError, match="disk full"):
            statistics.save(tmp_path / "half")
        monkeypatch.undo()
        with pytest.raises(FileNotFoundError, match="no complete statistics"):
            cv.Statistics.load(tmp_path / "half")
    assert_equal(cv.Statistics.load(statistics.save(tmp_path / "half")), statistics)


def count_writes(statistics: cv.Statistics, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    replaced: list[Any] = []
    replace = os.replace

    def counting(*names: Any) -> None:
        replaced.append(names)
        replace(*names)

    monkeypatch.setattr(os, "replace", counting)
    statistics.save(folder)
    monkeypatch.undo()
    assert Path(replaced[-1][1]).name == collected.MANIFEST
    return len(replaced)


def fail_at_write(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, left = os.replace, [number]

    def failing(*names: Any) -> None:
        if left[0] == 0:
            raise OSError("disk full")
        left[0] -= 1
        replace(*names)

    monkeypatch.setattr(os, "replace", failing)


def test_load_names_every_truncated_or_missing_file(
    arrays: dict[str, NDArray[Any]], tmp_path: Path
) -> None:
    folder = cv.Statistics.from_arrays(arrays, labels=np.arange(60)).save(tmp_path)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) == 14
    for path in files:
        content = path.read_bytes()
        for length in (0, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:length])
            if path.name == collected.MANIFEST and length == len(content) - 1:
                continue  # only the last line break is gone
            with pytest.raises(ValueError, match=path.name):
                cv.Statistics.load(folder)
        path.unlink()
        with pytest.raises(FileNotFoundError, match=path.name):
            cv.Statistics.load(folder)
        path.write_bytes(content)
    cv.Statistics.load(folder)


def test_files_of_other_statistics_are_refused(
    arrays: dict[str, NDArray[Any]], tmp_path: Path
) -> None:
    folder = cv.Statistics.from_arrays(arrays, labels=np.arange(60)).save(tmp_path / "this")
    assert cv.Statistics.damaged(folder) == []
    other = {name: 2.0 * array for name, array in arrays.items()}
    foreign = cv.Statistics.from_arrays(other, labels=-np.arange(60)).save(tmp_path / "other")
    n_changed = 0
    for path in sorted(path for path in foreign.rglob("*") if path.is_file()):
        here = folder / path.relative_to(foreign)
        content = here.read_bytes()
        if content == path.read_bytes() or path.name == collected.MANIFEST:
            continue
        n_changed += 1
        here.write_bytes(path.read_bytes())
        (wrong,) = cv.Statistics.damaged(folder)
        assert str(here) in wrong
        if here.parts[-3:] == ("c", "0", "0"):  # large: its content is checked when it is used
            layer = cv.Statistics.load(folder).layers["activations"]
            with pytest.raises(ValueError, match="000-activations holds other rows or images"):
                layer.fingerprint()
        else:
            with pytest.raises(ValueError, match=f"{path.name} is truncated or another file"):
                cv.Statistics.load(folder)
        here.write_bytes(content)
    assert n_changed == 7
    (folder / "labels.npy").unlink()
    assert cv.Statistics.damaged(folder) == [f"{folder / 'labels.npy'} is missing"]


def listed_anew(folder: Path) -> None:
    """Let the manifest list the files as they are now, as one who forges a folder would."""
    manifest = json.loads((folder / collected.MANIFEST).read_text())
    for name, entry in manifest["files"].items():
        entry["bytes"] = (folder / name).stat().st_size
        entry["blake2b"] = _storage.file_digest(folder / name)
    (folder / collected.MANIFEST).write_text(json.dumps(manifest))


def as_older_version(folder: Path) -> None:
    """Make a folder what the version before wrote: npy files, and a manifest that lists none."""
    manifest = json.loads((folder / collected.MANIFEST).read_text())
    for entry in manifest["layers"]:
        for kind in ("rows", "images"):
            for path in sorted((folder / entry["folder"]).glob(f"{kind}-*.zarr")):
                shape = json.loads((path / "zarr.json").read_text())["shape"]
                array = np.fromfile(path / "c" / "0" / "0", dtype=np.float32).reshape(shape)
                np.save(path.with_suffix(".npy"), array)
                shutil.rmtree(path)
        for name in ("n_rows", "n_images", "image_widths", "fingerprint"):
            del entry[name]
    del manifest["files"], manifest["versions"]
    manifest["format"] = "convergent.Statistics/1"
    (folder / collected.MANIFEST).write_text(json.dumps(manifest))


def test_folders_of_older_versions_are_read(
    arrays: dict[str, NDArray[Any]], tmp_path: Path
) -> None:
    statistics = cv.Statistics.from_arrays(arrays, labels=np.arange(60), max_units=4, n_top=3)
    folder = statistics.save(tmp_path)
    as_older_version(folder)
    assert not list(folder.rglob("*.zarr"))
    loaded = cv.Statistics.load(folder)
    assert_equal(loaded, statistics)
    assert isinstance(loaded.layers["activations"].images[0], np.memmap)
    assert cv.Statistics.damaged(folder) == []
    for path in sorted(folder.rglob("*.np*")):
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(ValueError, match=path.name):
            cv.Statistics.load(folder)
        assert path.name in cv.Statistics.damaged(folder)[0]
        path.write_bytes(content)
    _storage.write_array(folder / "000-activations" / "rows-01.npy", np.ones((9, 3)))
    with pytest.raises(
        ValueError, match=r"rows-01\.npy must be float32 of shape \(60, 3\), got float64"
    ):
        cv.Statistics.load(folder)
    statistics.save(folder)
    assert_equal(cv.Statistics.load(folder), statistics)
    assert not [path for path in folder.rglob("*.npy") if path.name.startswith(("rows", "images-"))]


def test_what_does_not_fit_is_refused_even_if_it_is_listed(
    arrays: dict[str, NDArray[Any]], tmp_path: Path
) -> None:
    folder = cv.Statistics.from_arrays(arrays, labels=np.arange(60)).save(tmp_path / "this")
    other = cv.Statistics.from_arrays(dict(reversed(arrays.items()))).save(tmp_path / "other")
    cases: list[tuple[str, Callable[[Path], object], str]] = [
        (
            "000-activations/image_units-00.npy",
            lambda path: np.save(path, np.ones((2, 2))),
            r"image_units-00\.npy must be int64 indices, got float64",
        ),
        (
            "labels.npy",
            lambda path: np.save(path, np.arange(59)),
            r"labels\.npy must label 60 images, got shape \(59,\)",
        ),
        (
            "labels.npy",
            lambda path: np.save(path, np.array([print], dtype=object), allow_pickle=True),
            r"labels\.npy is truncated or no file",
        ),
        (
            "labels.npy",
            lambda path: path.write_bytes(path.read_bytes() + b"more"),
            r"labels\.npy goes on after its array",
        ),
        *(
            (
                f"000-activations/{name}.npz",
                lambda path: path.write_bytes((other / "000-activations" / path.name).read_bytes()),
                rf"{name}\.npz must have widths \[5, 3\], got \[3, 5\]",
            )
            for name in ("moments", "factor")
        ),
        (
            "000-activations/rows-00.zarr/c/0/0",
            lambda path: path.write_bytes(path.read_bytes()[:-4]),
            r"rows-00\.zarr/c/0/0 is truncated",
        ),
    ]
    whole = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name, change, message in cases:
        change(folder / name)
        listed_anew(folder)
        with pytest.raises(ValueError, match=message):
            cv.Statistics.load(folder)
        for path, content in whole.items():
            path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_type": "object"}, r"zarr\.json must have `data_type` 'float32', got 'object'"),
        ({"data_type": "float64"}, r"zarr\.json must have `data_type` 'float32', got 'float64'"),
        ({"shape": [60, 4]}, r"must have `shape` \[60, 5\], got \[60, 4\]"),
        ({"codecs": [{"name": "numcodecs.pickle"}]}, "names the codec 'numcodecs.pickle'"),
        (
            {
                "codecs": [
                    {"name": "bytes", "configuration": {"endian": "little"}},
                    {"name": "zstd"},
                ]
            },
            "names the codec 'zstd', which is never read",
        ),
        ({"codecs": ["pickle"]}, "names the codec 'pickle', which is never read"),
        ({"codecs": [{"name": "bytes", "configuration": {"endian": "big"}}]}, "must have `codecs`"),
        ({"chunk_grid": {"name": "regular"}}, "must describe an array in chunks of rows"),
        ({"storage_transformers": ["x"]}, "has the unknown fields storage_transformers"),
        ({"zarr_format": 2}, "must have `zarr_format` 3, got 2"),
    ],
)
def test_a_malicious_array_is_refused_by_name_and_not_executed(
    change: dict[str, Any], message: str, arrays: dict[str, NDArray[Any]], tmp_path: Path
) -> None:
    folder = cv.Statistics.from_arrays(arrays).save(tmp_path / "statistics")
    array = folder / "000-activations" / "rows-00.zarr"
    (array / "c" / "0" / "0").write_bytes(pickle.dumps([Trap(tmp_path / "executed")] * 60))
    metadata = json.loads((array / "zarr.json").read_text())
    (array / "zarr.json").write_text(json.dumps({**metadata, **change}))
    with pytest.raises(
        ValueError, match=r"rows-00\.zarr/zarr\.json is truncated|c/0/0 is truncated"
    ):
        cv.Statistics.load(folder)
    listed_anew(folder)
    with pytest.raises(ValueError, match=message):
        cv.Statistics.load(folder)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("networks"),
        lambda manifest: manifest.update(networks=[1, 2]),
        lambda manifest: manifest.update(labels="labels.npy"),
        lambda manifest: manifest.update(settings=None),
        lambda manifest: manifest.update(layers={}),
        lambda manifest: manifest["layers"].append("x"),
        lambda manifest: manifest["layers"][0].update(folder="../000-x"),
        lambda manifest: manifest["layers"][0].update(folder="000-x/../../y"),
        lambda manifest: manifest["layers"][0].update(folder="/000"),
        lambda manifest: manifest["layers"][0].update(widths=[5]),
        lambda manifest: manifest["layers"][0].update(widths=["5", "3"]),
        lambda manifest: manifest["layers"][0].update(rows=None),
        lambda manifest: manifest["layers"][0].pop("name"),
        lambda manifest: manifest["layers"][0].update(n_rows="60"),
        lambda manifest: manifest["layers"][0].update(image_widths=[5]),
        lambda manifest: manifest["layers"][0].pop("fingerprint"),
        lambda manifest: manifest.update(files=[]),
        lambda manifest: manifest["files"].update({"../x": {"bytes": 1, "blake2b": ""}}),
        lambda manifest: manifest["files"].update({"/x": {"bytes": 1, "blake2b": ""}}),
        lambda manifest: manifest["files"].update({"labels.npy": {"bytes": "1"}}),
    ],
)
def test_load_refuses_a_damaged_manifest(
    change: Callable[[Any], Any], arrays: dict[str, NDArray[Any]], tmp_path: Path
) -> None:
    folder = cv.Statistics.from_arrays(arrays).save(tmp_path)
    path = folder / collected.MANIFEST
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"statistics\.json is damaged"):
        cv.Statistics.load(folder)
    path.write_text(json.dumps({"format": "something else"}))
    with pytest.raises(ValueError, match=r"statistics\.json must be of format convergent"):
        cv.Statistics.load(folder)


def test_settings_that_are_no_json_are_refused_before_anything_is_lost(
    arrays: dict[str, NDArray[Any]], tmp_path: Path
) -> None:
    stream = StatisticsBuilder(["a", "b"])
    stream.update("x", arrays, arrays)
    good = stream.finish()
    good.save(tmp_path)
    with pytest.raises(TypeError, match="JSON"):
        stream.finish(settings={"network": object()}).save(tmp_path)
    assert_equal(cv.Statistics.load(tmp_path), good)
