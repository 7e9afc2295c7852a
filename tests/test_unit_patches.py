"""What figures need to show image patches: checked, saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convergent.statistics import UnitPatches


def fields(**changes: Any) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {
        "network": "seed 0",
        "layer": "relu1 | relu2",
        "units": np.array([4, 0]),
        "pixels": generator.random((2, 3, 5, 4, 1)).astype(np.float32),
        "values": generator.random((2, 3)).astype(np.float32),
        "images": generator.integers(0, 9, (2, 3)),
        "boxes": generator.integers(-3, 9, (2, 3, 4)),
        "deconvolutions": None,
        **changes,
    }


@pytest.mark.parametrize("with_deconvolutions", [False, True])
def test_saved_and_loaded(tmp_path: Path, with_deconvolutions: bool) -> None:
    signals = np.random.default_rng(1).normal(size=(2, 3, 5, 4, 1)).astype(np.float32)
    values = fields(deconvolutions=signals if with_deconvolutions else None)
    loaded = UnitPatches.load(UnitPatches(**values).save(tmp_path / "patches.npz"))
    for name, value in values.items():
        found = getattr(loaded, name)
        if isinstance(value, np.ndarray):
            assert found.dtype == value.dtype
            np.testing.assert_array_equal(found, value)
        else:
            assert found == value


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"units": [0, 1]}, TypeError, "`units` must be an array of int64, got list"),
        ({"units": np.zeros(2)}, TypeError, "`units` must be an array of int64, got float64"),
        (
            {"pixels": np.zeros((2, 3, 5, 4, 1))},
            TypeError,
            "`pixels` must be .* float32, got float64",
        ),
        ({"pixels": np.zeros((2, 3, 5, 4), np.float32)}, ValueError, "`pixels` must be .*n_units"),
        (
            {"pixels": np.zeros((1, 3, 5, 4, 1), np.float32)},
            ValueError,
            r"`pixels` must have shape \(2, 3, 5, 4, 1\), got \(1, 3, 5, 4, 1\)",
        ),
        (
            {"pixels": np.full((2, 3, 5, 4, 1), 2, np.float32)},
            ValueError,
            r"`pixels` must lie in \[0, 1\], got 2\.0 to 2\.0",
        ),
        (
            {"pixels": np.full((2, 3, 5, 4, 1), np.nan, np.float32)},
            ValueError,
            r"`pixels` must lie in \[0, 1\]",
        ),
        ({"values": np.zeros(2, np.float32)}, ValueError, r"`values` must have shape \(2, 0\)"),
        ({"images": np.zeros((2, 4), int)}, ValueError, r"`images` must have shape \(2, 3\)"),
        ({"boxes": np.zeros((2, 3), int)}, ValueError, r"`boxes` must have shape \(2, 3, 4\)"),
        (
            {"deconvolutions": np.zeros((2, 3, 5, 4, 3), np.float32)},
            ValueError,
            r"`deconvolutions` must have shape \(2, 3, 5, 4, 1\)",
        ),
        (
            {"deconvolutions": np.zeros((2, 3, 5, 4, 1))},
            TypeError,
            "`deconvolutions` must be an array of float32, got float64",
        ),
    ],
)
def test_bad_fields(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        UnitPatches(**fields(**changes))


def test_files_that_hold_something_else(tmp_path: Path) -> None:
    path = tmp_path / "patches.npz"
    UnitPatches(**fields()).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-50])
    with pytest.raises(ValueError, match=r"patches\.npz is truncated"):
        UnitPatches.load(path)
    np.savez(path, a=np.zeros(3))
    with pytest.raises(ValueError, match=r"must hold convergent\.UnitPatches/1, got None"):
        UnitPatches.load(path)
    np.savez(path, format="convergent.UnitPatches/1", network="a", layer="b")
    with pytest.raises(ValueError, match=r"must hold convergent\.UnitPatches/1: 'units"):
        UnitPatches.load(path)
    with pytest.raises(FileNotFoundError):
        UnitPatches.load(tmp_path / "none.npz")
