"""Sparse maps from correlations: six penalties at once, against scikit-learn's Gram solver."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

import convergent as cv
from bench.harness import Session

PENALTIES = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5]  # those of the paper but 0, in the order that peers want
N_TARGETS_OF_PEER = 16
LIMIT = (
    "factors of the active predictors, k^3 / 3 operations a target and penalty: .2 s for 512 targets "
    "of 250 at 2e10 a second"
)

Matrix = NDArray[np.float64]


def run(session: Session) -> None:
    """Race few targets against the peer, then time all of them; rectified, repeated, dead units."""
    for n_units, n_examples, noise in ((96, 5000, 0.5), (512, 5000, 0.5), (512, 300, 0.5)):
        x, y = _networks(n_units, n_examples, noise)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cv.DeadUnitWarning)
            c_xx, c_xy = cv.correlation(x), cv.correlation(x, y)
            title = f"{n_units} x {n_units} units, {n_examples} examples"
            _race_peer(session, title, x, y, c_xx, c_xy)
            _race_whole(session, title, c_xx, c_xy)


def _race_peer(
    session: Session, title: str, x: Matrix, y: Matrix, c_xx: Matrix, c_xy: Matrix
) -> None:
    """The same problems, `alpha` = all units times the penalty, for the first targets alone."""
    few = np.ascontiguousarray(c_xy[:, :N_TARGETS_OF_PEER])
    scale = c_xy.shape[1] / N_TARGETS_OF_PEER
    penalties = [penalty * scale for penalty in PENALTIES]
    alphas = [c_xy.shape[1] * penalty for penalty in PENALTIES]
    xs, ys = _standardise(x), _standardise(y[:, :N_TARGETS_OF_PEER])
    session.race(
        f"sparse maps, {title}, {len(PENALTIES)} penalties, {N_TARGETS_OF_PEER} of the targets",
        {
            "convergent, 1 thread": lambda: _objectives(
                _weights(c_xx, few, penalties), alphas, c_xx, few
            ),
            "sklearn enet_path, precompute": lambda: _objectives(
                _by_sklearn(xs, ys, c_xx, few, alphas), alphas, c_xx, few
            ),
        },
        _assert_equal_objectives,
        runs=min(session.runs, 3),
        limit=LIMIT,
    )
    ratio = session.rows[-1].seconds_median * c_xy.shape[1] / N_TARGETS_OF_PEER
    print(f"  sklearn, extrapolated to all {c_xy.shape[1]} targets: {ratio:.1f} s", flush=True)


def _race_whole(session: Session, title: str, c_xx: Matrix, c_xy: Matrix) -> None:
    penalties = [0.0, *PENALTIES]

    def path(n_threads: int) -> list[cv.SparseMap]:
        return cv.sparse_map_path(c_xx, c_xy, penalties, given="correlations", n_threads=n_threads)

    session.race(
        f"sparse maps, {title}, 0 and {len(PENALTIES)} penalties, all targets",
        {"convergent, 1 thread": lambda: path(1), "convergent, 2 threads": lambda: path(2)},
        _assert_same_maps,
        runs=min(session.runs, 3),
        limit=LIMIT,
    )
    for found in path(2):
        print(f"  {found!r}, gap {found.duality_gap:.1e}", flush=True)


def _networks(n_units: int, n_examples: int, noise: float) -> tuple[Matrix, Matrix]:
    """Two networks that see the same causes, rectified, with repeated and dead units."""
    generator = np.random.default_rng(n_units)
    causes = generator.standard_normal((n_examples, 40))
    made = []
    for _ in range(2):
        units = causes @ generator.standard_normal((40, n_units)) / np.sqrt(40)
        units += noise * generator.standard_normal(units.shape)
        units = np.maximum(units - generator.uniform(0, 0.8, n_units), 0)
        units[:, 5], units[:, 11], units[:, 9] = units[:, 4], units[:, 10], 0
        made.append(units)
    return made[0], made[1]


def _standardise(x: Matrix) -> Matrix:
    deviation = x.std(axis=0)
    return np.asfortranarray((x - x.mean(axis=0)) / np.where(deviation > 0, deviation, 1))


def _weights(c_xx: Matrix, c_xy: Matrix, penalties: list[float]) -> Matrix:
    path = cv.sparse_map_path(c_xx, c_xy, penalties, given="correlations", n_threads=1)
    return np.array([found.weights for found in path])


def _by_sklearn(xs: Matrix, ys: Matrix, c_xx: Matrix, c_xy: Matrix, alphas: list[float]) -> Matrix:
    from sklearn.linear_model import enet_path

    n_examples = xs.shape[0]
    gram: Any = c_xx * n_examples
    found = []
    for unit in range(c_xy.shape[1]):
        _, weights, _ = enet_path(
            xs,
            ys[:, unit],
            l1_ratio=1.0,
            alphas=alphas,
            precompute=gram,
            Xy=c_xy[:, unit] * n_examples,
            tol=1e-8,
            max_iter=10**6,
            check_input=False,
        )
        found.append(weights.T)
    return np.array(found).swapaxes(0, 1)


def _objectives(weights: Matrix, alphas: list[float], c_xx: Matrix, c_xy: Matrix) -> Matrix:
    """Objective of each penalty and target."""
    explained = np.einsum("aij,ji->ai", weights, c_xy)
    squares = np.einsum("aij,aij->ai", weights @ c_xx, weights)
    sizes = np.array(alphas)[:, np.newaxis] * np.abs(weights).sum(axis=2)
    return 0.5 - explained + 0.5 * squares + sizes


def _assert_equal_objectives(ours: Matrix, theirs: Matrix) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8)
    assert (ours <= theirs + 1e-13).all()


def _assert_same_maps(ours: list[cv.SparseMap], theirs: list[cv.SparseMap]) -> None:
    for one, other in zip(ours, theirs):
        np.testing.assert_array_equal(one.weights, other.weights)
        assert one.duality_gap <= 1e-8
