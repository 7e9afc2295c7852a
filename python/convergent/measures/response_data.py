"""What a shared response model is fitted to: activations of the same examples, or their moments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convergent import _core, _validate
from convergent.measures.response_starts import Start
from convergent.measures.shared_space import Matrix, all_products
from convergent.statistics import Moments

Fit = tuple[Any, ...]
"""Weights, response (None from moments), history, whether it converged, and what a kernel adds."""


class ResponseData:
    """Activations or moments, checked, as the kernels take them."""

    def __init__(self, activations: Sequence[Any] | Moments, n_threads: int) -> None:
        self._n_threads = n_threads
        self._kept: dict[bool, Matrix] = {}
        self._means: list[Matrix] | None = None
        self._moments = activations if isinstance(activations, Moments) else None
        if isinstance(activations, Moments):
            self.widths = activations.widths
            self.n_examples = activations.n_examples
            self._means = [activations.mean(i) for i in range(len(self.widths))]
            return
        self._networks = _validate.activation_list(activations, "activations", check_finite=False)
        self.widths = tuple(network.shape[1] for network in self._networks)
        self.n_examples = self._networks[0].shape[0]

    def means(self) -> list[Matrix]:
        """Return the means of each network's units."""
        if self._means is None:
            self._means = [
                _core.kernels.unit_summary(x, None, self._n_threads)[2] for x in self._networks
            ]
            if not all(np.isfinite(mean).all() for mean in self._means):
                self._refuse()
        return self._means

    def deterministic(self, center: bool, starts: list[Start], **settings: Any) -> Fit:
        """Return weights, response, objectives, convergence, the place of work and the best start."""
        settings["n_threads"] = self._n_threads
        if self._moments is None:
            fit = _core.kernels.shared_response(self._networks, center, starts, **settings)
        else:
            fit = _core.kernels.shared_response_of_products(
                self._products(center), self.widths, starts, **settings
            )
        if not np.isfinite(fit[2]).all():
            self._refuse()
        if center and self._means is None:
            self._means = fit[-1]
        return fit[:-1]

    def probabilistic(
        self, center_squares: bool, center: bool, start: list[Matrix], **settings: Any
    ) -> Fit:
        """Return weights, response, log-likelihoods, convergence, noise variances and covariance."""
        settings["n_threads"] = self._n_threads
        squares = self._squares(center_squares)
        if not np.isfinite(squares).all():
            self._refuse()
        if self._moments is None:
            means = self.means() if center else None
            return _core.kernels.probabilistic_response(
                self._networks, means, squares, start, **settings
            )
        products = self._products(center)
        return _core.kernels.probabilistic_response_of_products(
            products, self.widths, float(self.n_examples), squares, start, **settings
        )

    def _refuse(self) -> None:
        """Say why there are no finite squares."""
        if self._moments is None:
            for i, network in enumerate(self._networks):
                _validate.refuse_non_finite(network, f"activations[{i}]")
        raise ValueError("`activations` must be small enough to square in float64")

    def _products(self, center: bool) -> Matrix:
        """Return the cross-products of all units, which a start and the iterations share."""
        assert self._moments is not None
        if center not in self._kept:
            self._kept[center] = all_products(self._moments, center)
        return self._kept[center]

    def _squares(self, center: bool) -> list[float]:
        """Return each network's sum of squares, of centred units if `center`."""
        if self._moments is not None:
            numbers = range(len(self.widths))
            products = (self._moments.cross_product(i, i, center=center) for i in numbers)
            return [float(np.trace(product)) for product in products]
        squares = []
        for network, mean in zip(self._networks, self.means()):
            total = 0.0
            with np.errstate(over="ignore"):
                for rows in _validate.row_blocks(network):
                    block = rows - mean if center else rows.astype(np.float64)
                    total += float(np.vdot(block, block))
            squares.append(total)
        return squares
