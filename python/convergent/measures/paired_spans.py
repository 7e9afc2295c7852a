"""Both networks' spans, from activations, from a triangular factor or from moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convergent import _core
from convergent._validate import Floats
from convergent.measures import gram_span
from convergent.measures.span import Matrix, Span, both_spans
from convergent.statistics.factor import Factor
from convergent.statistics.moments import Moments
from convergent.statistics.triangle_stream import any_beside_zero

FACTOR_ACCURACY = 5e-11
MOMENTS_ACCURACY = 1e-6
_TRIAL_EXAMPLES = 4  # per unit, that tell whether the Gram matrix will do
_CONSTANT = 10.0  # roundings of a unit's norm that are left of a constant one without its mean


@dataclass(frozen=True, slots=True)
class PairedSpans:
    """The spans of the units that are not dead.

    Attributes
    ----------
    alive : array of bool, shape (n_x + n_y,)
        Which units are not dead, x first.
    spans : pair of Span, or None
        Of the units of each network that are not dead; None where a network has none.
    accuracy : float
        Relative distances are right to this.
    """

    alive: NDArray[np.bool_]
    spans: tuple[Span, Span] | None
    accuracy: float


def of_arrays(x: Floats, y: Floats, *, center: bool, n_threads: int) -> PairedSpans:
    """Return the spans of activations, through their Gram matrix where that loses nothing."""
    found = _through_gram(x, y, center, n_threads)
    if found is not None:
        return found
    factor = Factor((x.shape[1], y.shape[1]), n_threads=n_threads)
    factor.take([x, y])
    triangle = factor.triangle(center=center)
    return of_triangle(triangle, x.shape[1], factor.n_examples, n_threads=n_threads)


def of_triangle(triangle: Matrix, n_x: int, n_examples: int, *, n_threads: int) -> PairedSpans:
    """Return the spans of the units of a joint triangular factor, dead ones columns of zeros."""
    scale = np.abs(triangle).max(axis=0)
    alive = scale > 0.0
    spans = None
    n_live = int(np.count_nonzero(alive[:n_x]))
    if n_live and alive[n_x:].any():
        columns = triangle[:, alive] / scale[alive]
        columns /= np.linalg.norm(columns, axis=0)
        if not alive.all():
            square = np.zeros((columns.shape[1], columns.shape[1]))
            columns = _core.kernels.fold_rows(square, np.ascontiguousarray(columns), n_threads)
        spans = both_spans(columns, n_live, n_examples, n_threads=n_threads)
    return PairedSpans(alive, spans, FACTOR_ACCURACY)


def of_moments(
    moments: Moments, networks: tuple[int, int], *, center: bool, n_threads: int
) -> PairedSpans:
    """Return the spans of units of which only the moments are known."""
    i, j = networks
    blocks = [[moments.cross_product(a, b, center=center) for b in networks] for a in networks]
    gram = np.block(blocks)
    alive = np.diag(gram) > 0.0
    n_x = moments.widths[i]
    if center:
        alive[moments.dead_units(i)] = False
        alive[n_x + moments.dead_units(j)] = False
    n_live = int(np.count_nonzero(alive[:n_x]))
    if not n_live or not alive[n_x:].any():
        return PairedSpans(alive, None, MOMENTS_ACCURACY)
    gram = gram[np.ix_(alive, alive)]
    spans = gram_span.both_spans_of_gram(gram, n_live, moments.n_examples)
    if spans is not None:
        return PairedSpans(alive, spans, gram_span.ACCURACY)
    norms = np.sqrt(np.diag(gram))
    rows = gram_span.triangle_of_gram(gram / norms / norms[:, np.newaxis], MOMENTS_ACCURACY / 3)
    columns = _core.kernels.fold_rows(np.zeros(gram.shape), rows, n_threads)
    columns /= np.linalg.norm(columns, axis=0)
    spans = both_spans(
        columns, n_live, moments.n_examples, least_tolerance=MOMENTS_ACCURACY, n_threads=n_threads
    )
    is_full = all(span.triangle.shape[0] == span.order.size for span in spans)
    # A unit that looks dependent may hold a direction of its own, too short to be seen in squares.
    return PairedSpans(alive, spans, MOMENTS_ACCURACY if is_full else np.inf)


def _through_gram(x: Floats, y: Floats, center: bool, n_threads: int) -> PairedSpans | None:
    n_examples, n_x, n_y = x.shape[0], x.shape[1], y.shape[1]
    if n_examples < max(n_x, n_y):
        return None
    means = [x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)] if center else None

    def products(examples: slice) -> Matrix:
        parts = [x[examples], y[examples]]
        gram: Matrix = _core.kernels.cross_products(parts, means, n_threads)
        return gram

    n_trial = _TRIAL_EXAMPLES * max(n_x, n_y)
    if n_examples < 2 * n_trial:
        gram = products(slice(None))
    else:
        gram = products(slice(n_trial))
        if gram_span.is_hopeless(gram, n_x):
            return None
        gram += products(slice(n_trial, None))
    squares = whole = np.diag(gram)
    if means is not None:
        whole = squares + n_examples * np.concatenate(means) ** 2
    rounding = _CONSTANT * np.sqrt(n_examples) * np.finfo(np.float64).eps if center else 0.0
    alive = squares > rounding**2 * whole
    n_live = int(np.count_nonzero(alive[:n_x]))
    if not n_live or not alive[n_x:].any() or any_beside_zero([x, y], whole > 0.0):
        return None
    if not alive.all():
        gram = gram[np.ix_(alive, alive)]
    spans = gram_span.both_spans_of_gram(gram, n_live, n_examples)
    return None if spans is None else PairedSpans(alive, spans, gram_span.ACCURACY)
