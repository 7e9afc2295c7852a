"""The shared response model: one space in which all networks meet."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from convergent import _core, _validate
from convergent._warnings import ConvergenceWarning
from convergent.measures.estimator import Estimator
from convergent.measures.response_data import Fit, ResponseData
from convergent.measures.response_starts import Start, starting_points
from convergent.measures.shared_space import (
    Matrix,
    feature_count,
    random_weights,
    shared_activations,
)
from convergent.statistics import Moments

ALGORITHMS = ("deterministic", "probabilistic")
CONVENTIONS = ("paper", "brainiak")

_BRAINIAK_DIAGONAL = 0.001


class SharedResponseModel(Estimator):
    """Place the activations of several networks in one shared space by orthonormal maps.

    Minimises ``sum_i ||X_i - S W_i^T||_F^2`` over the shared response ``S`` and the weights ``W_i``
    with ``W_i^T W_i = I``, by alternating ``W_i = polar(X_i^T S)`` and ``S = mean_i X_i W_i``; or,
    with ``algorithm="probabilistic"``, maximises the likelihood of ``x_i = W_i s + noise`` for a
    normal ``s`` of any covariance and noise of one variance a network, by expectation and
    maximisation.

    Parameters
    ----------
    n_features : int
        Dimensions k of the shared space, at most the number of units of every network.
    algorithm : {"deterministic", "probabilistic"}
        How the model is estimated.
    center : bool
        Remove each unit's mean over the examples first. Ignored by ``convention="brainiak"``.
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
        "brainiak" gives the numbers of BrainIAK's ``DetSRM`` and ``SRM``: 0.001 added to the
        diagonal of ``X_i^T S`` before its polar factor. ``DetSRM``: no centring, the plain
        alternation, and an objective of ``1 / (2 n_examples)`` times the sum above. ``SRM``: means
        are removed for the fit but not in `transform`, the noise is measured on activations with
        their means, variances begin at 1, and the response is the one before the last weights.
    extrapolate : bool
        Update network after network, each time trying weights beyond the last step, which are kept
        when they lower the objective: ten times fewer iterations. False runs the plain alternation.
        Ignored by ``convention="brainiak"`` and the probabilistic algorithm.
    n_starts : int
        With more than one, a few iterations are run from `start`, from the other kinds and from
        further random weights, and the best (by the sum above) is followed. Needs `extrapolate`.

    Attributes
    ----------
    weights_ : list of array of float64, shape (n_units_i, n_features)
        Orthonormal columns; networks placed by `add` come last.
    shared_response_ : array of float64, shape (n_examples, n_features)
    means_ : list of array of float64, shape (n_units_i,)
        Zeros without centring.
    objective_ : float
        Equation 1 at the end, exact to rounding of the total sum of squares; of the probabilistic
        algorithm the negative log-likelihood, in nats.
    objective_history_ : array of float64, shape (n_iter_ + 1,)
        The start's objective, then one an iteration; never rises, but for rounding. The weights of
        a start of large networks with n_features units are only roughly orthonormal, and its value
        is the total sum of squares less N times that of its shared response.
    noise_variances_ : array of float64, shape (n_networks,)
        Of the probabilistic algorithm alone, for the networks of the fit; at least 1e-10 of the
        largest mean square, which noiseless activations reach.
    covariance_ : array of float64, shape (n_features, n_features)
        Of the shared response; of the probabilistic algorithm alone.
    n_iter_ : int
    converged_ : bool
    start_ : str
        "sequential", "spectral", "random" or "given": the start that was followed.

    Notes
    -----
    Dead and duplicated units, and more features than the data have rank, are allowed: the weights
    are orthonormal all the same, undetermined directions follow the start.
    Memory: the shared response, and either the cross-products of all units (never more than the
    activations take in float64, or 64 MiB) or blocks of examples. Large activations that are read in
    every iteration are copied to float32; their start is found on one example of every four, then
    mended while all are read for the first time. Iterations are in float64 where only that can tell
    what they change; the weights, the response and the last objective always are. With
    ``extrapolate=False`` all is in float64. The same seed gives the same bits with any number of
    threads.

    References
    ----------
    Lu et al. (2018), Equation 1; Chen et al. (2015), A reduced-dimension fMRI shared response
    model, Section 3.

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
    noise_variances_: Matrix
    covariance_: Matrix
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
        data = ResponseData(activations, _validate.thread_count(self.n_threads))
        k = feature_count(self.n_features, data.widths)
        starts = starting_points(self.start, self.n_starts, self.seed, data.widths, k)
        for name in ("shared_response_", "noise_variances_", "covariance_"):
            self.__dict__.pop(name, None)
        if self.algorithm == "deterministic":
            fit = data.deterministic(self._centres, starts, **self._sweep_settings())
            best = fit[5]
        else:
            fit, best = self._fit_probabilistic(data, starts)
            self.noise_variances_, self.covariance_ = fit[4:6]
        weights, response, history, converged = fit[:4]
        if self.algorithm == "probabilistic":
            history = -history
        elif self.convention == "brainiak":
            history = history / (2.0 * data.n_examples)
        if response is not None:
            self.shared_response_ = response
        self.weights_, self.converged_ = weights, converged
        self.means_ = data.means() if self._centres else [np.zeros(n) for n in data.widths]
        self.objective_history_, self.objective_ = history, float(history[-1])
        self.n_iter_, self.start_ = history.size - 1, starts[best][0]
        self._warn_if_stopped_early()
        return self

    def _fit_probabilistic(self, data: ResponseData, starts: list[Start]) -> tuple[Fit, int]:
        """Return the fit by expectation and maximisation, and which start it began at."""
        is_brainiak = self.convention == "brainiak"
        center = is_brainiak or self._centres
        weights, best = starts[0][1], 0
        if len(starts) > 1 or starts[0][0] in ("sequential", "spectral"):
            settings = {**self._sweep_settings(), "max_iter": 0, "accelerate": True}
            weights, *_, best = data.deterministic(center, starts, **settings)
        settings = {**self._common_settings(), "unit_start": is_brainiak}
        return data.probabilistic(center and not is_brainiak, center, weights, **settings), best

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
        means = np.zeros(network.shape[1])
        if self._centres:
            n_threads = _validate.thread_count(self.n_threads)
            means = _core.kernels.unit_summary(network, None, n_threads)[2]
        anchor = random_weights(np.random.default_rng(self.seed), network.shape[1], k)
        weights: Matrix = _core.kernels.align_to_response(
            network,
            means if self._centres else None,
            self.shared_response_,
            anchor,
            diagonal=0.0,
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

    def _common_settings(self) -> dict[str, Any]:
        return {
            "max_iter": _validate.integer(self.max_iter, "max_iter", low=0),
            "tol": _validate.real(self.tol, "tol"),
            "diagonal": _BRAINIAK_DIAGONAL if self.convention == "brainiak" else 0.0,
        }

    def _sweep_settings(self) -> dict[str, Any]:
        accelerate = bool(self.extrapolate) and self.convention == "paper"
        return {**self._common_settings(), "accelerate": accelerate, "single": None}

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
