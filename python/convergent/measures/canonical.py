"""Canonical correlations of two networks as single numbers: CCA, SVCCA, PWCCA."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convergent import _validate
from convergent._validate import Floats
from convergent._warnings import FewExamplesWarning
from convergent.measures.centred_rows import centred_rows, square_sum
from convergent.measures.directions import Directions, between, unit_directions
from convergent.measures.shared_space import Matrix

KINDS = ("squared", "mean")


@dataclass(frozen=True, slots=True)
class CanonicalOptions:
    """Which directions are compared and what is made of their correlations; see `cca`, `svcca`."""

    kind: str = "squared"
    center: bool = True
    variance: float | None = None
    weighted: bool = False

    def __post_init__(self) -> None:
        _validate.choice(self.kind, "kind", KINDS)
        _validate.flag(self.center, "center")
        if self.variance is not None and not 0.0 < _validate.real(self.variance, "variance") <= 1.0:
            raise ValueError(f"`variance` must lie in (0, 1], got {self.variance}")

    @property
    def equal_units(self) -> bool:
        """Whether units count alike, whatever their scale."""
        return self.variance is None

    def directions(self, network: Floats, n_threads: int = 1) -> Directions:
        """Return those of a network's directions that are compared."""
        rows = centred_rows(network, center=self.center)
        found = unit_directions(
            rows, equal_units=self.equal_units, center=self.center, n_threads=n_threads
        )
        return self.chosen(found)

    def chosen(self, found: Directions) -> Directions:
        """Return those of all directions that are compared."""
        return found if self.variance is None else found.of_variance(self.variance)

    def values(
        self, products: Matrix, x_loadings: Matrix, y_loadings: Matrix
    ) -> tuple[float, float]:
        """Return the index of x with y and of y with x, from the products of their directions."""
        if min(products.shape) == 0:
            return 0.0, 0.0
        if self.weighted:
            return _projection_weighted(products, x_loadings, y_loadings)
        if self.kind == "squared":
            value = square_sum(products) / min(products.shape)
        else:
            value = float(np.clip(_singular_values(products), 0.0, 1.0).mean())
        return (min(value, 1.0),) * 2


def cca(x: Any, y: Any, *, kind: str = "squared", center: bool = True) -> float:
    """Return the mean (squared) canonical correlation of two networks.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units_x), (n_examples, n_units_y)
        Activations; each column is one unit.
    kind : {"squared", "mean"}
        The mean of the squared correlations, or of the correlations themselves. There are as many
        as the network with fewer independent units has.
    center : bool
        Whether the mean of each unit is taken out first.

    Returns
    -------
    float
        In [0, 1]. No invertible linear map of either network changes it. Dead and dependent units
        add no direction; if all units of a network are dead (constant, with `center`), the value is
        0, with a DeadUnitWarning.

    Raises
    ------
    TypeError
        If an array is complex or `center` no truth value.
    ValueError
        If `x` and `y` differ in examples, have fewer than two, or hold NaN or infinity.

    Warns
    -----
    FewExamplesWarning
        If the units of one network span all dimensions of the examples (one less than there are
        examples, with `center`). Then every correlation is 1, whatever the networks. Below that,
        ``n_x + n_y - n_examples + 1`` of the correlations are 1 where this is positive: have several
        times as many examples as units.

    Notes
    -----
    Each network is factored by Householder reflections on blocks of its examples, ``2 n_examples
    n_units^2`` operations, without a float64 copy; with more units than examples on blocks of its
    units, which takes an (n_examples, n_examples) matrix. Ranks are decided with NumPy's tolerance,
    ``max(n_examples, n_units) * 2.2e-16`` times the largest singular value of the units, each
    scaled to norm 1.

    References
    ----------
    Hotelling (1936); Kornblith et al. (2019), Table 1: "squared" is R^2_CCA there.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> mixed = x @ [[2.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 5.0, 1.0]]
    >>> round(cv.cca(x, mixed), 12)
    1.0
    """
    return _index(x, y, CanonicalOptions(kind, center))


def svcca(x: Any, y: Any, *, variance: float = 0.99, kind: str = "squared") -> float:
    """Return the mean (squared) canonical correlation of the networks' strongest directions.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units_x), (n_examples, n_units_y)
        Activations; each column is one unit.
    variance : float in (0, 1]
        Of each network the fewest principal components are kept that hold this share of its
        variance.
    kind : {"squared", "mean"}
        As in `cca`. Raghu et al. report "mean".

    Returns
    -------
    float
        In [0, 1]. Rotations and one scale for all units of a network change nothing. Dead units
        contribute nothing; if all units of a network are constant, the value is 0, with a
        DeadUnitWarning.

    Raises
    ------
    TypeError
        If an array is complex or `variance` no number.
    ValueError
        If `x` and `y` differ in examples, have fewer than two, or hold NaN or infinity, or
        `variance` does not lie in (0, 1].

    Warns
    -----
    FewExamplesWarning
        As in `cca`, if the directions that are kept span all dimensions of the examples.

    Notes
    -----
    Costs what `cca` does.

    References
    ----------
    Raghu et al. (2017), Section 2; Kornblith et al. (2019), Table 1.

    Examples
    --------
    A unit of little variance does not count.

    >>> import numpy as np, convergent as cv
    >>> random = np.random.default_rng(0)
    >>> x, weak = random.standard_normal((100, 3)), 1e-2 * random.standard_normal((100, 1))
    >>> round(cv.svcca(x, np.hstack([x, weak])), 3)
    1.0
    """
    return _index(x, y, CanonicalOptions(kind, variance=variance))


def pwcca(x: Any, y: Any) -> float:
    """Return the mean canonical correlation, weighted by what the directions make of `x`.

    ``sum_i a_i rho_i / sum_i a_i`` with ``a_i = sum_j |<h_i, x_j>|``: `h_i` are the canonical
    variables of x, `x_j` its units without their means.

    Parameters
    ----------
    x, y : array of float, shape (n_examples, n_units_x), (n_examples, n_units_y)
        Activations; each column is one unit. The weights are those of `x`: the index is **not
        symmetric**.

    Returns
    -------
    float
        In [0, 1]. No invertible linear map of `y` changes it; one of `x` changes the weights. Dead
        units contribute nothing; if all units of a network are constant, the value is 0, with a
        DeadUnitWarning.

    Raises
    ------
    TypeError
        If an array is complex.
    ValueError
        If `x` and `y` differ in examples, have fewer than two, or hold NaN or infinity.

    Warns
    -----
    FewExamplesWarning
        As in `cca`.

    Notes
    -----
    Costs what `cca` does. Where several correlations are equal, their canonical variables, and with
    them the weights, are not determined: beside other correlations the value is then one of many.
    That is so wherever there are fewer examples than units of both networks together, since several
    correlations are 1 then. The authors' program takes the weights from the network with fewer
    units.

    References
    ----------
    Morcos, Raghu and Bengio (2018), Section 2: projection weighted CCA.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> round(cv.pwcca(x, x[:, ::-1] * [1.0, 5.0, 2.0]), 12)
    1.0
    """
    return _index(x, y, CanonicalOptions(weighted=True))


def _index(x: Any, y: Any, options: CanonicalOptions) -> float:
    found = [options.directions(network) for network in _validate.activation_pair(x, y)]
    if warn_of_directions(found, "xy"):
        return 0.0
    return options.values(*between(*found))[0]


def warn_of_directions(found: Sequence[Directions], names: Sequence[str]) -> list[int]:
    """Warn of networks that span nothing or everything, and return those that span nothing."""
    empty = [i for i, directions in enumerate(found) if directions.width == 0]
    for i in empty:
        units = np.arange(found[i].loadings.shape[1])
        _validate.warn_dead_units(names[i], units, "the index is 0")
    full = [name for name, directions in zip(names, found) if directions.is_everything]
    if full:
        listed = ", ".join(f"`{name}`" for name in full[:4]) + (", ..." if full[4:] else "")
        warnings.warn(
            f"{listed} {'spans' if len(full) == 1 else 'span'} all {found[0].n_free} dimensions that "
            "the examples leave: canonical correlations are 1, whatever the networks",
            FewExamplesWarning,
            stacklevel=4,
        )
    return empty


def _projection_weighted(
    products: Matrix, x_loadings: Matrix, y_loadings: Matrix
) -> tuple[float, float]:
    from scipy.linalg import svd

    u, values, vt = svd(products, full_matrices=False, check_finite=False)
    values = np.clip(values, 0.0, 1.0)
    weights = [
        np.abs(v @ loadings).sum(axis=1) for v, loadings in ((u.T, x_loadings), (vt, y_loadings))
    ]
    forward, backward = (min(float(w @ values / w.sum()), 1.0) for w in weights)
    return forward, backward


def _singular_values(products: Matrix) -> Matrix:
    from scipy.linalg import svdvals

    return np.asarray(svdvals(products, check_finite=False))
