"""The maximum matching similarity s(epsilon): of all examples, or averaged over draws of positions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convergent import _validate
from convergent._warnings import DeadUnitWarning
from convergent.measures.factored_pair import DEAD_UNITS
from convergent.measures.subspace import SubspaceMatcher
from convergent.statistics.builder import image_batches, positions_view
from convergent.statistics.factor import Factor

CONVENTIONS = ("all", "authors")
_LISTED = 3
_LEFT_OUT = "they are left out of the similarity"
_LEFT_OUT_OF_DRAWS = "they are left out of the similarity of the draws in which they are dead"


@dataclass(frozen=True, slots=True, eq=False)
class MatchingSimilarity:
    """Share of the units that belong to the maximum match, for several epsilons.

    Attributes
    ----------
    epsilons : array of float64, shape (n_epsilons,)
        Largest relative distances, in the order in which they were given.
    mean : array of float64, shape (n_epsilons,)
        s(epsilon) in [0, 1], the mean over draws.
    std : array of float64, shape (n_epsilons,)
        Standard deviation over draws (``n_draws - 1`` in the denominator); 0 for a single draw.
    draws : array of float64, shape (n_draws, n_epsilons)
        s(epsilon) of each draw; one row where all examples were used at once.

    Examples
    --------
    >>> import convergent as cv
    >>> x = [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    >>> y = [[1.0, 0.0], [0.2, 0.0], [0.0, 1.0]]
    >>> cv.matching_similarity(x, y, [0.1, 0.25]).mean
    array([0. , 0.5])
    """

    epsilons: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    draws: NDArray[np.float64]

    def __repr__(self) -> str:
        values = [f"s({e:g})={s:.3f}" for e, s in zip(self.epsilons, self.mean)]
        more = ", ..." if len(values) > _LISTED else ""
        n_draws = len(self.draws)
        count = f"{n_draws} draw{'' if n_draws == 1 else 's'}"
        return f"MatchingSimilarity({', '.join(values[:_LISTED])}{more}; {count})"


def matching_similarity(
    x: ArrayLike,
    y: ArrayLike,
    epsilon: float | Sequence[float] | NDArray[np.floating[Any]],
    *,
    convention: str = "all",
    n_positions: int = 10_000,
    n_draws: int = 16,
    seed: int = 0,
    dead_units: str = "exclude",
    center: bool = False,
) -> MatchingSimilarity:
    """Return the share of the units of two networks that belong to their maximum match.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units) or (n_images, n_channels, height, width)
        Activations of the same examples. Each channel of a feature map is one unit, and each
        position of each image one example.
    epsilon : float in [0, 1), or a sequence of them
        Largest relative distance ``dist(z, span) / |z|`` (dimensionless).
    convention : {"all", "authors"}
        ``"all"`` uses all examples at once. ``"authors"`` draws `n_positions` of them without
        replacement, `n_draws` times, and averages the similarities: fewer examples fit more easily,
        so it is biased upwards where there are not many more positions than units. The authors
        draw in convolutional layers only; here the rows of a matrix are positions as well, and
        they are drawn from where there are more than `n_positions` of them.
    n_positions : int
        Examples in a draw, at least 2. Where there are no more than that all of them are used, and
        all draws are the same.
    n_draws : int
        Number of draws.
    seed : int
        For the draws; the first draws are the same whatever `n_draws`.
    dead_units : {"exclude", "match", "unmatched"}
        What is made of units that are zero in every example (of the draw), as in `SubspaceMatcher`.
    center : bool
        Whether the mean of each unit (over the draw) is taken out first.

    Returns
    -------
    MatchingSimilarity
        Always with one entry an epsilon, also for a single number.

    Raises
    ------
    TypeError
        If an array is complex, or a number is of the wrong kind.
    ValueError
        If the arrays differ in examples or positions, have fewer than two, hold NaN or infinity or
        no units, or if a setting is out of range.

    Notes
    -----
    Arrays of float32 and float64 are read in batches and never copied as a whole. With all examples the
    cost is that of the factor, ``2 n_examples (n_x + n_y)^2`` operations; a draw costs the same for
    its `n_positions`.

    References
    ----------
    Wang et al. (2018), Section 5.1.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((500, 4, 8, 8))
    >>> y = np.concatenate([x[:, ::-1][:, :2], x[:, :2] + 0.1 * x[:, 2:]], axis=1)
    >>> cv.matching_similarity(x, y, 0.05)
    MatchingSimilarity(s(0.05)=1.000; 1 draw)
    >>> cv.matching_similarity(x, y[:, 2:], [0.05, 0.2], convention="authors", n_positions=1000)
    MatchingSimilarity(s(0.05)=0.000, s(0.2)=0.667; 16 draws)
    """
    x_array, y_array = _activation_pair(x, y)
    epsilons = _validate.epsilons(epsilon)
    _validate.choice(convention, "convention", CONVENTIONS)
    n_positions = _validate.integer(n_positions, "n_positions", low=2)
    n_draws = _validate.integer(n_draws, "n_draws", low=1)
    seed = _validate.integer(seed, "seed", low=0)
    _validate.choice(dead_units, "dead_units", DEAD_UNITS)
    center = _validate.flag(center, "center")
    n_examples = _n_positions(x_array)
    if convention == "all":
        matchers = iter([_matcher_of_all(x_array, y_array, dead_units, center)])
    else:
        matchers = (
            _matcher(rows_of(x_array, drawn), rows_of(y_array, drawn), dead_units, center)
            for drawn in drawn_examples(n_examples, n_positions, n_draws, seed)
        )
    draws, dead = _similarities(matchers, epsilons)
    if convention == "authors" and n_positions >= n_examples:
        draws = np.repeat(draws, n_draws, axis=0)
    if dead_units == "exclude":
        left_out = _LEFT_OUT if convention == "all" else _LEFT_OUT_OF_DRAWS
        _validate.warn_dead_units("x", dead[0], left_out)
        _validate.warn_dead_units("y", dead[1], left_out)
    return summarise(epsilons, draws)


def summarise(epsilons: Sequence[float], draws: NDArray[np.float64]) -> MatchingSimilarity:
    """Return the mean and spread of the similarities (n_draws, n_epsilons) of several draws."""
    beyond_first = draws - draws[0]  # equal draws have exactly their value and no spread
    mean = draws[0] + beyond_first.mean(axis=0)
    std = beyond_first.std(axis=0, ddof=1) if len(draws) > 1 else np.zeros(draws.shape[1])
    return MatchingSimilarity(np.array(epsilons, dtype=np.float64), mean, std, draws)


def drawn_examples(
    n_examples: int, n_positions: int, n_draws: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Yield ascending indices of the examples of each draw; once where a draw takes all of them."""
    if n_positions >= n_examples:
        yield np.arange(n_examples, dtype=np.int64)
        return
    generator = np.random.default_rng(seed)
    for _ in range(n_draws):
        drawn = generator.choice(n_examples, size=n_positions, replace=False, shuffle=False)
        yield np.sort(drawn).astype(np.int64)


def rows_of(array: NDArray[Any], drawn: NDArray[np.int64]) -> NDArray[Any]:
    """Return some rows of the positions view, which is never made as a whole."""
    if array.ndim == 2:
        rows: NDArray[Any] = array[drawn]
        return rows
    n_images, _, height, width = array.shape
    image, row, column = np.unravel_index(drawn, (n_images, height, width))
    positions: NDArray[Any] = array[image, :, row, column]
    return positions


def _similarities(
    matchers: Iterator[SubspaceMatcher], epsilons: list[float]
) -> tuple[NDArray[np.float64], tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return the similarities of each draw, and the units that were dead in any of them."""
    draws = []
    dead_x = dead_y = np.zeros(0, dtype=np.intp)
    for matcher in matchers:
        draws.append(matcher.similarity(epsilons))
        dead_x = np.union1d(dead_x, matcher.dead_x)
        dead_y = np.union1d(dead_y, matcher.dead_y)
    return np.array(draws), (dead_x, dead_y)


def _matcher(x: NDArray[Any], y: NDArray[Any], dead_units: str, center: bool) -> SubspaceMatcher:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeadUnitWarning)  # given once, for all draws together
        return SubspaceMatcher(x, y, dead_units=dead_units, center=center)


def _matcher_of_all(
    x: NDArray[Any], y: NDArray[Any], dead_units: str, center: bool
) -> SubspaceMatcher:
    factor = Factor([x.shape[1], y.shape[1]])
    for batch in image_batches({"x": x, "y": y}):
        factor.take([positions_view(batch["x"]), positions_view(batch["y"])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeadUnitWarning)
        return SubspaceMatcher.from_factor(factor, dead_units=dead_units, center=center)


def _activation_pair(x: Any, y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return two matrices of the same examples, or feature maps of the same positions."""
    arrays = (_validate.numbers(x, "x"), _validate.numbers(y, "y"))
    for name, array in zip("xy", arrays):
        if array.ndim not in (2, 4):
            raise ValueError(
                f"`{name}` must be two-dimensional (n_examples, n_units) or four-dimensional "
                f"(n_images, n_channels, height, width), got shape {array.shape}"
            )
    if arrays[0].ndim == arrays[1].ndim == 2:
        return _validate.activation_pair(*arrays)
    x_maps, y_maps = (_feature_maps(array, name) for name, array in zip("xy", arrays))
    if x_maps.ndim != y_maps.ndim or _positions(x_maps) != _positions(y_maps):
        raise ValueError(
            f"`y` must have the images, height and width of `x`, got shapes {y_maps.shape} "
            f"and {x_maps.shape}"
        )
    return x_maps, y_maps


def _feature_maps(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.size == 0:
        raise ValueError(f"`{name}` must not be empty, got shape {array.shape}")
    if _n_positions(array) < 2:
        raise ValueError(f"`{name}` must have at least 2 positions, got shape {array.shape}")
    maps = _validate.as_float(array)
    bad = [int(np.size(maps[:, i]) - np.isfinite(maps[:, i]).sum()) for i in range(maps.shape[1])]
    if any(bad):
        raise ValueError(
            f"`{name}` must be finite, got {sum(bad)} NaN or infinite values, the first in "
            f"unit {np.flatnonzero(bad)[0]}"
        )
    return maps


def _positions(array: NDArray[Any]) -> tuple[int, ...]:
    return (array.shape[0], *array.shape[2:])


def _n_positions(array: NDArray[Any]) -> int:
    return int(np.prod(_positions(array)))
