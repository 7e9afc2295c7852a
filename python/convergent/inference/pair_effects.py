"""What each network does to a mean over pairs, and that mean's standard error.

The model is that of round robins: the value of a pair is a mean, an effect of either network, and what is the pair's
own (Warner, Kenny & Stoto 1979).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convergent.inference.interval import Doubles
from convergent.inference.studentised import influence_error

Flags = NDArray[np.bool_]


def pair_influence(values: Doubles, valid: Flags) -> Doubles:
    """Return how far each network takes the mean over pairs from what it is without, times n - 1 (they sum to 0).

    values : shape (n, n)
        Symmetric, 0 where there is no pair.
    valid : shape (n, n)
        Where there are pairs.

    Raises
    ------
    ValueError
        If without some network no pair is left.
    """
    n_left = _pairs_left(valid)
    if not n_left.all():
        raise ValueError(
            "`matrix` must hold a pair without each of the networks, got none without network "
            f"{int(np.argmin(n_left))}; `method` 'percentile' can do without"
        )
    without = (0.5 * values.sum() - values.sum(axis=1)) / n_left
    influence: Doubles = (len(values) - 1) * (without.mean() - without)
    return influence


def pair_error(values: Doubles, valid: Flags, influence: Doubles) -> float:
    """Return the standard error of the mean over pairs, taking networks as independent.

    The jackknife counts what is the pairs' own twice over: it adds 4 s^2 / (n (n - 2)) for pairs of variance s^2,
    of which 2 s^2 / (n (n - 1)) is due. That is subtracted, with s^2 from the residuals of the sum of both networks'
    effects, but never below what independent pairs would have.
    """
    n = len(values)
    jackknife = influence_error(influence) ** 2
    n_pairs = int(valid.sum()) // 2
    left_over = _pair_variance(values, valid, n_pairs)
    if left_over is None:
        return float(np.sqrt(jackknife))
    # The influence of network i, over n - 1, is a sum over pairs (j, k): of its own mean over networks less
    # share[i] unless i is j or k. These are the sums over i of its squared coefficients.
    share = 1.0 / _pairs_left(valid)
    both = share[:, None] + share
    squares = np.sum(share**2) - (share**2)[:, None] - share**2 - (share.sum() - both) ** 2 / n
    counted = (n - 1) / n * 0.5 * float(squares[valid].sum())
    variance = jackknife - left_over * (counted - 1.0 / n_pairs)
    return float(np.sqrt(max(variance, left_over / n_pairs)))


def _pairs_left(valid: Flags) -> NDArray[np.intp]:
    """Return the number of pairs without each network."""
    return np.asarray(valid.sum() // 2 - valid.sum(axis=1), dtype=np.intp)


def _pair_variance(values: Doubles, valid: Flags, n_pairs: int) -> float | None:
    """Return the variance of what is the pairs' own; None where nothing is left over to tell it from."""
    degrees = valid.sum(axis=1)
    effects, _, rank, _ = np.linalg.lstsq(
        np.diag(degrees.astype(np.float64)) + valid, values.sum(axis=1), rcond=None
    )
    free = n_pairs - int(rank)
    if free < 1:
        return None
    residual = (values - effects - effects[:, None])[valid]
    return 0.5 * float(residual @ residual) / free
