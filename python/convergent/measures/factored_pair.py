"""Two networks' units, factored once: from activations, a triangular factor, or moments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from convergent import _validate
from convergent.measures import minimal_match, paired_spans
from convergent.measures.match_results import Units
from convergent.measures.paired_spans import ActivationPair, PairedSpans
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
        triangle: ArrayLike,
        n_x: int,
        *,
        n_examples: int,
        dead_units: str = "exclude",
        n_threads: int | None = None,
    ) -> Self:
        """Return the matcher of activations of which only the triangular factor is known.

        Parameters
        ----------
        triangle : array of float, shape (n_x + n_y, n_x + n_y)
            Upper triangular factor of ``[X Y]``, such as ``Factor.triangle((i, j))``. Units that
            are dead are columns of zeros.
        n_x : int
            How many of the columns are units of x.
        n_examples : int
            Number of examples behind the factor; it sets the rank tolerance.
        dead_units, n_threads
            As in the class.

        Raises
        ------
        TypeError
            If `triangle` is complex, or a number is not whole.
        ValueError
            If `triangle` is not a finite, square, upper triangular matrix, `n_x` leaves a network
            without units, or `n_examples` is below 1.
        """
        _validate.choice(dead_units, "dead_units", DEAD_UNITS)
        factor = np.asarray(_validate.matrix(triangle, "triangle"), dtype=np.float64)
        if factor.shape[0] != factor.shape[1]:
            raise ValueError(f"`triangle` must be square, got shape {factor.shape}")
        if np.tril(factor, -1).any():
            raise ValueError("`triangle` must be zero below its diagonal, got other values there")
        if factor.shape[0] < 2:
            raise ValueError(f"`triangle` must hold units of two networks, got {factor.shape[0]}")
        n_x = _validate.integer(n_x, "n_x", low=1, high=factor.shape[1] - 1)
        pair = cls.__new__(cls)
        n_examples = _validate.integer(n_examples, "n_examples", low=1)
        threads = _validate.thread_count(n_threads)
        found = paired_spans.of_triangle(factor, n_x, n_examples, n_threads=threads)
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
        if not isinstance(networks, Sequence) or len(networks) != 2:
            raise ValueError(f"`networks` must be a pair of networks, got {networks!r}")
        last = len(moments.widths) - 1
        i, j = (_validate.integer(network, "networks", low=0, high=last) for network in networks)
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
