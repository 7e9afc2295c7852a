from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from convergent import _storage
from convergent.statistics import RowSample
from tests.reference import row_sample as reference


def numbered(n_stream: int) -> list[NDArray[np.float64]]:
    """Activations whose values are the number of the row."""
    rows = np.arange(float(n_stream))[:, np.newaxis]
    return [np.hstack([rows, rows]), -rows]


def stream(arrays: list[NDArray[Any]], batch_size: int, sample: RowSample) -> RowSample:
    for start in range(0, len(arrays[0]), batch_size):
        sample.update([array[start : start + batch_size] for array in arrays])
    return sample


@given(
    n_rows=st.integers(1, 30),
    n_stream=st.integers(1, 60),
    seed=st.integers(0, 2**63 - 1),
    batch_size=st.integers(1, 70),
)
@settings(max_examples=100, deadline=None)
def test_agrees_with_definition(n_rows: int, n_stream: int, seed: int, batch_size: int) -> None:
    sample = stream(numbered(n_stream), batch_size, RowSample(n_rows, [2, 1], seed))
    expected = reference.kept_rows(n_rows, n_stream, seed)
    np.testing.assert_array_equal(sample.indices, expected)
    assert sample.n_seen == n_stream
    for rows, width, sign in zip(sample.rows, (2, 1), (1, -1)):
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(
            rows, np.repeat(np.multiply(expected, sign)[:, np.newaxis], width, axis=1)
        )


@given(
    n_rows=st.integers(1, 30),
    cuts=st.lists(st.integers(1, 59), min_size=1, max_size=3, unique=True),
    seed=st.integers(0, 100),
)
@settings(max_examples=50, deadline=None)
def test_merge_in_order_is_the_whole(n_rows: int, cuts: list[int], seed: int) -> None:
    arrays = numbered(60)
    bounds = [0, *sorted(cuts), 60]
    merged = RowSample(n_rows, [2, 1], seed)
    for start, stop in itertools.pairwise(bounds):
        part = RowSample(n_rows, [2, 1], seed, first_row=start)
        part.update([array[start:stop] for array in arrays])
        merged.merge(part)
        assert part.n_seen == stop - start
    np.testing.assert_array_equal(merged.indices, reference.kept_rows(n_rows, 60, seed))
    np.testing.assert_array_equal(merged.rows[1][:, 0], -merged.indices)
    assert merged.n_seen == 60


def test_every_row_is_as_likely() -> None:
    counts = np.zeros(40)
    n_seeds = 2_000
    arrays = numbered(40)
    for seed in range(n_seeds):
        counts[RowSample(10, [2, 1], seed).update(arrays).indices] += 1
    # Binomial with p = 1/4: five standard deviations are 97.
    assert np.abs(counts - n_seeds / 4).max() < 97


def test_seeds_draw_different_rows() -> None:
    arrays = numbered(1_000)
    draws = [RowSample(50, [2, 1], seed).update(arrays).indices for seed in (0, 1)]
    assert len(np.intersect1d(draws[0], draws[1])) < 15


def test_read_only_and_strided_input() -> None:
    arrays = [np.asfortranarray(array)[::2] for array in numbered(80)]
    for array in arrays:
        array.setflags(write=False)
    sample = RowSample(100, [2, 1], 0).update(arrays)
    np.testing.assert_array_equal(sample.rows[0], arrays[0])
    sample.rows[0][:] = 7.0
    np.testing.assert_array_equal(sample.rows[0], arrays[0])


def test_save_and_load_go_on_alike(tmp_path: Path) -> None:
    arrays = numbered(200)
    sample = RowSample(20, [2, 1], 3).update([array[:100] for array in arrays])
    loaded = RowSample.load(sample.save(tmp_path / "rows.npz"))
    assert repr(loaded) == "RowSample(widths=[2, 1], n_rows=20 of 100, seed=3)"
    assert loaded.widths == (2, 1)
    for both in (sample, loaded):
        both.update([array[100:] for array in arrays])
    np.testing.assert_array_equal(loaded.indices, reference.kept_rows(20, 200, 3))
    np.testing.assert_array_equal(loaded.rows[0], sample.rows[0])
    content = (tmp_path / "rows.npz").read_bytes()
    (tmp_path / "rows.npz").write_bytes(content[:-30])
    with pytest.raises(ValueError, match=r"rows\.npz is truncated or no file"):
        RowSample.load(tmp_path / "rows.npz")
    _storage.write_arrays(tmp_path / "rows.npz", "convergent.RowSample/1", {"widths": np.ones(1)})
    with pytest.raises(ValueError, match=r"rows\.npz must hold convergent\.RowSample/1: 'numbers'"):
        RowSample.load(tmp_path / "rows.npz")


def test_refusals() -> None:
    sample = RowSample(5, [1], 0)
    with pytest.raises(ValueError, match=r"`batch\[0\]` must be finite"):
        sample.update([np.array([[np.nan]])])
    with pytest.raises(ValueError, match=r"`batch\[0\]` must fit float32, got 1e\+39 in magnitude"):
        sample.update([np.array([[1e39]])])
    with pytest.raises(ValueError, match=r"`batch\[0\]` must have 1 units, got 2"):
        sample.update([np.ones((3, 2))])
    assert sample.n_seen == 0
    assert sample.rows[0].shape == (0, 1)
    for arguments, message in (
        ((0, [1], 0), "`n_rows` must be at least 1, got 0"),
        ((1, [1], -1), "`seed` must be between 0 and"),
        ((1, [], 0), "`widths` must hold at least one network"),
    ):
        with pytest.raises(ValueError, match=message):
            RowSample(*arguments)
    for other, message in (
        (RowSample(5, [2], 0), r"`other` must have the widths \[1\], got \[2\]"),
        (RowSample(5, [1], 1), "`other` must have `seed` 0, got 1"),
        (RowSample(6, [1], 0), "`other` must have `n_rows` 5, got 6"),
        (RowSample(5, [1], 0, first_row=4), "must start at row 0, got `first_row` 4"),
    ):
        with pytest.raises(ValueError, match=message):
            sample.merge(other)
    with pytest.raises(TypeError, match="`other` must be RowSample, got list"):
        sample.merge([])  # type: ignore[arg-type]
