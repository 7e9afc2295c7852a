"""What a statistic of two networks is where their examples have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convergent import _validate
from convergent.inference.interval import Doubles
from convergent.inference.resampling import Progress, check_statistic, each_resample, finite

ALTERNATIVES = ("greater", "less", "two-sided")


@dataclass(frozen=True, slots=True, eq=False)
class PermutationNull:
    """A statistic, its values under shuffled examples, and how often those are as extreme.

    Attributes
    ----------
    observed : float
        The statistic of the examples as they are.
    null : array of float64, shape (n_permutations,)
        Its values with the examples of `y` shuffled.
    p_value : float
        ``(1 + count) / (1 + n_permutations)``, where `count` permutations are at least as extreme; never 0.
    alternative : {"greater", "less", "two-sided"}
        What counts as extreme.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((40, 3))
    >>> cv.permutation_null(cv.cka, x, x, n_permutations=99).p_value
    0.01
    """

    observed: float
    null: Doubles
    p_value: float
    alternative: str

    def __repr__(self) -> str:
        return (
            f"PermutationNull({self.observed:.4g}, null {self.null.mean():.4g} +- "
            f"{self.null.std():.2g}, p = {self.p_value:.3g}, {self.alternative})"
        )


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
    """Return what a statistic of two networks is when their examples are shuffled against each other.

    Parameters
    ----------
    statistic : callable
        Takes `x` and `y`, returns a finite number. It may be called from several threads at once.
    x, y : array of float, shape (n_examples, n_units_x), (n_examples, n_units_y)
        Activations; each row is one example.
    n_permutations : int
        Shuffles of the examples of `y`.
    alternative : {"greater", "less", "two-sided"}
        Whether large values are extreme, small ones, or both (twice the smaller share, at most 1).
    seed : int
        Of the shuffles.
    n_threads : int, optional
        Threads that call the statistic; all processors by default. The result does not depend on it.
    progress : callable, optional
        Called as ``progress(description, done, total)``.

    Returns
    -------
    PermutationNull

    Raises
    ------
    TypeError
        If `statistic` cannot be called, or activations are complex.
    ValueError
        If the examples differ in number, values are not finite, a setting is out of range, or the statistic returns
        no finite number (the message names the permutation).

    Notes
    -----
    Calls the statistic ``n_permutations + 1`` times, each with a shuffled copy of `y`. The null says that examples
    of one network have nothing to do with those of the other. Its mean is the value that the measure reaches by
    chance, with so many units and examples. Examples that go together (positions of one image, frames of one video)
    are no independent examples: give the statistic images, not positions, or the p value is too small.

    Dead units are the statistic's affair; shuffling changes none.

    References
    ----------
    Phipson & Smyth (2010), "Permutation p-values should never be zero".

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x, y = np.random.default_rng(0).standard_normal((2, 40, 3))
    >>> null = cv.permutation_null(cv.cka, x, y, n_permutations=99)
    >>> null.p_value > 0.05
    True
    """
    check_statistic(statistic)
    x, y = _validate.activation_pair(x, y)
    _validate.integer(n_permutations, "n_permutations", low=1)
    _validate.choice(alternative, "alternative", ALTERNATIVES)
    _validate.integer(seed, "seed", low=0)
    observed = finite(statistic(x, y), "the examples as they are")
    null = each_resample(
        lambda _, rng: statistic(x, y[rng.permutation(len(y))]),
        n_permutations,
        what="permutation",
        title="permutations",
        seed=seed,
        n_threads=n_threads,
        progress=progress,
    )
    return PermutationNull(observed, null, _p_value(observed, null, alternative), alternative)


def _p_value(observed: float, null: Doubles, alternative: str) -> float:
    # Permutations of the same sums in another order must count as equal.
    rounding = 1e-12 * max(abs(observed), float(np.abs(null).max()))
    greater = (1 + int(np.count_nonzero(null >= observed - rounding))) / (1 + null.size)
    less = (1 + int(np.count_nonzero(null <= observed + rounding))) / (1 + null.size)
    if alternative == "two-sided":
        return min(1.0, 2.0 * min(greater, less))
    return greater if alternative == "greater" else less
