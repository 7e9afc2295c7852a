"""A study that is small and yet has every measure: what is the same of two of them, wherever they ran."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import convergent as cv
from convergent.study import Study

N_EXAMPLES, N_UNITS = 200, 12


def activations(seed: int) -> NDArray[np.float64]:
    causes = np.random.default_rng(99).standard_normal((N_EXAMPLES, 6))
    random = np.random.default_rng(seed)
    noise = 0.5 * random.standard_normal((N_EXAMPLES, N_UNITS))
    units = np.maximum(causes @ random.standard_normal((6, N_UNITS)) + noise, 0.0)
    units[:, 1] = 0.0  # a dead unit
    return units


def small_statistics() -> cv.Statistics:
    """Return two layers of three networks."""
    layers = {
        layer: {name: activations(10 * row + column) for column, name in enumerate("abc")}
        for row, layer in enumerate(("conv1", "conv2"))
    }
    return cv.Statistics.from_layers(layers, labels=np.arange(N_EXAMPLES) % 5)


def assert_same(found: Study, expected: Study, folder: Path) -> None:
    """Check that two studies have the same results, bit for bit, and the same tables, byte for byte."""
    assert [r.task for r in found.results] == [r.task for r in expected.results]
    assert found.problems == expected.problems
    for one, other in zip(found.results, expected.results):
        assert one.key == other.key
        assert one.scalars == other.scalars, one.task
        assert list(one.arrays) == list(other.arrays)
        for name, array in one.arrays.items():
            assert array.dtype == other.arrays[name].dtype
            assert array.shape == other.arrays[name].shape
            assert array.tobytes() == other.arrays[name].tobytes(), (one.task, name)
    tables = []
    for name, study in (("found", found), ("expected", expected)):
        tables.append(study.write_csv(folder / f"{name}.csv").read_bytes())
        tables.append(study.write_intervals(folder / f"{name}-intervals.csv").read_bytes())
    assert tables[:2] == tables[2:]
