"""What a statistic of two networks is where their examples have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convergent import _validate
from convergent.inference.interval import Doubles
from convergent.inference.resampling import Progress, checked_statistic, each_resample, finite

ALTERNATIVES = ("greater", "less", "two-sided")


@dataclass(frozen=True, slots=True, eq=False)
class PermutationNull:
    """A statistic, its values under shuffled examples, and how often those are as extreme.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((40, 3))
    >>> cv.permutation_null(cv.cka, x, x, n_permutations=99).p_value
    0.01
    """

    observed: float
    """The statistic of the examples as they are."""
    null: Doubles = field(repr=False)
    """Its values with the examples of `y` shuffled, shape (n_permutations,)."""
    p_value: float
    """(1 + as extreme ones) / (1 + n_permutations)."""
    alternative: str


def permutation_null(
    statistic: Callable[[Any, Any], float],
    x: Any,
    y: Any,
    *,
    n_permutations: int = 999,
    alternative: str = "greater",
    seed: int = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> PermutationNull:
    """Return the distribution of a statistic of two networks whose examples are shuffled against each other.

    Parameters
    ----------
    statistic : callable
        Takes `x` and `y`, returns a number.
    x, y : array of float, shape (n_examples, n_units)
    n_permutations : int
    alternative : {"greater", "less", "two-sided"}
    seed : int
    n_threads : int, optional
    progress : callable, optional

    Returns
    -------
    PermutationNull

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x, y = np.random.default_rng(0).standard_normal((2, 40, 3))
    >>> cv.permutation_null(cv.cka, x, y, n_permutations=99).p_value > 0.05
    True
    """
    checked_statistic(statistic)
    x, y = _validate.activation_pair(x, y)
    _validate.integer(n_permutations, "n_permutations", low=1)
    _validate.choice(alternative, "alternative", ALTERNATIVES)
    _validate.integer(seed, "seed", low=0)
    observed = finite(statistic(x, y), "the examples as they are")

    def once(rng: np.random.Generator) -> float:
        return statistic(x, y[rng.permutation(len(y))])

    null = each_resample(
        once, n_permutations, what="permutation", seed=seed, n_threads=n_threads, progress=progress
    )
    return PermutationNull(observed, null, _p_value(observed, null, alternative), alternative)


def _p_value(observed: float, null: Doubles, alternative: str) -> float:
    greater = float((1 + np.count_nonzero(null >= observed)) / (1 + null.size))
    less = float((1 + np.count_nonzero(null <= observed)) / (1 + null.size))
    return {"greater": greater, "less": less, "two-sided": min(1.0, 2.0 * min(greater, less))}[
        alternative
    ]
