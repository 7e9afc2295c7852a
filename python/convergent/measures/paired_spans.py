"""Both networks' spans, from activations, from a triangular factor or from moments."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convergent import _core
from convergent._validate import Floats
from convergent.measures import gram_span
from convergent.measures.span import Matrix, Span, both_spans, independent_first
from convergent.statistics.moments import Moments
from convergent.statistics.triangle_stream import any_beside_zero

FACTOR_ACCURACY = 5e-11
MOMENTS_ACCURACY = 1e-6
_TRIAL_EXAMPLES = 2  # per unit, that tell whether the Gram matrix will do
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


class ActivationPair:
    """Activations of both networks, and the passes over them that lead to their spans."""

    def __init__(self, x: Floats, y: Floats, *, center: bool, n_threads: int) -> None:
        self._parts = [x, y]
        self._n_x, self._n_y = x.shape[1], y.shape[1]
        self._n_examples = x.shape[0]
        self._n_threads = n_threads
        self._means = (
            [part.mean(axis=0, dtype=np.float64) for part in self._parts] if center else None
        )

    def spans(self) -> PairedSpans:
        """Return the spans, through the Gram matrix where that loses nothing."""
        n_trial = _TRIAL_EXAMPLES * max(self._n_x, self._n_y)
        if self._n_examples < 2 * n_trial:
            gram = self.products(slice(None))
        else:
            gram = self.products(slice(n_trial))
            if gram_span.is_hopeless(gram, self._n_x, self._n_threads):
                return self.by_reflections(gram)
            gram += self.products(slice(n_trial, None))
        return self.by_products(gram) or self.by_reflections(gram)

    def products(self, examples: slice) -> Matrix:
        """Return the Gram matrix of some of the examples."""
        parts = [part[examples] for part in self._parts]
        gram: Matrix = _core.kernels.cross_products(parts, self._means, self._n_threads)
        return gram

    def by_products(self, gram: Matrix) -> PairedSpans | None:
        """Return the spans out of the Gram matrix; None where that is not accurate enough."""
        norms = np.sqrt(np.diag(gram))
        alive = self._alive(norms)
        n_live = int(np.count_nonzero(alive[: self._n_x]))
        if self._n_examples < max(self._n_x, self._n_y):
            return None
        if not n_live or not alive[self._n_x :].any():
            return None
        if any_beside_zero(self._parts, self._whole(norms) > 0.0):
            return None
        if not alive.all():
            gram = gram[np.ix_(alive, alive)]
        spans = gram_span.both_spans_of_gram(gram, n_live, self._n_examples, self._n_threads)
        return None if spans is None else PairedSpans(alive, spans, gram_span.ACCURACY)

    def by_reflections(self, gram: Matrix) -> PairedSpans:
        """Return the spans by Householder reflections of the examples.

        The Gram matrix, of all or some of them, only says in which order the units are taken.
        """
        n_x, n_units = self._n_x, self._n_x + self._n_y
        order = np.arange(n_units)
        if np.isfinite(gram).all():
            order[:n_x] = independent_first(gram[:n_x, :n_x])
            order[n_x:] = n_x + independent_first(gram[n_x:, n_x:])
        triangle = _core.kernels.fold_examples(
            np.zeros((n_units, n_units)), self._parts, self._means, order, self._n_threads
        )
        if self._means is not None:
            scale = np.abs(triangle).max(axis=0)
            norms = np.empty(n_units)
            norms[order] = scale * np.linalg.norm(triangle / np.where(scale, scale, 1.0), axis=0)
            triangle[:, ~self._alive(norms)[order]] = 0.0
        found = of_triangle(triangle, n_x, self._n_examples, n_threads=self._n_threads)
        return _in_own_order(found, n_x, order)

    def _whole(self, norms: Matrix) -> Matrix:
        """Return the units' norms with their means, out of those without (if they are out)."""
        if self._means is None:
            return norms
        whole: Matrix = np.hypot(norms, np.sqrt(self._n_examples) * np.concatenate(self._means))
        return whole

    def _alive(self, norms: Matrix) -> NDArray[np.bool_]:
        """Which units are not dead nor, where the mean is out, constant."""
        rounding = _CONSTANT * np.sqrt(self._n_examples) * np.finfo(np.float64).eps
        least = 0.0 if self._means is None else rounding * self._whole(norms)
        return np.asarray(norms > least)


def _in_own_order(found: PairedSpans, n_x: int, order: NDArray[np.intp]) -> PairedSpans:
    """Return spans whose columns were taken in an order, x first, as those of the units."""
    alive = np.empty(order.size, dtype=np.bool_)
    alive[order] = found.alive
    if found.spans is None:
        return replace(found, alive=alive)
    live = [own[kept] for own, kept in zip(np.split(order, [n_x]), np.split(found.alive, [n_x]))]
    x, y = (np.argsort(np.argsort(units)) for units in live)
    return PairedSpans(
        alive,
        (_renamed(found.spans[0], x, y), _renamed(found.spans[1], y, x)),
        found.accuracy,
    )


def _renamed(span: Span, own: NDArray[np.intp], others: NDArray[np.intp]) -> Span:
    back = np.argsort(others)
    return replace(
        span,
        order=own[span.order],
        coefficients=np.asfortranarray(span.coefficients[:, back]),
        residuals=span.residuals[back],
    )


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
            columns = _core.kernels.fold_examples(square, [columns], None, None, n_threads)
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
    spans = gram_span.both_spans_of_gram(gram, n_live, moments.n_examples, n_threads)
    if spans is not None:
        return PairedSpans(alive, spans, gram_span.ACCURACY)
    norms = np.sqrt(np.diag(gram))
    rows = gram_span.triangle_of_gram(gram / norms / norms[:, np.newaxis], MOMENTS_ACCURACY / 3)
    columns = _core.kernels.fold_examples(np.zeros(gram.shape), [rows], None, None, n_threads)
    columns /= np.linalg.norm(columns, axis=0)
    spans = both_spans(
        columns, n_live, moments.n_examples, least_tolerance=MOMENTS_ACCURACY, n_threads=n_threads
    )
    is_full = all(span.triangle.shape[0] == span.order.size for span in spans)
    # A unit that looks dependent may hold a direction of its own, too short to be seen in squares.
    return PairedSpans(alive, spans, MOMENTS_ACCURACY if is_full else np.inf)
