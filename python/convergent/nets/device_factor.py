"""The triangular factor of activations that are on a torch device, accumulated there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from convergent.statistics.cholesky import LARGEST_SAFE_INVERSE
from convergent.statistics.factor import Factor

_BLOCK_FACTOR = 4  # rows of a block, per column
_MIN_BLOCK_ROWS = 4096
_SAFE_SQUARES = (1e-280, 1e280)  # sums of squares that neither underflowed nor overflowed
_LEAST_SCALE = 1e-300
_WITHOUT_FLOAT64 = ("mps",)


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
        if self.device.type in _WITHOUT_FLOAT64:
            raise ValueError(
                f"`device` must have float64, which {self.device.type} has not; "
                "use convergent.Factor, on the host"
            )
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
        if len(activations) != len(self.widths):
            raise ValueError(
                f"`activations` must hold {len(self.widths)} networks, got {len(activations)}"
            )
        for i, (tensor, width) in enumerate(zip(activations, self.widths)):
            _check_matrix(tensor, f"activations[{i}]")
            if tensor.shape[1] != width:
                raise ValueError(
                    f"`activations[{i}]` must have {width} units, got {tensor.shape[1]}"
                )
            if len(tensor) != len(activations[0]):
                raise ValueError(
                    f"`activations[{i}]` must have as many examples as `activations[0]`, "
                    f"got {len(tensor)} and {len(activations[0])}"
                )
        for i, tensor in enumerate(activations):
            _refuse_non_finite(tensor, f"activations[{i}]")
        return self.take(activations)

    def take(self, tensors: Sequence[torch.Tensor]) -> DeviceFactor:
        """Take in tensors that have been checked already (finite, of the right shapes)."""
        start, n_examples = 0, len(tensors[0])
        while start < n_examples:
            stop = min(n_examples, start + len(self._rows) - self._n_pending)
            rows = self._rows[self._n_pending : self._n_pending + stop - start, 1:]
            for tensor, columns in zip(tensors, torch.split(rows, list(self.widths), dim=1)):
                columns.copy_(tensor.detach()[start:stop])
            self._n_pending += stop - start
            start = stop
            if self._n_pending == len(self._rows):
                self._fold_block()
        self.n_examples += n_examples
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


class DeviceFactors:
    """The factor of each layer of several networks, accumulated on a torch device.

    Parameters
    ----------
    device : torch.device
        Where to compute; it must have float64.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._factors: dict[str, DeviceFactor] = {}

    def take(self, layer: str, outputs: Sequence[torch.Tensor]) -> None:
        """Take in one batch of a layer: checked outputs (n, units) or (n, channels, h, w)."""
        matrices = [_positions(tensor) for tensor in outputs]
        if layer not in self._factors:
            widths = [matrix.shape[1] for matrix in matrices]
            self._factors[layer] = DeviceFactor(widths, self._device)
        self._factors[layer].take(matrices)

    def finish(self) -> Mapping[str, Factor]:
        """Return the factors by layer, on the host."""
        return {layer: factor.to_factor() for layer, factor in self._factors.items()}


def keeps_factors(device: torch.device) -> bool:
    """Whether factors are better accumulated on a device than on the host, which has the kernel."""
    return device.type not in ("cpu", *_WITHOUT_FLOAT64)


def _positions(images: torch.Tensor) -> torch.Tensor:
    """Return the positions view: (n, c, h, w) becomes (n h w, c), a matrix stays as it is."""
    if images.ndim == 2:
        return images
    return images.permute(0, 2, 3, 1).reshape(-1, images.shape[1])


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


def _check_matrix(tensor: object, name: str) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"`{name}` must be a tensor, got {type(tensor).__name__}")
    if tensor.is_complex():
        raise TypeError(f"`{name}` must be real, got complex values ({tensor.dtype})")
    if tensor.ndim != 2:
        raise ValueError(
            f"`{name}` must be two-dimensional (n_examples, n_units), "
            f"got shape {tuple(tensor.shape)}"
        )
    if tensor.numel() == 0:
        raise ValueError(f"`{name}` must not be empty, got shape {tuple(tensor.shape)}")


def _refuse_non_finite(tensor: torch.Tensor, name: str) -> None:
    finite = torch.isfinite(tensor)
    if bool(finite.all()):
        return
    first = int(torch.nonzero(~finite.all(dim=0))[0, 0])
    raise ValueError(
        f"`{name}` must be finite, got {int((~finite).sum())} NaN or infinite values, "
        f"the first in unit {first}"
    )
