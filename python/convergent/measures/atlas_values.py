"""Every index of every two of many networks, from factors that are made once a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convergent import _validate
from convergent._validate import Floats
from convergent.measures.alignment_atlas import alignments, alignments_of_products
from convergent.measures.canonical import CanonicalOptions, warn_of_directions
from convergent.measures.centred_rows import MatrixRows, square_sum
from convergent.measures.directions import (
    Directions,
    directions_of_moments,
    orthonormal_basis,
    orthonormalised,
)
from convergent.measures.index_options import Options, ProcrustesOptions
from convergent.measures.indexes import warn_if_constant
from convergent.measures.kernel_alignment import AlignmentOptions
from convergent.measures.ordered_work import results_in_order
from convergent.measures.pair_products import Progress, inner_products, over_pairs
from convergent.measures.procrustes import (
    Shape,
    check_sizes,
    distance_of,
    shape_value,
    similarity_of_products,
)
from convergent.measures.rsa import rsm_correlations
from convergent.measures.shared_space import Matrix
from convergent.statistics.moments import Moments


def values_of_networks(
    networks: Sequence[Floats],
    names: Sequence[str],
    options: Options,
    n_threads: int,
    progress: Progress,
) -> Matrix:
    """Return an index of every two networks of the same examples; `names` are for messages."""
    if isinstance(options, CanonicalOptions):
        return _canonical(networks, names, options, n_threads, progress)
    if isinstance(options, ProcrustesOptions):
        return _procrustes(networks, names, options.kind, n_threads, progress)
    warn_if_constant(networks, names)
    if isinstance(options, AlignmentOptions):
        return alignments(networks, options, n_threads, progress)
    options.check(networks, names)
    return rsm_correlations(networks, options, n_threads, progress)


def _canonical(
    networks: Sequence[Floats],
    names: Sequence[str],
    options: CanonicalOptions,
    n_threads: int,
    progress: Progress,
) -> Matrix:
    def factored(network: Floats) -> tuple[Directions, Matrix, Matrix]:
        found = options.directions(network)
        return found, *orthonormal_basis(found)

    factors = list(results_in_order(networks, factored, n_threads))
    warn_of_directions([found for found, _, _ in factors], names)
    sources = [MatrixRows(basis) for _, basis, _ in factors]
    widths = np.array([source.width for source in sources])
    if options.kind == "squared" and not options.weighted:
        squares = inner_products(sources, n_threads, progress)
        counts = np.maximum(np.minimum.outer(widths, widths), 1)
        values: Matrix = np.minimum(squares / counts, 1.0)
    else:
        values = over_pairs(
            sources,
            lambda i, j, products: options.values(products, factors[i][2], factors[j][2]),
            n_threads,
            progress,
        )
    np.fill_diagonal(values, widths > 0)
    return values


def _procrustes(
    networks: Sequence[Floats],
    names: Sequence[str],
    kind: str,
    n_threads: int,
    progress: Progress,
) -> Matrix:
    shapes = list(results_in_order(networks, Shape, n_threads))
    check_sizes(shapes, names, kind)
    values = over_pairs(
        [shape.reduced for shape in shapes],
        lambda i, j, products: (shape_value(shapes[i], shapes[j], products, kind),) * 2,
        n_threads,
        progress,
    )
    np.fill_diagonal(values, _own_procrustes([shape.size for shape in shapes], kind))
    return values


def _own_procrustes(sizes: Sequence[float], kind: str) -> list[float]:
    """Return the index of each network with itself."""
    own = {"similarity": (1.0, 0.0), "angular": (0.0, np.pi / 2.0), "euclidean": (0.0, 0.0)}[kind]
    return [own[0] if size > 0.0 else own[1] for size in sizes]


def values_of_moments(moments: Moments, names: Sequence[str], options: Options) -> Matrix:
    """Return an index of every two networks of which only the moments are known."""
    if isinstance(options, CanonicalOptions):
        return _canonical_of_moments(moments, names, options)
    n_networks = len(moments.widths)
    sizes = [_size(moments, i) for i in range(n_networks)]
    for i in range(n_networks):
        if sizes[i] == 0.0:
            units = np.arange(moments.widths[i])
            _validate.warn_dead_units(names[i], units, "its similarity to any network is 0")
    values = np.zeros((n_networks, n_networks))
    for i in range(n_networks):
        for j in range(i, n_networks):
            if min(sizes[i], sizes[j]) > 0.0:
                relative = moments.cross_product(i, j) / sizes[i] / sizes[j]
            else:
                relative = np.zeros((1, 1))
            if isinstance(options, ProcrustesOptions):
                similar = similarity_of_products(relative, 1.0, 1.0)
                value = similar
                if options.kind != "similarity":
                    value = distance_of(similar, None, sizes[i], sizes[j], options.kind)
            else:
                value = square_sum(relative)
            values[i, j] = values[j, i] = value
    if isinstance(options, ProcrustesOptions):
        np.fill_diagonal(values, _own_procrustes(sizes, options.kind))
        return values
    return alignments_of_products(values)


def _size(moments: Moments, network: int) -> float:
    """Return the Frobenius norm of a network's centred units; 0 if all are dead."""
    if len(moments.dead_units(network)) == moments.widths[network]:
        return 0.0
    return float(np.sqrt(np.trace(moments.cross_product(network, network))))


def _canonical_of_moments(
    moments: Moments, names: Sequence[str], options: CanonicalOptions
) -> Matrix:
    factors = [_directions(moments, i, options) for i in range(len(moments.widths))]
    warn_of_directions(factors, names)
    products = [_between(moments, i, i, factors, options.center) for i in range(len(factors))]
    values = np.diag([float(found.width > 0) for found in factors])
    for i in range(len(factors)):
        for j in range(i + 1, len(factors)):
            between = _between(moments, i, j, factors, options.center)
            made = orthonormalised(
                between, products[i], products[j], factors[i].loadings, factors[j].loadings
            )
            values[i, j], values[j, i] = options.values(*made)
    return values


def _directions(moments: Moments, network: int, options: CanonicalOptions) -> Directions:
    products = moments.cross_product(network, network, center=options.center)
    alive = np.diagonal(products) > 0.0
    if options.center:
        alive[moments.dead_units(network)] = False
    n_free = moments.n_examples - int(options.center)
    found = directions_of_moments(products, alive, n_free, equal_units=options.equal_units)
    return options.chosen(found)


def _between(
    moments: Moments, i: int, j: int, factors: Sequence[Directions], center: bool
) -> Matrix:
    first, second = factors[i].weights, factors[j].weights
    assert first is not None
    assert second is not None
    products: Matrix = first.T @ moments.cross_product(i, j, center=center) @ second
    return products
