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


def ours(x: Matrix, y: Matrix) -> Sets:
    """Match with this package, from the arrays."""
    return [(match.x.tolist(), match.y.tolist()) for match in cv.max_match(x, y, EPSILONS)]


def relative_distances(units: Matrix, spanning: Matrix) -> Matrix:
    """Distances from a span, by least squares."""
    solution = np.linalg.lstsq(spanning, units, rcond=None)[0]
    distances: Matrix = np.linalg.norm(units - spanning @ solution, axis=0)
    return distances / np.linalg.norm(units, axis=0)


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
    triangle = np.linalg.qr(np.hstack([x, y]), mode="r")
    return least_squares(triangle[:, : x.shape[1]], triangle[:, x.shape[1] :])


def same_sets(one: Any, other: Any) -> None:
    """Assert equal matches; the physical limits have no sets to compare."""
    if isinstance(other, list):
        assert one == other


def run(session: Session) -> None:
    """Race at three sizes."""
    for n_examples, n_units, peers in (
        (2_000, 64, ("examples", "triangle")),
        (10_000, 256, ("triangle",)),
        (10_000, 512, ()),
    ):
        x, y = graded_pair(n_examples, n_units)
        joint = np.asfortranarray(np.hstack([x, y]))
        factor = cv.Factor([n_units, n_units]).update([x, y])
        triangle = factor.triangle()
        matcher = cv.SubspaceMatcher.from_factor(triangle, n_units, n_examples=n_examples)
        contenders: dict[str, Any] = {"convergent": lambda x=x, y=y: ours(x, y)}
        if "examples" in peers:
            contenders["lstsq a pass"] = lambda x=x, y=y: least_squares(x, y)
        if "triangle" in peers:
            contenders["QR, lstsq a pass on R"] = lambda x=x, y=y: least_squares_on_triangle(x, y)
        contenders |= {
            "(factored already)": lambda matcher=matcher: [
                (match.x.tolist(), match.y.tolist()) for match in matcher.max_match(EPSILONS)
            ],
            "(Factor alone)": lambda x=x, y=y, w=n_units: (
                cv.Factor([w, w]).update([x, y]).triangle()[0, 0]
            ),
            "(LAPACK geqrf alone)": lambda joint=joint: lapack.dgeqrf(joint)[0][0, 0],
            "(Z.T @ Z alone)": lambda joint=joint: (joint.T @ joint)[0, 0],
        }
        session.race(
            f"maximum match, {n_examples} x ({n_units} + {n_units}), {len(EPSILONS)} epsilons",
            contenders,
            same_sets,
            runs=3,
            limit="2 n p^2 operations of the QR (LAPACK's geqrf), half of them in Z.T @ Z",
        )
