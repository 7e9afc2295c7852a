"""Mutual information and correlation between the units of two networks, 60,000 examples.

``CONVERGENT_CPU=x86-64-v3 python -m bench information`` races the AVX2 kernels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import convergent as cv
from bench.harness import Session
from convergent import _core

N_EXAMPLES = 60_000
N_CODES = 21
SCATTER_LIMIT = (
    "two pairs an increment in L1, one increment a cycle: about 0.15 ns a pair-sample at 3.3 GHz"
)
# Instructions of a full adder, bits it is done for at once, and how many of them a cycle has.
ADDERS = {"x86-64-v4": (2, 512, 2), "x86-64-v3": (5, 256, 3), "x86-64-v2": (5, 128, 3)}

Units = NDArray[np.float32]


def run(session: Session) -> None:
    """Race few pairs against the peers, then all pairs at the sizes of real layers."""
    few = _networks(8, zeros=0.0)
    binned = [cv.bin_units(units) for units in few]
    session.race(
        "mutual information, 8 x 8 units, codes given, one thread",
        {
            "convergent": lambda: cv.mutual_information(*binned, n_threads=1),
            "np.bincount": lambda: _all_pairs(_by_bincount, *binned),
            "sklearn mutual_info_score": lambda: _all_pairs(_by_sklearn, *binned),
        },
        _assert_close,
        limit=SCATTER_LIMIT,
    )
    _print_per_pair_sample(session, [64] * 3)
    _race_binning(session)
    for n_units in (64, 384, 1024) if session.long else (64, 384):
        for zeros in (0.0, 0.5, 0.7) if n_units == 384 else (0.0,):
            _race_layers(session, n_units, zeros)
    _race_correlation(session)


def _race_binning(session: Session) -> None:
    x, _ = _networks(64, zeros=0.5)
    session.race(
        "binning, 64 units, 50% zeros, one thread",
        {
            "convergent": lambda: cv.bin_units(x, n_threads=1).codes,
            "np.percentile, np.searchsorted": lambda: _bin_by_numpy(x),
        },
        np.testing.assert_array_equal,
        limit="reading the values from memory twice",
    )


def _race_layers(session: Session, n_units: int, zeros: float) -> None:
    """All pairs of two layers, from codes and from activations; the peers, on codes, do few pairs."""
    x, y = _networks(n_units, zeros)
    binned_x, binned_y = cv.bin_units(x), cv.bin_units(y)
    places = np.random.default_rng(0).integers(0, n_units, (48, 2))
    contenders: dict[str, Callable[[], NDArray[np.float64]]] = {
        "codes, 1 thread": lambda: cv.mutual_information(binned_x, binned_y, n_threads=1),
        "codes, 2 threads": lambda: cv.mutual_information(binned_x, binned_y, n_threads=2),
        "activations, 1 thread": lambda: cv.mutual_information(x, y, n_threads=1),
        "activations, 2 threads": lambda: cv.mutual_information(x, y, n_threads=2),
        "np.bincount, 48 pairs": lambda: _some_pairs(_by_bincount, binned_x, binned_y, places),
        "scikit-learn, 6 pairs": lambda: _some_pairs(_by_sklearn, binned_x, binned_y, places[:6]),
    }

    def check(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> None:
        expected = ours if theirs.ndim == 2 else ours[tuple(places[: theirs.size].T)]
        _assert_close(expected, theirs)

    session.race(
        f"mutual information, {n_units} + {n_units} units, {zeros:.0%} zeros, kernels {_core.level}",
        contenders,
        check,
        runs=min(session.runs, 3),
        limit=_adder_limit(binned_x, binned_y),
    )
    _print_per_pair_sample(session, [n_units**2] * 4 + [48, 6])


def _adder_limit(x: cv.BinnedUnits, y: cv.BinnedUnits) -> str:
    """Say what the adders cost: one full adder for each bit of y and each example listed of x."""
    counts = [np.bincount(unit, minlength=N_CODES) for unit in x.codes.T]
    listed = np.mean([1 - count.max() / count.sum() for count in counts])
    bits = np.mean(y.codes.max(axis=0).astype(int) - y.codes.min(axis=0))
    instructions, width, a_cycle = ADDERS.get(_core.level, (5, 64, 3))
    count = listed * bits / width * instructions
    return (
        f"a full adder for each of {bits:.1f} bits of a unit of y and {listed:.0%} of the examples: "
        f"{count:.3f} instructions and {listed * bits / 8:.1f} bytes from L2 a pair-sample; "
        f"{count / a_cycle / 3.8:.4f} ns with {a_cycle} instructions a cycle at 3.8 GHz"
    )


def _race_correlation(session: Session) -> None:
    x, y = _networks(256, zeros=0.5)
    session.race(
        "correlation, 256 x 256 units, float32",
        {
            "convergent": lambda: cv.correlation(x, y),
            "np.corrcoef": lambda: np.corrcoef(x, y, rowvar=False, dtype=np.float64)[:256, 256:],
        },
        _assert_close,
        limit="2 x 256 x 256 x 60,000 float64 operations",
    )
    session.race(
        "correlation within, 256 units, float32",
        {
            "convergent": lambda: cv.correlation(x),
            "np.corrcoef": lambda: np.corrcoef(x, rowvar=False, dtype=np.float64),
        },
        _assert_close,
        limit="256 x 256 x 60,000 float64 operations",
    )


def _networks(n_units: int, zeros: float) -> tuple[Units, Units]:
    """Two networks that see the same 20 causes; a share `zeros` of each unit is rectified away."""
    generator = np.random.default_rng(n_units)
    causes = generator.standard_normal((N_EXAMPLES, 20))
    made = []
    for _ in range(2):
        units = causes @ generator.standard_normal((20, n_units))
        units += generator.standard_normal(units.shape)
        units -= np.quantile(units, zeros, axis=0) if zeros else units.min(axis=0) - 1e-3
        made.append(np.maximum(units, 0).astype(np.float32))
    return made[0], made[1]


def _all_pairs(
    score: Callable[[NDArray[np.uint8], NDArray[np.uint8]], float],
    x: cv.BinnedUnits,
    y: cv.BinnedUnits,
) -> NDArray[np.float64]:
    return np.array([[score(a, b) for b in y.codes.T] for a in x.codes.T])


def _some_pairs(
    score: Callable[[NDArray[np.uint8], NDArray[np.uint8]], float],
    x: cv.BinnedUnits,
    y: cv.BinnedUnits,
    places: NDArray[np.int64],
) -> NDArray[np.float64]:
    return np.array([score(x.codes[:, i], y.codes[:, j]) for i, j in places])


def _by_bincount(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    joint = np.bincount(a.astype(np.intp) * N_CODES + b, minlength=N_CODES**2)
    p = joint.reshape(N_CODES, N_CODES) / a.size
    product = np.outer(p.sum(axis=1), p.sum(axis=0))
    used = p > 0
    return float(np.sum(p[used] * np.log(p[used] / product[used])))


def _by_sklearn(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    from sklearn.metrics import mutual_info_score

    return float(mutual_info_score(a, b))


def _bin_by_numpy(x: Units) -> NDArray[np.intp]:
    codes = []
    for unit in x.T:
        values = unit.astype(np.float64)
        edges = np.percentile(values, np.arange(1, 20) * 5)
        edges = np.unique(np.append(edges[edges > 1e-6], 1e-6))
        codes.append(np.searchsorted(edges, values, side="left"))
    return np.stack(codes, axis=1)


def _assert_close(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def _print_per_pair_sample(session: Session, n_pairs: list[int]) -> None:
    """Put the last race's contenders, each of which did so many pairs, on one scale."""
    rows = session.rows[-len(n_pairs) :]
    scaled = [row.seconds_median / n / N_EXAMPLES * 1e9 for row, n in zip(rows, n_pairs)]
    for row, nanoseconds in zip(rows, scaled):
        print(
            f"  {row.contender:<34} {nanoseconds:.4f} ns per pair-sample   "
            f"x {nanoseconds / scaled[0]:.1f}",
            flush=True,
        )
