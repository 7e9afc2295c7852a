"""Moments as files, and what they refuse."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convergent as cv
from convergent import _storage
from tests.pickle_trap import Trap
from tests.test_moments import stream


def test_save_and_load_give_the_same_numbers(tmp_path: Path) -> None:
    x = np.random.default_rng(10).normal(size=(300, 5)) + 1e6
    moments = stream([x[:, :2], x[:, 2:]], 11)
    path = moments.save(tmp_path / "moments")
    assert path == tmp_path / "moments"
    assert [entry.name for entry in tmp_path.iterdir()] == ["moments"]
    loaded = cv.Moments.load(path)
    assert repr(loaded) == "Moments(widths=[2, 3], n_examples=300)"
    for both in (moments, loaded):
        both.update([x[:9, :2], x[:9, 2:]])
    np.testing.assert_array_equal(loaded.mean(), moments.mean())
    np.testing.assert_array_equal(loaded.correlation(0, 1), moments.correlation(0, 1))


def test_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cv.Moments([1]).update([np.ones((3, 1))]).save(tmp_path / "moments.npz")
    before = path.read_bytes()

    def failing(stream: Any, **_arrays: Any) -> None:
        stream.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", failing)
    with pytest.raises(OSError, match="disk full"):
        cv.Moments([1]).update([np.ones((5, 1))]).save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["moments.npz"]


def test_load_refuses_truncated_foreign_and_pickled_files(tmp_path: Path) -> None:
    path = tmp_path / "moments.npz"
    cv.Moments([3]).update([np.eye(3)]).save(path)
    content = path.read_bytes()
    for length in (0, 3, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"moments\.npz is truncated or no file"):
            cv.Moments.load(path)
    flipped = bytearray(content)
    flipped[content.index(b"product_0_0") + 200] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(ValueError, match=r"moments\.npz is truncated or no file"):
        cv.Moments.load(path)
    np.savez(path, other=np.ones(3))
    with pytest.raises(ValueError, match=r"moments\.npz must hold convergent\.Moments/1, got None"):
        cv.Moments.load(path)
    _storage.write_arrays(path, "convergent.Moments/1", {"widths": np.array([3])})
    with pytest.raises(ValueError, match=r"moments\.npz must hold convergent\.Moments/1: 'n_ex"):
        cv.Moments.load(path)
    path.write_bytes(pickle.dumps(Trap(tmp_path / "executed")))
    with pytest.raises(ValueError, match=r"moments\.npz is truncated or no file"):
        cv.Moments.load(path)
    assert not (tmp_path / "executed").exists()
    with pytest.raises(FileNotFoundError):
        cv.Moments.load(tmp_path / "absent.npz")


def test_load_refuses_wrong_shapes(tmp_path: Path) -> None:
    path = tmp_path / "moments.npz"
    arrays = {"widths": [2], "n_examples": 5, "mean_0": np.zeros(2), "product_0_0": np.zeros(4)}
    named = {name: np.asarray(value) for name, value in arrays.items()}
    _storage.write_arrays(path, "convergent.Moments/1", named)
    with pytest.raises(ValueError, match=r"must have shape \(2, 2\), got \(4,\)"):
        cv.Moments.load(path)


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([np.ones((3, 2))], ValueError, "`batch` must hold 2 networks, got 1"),
        ([np.ones((3, 2)), np.ones((3, 2))], ValueError, r"`batch\[1\]` must have 3 units, got 2"),
        (
            [np.ones((3, 2)), np.ones((4, 3))],
            ValueError,
            r"`batch\[1\]` must have as many examples as `batch\[0\]`, got 4 and 3",
        ),
        ([np.full((3, 2), np.nan), np.ones((3, 3))], ValueError, r"`batch\[0\]` must be finite"),
        ([np.full((3, 2), np.inf), np.ones((3, 3))], ValueError, r"`batch\[0\]` must be finite"),
        ([np.ones((3, 2)), np.full((3, 3), -1e141)], ValueError, r"must be below 1e\+140"),
        ([np.ones((3, 2)) * 1j, np.ones((3, 3))], TypeError, "must be real"),
        ([np.ones((3, 2), dtype=object), np.ones((3, 3))], ValueError, "array of numbers"),
        ([np.ones((0, 2)), np.ones((0, 3))], ValueError, "must not be empty"),
        ([np.ones(3), np.ones((3, 3))], ValueError, "must be two-dimensional"),
        (np.float64(3.0), TypeError, "must be a list of matrices"),
    ],
)
def test_update_refuses(batch: Any, error: type[Exception], message: str) -> None:
    moments = cv.Moments([2, 3])
    with pytest.raises(error, match=message):
        moments.update(batch)
    assert moments.n_examples == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ([2], 3, [0, 0], np.eye(3)),
            ValueError,
            r"`products` must have shape \(2, 2\) for widths",
        ),
        (([2], 3, [0, 0], -np.eye(2)), ValueError, "no negative diagonal, got -1 in it"),
        (([2], 3, [0, 0], np.eye(2) * np.nan), ValueError, "`products` must be finite"),
        (([2], 3, [0, 0], np.eye(2) * 1j), TypeError, "`products` must be real"),
        (([2], 3, [0, np.inf], np.eye(2)), ValueError, "`mean` must be finite"),
        (([2], 3, [0, 0, 0], np.eye(2)), ValueError, r"`mean` must have shape \(2,\), got \(3,\)"),
        (([2], 0, [0, 0], np.eye(2)), ValueError, "`n_examples` must be at least 1, got 0"),
        ((2, 3, [0, 0], np.eye(2)), TypeError, "`widths` must be a sequence of whole numbers"),
    ],
)
def test_from_products_refuses(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cv.Moments.from_products(*arguments)


def test_other_refusals() -> None:
    with pytest.raises(TypeError, match="`widths` must be a sequence of whole numbers, got 3"):
        cv.Moments(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`widths` must hold at least one network, got none"):
        cv.Moments([])
    with pytest.raises(ValueError, match=r"`widths\[1\]` must be at least 1, got 0"):
        cv.Moments([2, 0])
    with pytest.raises(TypeError, match=r"`widths\[0\]` must be a whole number, got 2.5"):
        cv.Moments([2.5])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="`n_threads` must be at least 1, got 0"):
        cv.Moments([2], n_threads=0)
    moments = cv.Moments([2])
    with pytest.raises(ValueError, match="there must be at least 1 examples, got 0"):
        moments.mean()
    moments.update([np.ones((1, 2))])
    for read in (moments.covariance, moments.correlation):
        with pytest.raises(ValueError, match="there must be at least 2 examples, got 1"):
            read(0, 0)
    with pytest.raises(ValueError, match="there must be at least 2 examples, got 1"):
        moments.std(0)
    with pytest.raises(ValueError, match="`network` must be between 0 and 0, got 1"):
        moments.mean(1)
    with pytest.raises(TypeError, match="`other` must be Moments, got int"):
        moments.merge(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`other` must have the widths \[2\], got \[3\]"):
        moments.merge(cv.Moments([3]))
