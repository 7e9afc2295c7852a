"""Sparse maps: each unit of one network predicted from few units of another (LASSO)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _core, _validate
from convergent._warnings import ConvergenceWarning
from convergent.measures.sparse_map_input import DEAD_X, DEAD_Y, MapProblem, map_problem
from convergent.measures.sparse_map_paper import (
    SIGNIFICANT,
    paper_descent,
    paper_start,
    refuse_divergence,
)

Matrix = NDArray[np.float64]

CONVENTIONS = ("lasso", "paper")
TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class SparseMap:
    """Weights that predict each unit of y from units of x, made by `sparse_map`.

    Examples
    --------
    >>> import convergent as cv
    >>> x = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 2.0]]
    >>> found = cv.sparse_map(x, [[0.0], [1.0], [2.0], [3.0]], penalty=0.1)
    >>> found.weights
    array([[0.9, 0. ]])
    >>> found.predictors(0)
    (array([0]), array([0.9]))
    """

    weights: Matrix
    """Shape (n_y, n_x), float64: row i holds the weights of target i, for standardised units."""
    loss: float
    """Mean of `loss_of_unit` over all targets; the unexplained share of variance is twice this."""
    n_nonzero: NDArray[np.intp]
    """Number of predictors of each target, shape (n_y,): weights that are not 0, or for the
    convention ``"paper"`` those above 3e-5 in size."""
    penalty: float
    """As given."""
    duality_gap: float
    """Largest, over targets, of the duality gap divided by 1/2, the loss of predicting nothing. NaN
    for the convention ``"paper"``, which does not converge."""
    convention: str
    """As given."""
    loss_of_unit: Matrix
    """Half of the mean squared error of each standardised target, shape (n_y,): 1/2 where nothing is
    predicted, 0 for dead targets. Negative only if the correlations contradict each other."""

    @property
    def mean_predictors(self) -> float:
        """Mean number of predictors of a target, over all targets."""
        return float(self.n_nonzero.mean())

    def predictors(
        self, unit: int, limit: int | None = None
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the units of x that predict one unit of y, and their weights, largest first.

        Parameters
        ----------
        unit : int
            Unit of y.
        limit : int, optional
            Return at most so many; all predictors by default.

        Returns
        -------
        units : array of intp, shape (n,)
            Sorted by the size of their weights; equal sizes by index.
        weights : array of float64, shape (n,)

        Raises
        ------
        TypeError, ValueError
            If `unit` is no unit of y, or `limit` no whole number of at least 0.

        References
        ----------
        Li et al. (2016), Figure 6.
        """
        unit = _validate.integer(unit, "unit", low=0, high=self.weights.shape[0] - 1)
        if limit is not None:
            limit = _validate.integer(limit, "limit", low=0)
        row = self.weights[unit]
        order = np.argsort(-np.abs(row), kind="stable")[: self.n_nonzero[unit]][:limit]
        return order, row[order]

    def __repr__(self) -> str:
        n_y, n_x = self.weights.shape
        return (
            f"SparseMap({n_x} units to {n_y}, penalty {self.penalty:.4g}, {self.convention}: "
            f"loss {self.loss:.4g}, {self.mean_predictors:.4g} predictors a unit)"
        )


def sparse_map(
    x: Any,
    y: Any,
    penalty: float,
    convention: str = "lasso",
    *,
    given: str = "activations",
    seed: int = 0,
    start: Any = None,
    n_threads: int | None = None,
) -> SparseMap:
    """Predict each unit of `y` from few units of `x`.

    Minimises, over ``W``, ``1 / (2 n_y) * sum_i (1 - 2 w_i.c_i + w_i.C_xx.w_i) + penalty * |W|_1``,
    the mean squared error of standardised units written with correlations. For each target this is
    a LASSO on data of unit variance with ``alpha = n_y * penalty``.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_x), (n_examples, n_y)
        Activations; each column is one unit. With ``given="correlations"`` `x` holds the
        correlations of the units of x with each other, shape (n_x, n_x), and `y` those of the units
        of x with the units of y, shape (n_x, n_y), such as `Moments.correlation` returns.
    penalty : float, at least 0
        0 is least squares: the solution of least norm, where eigenvalues of `C_xx` below 1e-12 of
        the largest (``n_x`` times the machine epsilon, if that is more, as for float32
        correlations) count as 0. Duplicated units then share their weight.
    convention : {"lasso", "paper"}
        ``"lasso"``: the optimum, with real zeros and a duality gap. ``"paper"``: the 4,501 steps of
        gradient descent with momentum behind the published numbers, on expected gradients. They
        end near the optimum of small penalties only, and no weight is exactly 0.
    given : {"activations", "correlations"}
        What `x` and `y` hold.
    seed : int
        For ``"paper"``: of the random start, N(0, .01), scaled so that the predictions have the
        targets' norm.
    start : array of float, shape (n_y, n_x), optional
        For ``"paper"``: weights to start from instead, taken as they are.
    n_threads : int, optional
        Number of threads; all available processors by default. The result is the same, bit for
        bit.

    Returns
    -------
    SparseMap
        Weights, losses, numbers of predictors, duality gap.

    Raises
    ------
    ValueError
        If `x` and `y` do not fit together, are not finite, or are no correlations (symmetric,
        diagonal 1 or 0, in [-1, 1]) though said to be; if `penalty` is negative or not finite; if
        the paper's descent would diverge, which takes thousands of units of x for each target.
    TypeError
        If an array is complex, or a number of the wrong kind.

    Warns
    -----
    DeadUnitWarning
        Once for each array that has constant units. Such a unit of x has weight 0. A target that is
        constant is predicted by nothing; it has no variance, so its loss is 0. It still counts
        among the ``n_y`` targets, in `loss` too: ``loss_of_unit[alive].mean()`` leaves it out. With
        ``given="correlations"`` a target without any correlation is taken for a constant one.
    ConvergenceWarning
        If a duality gap is above 1e-8: for correlations that no data have, such as rounded ones,
        where there may be no optimum, or for penalties below about 1e-6, where rounding may hide
        it if units are almost dependent. The weights are the best that were found.

    Notes
    -----
    Only correlations matter: with them given, cost does not depend on the number of examples.
    Coordinate descent finds about which predictors are active, an active set method ends exactly,
    so the gap is that of rounding (1e-14) also where units are almost dependent. Active predictors
    are linearly independent: of duplicated units one has weight. Targets are divided over threads.
    Memory: one matrix of active by active predictors a thread.

    If `C_xx` is not positive semi-definite, a small gap certifies a stationary point, not an
    optimum.

    References
    ----------
    Li et al. (2016), Section 4, Table 1, Figures 5 and 6. Tibshirani (1996). Lee et al. (2007),
    "Efficient sparse coding algorithms".

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((1000, 4))
    >>> y = np.column_stack([x[:, 0] + 0.5 * x[:, 3], x[:, 1]])
    >>> found = cv.sparse_map(x, y, penalty=0.01)
    >>> found.n_nonzero
    array([2, 1])
    >>> found.predictors(0)[0]
    array([0, 3])
    """
    solver = _Solver(convention, seed, start, n_threads)
    penalties = [_penalty(penalty, "penalty")]
    problem = map_problem(x, y, given)
    _validate.warn_dead_units("x", np.flatnonzero(problem.dead_x), DEAD_X)
    _validate.warn_dead_units("y", np.flatnonzero(problem.dead_y), DEAD_Y)
    found = solver.solve(problem, penalties)
    _warn_of_gaps(found)
    return found[0]


def sparse_map_path(
    x: Any,
    y: Any,
    penalties: Sequence[float] | Matrix,
    convention: str = "lasso",
    *,
    given: str = "activations",
    seed: int = 0,
    start: Any = None,
    n_threads: int | None = None,
) -> list[SparseMap]:
    """Return the sparse maps of several penalties, one after the other.

    Parameters
    ----------
    x, y, convention, given, seed, start, n_threads
        As for `sparse_map`.
    penalties : sequence of float, each at least 0
        In any order; not empty.

    Returns
    -------
    list of SparseMap
        In the order of `penalties`; each the same, bit for bit, as that of `sparse_map`.

    Raises
    ------
    ValueError, TypeError
        As `sparse_map`, or if `penalties` is empty or no sequence.

    Warns
    -----
    DeadUnitWarning, ConvergenceWarning
        As `sparse_map`, once for all penalties.

    Notes
    -----
    Correlations are computed once. Each target starts with the largest penalty and goes down through
    powers of 1/2, whatever the penalties are, and stops at each of them. The paper's descent has the
    same start for every penalty.

    References
    ----------
    Li et al. (2016), Table 1.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((1000, 4))
    >>> y = np.column_stack([x[:, 0] + 0.5 * x[:, 3], x[:, 1]])
    >>> [found.mean_predictors for found in cv.sparse_map_path(x, y, [1e-3, 0.3, 1.0])]
    [1.5, 1.0, 0.0]
    """
    solver = _Solver(convention, seed, start, n_threads)
    checked = _penalties(penalties)
    problem = map_problem(x, y, given)
    _validate.warn_dead_units("x", np.flatnonzero(problem.dead_x), DEAD_X)
    _validate.warn_dead_units("y", np.flatnonzero(problem.dead_y), DEAD_Y)
    found = solver.solve(problem, checked)
    _warn_of_gaps(found)
    return found


class _Solver:
    """How maps are to be found, checked."""

    def __init__(self, convention: str, seed: int, start: Any, n_threads: int | None) -> None:
        self.convention = _validate.choice(convention, "convention", CONVENTIONS)
        self.seed = _validate.integer(seed, "seed", low=0)
        self.n_threads = _validate.thread_count(n_threads)
        if start is not None and convention != "paper":
            raise ValueError("`start` must be None unless convention='paper', got an array")
        self.start = start

    def solve(self, problem: MapProblem, penalties: list[float]) -> list[SparseMap]:
        if self.convention == "lasso":
            return _of_lasso(problem, penalties, self.n_threads)
        refuse_divergence(problem)
        start = paper_start(problem, self.start, self.seed)
        return [_of_paper(problem, penalty, start, self.n_threads) for penalty in penalties]


def _of_paper(problem: MapProblem, penalty: float, start: Matrix, n_threads: int) -> SparseMap:
    weights = paper_descent(problem, penalty, start, n_threads)
    losses = problem.losses(weights)
    return _sparse_map(weights, losses, penalty, float("nan"), "paper")


def _of_lasso(problem: MapProblem, penalties: list[float], n_threads: int) -> list[SparseMap]:
    positive = sorted({penalty for penalty in penalties if penalty > 0.0})
    n_targets = problem.c_yx.shape[0]
    found: dict[float, SparseMap] = {}
    if positive:
        # No correlation exceeds 1, so all maps from there on are 0.
        alphas = np.minimum(n_targets * np.array(positive), 2.0)
        solved = _core.kernels.sparse_map(problem.c_xx, problem.c_yx, alphas, n_threads)
        for penalty, weights, losses, gaps in zip(positive, *solved):
            losses = problem.clean_losses(losses)
            found[penalty] = _sparse_map(weights.copy(), losses, penalty, gaps.max(), "lasso")
    if 0.0 in penalties:
        weights, gap = _least_squares(problem)
        found[0.0] = _sparse_map(weights, problem.losses(weights), 0.0, gap, "lasso")
    return [found[penalty] for penalty in penalties]


def _sparse_map(
    weights: Matrix, losses: Matrix, penalty: float, gap: float, convention: str
) -> SparseMap:
    threshold = SIGNIFICANT if convention == "paper" else 0.0
    return SparseMap(
        weights=weights,
        loss=float(losses.mean()),
        n_nonzero=np.count_nonzero(np.abs(weights) > threshold, axis=1),
        penalty=penalty,
        duality_gap=float(gap),
        convention=convention,
        loss_of_unit=losses,
    )


def _least_squares(problem: MapProblem) -> tuple[Matrix, float]:
    """Return the weights of least norm and least squares, and how far from it their loss may be.

    With residual correlations r the loss exceeds the least one by ``r.C^+.r / 2``. An indefinite
    `c_xx` has no least loss, so the gap is infinite.
    """
    values, vectors = np.linalg.eigh(problem.c_xx)
    bound = max(1e-12, values.size * problem.precision) * max(values[-1], 0.0)
    indefinite = values[0] < -bound
    kept = values > bound
    values, basis = values[kept], vectors[:, kept]
    weights = ((problem.c_yx @ basis) / values) @ basis.T
    weights += ((problem.residuals(weights) @ basis) / values) @ basis.T
    weights[:, problem.dead_x] = 0.0
    weights[problem.dead_y] = 0.0
    gaps = ((problem.residuals(weights) @ basis) ** 2 / values).sum(axis=1)
    return weights, float("inf") if indefinite else float(gaps.max())


def _warn_of_gaps(maps: list[SparseMap]) -> None:
    open_gaps = [found for found in maps if found.duality_gap > TOLERANCE]
    if not open_gaps:
        return
    worst = max(open_gaps, key=lambda found: found.duality_gap)
    warnings.warn(
        f"the sparse map of penalty {worst.penalty:.4g} has a duality gap of "
        f"{worst.duality_gap:.2g}, above {TOLERANCE:.0e}: its weights are not proved optimal. Either "
        "the correlations are those of no data (rounded, or of different examples), or the penalty "
        "is too small for double precision",
        ConvergenceWarning,
        stacklevel=3,
    )


def _penalty(value: Any, name: str) -> float:
    penalty = _validate.real(value, name)
    if penalty < 0.0:
        raise ValueError(f"`{name}` must be at least 0, got {penalty}")
    return penalty


def _penalties(values: Any) -> list[float]:
    if not isinstance(values, (Sequence, np.ndarray)) or isinstance(values, (str, bytes)):
        raise TypeError(f"`penalties` must be a sequence of numbers, got {type(values).__name__}")
    if np.ndim(values) != 1 or len(values) == 0:
        raise ValueError(
            f"`penalties` must be a non-empty sequence of numbers, got shape {np.shape(values)}"
        )
    return [_penalty(value, f"penalties[{i}]") for i, value in enumerate(values)]
