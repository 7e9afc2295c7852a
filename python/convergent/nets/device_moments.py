"""Joint moments of activations that are on a torch device, accumulated there."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from convergent.nets.device_tensors import check_activations, fill_block, refuse_without_float64
from convergent.statistics.batches import LARGEST
from convergent.statistics.moments import Moments

_BLOCK_ROWS = 4096


class DeviceMoments:
    """Keep the joint moments of ``[X_1 ... X_N]`` of tensors, computed where they are.

    The counterpart of `Moments` for activations on a GPU: they need not come to the host for it.
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
        Where the moments are.
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
    Examples are gathered into blocks of 4,096 rows. Each is centred by its own mean and merged with
    those before (Chan, Golub and LeVeque), as `Moments` does. The device holds ``p^2 + 4096 p``
    float64, ``p = sum(widths)``, whatever the number of examples, and briefly as much again. Blocks
    do not depend on the batches, so neither does the result.

    References
    ----------
    Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.

    Examples
    --------
    >>> import torch
    >>> from convergent.nets.device_moments import DeviceMoments
    >>> x = torch.tensor([[0.0], [1.0], [2.0]])
    >>> moments = DeviceMoments([1, 1], "cpu").update([x, -x]).to_moments()
    >>> moments.correlation(0, 1)
    array([[-1.]])
    """

    def __init__(self, widths: Sequence[int], device: str | torch.device) -> None:
        self.widths = Moments(widths).widths
        self.device = torch.device(device)
        refuse_without_float64(self.device, "convergent.Moments")
        self.n_examples = 0
        n_units = sum(self.widths)
        # The extra row carries the step of the mean into the same matrix product.
        self._rows = torch.empty(
            (_BLOCK_ROWS + 1, n_units), dtype=torch.float64, device=self.device
        )
        self._n_pending = 0
        self._n_merged = 0
        self._mean = self._rows.new_zeros((2, n_units))  # the second row: what rounding takes
        self._products = self._rows.new_zeros((n_units, n_units))

    def __repr__(self) -> str:
        return (
            f"DeviceMoments(widths={list(self.widths)}, device={str(self.device)!r}, "
            f"n_examples={self.n_examples})"
        )

    def update(self, activations: Sequence[torch.Tensor]) -> DeviceMoments:
        """Take in more examples.

        Parameters
        ----------
        activations : sequence of tensor of real numbers, shape (n_examples, widths[i])
            One tensor a network, the same examples in the same order; any memory order. What is on
            another device is copied, block by block.

        Returns
        -------
        DeviceMoments
            This object.

        Raises
        ------
        TypeError
            If something is no tensor, or is complex.
        ValueError
            If a tensor has another width than its network or another number of examples than the
            first one, is empty, or holds NaN, infinity or a value beyond 1e140. Nothing is taken in
            then.
        """
        check_activations(activations, self.widths)
        return self.take(activations)

    def take(self, tensors: Sequence[torch.Tensor]) -> DeviceMoments:
        """Take in tensors that have been checked already (finite, of the right shapes)."""
        for i, tensor in enumerate(tensors):
            if tensor.dtype == torch.float64 and float(tensor.detach().abs().max()) > LARGEST:
                raise ValueError(f"`activations[{i}]` must be below {LARGEST:g} in magnitude")
        block = self._rows[:_BLOCK_ROWS]
        for n_filled in fill_block(block, self._n_pending, tensors, self.widths):
            self._n_pending = n_filled
            if n_filled == _BLOCK_ROWS:
                self._merge(self._rows, self._mean, self._products)
                self._n_merged += _BLOCK_ROWS
                self._n_pending = 0
        self.n_examples += len(tensors[0])
        return self

    def to_moments(self) -> Moments:
        """Return the moments of the examples so far, on the host; this object may go on.

        Returns
        -------
        Moments
            Of the same numbers, but for rounding, as if it had taken in the examples itself.
        """
        if self.n_examples == 0:
            return Moments(self.widths)
        mean, products = self._mean, self._products
        if self._n_pending:
            mean, products = mean.clone(), products.clone()
            self._merge(self._rows[: self._n_pending + 1].clone(), mean, products)
        return Moments.from_products(
            self.widths, self.n_examples, mean[0].cpu().numpy(), products.cpu().numpy()
        )

    def _merge(self, rows: torch.Tensor, mean: torch.Tensor, products: torch.Tensor) -> None:
        """Merge all rows but the last into mean and products; rows are overwritten."""
        block = rows[:-1]
        total = self._n_merged + len(block)
        first = block[0].clone()
        block -= first  # a constant unit becomes exact zeros
        shift = block.mean(dim=0)
        block -= shift
        rows[-1] = 0.0
        if self._n_merged:
            step = (first - mean[0]) + (shift - mean[1])
            rows[-1] = step * (self._n_merged * (len(block) / total)) ** 0.5
            first, shift = mean[0].clone(), step * (len(block) / total) + mean[1]
        mean[0] = first + shift
        taken = mean[0] - first
        mean[1] = (first - (mean[0] - taken)) + (shift - taken)
        products.addmm_(rows.T, rows)
