"""Single numbers for how alike two representations are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convergent import _validate
from convergent._validate import Floats
from convergent.measures.kernel_alignment import (
    AlignmentOptions,
    alignment,
    centred_sums,
)


def cka(
    x: Any,
    y: Any,
    kernel: str = "linear",
    debiased: bool = False,
    *,
    bandwidth: float = 0.5,
    batch_size: int | None = None,
) -> float:
    """Return the centred kernel alignment of two networks.

    ``HSIC(x, y) / sqrt(HSIC(x, x) HSIC(y, y))`` of the centred similarity matrices of the examples.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units_x), (n_examples, n_units_y)
        Activations; each column is one unit.
    kernel : {"linear", "rbf"}
        Inner products, or ``exp(-d^2 / (2 s^2))``, where ``s^2`` is ``bandwidth^2`` times the
        median squared distance of all pairs (each example with itself among them; only the pairs
        that are apart, should that median be 0).
    debiased : bool
        The unbiased estimate of HSIC, which is near 0 for independent networks however few the
        examples.
    bandwidth : float
        For the RBF kernel, in median distances.
    batch_size : int, optional
        Estimate each of the three HSICs as the mean of the unbiased ones of consecutive batches of
        so many examples, always debiased; the RBF kernel takes each batch's own median. The
        last batch may be smaller, and is left out where it has fewer than four examples. Shuffle
        the examples first if their order means something.

    Returns
    -------
    float
        In [0, 1]; the debiased value may be negative. Rotations of the units, one scale for all of
        them and constants added to them change nothing. Dead units contribute nothing; if all units
        of a network are constant, the value is 0, with a DeadUnitWarning.
        The unbiased HSIC of a network with itself is the squared norm of a matrix, so that only
        rounding could make it negative. Where it vanishes (all examples are equally alike), the
        value is 0; never NaN.

    Raises
    ------
    TypeError
        If an array is complex, `bandwidth` no number or `batch_size` no whole number.
    ValueError
        If `x` and `y` differ in examples, hold NaN or infinity, or have fewer than four examples
        where `debiased`; if `batch_size` is below four.

    Notes
    -----
    Linear: with more examples than units from the cross-products of the units, in blocks of
    examples and without a float64 copy; otherwise, and for the RBF kernel, from two (n_examples,
    n_examples) matrices and one float64 copy of the activations. With `batch_size` the same for a
    batch: memory does not grow with the number of examples.

    References
    ----------
    Kornblith et al. (2019), Equations 3 and 4; Song et al. (2012), Equation 5, for the unbiased
    estimate; Nguyen, Raghu and Kornblith (2021), Section 3, for batches.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(cv.cka(x, 3.0 * x[:, ::-1] + 1.0), 12)
    1.0
    >>> round(cv.cka(x, 3.0 * x[:, ::-1] + 1.0, batch_size=10), 12)
    1.0
    """
    options = AlignmentOptions(kernel, debiased, bandwidth, batch_size)
    networks = _validate.activation_pair(x, y, min_examples=options.least_examples)
    if warn_if_constant(networks, "xy"):
        return 0.0
    if options.batch_size is None:
        sums = centred_sums(*networks, options.kernel, options.bandwidth, options.debiased)
        return alignment(sums.relative(options.debiased))
    totals = np.zeros(3)
    for start, stop in options.batches(networks[0].shape[0]):
        x_batch, y_batch = (network[start:stop] for network in networks)
        totals += centred_sums(x_batch, y_batch, kernel, options.bandwidth, True).unbiased()
    return alignment((totals[0], totals[1], totals[2]))


def warn_if_constant(
    networks: Sequence[Floats], names: Sequence[str], consequence: str = "the index is 0"
) -> list[int]:
    """Give one warning for each network without variance, and return which these are."""
    found = []
    for i, (name, network) in enumerate(zip(names, networks)):
        if all(bool(np.all(rows == network[0])) for rows in _validate.row_blocks(network)):
            _validate.warn_dead_units(name, np.arange(network.shape[1]), consequence)
            found.append(i)
    return found
