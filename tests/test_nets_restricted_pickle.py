"""Pickles of image sets: their data are read, nothing that they name is run."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from convergent import nets
from tests.stored_image_files import images_of, python_2_batch, write_cifar10


class Runs:
    """Creates a file when it is unpickled by a reader that runs what it reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_pickle_that_would_run_something_is_refused_and_not_run(
    tmp_path: Path, file: str
) -> None:
    write_cifar10(tmp_path)
    mark, path = tmp_path / "executed", tmp_path / "cifar-10-batches-py" / file
    content = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps({**content, "more": Runs(mark)}, protocol=2))
    pickle.loads(path.read_bytes())
    assert mark.exists()  # so the file does what it is here for
    mark.unlink()
    with pytest.raises(ValueError, match=rf"{file} is no pickle .* it names .* is not run"):
        nets.load_dataset("cifar10", tmp_path)
    assert not mark.exists()


def global_call(module: str, name: str, arguments: bytes) -> bytes:
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + arguments + b"R."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (global_call("os", "system", b"U\x04true\x85"), "it names os.system"),
        (global_call("builtins", "eval", b"U\x011\x85"), "it names builtins.eval"),
        (global_call("numpy", "load", b"U\x01x\x85"), "it names numpy.load"),
        (global_call("_codecs", "encode", b"X\x01\x00\x00\x00xU\x05utf-8\x86"), "unknown encoding"),
        (pickle.dumps(np.zeros(2), protocol=2), "not of uint8"),
        (pickle.dumps(np.array([print]), protocol=2), "it names "),
        (pickle.dumps(np.array([[1], 2], dtype=object), protocol=2), "not of uint8"),
        (pickle.dumps(np.zeros(2, dtype="u1,u1"), protocol=2), "not of uint8"),
        (b"\x80\x02cnumpy\ndtype\n.", "it holds type"),
        (b"\x80\x02cnumpy\ndtype\n}b.", "__setstate__"),
        (global_call("numpy.core.multiarray", "_reconstruct", b")"), "NoneType"),
        (b"\x80\x02U\x05ab", "truncated"),
        (b"\x80\x02\x82\x01.", "unregistered extension"),
        (b"not a pickle", "invalid load key"),
        (b"", "Ran out of input"),
    ],
)
def test_only_arrays_and_plain_values_are_read(
    tmp_path: Path, content: bytes, message: str
) -> None:
    from convergent.nets.restricted_pickle import read_pickle

    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=f"file is no pickle of arrays.*{message}"):
        read_pickle(tmp_path / "file")


def test_an_array_whose_bytes_do_not_fit_is_refused(tmp_path: Path) -> None:
    from convergent.nets.restricted_pickle import read_pickle

    whole = python_2_batch(images_of(2, 3, 32, 32), [1, 2])
    (tmp_path / "file").write_bytes(whole)
    assert read_pickle(tmp_path / "file")["data"].shape == (2, 3072)
    (tmp_path / "file").write_bytes(whole.replace(b"K\x02M\x00\x0c\x86", b"K\x03M\x00\x0c\x86"))
    with pytest.raises(
        ValueError, match=r"cannot reshape array of size 6144 into shape \(3,3072\)"
    ):
        read_pickle(tmp_path / "file")
