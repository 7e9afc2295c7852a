"""The triangular factor of activations that are on a torch device, accumulated there."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from convergent.nets.device_tensors import check_activations, fill_block, refuse_without_float64
from convergent.statistics.cholesky import LARGEST_SAFE_INVERSE
from convergent.statistics.factor import Factor

_BLOCK_FACTOR = 4  # rows of a block, per column
_MIN_BLOCK_ROWS = 4096
_SAFE_SQUARES = (1e-280, 1e280)  # sums of squares that neither underflowed nor overflowed
_LEAST_SCALE = 1e-300


class DeviceFactor:
    """Keep the triangular factor of ``[1 X_1 ... X_N]`` of tensors, computed where they are.

    The counterpart of `Factor` for activations on a GPU: they need not come to the host for it.
    All of it is float64, whatever the tensors are.

    Parameters
    ----------
    widths : sequence of int
        Number of units of each network.
    device : str or torch.device
        Where to compute; it must have float64.

    Attributes
    ----------
    widths : tuple of int
        Number of units of each network.
    device : torch.device
        Where the factor is.
    n_examples : int
        Examples seen so far.

    Raises
    ------
    TypeError
        If `widths` is not a sequence of whole numbers.
    ValueError
        If `widths` is empty or holds a number below 1, or `device` is MPS, which has no float64.

    Notes
    -----
    Examples are gathered into blocks of ``max(4 p, 4096)`` rows, ``p = 1 + sum(widths)``. A block
    whose columns, scaled to norm 1, have a Gram matrix with an inverse of 1-norm at most 1e5 is
    added to a sum of Gram matrices: one matrix product. Squaring costs nothing there, since the
    sum is no worse conditioned than its worst block: if every ``G_i - D_i / 1e5`` is positive
    semidefinite, ``D_i`` the diagonal of ``G_i``, so is their sum. Any other block, such as one
    with duplicated or constant units, is folded into a triangle by Householder reflections; after
    a failed check the next block does so unchecked, after a second one the next 3, then 7, 15, ...
    until a check succeeds. A unit that is zero
    throughout a block takes no part in its check.

    The device holds about ``6 p^2`` float64, and three times that during a reflection, whatever
    the number of examples (more below ``p = 1024``, where a block has 4096 rows). Blocks do not
    depend on the batches, so neither does the result.

    Examples
    --------
    >>> import torch
    >>> from convergent.nets.device_factor import DeviceFactor
    >>> x, y = torch.tensor([[3.0], [4.0]]), torch.tensor([[1.0], [0.0]])
    >>> factor = DeviceFactor([1, 1], "cpu").update([x, y]).to_factor()
    >>> factor.triangle().round(3)
    array([[5. , 0.6],
           [0. , 0.8]])
    """

    def __init__(self, widths: Sequence[int], device: str | torch.device) -> None:
        self.widths = Factor(widths).widths
        self.device = torch.device(device)
        refuse_without_float64(self.device, "convergent.Factor")
        self.n_examples = 0
        n_columns = 1 + sum(self.widths)
        n_rows = max(_MIN_BLOCK_ROWS, _BLOCK_FACTOR * n_columns)
        self._rows = torch.empty((n_rows, n_columns), dtype=torch.float64, device=self.device)
        self._rows[:, 0] = 1.0
        self._n_pending = 0
        self._triangle = self._rows.new_zeros((n_columns, n_columns))
        self._gram = self._rows.new_zeros((n_columns, n_columns))
        self._n_failures = 0  # checks that failed since one succeeded
        self._n_unchecked = 0  # blocks to come that are not checked

    def __repr__(self) -> str:
        return (
            f"DeviceFactor(widths={list(self.widths)}, device={str(self.device)!r}, "
            f"n_examples={self.n_examples})"
        )

    def update(self, activations: Sequence[torch.Tensor]) -> DeviceFactor:
        """Take in more examples.

        Parameters
        ----------
        activations : sequence of tensor of real numbers, shape (n_examples, widths[i])
            One tensor a network, the same examples in the same order; any memory order. What is on
            another device is copied, block by block.

        Returns
        -------
        DeviceFactor
            This object.

        Raises
        ------
        TypeError
            If something is no tensor, or is complex.
        ValueError
            If a tensor has another width than its network or another number of examples than the
            first one, is empty, or holds NaN or infinity. Nothing is taken in then.
        """
        check_activations(activations, self.widths)
        return self.take(activations)

    def take(self, tensors: Sequence[torch.Tensor]) -> DeviceFactor:
        """Take in tensors that have been checked already (finite, of the right shapes)."""
        columns = self._rows[:, 1:]
        for n_filled in fill_block(columns, self._n_pending, tensors, self.widths):
            self._n_pending = n_filled
            if n_filled == len(self._rows):
                self._fold_block()
        self.n_examples += len(tensors[0])
        return self

    def to_factor(self) -> Factor:
        """Return the factor of the examples so far, on the host; this object may go on.

        Returns
        -------
        Factor
            Of the same numbers as if it had taken in the examples itself: ``R^T R`` agrees to
            rounding.
        """
        if self.n_examples == 0:
            return Factor(self.widths)
        parts = [self._triangle, self._rows[: self._n_pending], _gram_triangle(self._gram)]
        triangle = _triangle_of(parts).cpu().numpy()
        return Factor.from_triangle(self.widths, triangle, self.n_examples)

    def _fold_block(self) -> None:
        """Bring a full block into the Gram matrix or, if that would lose digits, the triangle."""
        self._n_pending = 0
        if self._n_unchecked > 0:
            self._n_unchecked -= 1
        else:
            gram = _well_conditioned_gram(self._rows)
            if gram is not None:
                self._gram += gram
                self._n_failures = 0
                return
            self._n_failures += 1
            self._n_unchecked = 2**self._n_failures - 1
        self._triangle = _triangle_of([self._triangle, self._rows])


def _well_conditioned_gram(rows: torch.Tensor) -> torch.Tensor | None:
    """Return the Gram matrix of the columns, or None if it holds less than the rows do."""
    gram = rows.T @ rows
    alive = torch.linalg.vector_norm(rows, ord=float("inf"), dim=0) > 0.0
    squares = gram.diagonal()[alive]
    low, high = _SAFE_SQUARES
    if not bool(((squares > low) & (squares < high)).all()):
        return None
    scaled = _scaled(gram[alive][:, alive], squares.sqrt())
    lower, failed = torch.linalg.cholesky_ex(scaled)
    if int(failed):
        return None
    inverse = torch.cholesky_inverse(lower)
    is_safe = float(torch.linalg.matrix_norm(inverse, ord=1)) <= LARGEST_SAFE_INVERSE
    return gram if is_safe else None


def _gram_triangle(gram: torch.Tensor) -> torch.Tensor:
    """Return a triangle with that Gram matrix, a sum of well conditioned ones."""
    norms = gram.diagonal().sqrt()
    alive = torch.nonzero(norms > 0.0)[:, 0]
    norms = norms[alive]
    triangle = torch.zeros_like(gram)
    upper = torch.linalg.cholesky(_scaled(gram[alive][:, alive], norms), upper=True)
    triangle[alive[:, None], alive] = upper * norms
    return triangle


def _scaled(gram: torch.Tensor, norms: torch.Tensor) -> torch.Tensor:
    """Return the Gram matrix of columns once each is divided by its norm."""
    return gram / norms / norms[:, None]


def _triangle_of(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the triangular factor of matrices below each other, by Householder reflections.

    Columns are scaled by powers of two first: not every device's routine is safe from overflow.
    """
    rows = torch.cat(list(parts))
    largest = torch.linalg.vector_norm(rows, ord=float("inf"), dim=0)
    scale = torch.exp2(torch.floor(torch.log2(largest.clamp(min=_LEAST_SCALE))))
    triangle: torch.Tensor = torch.linalg.qr(rows.div_(scale), mode="r").R
    return triangle * torch.where(largest > 0.0, scale, 0.0)
