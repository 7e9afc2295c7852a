"""The deterministic shared response model: one space in which all networks meet."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from convergent import _core, _validate
from convergent._validate import Floats
from convergent._warnings import ConvergenceWarning
from convergent.measures.estimator import Estimator
from convergent.measures.response_starts import starting_points
from convergent.measures.shared_space import (
    Matrix,
    all_products,
    feature_count,
    random_weights,
    shared_activations,
)
from convergent.statistics import Moments

ALGORITHMS = ("deterministic",)
CONVENTIONS = ("paper", "brainiak")

_BRAINIAK_DIAGONAL = 0.001


class SharedResponseModel(Estimator):
    """Place the activations of several networks in one shared space by orthonormal maps.

    Minimises ``sum_i ||X_i - S W_i^T||_F^2`` over the shared response ``S`` and the weights ``W_i``
    with ``W_i^T W_i = I``, by alternating ``W_i = polar(X_i^T S)`` and ``S = mean_i X_i W_i``.

    Parameters
    ----------
    n_features : int
        Dimensions k of the shared space, at most the number of units of every network.
    algorithm : {"deterministic"}
        How the model is estimated.
    center : bool
        Remove each unit's mean over the examples first. Ignored by ``convention="brainiak"``, which
        never does.
    max_iter : int
        Most iterations.
    tol : float
        The iterations end when the objective changed by at most this share twice running. With
        ``tol=0`` exactly `max_iter` iterations are run, without a warning, and ``converged_`` is
        False.
    seed : int
        Seed of the random start.
    n_threads : int, optional
        Threads; None takes all processors. The same bits for any number.
    start : {"sequential", "spectral", "random"} or list of array of float, shape (n_units_i, n_features)
        Where the iterations begin: each network aligned to the sum of those before it, the first
        one to its leading directions; or the leading directions of all networks together; or random
        orthonormal weights; or these weights, whose columns must be orthonormal.
    convention : {"paper", "brainiak"}
        "brainiak" gives the numbers of BrainIAK's ``DetSRM``: no centring, 0.001 added to the
        diagonal of ``X_i^T S`` before its polar factor, the plain alternation, and an objective of
        ``1 / (2 n_examples)`` times the sum above.
    extrapolate : bool
        Update network after network, each time trying weights beyond the last step, which are kept
        when they lower the objective: ten times fewer iterations. False runs the plain alternation.
        Ignored by ``convention="brainiak"``.
    n_starts : int
        With more than one, a few iterations are run from `start`, from the other kinds and from
        further random weights, and the best is followed. Needs `extrapolate`.

    Attributes
    ----------
    weights_ : list of array of float64, shape (n_units_i, n_features)
        Orthonormal columns; networks placed by `add` come last.
    shared_response_ : array of float64, shape (n_examples, n_features)
    means_ : list of array of float64, shape (n_units_i,)
        Zeros without centring.
    objective_ : float
        Equation 1 at the end, exact to rounding of the total sum of squares.
    objective_history_ : array of float64, shape (n_iter_ + 1,)
        The start's objective, then one an iteration; never rises, but for rounding.
    n_iter_ : int
    converged_ : bool
    start_ : str
        "sequential", "spectral", "random" or "given": the start that was followed.

    Notes
    -----
    Dead and duplicated units, and more features than the data have rank, are allowed: the weights
    are orthonormal all the same, and directions that the data leave undetermined follow the start.
    Memory: the shared response, and either the cross-products of all units (never more than the
    activations take in float64, or 64 MiB) or blocks of 256 examples. The activations are not
    copied. The same seed gives the same bits with any number of threads.

    References
    ----------
    Lu et al. (2018), Equation 1; Chen et al. (2015), A reduced-dimension fMRI shared response
    model.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((30, 4))
    >>> turn = np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))[0]
    >>> model = cv.SharedResponseModel(4).fit([x, x @ turn])
    >>> bool(model.objective_ < 1e-9), model.converged_, model.weights_[1].shape
    (True, True, (4, 4))
    """

    weights_: list[Matrix]
    shared_response_: Matrix
    means_: list[Matrix]
    objective_: float
    objective_history_: Matrix
    n_iter_: int
    converged_: bool
    start_: str

    def __init__(
        self,
        n_features: int,
        algorithm: str = "deterministic",
        center: bool = True,
        max_iter: int = 100,
        tol: float = 1e-6,
        seed: int = 0,
        n_threads: int | None = None,
        start: str | Sequence[Any] = "sequential",
        convention: str = "paper",
        extrapolate: bool = True,
        n_starts: int = 1,
    ) -> None:
        self.n_features = n_features
        self.algorithm = algorithm
        self.center = center
        self.max_iter = max_iter
        self.tol = tol
        self.seed = seed
        self.n_threads = n_threads
        self.start = start
        self.convention = convention
        self.extrapolate = extrapolate
        self.n_starts = n_starts

    def fit(self, activations: Sequence[Any] | Moments, y: Any = None) -> SharedResponseModel:
        """Estimate the shared response and the weights.

        Parameters
        ----------
        activations : list of array of float, shape (n_examples, n_units_i), or Moments
            One matrix a network, of the same examples; at least two networks. Or the moments of
            such activations, which need not be kept: there is no ``shared_response_`` then, and
            `add` is refused.
        y : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        SharedResponseModel
            The model itself.

        Raises
        ------
        TypeError
            If activations are complex or a parameter is of the wrong kind.
        ValueError
            If examples differ, values are not finite or too large to square, a parameter is out of
            range, or a network has fewer units than `n_features`.
        """
        self._check_parameters()
        if isinstance(activations, Moments):
            widths = activations.widths
            self.means_ = [
                activations.mean(i) if self._centres else np.zeros(width)
                for i, width in enumerate(widths)
            ]
        else:
            networks = _validate.activation_list(activations, "activations")
            widths = tuple(network.shape[1] for network in networks)
            self.means_ = self._unit_means(networks)
        k = feature_count(self.n_features, widths)
        starts = starting_points(self.start, self.n_starts, self.seed, widths, k)
        settings = self._kernel_settings()
        if isinstance(activations, Moments):
            n_examples = activations.n_examples
            products = all_products(activations, self._centres)
            fit = _core.kernels.shared_response_of_products(products, widths, starts, **settings)
        else:
            n_examples = networks[0].shape[0]
            means = self.means_ if self._centres else None
            fit = _core.kernels.shared_response(networks, means, starts, **settings)
        self.weights_, response, history, self.converged_, _, best = fit
        if not np.isfinite(history).all():
            raise ValueError("`activations` must be small enough to square in float64")
        if self.convention == "brainiak":
            history = history / (2.0 * n_examples)
        self.__dict__.pop("shared_response_", None)
        if response is not None:
            self.shared_response_ = response
        self.objective_history_, self.objective_ = history, float(history[-1])
        self.n_iter_, self.start_ = history.size - 1, starts[best][0]
        self._warn_if_stopped_early()
        return self

    def transform(self, activations: Sequence[Any]) -> list[Matrix]:
        """Return each network's activations in the shared space, ``(X_i - mean_i) W_i``.

        Parameters
        ----------
        activations : list of array of float, shape (n_examples, n_units_i)
            One matrix for each fitted or added network, in that order; any examples.

        Returns
        -------
        list of array of float64, shape (n_examples, n_features)

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model was not fitted.
        ValueError
            If the number of networks or of units differs from the fit.
        """
        self._check_fitted()
        networks = _validate.activation_list(
            activations, "activations", min_networks=1, min_examples=1
        )
        self._check_count(len(networks), "activations")
        for i, (network, weights) in enumerate(zip(networks, self.weights_)):
            if network.shape[1] != weights.shape[0]:
                raise ValueError(
                    f"`activations[{i}]` must have {weights.shape[0]} units as in the fit, "
                    f"got {network.shape[1]}"
                )
        return [
            shared_activations(network, weights, mean)
            for network, weights, mean in zip(networks, self.weights_, self.means_)
        ]

    def fit_transform(self, activations: Sequence[Any], y: Any = None) -> list[Matrix]:
        """Fit, then return each network's activations in the shared space."""
        networks = _validate.activation_list(activations, "activations")
        return self.fit(networks).transform(networks)

    def inverse_transform(self, shared: Any) -> list[Matrix]:
        """Return activations of every network from shared-space ones, ``S_i W_i^T + mean_i``.

        Parameters
        ----------
        shared : array of float, shape (n_examples, n_features), or list of such arrays
            One response for all networks, or one for each.

        Returns
        -------
        list of array of float64, shape (n_examples, n_units_i)

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model was not fitted.
        ValueError
            If the number of responses or of features differs from the fit.
        """
        self._check_fitted()
        if isinstance(shared, np.ndarray) and shared.ndim == 2:
            responses = [_validate.matrix(shared, "shared")] * len(self.weights_)
        else:
            responses = _validate.activation_list(shared, "shared", min_networks=1, min_examples=1)
        self._check_count(len(responses), "shared")
        k = self.weights_[0].shape[1]
        for response in responses:
            if response.shape[1] != k:
                raise ValueError(f"`shared` must have {k} features, got {response.shape[1]}")
        return [
            response @ weights.T + mean
            for response, weights, mean in zip(responses, self.weights_, self.means_)
        ]

    def add(self, x_new: Any) -> Matrix:
        """Place one more network in the fitted space, which stays as it is.

        Parameters
        ----------
        x_new : array of float, shape (n_examples, n_units)
            Activations of the new network for the examples of the fit.

        Returns
        -------
        array of float64, shape (n_units, n_features)
            Its weights ``polar(X^T S)``; they and its means are appended to ``weights_`` and
            ``means_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model was not fitted.
        ValueError
            If `x_new` has other examples than the fit, or fewer units than features, or the model
            was fitted to moments.
        """
        self._check_fitted()
        if not hasattr(self, "shared_response_"):
            raise ValueError("a network can be added to a model fitted to examples, not to moments")
        network = _validate.activations(x_new, "x_new")
        n_examples, k = self.shared_response_.shape
        if network.shape[0] != n_examples:
            raise ValueError(
                f"`x_new` must have the {n_examples} examples of the fit, got {network.shape[0]}"
            )
        if network.shape[1] < k:
            raise ValueError(
                f"`x_new` must have at least `n_features` = {k} units, got {network.shape[1]}"
            )
        (means,) = self._unit_means([network])
        anchor = random_weights(np.random.default_rng(self.seed), network.shape[1], k)
        weights: Matrix = _core.kernels.align_to_response(
            network,
            means if self._centres else None,
            self.shared_response_,
            anchor,
            diagonal=self._diagonal,
        )
        self.weights_ = [*self.weights_, weights]
        self.means_ = [*self.means_, means]
        return weights

    def __repr__(self) -> str:
        fitted = f", fitted to {len(self.weights_)} networks" if hasattr(self, "weights_") else ""
        return f"SharedResponseModel(n_features={self.n_features}{fitted})"

    @property
    def _centres(self) -> bool:
        return bool(self.center) and self.convention == "paper"

    @property
    def _diagonal(self) -> float:
        return _BRAINIAK_DIAGONAL if self.convention == "brainiak" else 0.0

    def _unit_means(self, networks: Sequence[Floats]) -> list[Matrix]:
        if not self._centres:
            return [np.zeros(network.shape[1]) for network in networks]
        n_threads = _validate.thread_count(self.n_threads)
        return [_core.kernels.unit_summary(x, None, n_threads)[2] for x in networks]

    def _kernel_settings(self) -> dict[str, Any]:
        return {
            "max_iter": _validate.integer(self.max_iter, "max_iter", low=0),
            "tol": _validate.real(self.tol, "tol"),
            "diagonal": self._diagonal,
            "accelerate": bool(self.extrapolate) and self.convention == "paper",
            "single": None,
            "n_threads": _validate.thread_count(self.n_threads),
        }

    def _check_parameters(self) -> None:
        _validate.choice(self.algorithm, "algorithm", ALGORITHMS)
        _validate.choice(self.convention, "convention", CONVENTIONS)
        _validate.integer(self.max_iter, "max_iter", low=0)
        _validate.integer(self.seed, "seed", low=0)
        if _validate.real(self.tol, "tol") < 0.0:
            raise ValueError(f"`tol` must not be negative, got {self.tol}")
        if self.n_starts != 1 and not (self.extrapolate and self.convention == "paper"):
            raise ValueError(f"`n_starts` must be 1 for the plain alternation, got {self.n_starts}")

    def _check_fitted(self) -> None:
        if not hasattr(self, "weights_"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError("this SharedResponseModel is not fitted yet: call `fit` first")

    def _check_count(self, count: int, name: str) -> None:
        if count != len(self.weights_):
            raise ValueError(
                f"`{name}` must have one matrix for each of the {len(self.weights_)} networks, "
                f"got {count}"
            )

    def _warn_if_stopped_early(self) -> None:
        if self.converged_ or self.tol == 0.0:
            return
        warnings.warn(
            f"the shared response model reached max_iter={self.max_iter} before tol={self.tol}; "
            "see `objective_history_`",
            ConvergenceWarning,
            stacklevel=3,
        )
