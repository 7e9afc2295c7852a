"""Mutual information between units, from histograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _core, _validate

_CONVENTIONS = ("paper", "authors")
_DEAD = "all examples fall into one bin, so mutual information is 0"


@dataclass(frozen=True, slots=True, eq=False)
class BinnedUnits:
    """The bin of every example of every unit, made by `bin_units`.

    Attributes
    ----------
    codes : array of uint8, shape (n_examples, n_units)
        Index of the bin, a transposed view of an array that holds each unit's codes together.
    edges : tuple of arrays of float64, one a unit, each of shape (n_edges_of_unit,)
        The distinct interior edges, ascending; the outermost bins reach to infinity. Units with
        many zeros have fewer. ``codes[:, j]`` is ``numpy.searchsorted(edges[j], x[:, j], side)``
        with `side` ``"left"`` for the convention ``"paper"`` (bins are ``(lo, hi]``) and
        ``"right"`` for ``"authors"`` (``[lo, hi)``).
    n_bins : int
        As asked for.
    convention : str
        As asked for.
    dead_units : array of intp, shape (n_dead,)
        Units all of whose examples fall into one bin, constant units among them: they carry no
        information.

    Examples
    --------
    >>> import convergent as cv
    >>> binned = cv.bin_units([[0.0], [1.0], [2.0], [3.0]], n_bins=2)
    >>> binned.codes[:, 0].tolist(), binned.edges[0].tolist()
    ([0, 1, 2, 2], [1e-06, 1.5])
    """

    codes: NDArray[np.uint8]
    edges: tuple[NDArray[np.float64], ...]
    n_bins: int
    convention: str
    dead_units: NDArray[np.intp]

    def __repr__(self) -> str:
        n_examples, n_units = self.codes.shape
        return (
            f"BinnedUnits({n_units} units, {n_examples} examples, n_bins={self.n_bins}, "
            f"convention={self.convention!r})"
        )


def bin_units(
    x: Any, *, n_bins: int = 20, convention: str = "paper", n_threads: int | None = None
) -> BinnedUnits:
    """Cut each unit's range into bins of equal mass and a special one for zeros.

    Parameters
    ----------
    x : array of float, shape (n_examples, n_units)
        Activations; each column is one unit.
    n_bins : int in [2, 255]
        With ``"paper"`` the bins hold ``1 / n_bins`` of the mass each, and the special bin comes on
        top of them; with ``"authors"`` all bins, the special one among them.
    convention : {"paper", "authors"}
        ``"paper"``: the special bin ``(-inf, 1e-6]``, then bins ``(lo, hi]`` whose edges are those
        of the percentiles ``100 k / n_bins``, ``0 < k < n_bins``, of the whole unit that lie above
        1e-6.
        ``"authors"``: what the authors' program does. With z the percentage of values below 1e-6,
        the interior edges are the percentiles at `n_bins` evenly spaced levels from ``1.001 z`` to
        100, the last left out; bins are ``[lo, hi)``. So the first bin takes the zeros (and a
        thousandth of their number more), and the others share the rest equally. Where ``1.001 z``
        exceeds 100 their program fails, and the levels start at z. Percentiles interpolate linearly
        between order statistics, as `numpy.percentile` does, in float64.
    n_threads : int, optional
        Number of threads; all available processors by default. The result does not depend on it.

    Returns
    -------
    BinnedUnits
        Codes (one byte a value), edges and dead units.

    Raises
    ------
    ValueError
        If `x` is not a finite matrix of at least two examples, or if `n_bins` or `convention` is
        out of range.
    TypeError
        If `x` is complex, or `n_bins` or `n_threads` not a whole number.

    Warns
    -----
    DeadUnitWarning
        If all examples of a unit fall into one bin.

    Notes
    -----
    Values are sorted into buckets by their leading bits. Only the buckets that hold an edge's
    neighbours are looked into; elsewhere the bucket tells the bin. Time is linear in the size of
    `x`. Working memory: some 80 bytes an example a thread. There must be fewer than 2**32 examples.

    References
    ----------
    Li et al. (2016), Section 3.2, footnote 8.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> binned = cv.bin_units(np.array([[0.0], [0.0], [1.0], [2.0]]), n_bins=4)
    >>> binned.edges[0]
    array([1.00e-06, 5.00e-01, 1.25e+00])
    >>> binned.codes[:, 0]
    array([0, 0, 2, 3], dtype=uint8)
    """
    binned = _bin(x, "x", n_bins, convention, n_threads)
    _validate.warn_dead_units("x", binned.dead_units, _DEAD)
    return binned


def mutual_information(
    x: Any,
    y: Any,
    *,
    n_bins: int = 20,
    convention: str = "paper",
    bias: str | None = None,
    n_threads: int | None = None,
) -> NDArray[np.float64]:
    """Estimate the mutual information between each unit of `x` and each unit of `y`.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units_x), (n_examples, n_units_y), or BinnedUnits
        Activations, each column one unit, or what `bin_units` made of them: to compare N networks,
        bin each once.
    n_bins, convention
        How arrays are binned, as for `bin_units`. If one of `x` and `y` is an array, the other must
        have been binned in the same way. If both are `BinnedUnits`, they keep the bins that they
        have.
    bias : None or "miller-madow"
        None gives the plug-in estimate. ``"miller-madow"`` adds ``(K_x + K_y - K_xy - 1) / (2
        n_examples)``, K being the numbers of bins in use; a corrected value may be negative.
    n_threads : int, optional
        Number of threads; all available processors by default. The result does not depend on it.

    Returns
    -------
    array of float64, shape (n_units_x, n_units_y)
        Mutual information in nats. Without correction it is at least 0, and exactly symmetric:
        ``mutual_information(y, x)`` is the transpose. Rows and columns of dead units are 0. The
        diagonal of ``mutual_information(x, x)`` holds the units' entropies.

    Raises
    ------
    ValueError
        If `x` and `y` differ in examples, `n_bins` or `convention`, hold NaN or infinity, or are no
        matrices.
    TypeError
        If an array is complex, or `n_bins` or `n_threads` not a whole number.

    Warns
    -----
    DeadUnitWarning
        Once for each array that has units all of whose examples fall into one bin; `bin_units` has
        said so already of `BinnedUnits`.

    Notes
    -----
    Examples are counted bin by bin of a unit of `x`: rows of bits, one for each bin of each unit of
    `y`, are added up by carry-save adders, hundreds of bits an instruction (positional population
    count). The most frequent bin of each unit of `x` and the lowest of each of `y` follow from the
    marginal counts, so zeros cost nothing. Few units, few examples and more than 128 bins are
    counted one by one instead. Time grows with ``n_examples`` times the bins of all units of `y`
    times the units of `x`; memory beyond the codes: a few megabytes a thread. Counts are exact and
    their logarithms summed in fixed point: the same bits for any number of threads.

    References
    ----------
    Li et al. (2016), Section 3.2. Miller (1955), Note on the bias of information estimates.
    Klarqvist, Mula and Lemire (2019), Efficient computation of positional population counts using
    SIMD instructions.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> x = np.array([[0.0, 1.0], [0.0, 3.0], [1.0, 4.0], [1.0, 2.0]])
    >>> cv.mutual_information(x, x, n_bins=2).round(4)
    array([[0.6931, 0.    ],
           [0.    , 0.6931]])
    """
    n_threads = _validate.thread_count(n_threads)
    if bias is not None:
        _validate.choice(bias, "bias", ("miller-madow",))
    binned_x = _as_binned(x, "x", n_bins, convention, n_threads)
    binned_y = binned_x if y is x else _as_binned(y, "y", n_bins, convention, n_threads)
    _refuse_mismatch(binned_x, binned_y)
    if not isinstance(x, BinnedUnits):
        _validate.warn_dead_units("x", binned_x.dead_units, _DEAD)
    if y is not x and not isinstance(y, BinnedUnits):
        _validate.warn_dead_units("y", binned_y.dead_units, _DEAD)
    return _core.kernels.mutual_information(
        np.ascontiguousarray(binned_x.codes.T),
        np.ascontiguousarray(binned_y.codes.T),
        _n_codes(binned_x),
        _n_codes(binned_y),
        bias is not None,
        n_threads,
    )


def _as_binned(
    value: Any, name: str, n_bins: int, convention: str, n_threads: int | None
) -> BinnedUnits:
    if isinstance(value, BinnedUnits):
        return value
    return _bin(value, name, n_bins, convention, n_threads)


def _bin(x: Any, name: str, n_bins: int, convention: str, n_threads: int | None) -> BinnedUnits:
    n_bins = _validate.integer(n_bins, "n_bins", low=2, high=255)
    _validate.choice(convention, "convention", _CONVENTIONS)
    n_threads = _validate.thread_count(n_threads)
    matrix = _validate.activations(x, name)
    codes, edges, n_edges = _core.kernels.bin_units(
        matrix, n_bins, convention == "authors", n_threads
    )
    return BinnedUnits(
        codes=codes.T,
        edges=tuple(row[:n].copy() for row, n in zip(edges, n_edges)),
        n_bins=n_bins,
        convention=convention,
        dead_units=np.flatnonzero(codes.min(axis=1) == codes.max(axis=1)),
    )


def _n_codes(binned: BinnedUnits) -> int:
    return binned.n_bins + 1 if binned.convention == "paper" else binned.n_bins


def _refuse_mismatch(x: BinnedUnits, y: BinnedUnits) -> None:
    if x.codes.shape[0] != y.codes.shape[0]:
        raise ValueError(
            f"`y` must have as many examples as `x`, got {y.codes.shape[0]} and "
            f"{x.codes.shape[0]} (shapes {y.codes.shape} and {x.codes.shape})"
        )
    for field in ("n_bins", "convention"):
        of_x, of_y = getattr(x, field), getattr(y, field)
        if of_x != of_y:
            raise ValueError(
                f"`y` must be binned with the same `{field}` as `x`, got {of_y!r} and {of_x!r}"
            )
