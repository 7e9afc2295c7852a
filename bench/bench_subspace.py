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


def dependent_pair(n_examples: int, n_units: int) -> tuple[Matrix, Matrix]:
    """Two such networks, a fifth of whose units are copies of others."""
    x, y = graded_pair(n_examples, n_units)
    for units in (x, y):
        units[:, n_units // 5 : 2 * (n_units // 5)] = units[:, : n_units // 5]
    return x, y


def low_rank_pair(n_examples: int, n_units: int) -> tuple[Matrix, Matrix]:
    """Two networks that mix the same half as many directions: all is dependent, all matches."""
    rng = np.random.default_rng(n_units)
    shared = rng.standard_normal((n_examples, n_units // 2))
    x, y = (shared @ rng.standard_normal((n_units // 2, n_units)) for _ in range(2))
    return x, y


def contenders(x: Matrix, y: Matrix, *, on_examples: bool, on_triangle: bool) -> dict[str, Any]:
    """Return ours, the peers, and the parts that bound them."""
    n_x, n_y = x.shape[1], y.shape[1]
    joint = np.asfortranarray(np.hstack([x, y]))
    matcher = cv.SubspaceMatcher(x, y)
    found: dict[str, Any] = {"convergent": lambda: sets(cv.max_match(x, y, EPSILONS))}
    if on_examples:
        found["lstsq a pass"] = lambda: least_squares(x, y)
    if on_triangle:
        found["QR, lstsq a pass on R"] = lambda: least_squares_on_triangle(x, y)
    return found | {
        "(factored already)": lambda: sets(matcher.max_match(EPSILONS)),
        "(LAPACK geqrf alone)": lambda: lapack.dgeqrf(joint, lwork=64 * (n_x + n_y))[0][0, 0],
        "(Z.T @ Z alone)": lambda: (joint.T @ joint)[0, 0],
    }


def race_levels(session: Session, x: Matrix, y: Matrix, title: str) -> None:
    """Race every unit's level beside five epsilons; both factor the activations first."""
    epsilons = np.array(EPSILONS)

    def curve() -> Matrix:
        return cv.SubspaceMatcher(x, y).levels().similarity(epsilons)

    def points() -> Matrix:
        return np.array([match.similarity for match in cv.max_match(x, y, EPSILONS)])

    matcher = cv.SubspaceMatcher(x, y)
    session.race(
        f"levels, {title}",
        {
            "every level": curve,
            "five epsilons": points,
            "(every level, factored already)": lambda: matcher.levels().similarity(epsilons),
        },
        np.testing.assert_array_equal,
    )


def race_least_squares(session: Session, x: Matrix, y: Matrix, title: str) -> None:
    """Race five runs of Algorithm 1 on the examples, once: they take a minute or two."""
    session.race(
        f"maximum match, {title}, against least squares",
        {
            "convergent": lambda: sets(cv.max_match(x, y, EPSILONS)),
            "lstsq a pass": lambda: least_squares(x, y),
        },
        same_sets,
        runs=1,
    )


def run(session: Session) -> None:
    """Race on units of three kinds and at three sizes."""
    for kind, n_examples, n_units, pair in (
        ("graded noise", 2_000, 64, graded_pair),
        ("graded noise", 10_000, 256, graded_pair),
        ("graded noise", 10_000, 512, graded_pair),
        ("a fifth duplicated", 10_000, 512, dependent_pair),
        ("low rank", 10_000, 512, low_rank_pair),
    ):
        x, y = pair(n_examples, n_units)
        title = f"{kind}, {n_examples} x ({n_units} + {n_units})"
        session.race(
            f"maximum match, {title}, {len(EPSILONS)} epsilons",
            contenders(x, y, on_examples=n_units < 256, on_triangle=n_units < 512),
            same_sets,
            limit="n p^2 operations of the cross-products (Z.T @ Z), or 2 n p^2 of a QR (geqrf)",
        )
        if n_units == 512:
            race_levels(session, x, y, title)
        if n_units == 512 and pair is graded_pair and session.long:
            race_least_squares(session, x, y, title)
