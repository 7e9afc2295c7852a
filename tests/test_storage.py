"""Files by path and by URL: whole or absent, listed, and never more in memory than a piece."""

from __future__ import annotations

import os
import pickle
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from convergent import _storage
from convergent._storage import FileList, Location, UnreadableFileError
from convergent._storage.zarr_arrays import read_zarr
from tests.stored_places import memory_place as memory_place


def test_what_a_place_is(tmp_path: Path) -> None:
    assert _storage.place("a/b") == Path("a/b")
    assert _storage.place(tmp_path) == tmp_path
    assert _storage.place(f"file://{tmp_path}/a%20b") == tmp_path / "a b"
    found = _storage.place("s3://bucket/study/")
    assert isinstance(found, Location)
    assert str(found) == "s3://bucket/study"
    assert str(found / "a" / Path("b", "c.npz")) == "s3://bucket/study/a/b/c.npz"
    assert (found / "a").parent == found
    assert (found / "a.npz").name == "a.npz"
    assert _storage.place(found) is found
    assert pickle.loads(pickle.dumps(found)) == found
    assert _storage.place("C:/study") == Path("C:/study")
    with pytest.raises(
        ValueError, match="must be a folder or one URL, got the chain simplecache::s3:"
    ):
        _storage.place("simplecache::s3://bucket/study")
    with pytest.raises(ValueError, match="networks must be a folder on this machine, got s3://b"):
        _storage.local("s3://b", "networks")


def test_a_location_has_what_a_path_has(memory_place: Location, tmp_path: Path) -> None:
    of_folders = _storage.place(f"local://{tmp_path}/y")  # a store that has folders
    assert isinstance(of_folders, Location)
    for place in (memory_place, of_folders, tmp_path / "x"):
        assert not place.exists()
        assert not place.is_dir()
        assert _storage.sizes(place) == {}
        with pytest.raises(FileNotFoundError), _storage.reading(place / "a.npz"):
            pass
        for name in ("b/two.npz", "b/one.npz", "a/one.npz", "a/deep/one.npz", "a/one.txt"):
            with _storage.replacing(place / name) as stream:
                stream.write(name.encode())
        assert place.is_dir()
        assert (place / "a").is_dir()
        assert not (place / "a" / "one.npz").is_dir()
        assert (place / "a" / "one.npz").exists()
        assert (place / "b" / "two.npz").read_bytes() == b"b/two.npz"
        assert (place / "b" / "two.npz").read_text() == "b/two.npz"
        found = sorted(str(path).removeprefix(f"{place}/") for path in place.glob("*/*.npz"))
        assert found == ["a/one.npz", "b/one.npz", "b/two.npz"]
        assert _storage.sizes(place)["a/deep/one.npz"] == 14
        (place / "a" / "one.npz").unlink()
        (place / "a" / "one.npz").unlink(missing_ok=True)
        with pytest.raises(FileNotFoundError):
            (place / "a" / "one.npz").unlink()
        _storage.remove_below(place / "a")
        assert sorted(_storage.sizes(place)) == ["b/one.npz", "b/two.npz"]


def test_a_file_of_a_url_is_whole_or_absent(
    memory_place: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = memory_place / "file"
    with pytest.raises(OSError, match="disk full"), _storage.replacing(target) as stream:  # noqa: PT012
        stream.write(b"half")
        raise OSError("disk full")
    assert not target.exists()
    monkeypatch.setattr("convergent._storage.url_location._AT_ONCE", 3)
    with _storage.replacing(target) as stream:  # by way of a file
        stream.write(b"whole")
    assert target.read_bytes() == b"whole"


def test_urls_that_cannot_be_opened_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(ValueError, match="nonsense://x cannot be opened: Protocol not known"):
        _storage.place("nonsense://x").exists()
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(
        ImportError, match=r"s3://b/x is a URL, which needs the package fsspec; inst"
    ):
        _storage.place("s3://b/x").exists()


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    machine = _storage.text_digest(platform.node())[:8]
    dead = dead_process()
    stale = [tmp_path / f".a.npz.{dead}.tmp", tmp_path / f".a.npz.{machine}-{dead}.tmp"]
    others = [
        tmp_path / f".b.npz.{dead}.tmp",
        tmp_path / "below" / f".a.npz.{machine}-{dead}.tmp",
    ]
    kept = [
        tmp_path / f".a.npz.{os.getpid()}.tmp",
        tmp_path / f".a.npz.00000000-{dead}.tmp",  # of another machine
        tmp_path / ".a.npz.tmp",
        tmp_path / f"a.npz.{dead}.tmp",
    ]
    (tmp_path / "below").mkdir()
    for path in [*stale, *others, *kept]:
        path.touch()
    _storage.write_text(tmp_path / "a.npz", "text")
    assert not any(path.exists() for path in stale)
    assert all(path.exists() for path in [*others, *kept])
    _storage.remove_stale(tmp_path)
    assert not any(path.exists() for path in others)
    assert all(path.exists() for path in kept)


def test_the_same_text_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    _storage.write_json(path, {"a": 1})
    os.utime(path, ns=(1, 1))
    _storage.write_json(path, {"a": 1})
    assert path.stat().st_mtime_ns == 1
    for content in ({"a": 2}, {"a": 1, "b": 1}, {}):
        _storage.write_json(path, content)
        assert _storage.read_json(path) == content


@pytest.mark.parametrize("is_kept", [True, False])
def test_files_are_listed_as_they_are_written(is_kept: bool, tmp_path: Path) -> None:
    files = FileList(tmp_path, is_kept=is_kept)
    _storage.write_arrays(files / "a.npz", "format", {"x": np.arange(5.0)})
    _storage.write_json(files / "b" / "c.json", [1])
    whole = FileList(tmp_path / "other")
    _storage.write_arrays(whole / "a.npz", "format", {"x": np.arange(5.0)})
    _storage.write_json(whole / "b" / "c.json", [1])
    assert files.entries == whole.entries
    assert {name: entry["bytes"] for name, entry in whole.entries.items()} == _storage.sizes(
        tmp_path / "other"
    )
    for name, entry in whole.entries.items():
        assert entry["blake2b"] == _storage.file_digest(tmp_path / "other" / name)
    np.testing.assert_array_equal(
        _storage.read_arrays(whole / "a.npz", "format")["x"], np.arange(5.0)
    )
    assert (tmp_path / "a.npz").exists() == is_kept
    with pytest.raises(UnreadableFileError, match="is not among the files of its manifest"):
        _storage.read_json(whole / "d.json")


@pytest.mark.parametrize("n_rows", [1, 6, 7, 14])
def test_matrices_come_back_in_chunks_and_from_any_reader(
    n_rows: int, memory_place: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convergent._storage.zarr_arrays._CHUNK_BYTES", 6 * 4 * 3)
    monkeypatch.setattr("convergent._storage.zarr_arrays._PIECE_BYTES", 4 * 4 * 3)
    array = np.random.default_rng(0).normal(size=(n_rows, 3)).astype(np.float32)
    for place in (tmp_path, memory_place):
        files = FileList(place)
        _storage.write_zarr(files / "x.zarr", np.asfortranarray(array))
        found = read_zarr(files / "x.zarr", array.shape)
        assert isinstance(found, np.memmap)
        assert not found.flags.writeable
        np.testing.assert_array_equal(found, array)
    chunks = [name for name in _storage.sizes(memory_place) if "/c/" in name]
    assert len(chunks) == -(-n_rows // 6)
    for name in _storage.sizes(memory_place):
        with _storage.replacing(tmp_path / "copy" / name) as stream:
            stream.write((memory_place / name).read_bytes())
    zarr = pytest.importorskip("zarr")
    for path in (tmp_path / "x.zarr", tmp_path / "copy" / "x.zarr"):
        judge = zarr.open_array(store=str(path), mode="r")
        assert judge.dtype == np.float32
        np.testing.assert_array_equal(judge[:], array)


def test_matrices_of_a_url_are_read_when_they_are_used(
    memory_place: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = [np.full((4, 2), value, dtype=np.float32) for value in range(3)]
    files = FileList(memory_place)
    places = [files / f"{i}.zarr" for i in range(3)]
    for place, array in zip(places, arrays):
        _storage.write_zarr(place, array)
    stored = _storage.StoredArrays(places, [(4, 2)] * 3)
    (memory_place / "1.zarr" / "c" / "0" / "0").unlink()
    assert len(stored) == 3
    assert stored[2] is stored[-1]
    np.testing.assert_array_equal(stored[0], arrays[0])
    assert [len(array) for array in stored[::2]] == [4, 4]
    with pytest.raises(FileNotFoundError):
        stored[1]
    with pytest.raises(IndexError):
        stored[3]
    with _storage.replacing(memory_place / "1.zarr" / "c" / "0" / "0") as stream:
        stream.write(arrays[0].tobytes())
    with pytest.raises(UnreadableFileError, match=r"1\.zarr/c/0/0 is truncated or another file"):
        stored[1]


def test_import_needs_neither_zarr_nor_fsspec() -> None:
    code = (
        "import sys, convergent as cv; from convergent import study, cli; import convergent._storage; "
        "assert not {'zarr', 'fsspec'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
