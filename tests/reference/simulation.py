"""The simulation of Lu et al. (2018), Figure 2, letter by letter: a small network, its training, the copies' judge."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.reference import rsm

Matrix = NDArray[np.float64]
Parameters = list[float]
"""Weights of each hidden unit (from x, from y), biases of the hidden units, output weights, output bias."""


def hidden(parameters: Parameters, n_units: int, point: Sequence[float]) -> list[float]:
    activations = []
    for unit in range(n_units):
        drive = parameters[2 * n_units + unit]
        drive += parameters[unit] * point[0] + parameters[n_units + unit] * point[1]
        activations.append(1.0 / (1.0 + math.exp(-drive)))
    return activations


def output(parameters: Parameters, n_units: int, point: Sequence[float]) -> float:
    total = parameters[4 * n_units]
    for unit, activation in enumerate(hidden(parameters, n_units, point)):
        total += parameters[3 * n_units + unit] * activation
    return total


def gradient(parameters: Parameters, n_units: int, points: Matrix, targets: Matrix) -> Parameters:
    """Derivatives of the mean squared error, unit by unit and example by example."""
    result = [0.0] * len(parameters)
    for point, target in zip(points, targets):
        slope = 2.0 * (output(parameters, n_units, point) - target) / len(points)
        result[4 * n_units] += slope
        for unit, h in enumerate(hidden(parameters, n_units, point)):
            result[3 * n_units + unit] += slope * h
            drive = slope * parameters[3 * n_units + unit] * h * (1.0 - h)
            result[2 * n_units + unit] += drive
            result[unit] += drive * point[0]
            result[n_units + unit] += drive * point[1]
    return result


def adam(
    parameters: Parameters,
    n_units: int,
    points: Matrix,
    targets: Matrix,
    n_steps: int,
    learning_rate: float,
) -> Parameters:
    """Kingma & Ba (2015), Algorithm 1, with the settings they propose."""
    parameters = list(parameters)
    first, second = [0.0] * len(parameters), [0.0] * len(parameters)
    for t in range(1, n_steps + 1):
        slopes = gradient(parameters, n_units, points, targets)
        for i, slope in enumerate(slopes):
            first[i] = 0.9 * first[i] + 0.1 * slope
            second[i] = 0.999 * second[i] + 0.001 * slope * slope
            step = first[i] / (1.0 - 0.9**t)
            size = math.sqrt(second[i] / (1.0 - 0.999**t)) + 1e-8
            parameters[i] -= learning_rate * step / size
    return parameters


def agreements(
    test: Sequence[Matrix],
    shared: Sequence[Matrix],
    kind: str,
    entries: str,
    rank: str,
    convention: str,
) -> tuple[float, float, float, float]:
    """Linear and rank agreement in the shared space, then in the native ones.

    Entries that mirror each other are the same but for rounding, and so they share a rank.
    """
    within = np.mean([rsm.inter_rsm(x, x, kind) for x in test], axis=0).round(12)
    result = []
    for networks in (shared, test):
        between = rsm.inter_rsm_of_many(networks, kind, convention).round(12)
        result.append(rsm.agreement(between, within, "linear", entries))
        if rank == "spearman":
            result.append(rsm.agreement(between, within, "rank", entries))
        else:
            result.append(rsm.kendall(between, within, entries))
    return result[0], result[1], result[2], result[3]
