"""Two networks' units, factored once: from activations, a triangular factor, or moments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convergent import _validate
from convergent.measures import minimal_match, paired_spans
from convergent.measures.match_results import Units
from convergent.measures.paired_spans import ActivationPair, PairedSpans
from convergent.statistics.factor import Factor
from convergent.statistics.moments import Moments

if TYPE_CHECKING:
    from typing_extensions import Self

DEAD_UNITS = ("exclude", "match", "unmatched")
LEFT_OUT = "they are left out of matches and of the similarity"


class FactoredPair:
    """What `SubspaceMatcher` asks its questions of."""

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        dead_units: str = "exclude",
        center: bool = False,
        n_threads: int | None = None,
    ) -> None:
        _validate.choice(dead_units, "dead_units", DEAD_UNITS)
        threads = _validate.thread_count(n_threads)
        x_matrix, y_matrix = _validate.activation_pair(x, y)
        pair = ActivationPair(x_matrix, y_matrix, center=center, n_threads=threads)
        self._prepare(pair.spans(), x_matrix.shape[1], dead_units)
        for name, units in self._left_out():
            _validate.warn_dead_units(name, units, LEFT_OUT)

    @classmethod
    def from_factor(
        cls,
        factor: Factor | ArrayLike,
        n_x: int | None = None,
        *,
        networks: tuple[int, int] = (0, 1),
        n_examples: int | None = None,
        dead_units: str = "exclude",
        center: bool = False,
        n_threads: int | None = None,
    ) -> Self:
        """Return the matcher of activations of which only the triangular factor is known.

        Parameters
        ----------
        factor : Factor, or array of float, shape (n_x + n_y, n_x + n_y)
            A streaming factor, or the upper triangular factor of ``[X Y]`` itself. Units that are
            dead are columns of zeros.
        n_x : int, optional
            How many columns of an array are units of x; a `Factor` knows.
        networks : pair of int
            Which networks of a `Factor` are x and y.
        n_examples : int, optional
            Number of examples behind an array; it sets the rank tolerance. By default as many as
            there are units. A `Factor` knows.
        center : bool
            As in the class; an array has its mean in or out already.
        dead_units, n_threads
            As in the class.

        Raises
        ------
        TypeError
            If an array is complex, or a number is not whole.
        ValueError
            If an array is not a finite, square, upper triangular matrix, `n_x` leaves a network
            without units, or `n_examples` is below 1; if a `Factor` has no such networks or no
            examples yet, or an argument goes with the other kind of factor.

        Examples
        --------
        >>> import numpy as np
        >>> import convergent as cv
        >>> x = np.random.default_rng(0).standard_normal((100, 3))
        >>> factor = cv.Factor([3, 2])
        >>> for rows in np.split(x, 4):
        ...     factor = factor.update([rows, rows[:, :2]])
        >>> cv.SubspaceMatcher.from_factor(factor).max_match(0.1)
        Match(epsilon=0.1, 2 + 2 units, similarity=0.800)
        """
        _validate.choice(dead_units, "dead_units", DEAD_UNITS)
        threads = _validate.thread_count(n_threads)
        if isinstance(factor, Factor):
            if n_x is not None or n_examples is not None:
                raise ValueError("`n_x` and `n_examples` go with an array; a Factor knows them")
            i, j = _pair_of(networks, len(factor.widths))
            triangle = factor.triangle((i, j), center=center)
            n_x, n_examples = factor.widths[i], factor.n_examples
        else:
            if center:
                raise ValueError("`center` goes with a Factor; an array has no means to take out")
            triangle = _checked_triangle(factor)
            n_x = _validate.integer(n_x, "n_x", low=1, high=triangle.shape[1] - 1)
            if n_examples is None:
                n_examples = triangle.shape[1]
            n_examples = _validate.integer(n_examples, "n_examples", low=1)
        found = paired_spans.of_triangle(triangle, n_x, n_examples, n_threads=threads)
        pair = cls.__new__(cls)
        pair._prepare(found, n_x, dead_units)
        for name, units in pair._left_out():
            _validate.warn_dead_units(name, units, LEFT_OUT)
        return pair

    @classmethod
    def from_moments(
        cls,
        moments: Moments,
        networks: tuple[int, int] = (0, 1),
        *,
        dead_units: str = "exclude",
        center: bool = False,
        n_threads: int | None = None,
    ) -> Self:
        """Return the matcher of activations of which only the moments are known.

        Parameters
        ----------
        moments : Moments
            Joint moments of two or more networks.
        networks : pair of int
            Which of them are x and y.
        dead_units, center, n_threads
            As in the class.

        Raises
        ------
        TypeError
            If `moments` are none.
        ValueError
            If there are no two such networks, or fewer than two examples.

        Notes
        -----
        Moments hold squares, so that distances below about 1e-6 cannot be told from none. Well
        conditioned units lose nothing by that; of others, matches are right unless a decision was
        closer than 1e-6 or a unit lies that close to the span of others, and `Match.certain` is
        False where that is so.

        Examples
        --------
        >>> import numpy as np
        >>> import convergent as cv
        >>> x = np.random.default_rng(0).standard_normal((100, 3))
        >>> y = x[:, :2] + 0.1 * np.random.default_rng(1).standard_normal((100, 2))
        >>> match = cv.SubspaceMatcher.from_moments(cv.Moments([3, 2]).update([x, y])).max_match(0.2)
        >>> match.x, match.y, match.certain
        (array([0, 1]), array([0, 1]), True)
        """
        _validate.choice(dead_units, "dead_units", DEAD_UNITS)
        if not isinstance(moments, Moments):
            raise TypeError(f"`moments` must be Moments, got {type(moments).__name__}")
        if moments.n_examples < 2:
            raise ValueError(f"`moments` must have at least 2 examples, got {moments.n_examples}")
        i, j = _pair_of(networks, len(moments.widths))
        threads = _validate.thread_count(n_threads)
        found = paired_spans.of_moments(moments, (i, j), center=center, n_threads=threads)
        pair = cls.__new__(cls)
        pair._prepare(found, moments.widths[i], dead_units)
        for name, units in pair._left_out():
            _validate.warn_dead_units(name, units, LEFT_OUT)
        return pair

    def _prepare(self, found: PairedSpans, n_x: int, dead_units: str) -> None:
        self.n_x, self.n_y = n_x, found.alive.size - n_x
        self.dead_x = np.flatnonzero(~found.alive[:n_x])
        self.dead_y = np.flatnonzero(~found.alive[n_x:])
        self._live = minimal_match.LiveUnits(
            x=np.flatnonzero(found.alive[:n_x]),
            y=np.flatnonzero(found.alive[n_x:]),
            n_x=self.n_x,
            n_y=self.n_y,
            spans=found.spans,
            dead_units=dead_units,
            accuracy=found.accuracy,
        )

    def _left_out(self) -> list[tuple[str, Units]]:
        if self._live.dead_units != "exclude":
            return []
        return [("x", self.dead_x), ("y", self.dead_y)]


def _pair_of(networks: object, n_networks: int) -> tuple[int, int]:
    if not isinstance(networks, Sequence) or len(networks) != 2:
        raise ValueError(f"`networks` must be a pair of networks, got {networks!r}")
    i, j = (
        _validate.integer(network, "networks", low=0, high=n_networks - 1) for network in networks
    )
    return i, j


def _checked_triangle(value: ArrayLike) -> NDArray[np.float64]:
    triangle = np.asarray(_validate.matrix(value, "factor"), dtype=np.float64)
    if triangle.shape[0] != triangle.shape[1]:
        raise ValueError(f"`factor` must be square, got shape {triangle.shape}")
    if np.tril(triangle, -1).any():
        raise ValueError("`factor` must be zero below its diagonal, got other values there")
    if triangle.shape[0] < 2:
        raise ValueError(f"`factor` must hold units of two networks, got {triangle.shape[0]}")
    return triangle
