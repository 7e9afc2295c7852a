"""The probabilistic shared response model, letter by letter: EM with the covariance of all units.

Chen et al. (2015), Section 3: the units of all networks stacked are normal, given the shared response
s ~ N(0, Sigma): x = W s + mu + noise, W the weights stacked, Psi the noise variances on a diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass
class Parameters:
    weights: list[Matrix]
    noise: list[float]
    covariance: Matrix


def stacked(parameters: Parameters) -> tuple[Matrix, Matrix]:
    """The weights of all networks on top of each other, and Psi."""
    noise = []
    for w, variance in zip(parameters.weights, parameters.noise):
        noise += [variance] * w.shape[0]
    return np.vstack(parameters.weights), np.diag(noise)


def expectation(data: Sequence[Matrix], parameters: Parameters) -> tuple[Matrix, Matrix]:
    """Mean (n_examples, k) and covariance of the shared response given the activations."""
    w, psi = stacked(parameters)
    sigma = parameters.covariance
    gain = (w @ sigma).T @ np.linalg.inv(w @ sigma @ w.T + psi)
    return np.hstack(data) @ gain.T, sigma - gain @ w @ sigma


def log_likelihood(data: Sequence[Matrix], parameters: Parameters) -> float:
    """The density of normal activations, with the covariance of all units written out."""
    w, psi = stacked(parameters)
    covariance = w @ parameters.covariance @ w.T + psi
    inverse = np.linalg.inv(covariance)
    constant = covariance.shape[0] * np.log(2.0 * np.pi) + np.linalg.slogdet(covariance)[1]
    total = 0.0
    for x in np.hstack(data):
        total -= 0.5 * (constant + float(x @ inverse @ x))
    return total


def maximisation(
    data: Sequence[Matrix],
    squares: Sequence[float],
    response: Matrix,
    posterior: Matrix,
    diagonal: float,
) -> Parameters:
    n_examples = response.shape[0]
    second_moment = n_examples * posterior + response.T @ response
    weights, noise = [], []
    for x, square in zip(data, squares):
        a = x.T @ response
        tilted = a.copy()
        for j in range(a.shape[1]):
            tilted[j, j] += diagonal
        u, _, vt = np.linalg.svd(tilted, full_matrices=False)
        w = u @ vt
        weights.append(w)
        residual = square - 2.0 * np.trace(w.T @ a) + np.trace(second_moment)
        noise.append(float(residual) / (n_examples * x.shape[1]))
    return Parameters(weights, noise, second_moment / n_examples)


def starting_parameters(data: Sequence[Matrix], start: Sequence[Matrix]) -> Parameters:
    """Noise variances and covariance of the mean square of all activations."""
    square = sum(float(np.sum(x**2)) for x in data) / sum(x.size for x in data)
    k = start[0].shape[1]
    return Parameters(list(start), [square] * len(data), square * np.eye(k))


def fit(
    networks: Sequence[Matrix],
    start: Sequence[Matrix],
    n_iter: int,
    *,
    center: bool = True,
) -> tuple[Parameters, Matrix, list[float]]:
    """Return the parameters, the shared response that they give, and every log-likelihood."""
    data = [np.asarray(x, dtype=np.float64) for x in networks]
    if center:
        data = [x - x.mean(axis=0) for x in data]
    parameters = starting_parameters(data, start)
    squares = [float(np.sum(x**2)) for x in data]
    history = [log_likelihood(data, parameters)]
    response, posterior = expectation(data, parameters)
    for _ in range(n_iter):
        parameters = maximisation(data, squares, response, posterior, 0.0)
        history.append(log_likelihood(data, parameters))
        response, posterior = expectation(data, parameters)
    return parameters, response, history


def brainiak_fit(
    networks: Sequence[Matrix], start: Sequence[Matrix], n_iter: int
) -> tuple[Parameters, Matrix]:
    """Return the parameters after `n_iter` iterations, and the response that the last one used.

    What BrainIAK 0.12 does: the noise from the squares of activations whose means are not removed, 0.001 on
    the diagonal before the polar factor, ones to start from.
    """
    data = [x - x.mean(axis=0) for x in networks]
    squares = [float(np.sum(x**2)) for x in networks]
    k = start[0].shape[1]
    parameters = Parameters(list(start), [1.0] * len(data), np.eye(k))
    response = np.zeros((data[0].shape[0], k))
    for _ in range(n_iter):
        response, posterior = expectation(data, parameters)
        parameters = maximisation(data, squares, response, posterior, 0.001)
    return parameters, response
