"""The graph of similar units: its components, the spectrum of its Laplacian, and an embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]

# Eigenvalues that differ by less than this share of the largest are equal: rounding is 1e-13 or so.
_EQUAL = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class SimilarityGraph:
    """Units joined by edges, and the eigenvectors of ``D - W``, component by component."""

    weights: Doubles
    """Of the edges, symmetric, shape (n_units, n_units); 0 is no edge."""
    components: list[Indices]
    """Units of each component, by size, largest first."""
    eigenvalues: Doubles
    """Ascending, shape (n_units,); 0 exactly once for each component."""
    _vectors: list[Doubles]
    """Eigenvectors of each component as columns, in the order of its eigenvalues."""
    _column: Indices
    """For each eigenvalue its component and its place there, shape (n_units, 2)."""

    def equal_up_to(self) -> float:
        """Return the difference below which two eigenvalues are equal."""
        return _EQUAL * float(self.eigenvalues[-1])

    def embedding(self, n_columns: int) -> Doubles:
        """Return the leading eigenvectors as columns, shape (n_units, n_columns or more).

        An eigenspace is taken whole or not at all, for a basis of a part of it would be arbitrary.
        """
        last = self.eigenvalues[n_columns - 1] + self.equal_up_to()
        n_columns = int(np.searchsorted(self.eigenvalues, last, side="right"))
        points = np.zeros((self.weights.shape[0], n_columns))
        for column, (component, place) in enumerate(self._column[:n_columns]):
            points[self.components[component], column] = self._vectors[component][:, place]
        return points

    def gap_count(self) -> int:
        """Return the number of groups after which the eigenvalues make their largest step.

        Looks from the number of components to half the units. Where one component has more than
        half the units, from one more: the step from 0 is nearly always the largest, and would leave
        that component whole.
        """
        n_components, n_units = len(self.components), self.weights.shape[0]
        low = n_components + int(2 * self.components[0].size > n_units)
        high = max(n_units // 2, n_components)
        steps = np.diff(self.eigenvalues)[low - 1 : high]
        if steps.size == 0 or steps.max() <= self.equal_up_to():
            return n_components
        # Of equal steps the first, whatever the rounding.
        return low + int(np.argmax(steps >= steps.max() - self.equal_up_to()))


def similarity_graph(weights: Doubles) -> SimilarityGraph:
    """Return the graph of symmetric, non-negative weights without self-loops; 0 is no edge."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    n_components, label = connected_components(csr_array(weights), directed=False)
    components = [np.flatnonzero(label == c) for c in range(n_components)]
    components.sort(key=lambda units: (-units.size, int(units[0])))
    spectra = [_spectrum(weights[np.ix_(units, units)]) for units in components]
    values = np.concatenate([values for values, _ in spectra])
    columns = [(c, place) for c, units in enumerate(components) for place in range(units.size)]
    order = np.argsort(values, kind="stable")
    return SimilarityGraph(
        weights,
        components,
        values[order],
        [vectors for _, vectors in spectra],
        np.array(columns, dtype=np.intp)[order],
    )


def _spectrum(weights: Doubles) -> tuple[Doubles, Doubles]:
    """Return eigenvalues and eigenvectors of the Laplacian of one component.

    The constant vector has eigenvalue 0. It is moved beyond all others before the decomposition,
    so that another eigenvalue near 0 (two parts joined by a weak edge) cannot mix with it.
    """
    n_units = weights.shape[0]
    degrees = weights.sum(axis=1)
    # No eigenvalue of a Laplacian exceeds twice the largest degree.
    moved = np.diag(degrees) - weights + 4.0 * degrees.max() / n_units
    values, vectors = np.linalg.eigh(moved)
    values = np.concatenate([[0.0], np.maximum(values[:-1], 0.0)])
    constant = np.full((n_units, 1), 1.0 / np.sqrt(n_units))
    return values, np.hstack([constant, vectors[:, :-1] * _signs(vectors[:, :-1])])


def _signs(vectors: Doubles) -> Doubles:
    """Return for each column the sign of its first entry of (nearly) largest magnitude."""
    size = np.abs(vectors)
    first = np.argmax(size >= size.max(axis=0) - 1e-9, axis=0)
    return np.where(vectors[first, np.arange(vectors.shape[1])] < 0.0, -1.0, 1.0)
