"""Maximum matches of five epsilons beside Algorithm 1 with a least-squares solution a pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

import convergent as cv
from bench.harness import Session

Matrix = NDArray[np.float64]
Sets = list[tuple[list[int], list[int]]]
EPSILONS = [0.15, 0.2, 0.25, 0.3, 0.5]


def graded_pair(n_examples: int, n_units: int) -> tuple[Matrix, Matrix]:
    """Two networks of the same rectified units, each with more or less noise of its own."""
    rng = np.random.default_rng(n_units)
    x = np.maximum(rng.standard_normal((n_examples, n_units)), 0.0)
    noise = np.geomspace(0.02, 1.2, n_units)
    y = x[:, rng.permutation(n_units)] + 0.5 * noise * rng.standard_normal(x.shape)
    return x + 0.1 * noise[::-1] * rng.standard_normal(x.shape), y


def sets(matches: list[cv.Match]) -> Sets:
    """Return plain lists, to compare."""
    return [(match.x.tolist(), match.y.tolist()) for match in matches]


def relative_distances(units: Matrix, spanning: Matrix) -> Matrix:
    """Distances from a span, by least squares."""
    solution = np.linalg.lstsq(spanning, units, rcond=None)[0]
    distances = np.linalg.norm(units - spanning @ solution, axis=0)
    relative: Matrix = distances / np.linalg.norm(units, axis=0)
    return relative


def least_squares(x: Matrix, y: Matrix) -> Sets:
    """Algorithm 1, one batched least-squares problem a pass, one run an epsilon."""
    found: Sets = []
    for epsilon in EPSILONS:
        x_units, y_units = np.arange(x.shape[1]), np.arange(y.shape[1])
        sizes = (-1, -1)
        while sizes != (x_units.size, y_units.size):
            sizes = (x_units.size, y_units.size)
            from_y = relative_distances(x[:, x_units], y[:, y_units])
            x_units = x_units[from_y <= epsilon]
            from_x = relative_distances(y[:, y_units], x[:, x_units])
            y_units = y_units[from_x <= epsilon]
        found.append((x_units.tolist(), y_units.tolist()))
    return found


def least_squares_on_triangle(x: Matrix, y: Matrix) -> Sets:
    """Run the same on the triangular factor instead of the examples: the best plain NumPy."""
    triangle: Any = np.linalg.qr(np.hstack([x, y]), mode="r")
    return least_squares(triangle[:, : x.shape[1]], triangle[:, x.shape[1] :])


def same_sets(one: Any, other: Any) -> None:
    """Assert equal matches; the physical limits have no sets to compare."""
    if isinstance(other, list):
        assert one == other


def contenders(x: Matrix, y: Matrix, *, on_examples: bool, on_triangle: bool) -> dict[str, Any]:
    """Return ours, the peers, and the parts that bound them."""
    n_x, n_y = x.shape[1], y.shape[1]
    joint = np.asfortranarray(np.hstack([x, y]))
    triangle = cv.Factor([n_x, n_y]).update([x, y]).triangle()
    matcher = cv.SubspaceMatcher.from_factor(triangle, n_x, n_examples=x.shape[0])
    found: dict[str, Any] = {"convergent": lambda: sets(cv.max_match(x, y, EPSILONS))}
    if on_examples:
        found["lstsq a pass"] = lambda: least_squares(x, y)
    if on_triangle:
        found["QR, lstsq a pass on R"] = lambda: least_squares_on_triangle(x, y)
    return found | {
        "(factored already)": lambda: sets(matcher.max_match(EPSILONS)),
        "(Factor alone)": lambda: cv.Factor([n_x, n_y]).update([x, y]).triangle()[0, 0],
        "(LAPACK geqrf alone)": lambda: lapack.dgeqrf(joint, lwork=64 * (n_x + n_y))[0][0, 0],
        "(Z.T @ Z alone)": lambda: (joint.T @ joint)[0, 0],
    }


def run(session: Session) -> None:
    """Race at three sizes."""
    for n_examples, n_units in ((2_000, 64), (10_000, 256), (10_000, 512)):
        x, y = graded_pair(n_examples, n_units)
        session.race(
            f"maximum match, {n_examples} x ({n_units} + {n_units}), {len(EPSILONS)} epsilons",
            contenders(x, y, on_examples=n_units < 256, on_triangle=n_units < 512),
            same_sets,
            runs=3,
            limit="2 n p^2 operations of the QR (LAPACK's geqrf); half as many in Z.T @ Z",
        )
