"""How well one space aligns all networks, judged by similarities of examples, also of resampled networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convergent import _validate
from convergent.measures.rsm import ROUNDING, compared_entries, directions_of, standardised
from convergent.measures.rsm_products import PairProducts, StreamedRsms, stream_rsms
from convergent.measures.shared_space import Matrix, refuse_unequal_features, refuse_unpaired

QUANTITIES = ("linear", "rank", "native_linear", "native_rank")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AlignmentAgreement:
    """Agreement of the mean inter-network RSM with the mean within-network RSM.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((8, 3))
    >>> found = cv.alignment_agreement([x, x[:, ::-1]], [x, x])
    >>> found.resampled([[1, 1], [3, 2]]).round(12).tolist()
    [1.0, 1.0]
    """

    linear: float
    """Correlation over the strict lower triangle, in the shared space."""
    rank: float
    """Rank correlation over the strict lower triangle, in the shared space."""
    native_linear: float | None
    """Correlation without alignment; None where it was not asked for or networks differ in width."""
    native_rank: float | None
    """Rank correlation without alignment; None as above."""
    pairs: Matrix
    """Linear agreement of each two networks alone in the shared space, (n_networks, n_networks), 1 on the diagonal."""
    native_pairs: Matrix | None
    """The same without alignment; None as above."""
    consistency_pairs: Matrix
    """Correlation of each two networks' within-network RSMs, as `consistency_matrix` has it."""
    between: Matrix
    """Mean inter-network RSM in the shared space, (n_examples, n_examples)."""
    within: Matrix
    """Mean within-network RSM, (n_examples, n_examples)."""
    native_between: Matrix | None
    """Mean inter-network RSM without alignment; None as above."""
    products: PairProducts
    """What `resampled` needs of the shared space."""
    native_products: PairProducts | None
    """What `resampled` needs of the native spaces; None as above."""

    def __repr__(self) -> str:
        native = "" if self.native_linear is None else f", native_linear={self.native_linear:.3f}"
        return (
            f"AlignmentAgreement({len(self.pairs)} networks, {len(self.within)} examples, "
            f"linear={self.linear:.3f}, rank={self.rank:.3f}{native})"
        )

    def resampled(self, counts: Any, quantity: str = "linear") -> Matrix:
        """Return the agreement had each network been drawn so often.

        Parameters
        ----------
        counts : array of int, shape (n_resamples, n_networks)
            How often each network was drawn. Two copies of one network are no pair: they agree
            whatever the alignment is like.
        quantity : {"linear", "rank", "native_linear", "native_rank"}
            Rank correlations are those of the sampled entries.

        Returns
        -------
        array of float64, shape (n_resamples,)
            The linear ones are exact: what the mean matrices of the resample have.

        Raises
        ------
        ValueError
            If counts are negative, of another shape, or of fewer than two networks, or if the
            native spaces were not compared.

        Notes
        -----
        A linear agreement costs n_networks^4 / 4 operations and touches no example.
        """
        _validate.choice(quantity, "quantity", QUANTITIES)
        products = self.native_products if quantity.startswith("native") else self.products
        if products is None:
            raise ValueError(f"`quantity` must be one that was computed, got {quantity!r}")
        weights = _weights(_checked_counts(counts, len(self.pairs)))
        return products.linear(*weights) if quantity.endswith("linear") else products.rank(*weights)


def alignment_agreement(
    activations: Sequence[Any],
    shared: Sequence[Any],
    *,
    reference: Sequence[Any] | None = None,
    native: bool = True,
    kind: str = "cosine",
    n_sampled: int = 5_000,
    seed: int = 0,
) -> AlignmentAgreement:
    """Return how well similarities between networks reproduce those within, and all that resampling networks needs.

    Parameters
    ----------
    activations : list of array of float, shape (n_examples, n_units_i)
        Native activations, one matrix a network; better of examples that did not fit the space.
    shared : list of array of float, shape (n_examples, n_features)
        The same in the shared space, as `SharedResponseModel.transform` returns them.
    reference : list of array of float, shape (n_examples, n_units_i), optional
        Activations whose similarities within networks are to be reproduced, such as those at the
        end of training; default: `activations`.
    native : bool
        Whether to compare the networks without alignment, too. Left out where they differ in width.
    kind : {"cosine", "pearson"}
        As in `rsm`.
    n_sampled : int
        Entries that rank correlations of resampled networks are computed from, at most; all of them
        where there are no more.
    seed : int
        Of that choice.

    Returns
    -------
    AlignmentAgreement
        `linear` and `rank` are `rsm_agreement` of `inter_rsm` of `shared` with the mean `rsm` of
        `reference`. 0 where similarities do not vary. Examples without direction have similarity 0;
        never NaN.

    Raises
    ------
    TypeError
        If a list is none, or activations are complex.
    ValueError
        If networks or examples differ in number, `shared` matrices in width, there are fewer than
        three examples or two networks, or values are not finite.

    Notes
    -----
    Forms the similarities of all pairs of networks once, tile by tile: n_networks^2 n_examples^2
    n_features operations for the shared space, as many for the native one. Memory: float64 copies
    of the activations, tiles of 32 MiB, and four n_examples^2 matrices. Dead units change nothing.

    References
    ----------
    Lu et al. (2018), Section 2 and Figures 2A and 3, top.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((30, 4))
    >>> turned = [x @ np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(3)]
    >>> model = cv.SharedResponseModel(4, center=False).fit(turned)
    >>> cv.alignment_agreement(turned, model.transform(turned)).linear > 0.999
    True
    """
    networks = _validate.activation_list(activations, "activations", min_examples=3)
    goals = networks
    if reference is not None:
        goals = _validate.activation_list(reference, "reference", min_examples=3)
        refuse_unpaired(goals, networks, "reference")
    mapped = _validate.activation_list(shared, "shared", min_examples=3)
    refuse_unpaired(mapped, networks, "shared")
    refuse_unequal_features(mapped, "shared")
    _validate.integer(n_sampled, "n_sampled", low=2)
    n_examples = networks[0].shape[0]
    n_entries = n_examples * (n_examples - 1) // 2
    sampled = np.arange(n_entries)
    if n_entries > n_sampled:
        rng = np.random.default_rng(_validate.integer(seed, "seed", low=0))
        sampled = np.sort(rng.choice(n_entries, n_sampled, replace=False, shuffle=False))
    within = [directions_of(network, kind) for network in goals]
    found = stream_rsms([directions_of(network, kind) for network in mapped], within, sampled)
    unaligned: StreamedRsms | None = None
    if _validate.flag(native, "native") and len({x.shape[1] for x in networks}) == 1:
        own = within if goals is networks else [directions_of(x, kind) for x in networks]
        unaligned = stream_rsms(own, within, sampled)
    return _result(found, unaligned)


def _result(found: StreamedRsms, unaligned: StreamedRsms | None) -> AlignmentAgreement:
    goal = _lower_ranks(found.within)
    return AlignmentAgreement(
        linear=_of_all(found.products),
        rank=_rank_agreement(found.between, goal),
        native_linear=None if unaligned is None else _of_all(unaligned.products),
        native_rank=None if unaligned is None else _rank_agreement(unaligned.between, goal),
        pairs=_of_pairs(found.products),
        native_pairs=None if unaligned is None else _of_pairs(unaligned.products),
        consistency_pairs=_correlations(found.products),
        between=found.between,
        within=found.within,
        native_between=None if unaligned is None else unaligned.between,
        products=found.products,
        native_products=None if unaligned is None else unaligned.products,
    )


def _lower_ranks(matrix: Matrix) -> Matrix:
    return standardised(compared_entries(matrix, "lower"), "rank")


def _rank_agreement(between: Matrix, goal: Matrix) -> float:
    return float(np.clip(_lower_ranks(between) @ goal, -1.0, 1.0))


def _weights(counts: Matrix) -> tuple[Matrix, Matrix]:
    """Return the weight of each pair and of each network in the means of each resample."""
    first, second = np.tril_indices(counts.shape[1], -1)
    pairs = counts[:, first] * counts[:, second]
    return pairs / pairs.sum(axis=1, keepdims=True), counts / counts.sum(axis=1, keepdims=True)


def _of_all(products: PairProducts) -> float:
    return float(products.linear(*_weights(np.ones((1, len(products.within)))))[0])


def _of_pairs(products: PairProducts) -> Matrix:
    """Return the agreement of each two networks alone."""
    n_networks = len(products.within)
    first, second = np.tril_indices(n_networks, -1)
    counts = np.zeros((first.size, n_networks))
    counts[np.arange(first.size), first] = counts[np.arange(first.size), second] = 1.0
    agreement = np.eye(n_networks)
    agreement[first, second] = agreement[second, first] = products.linear(*_weights(counts))
    return agreement


def _correlations(products: PairProducts) -> Matrix:
    """Return the correlation of every two networks' similarities: those of one network each."""
    n_networks = len(products.within)
    squares = np.diagonal(products.within)
    lengths = np.sqrt(np.maximum(squares, 0.0))
    varies = squares > products.n_entries * ROUNDING**2
    correlations: Matrix = np.zeros((n_networks, n_networks))
    where = varies[:, None] & varies
    np.divide(products.within, lengths[:, None] * lengths, out=correlations, where=where)
    np.clip(correlations, -1.0, 1.0, out=correlations)
    np.fill_diagonal(correlations, varies)
    return correlations


def _checked_counts(counts: Any, n_networks: int) -> Matrix:
    array = _validate.numbers(counts, "counts")
    if array.ndim != 2 or array.shape[1] != n_networks or not array.shape[0]:
        raise ValueError(f"`counts` must have shape (n_resamples, {n_networks}), got {array.shape}")
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(f"`counts` must be finite and not negative, got {array.min()}")
    present = np.count_nonzero(array, axis=1)
    if present.min() < 2:
        raise ValueError(
            f"`counts` must hold at least two networks in each row, got {present.min()} in row "
            f"{int(present.argmin())}"
        )
    return array.astype(np.float64)
