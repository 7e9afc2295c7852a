"""Means, covariances and correlations, one unit pair at a time, with exactly rounded sums."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def mean(x: NDArray[np.floating]) -> NDArray[np.float64]:
    columns = np.asarray(x, dtype=np.float64).T
    return np.array([math.fsum(column) / len(column) for column in columns])


def covariance(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float64]:
    result = np.zeros((x.shape[1], y.shape[1]))
    x_centred = np.asarray(x, dtype=np.float64) - mean(x)
    y_centred = np.asarray(y, dtype=np.float64) - mean(y)
    for a in range(x.shape[1]):
        for b in range(y.shape[1]):
            products = [p * q for p, q in zip(x_centred[:, a], y_centred[:, b])]
            result[a, b] = math.fsum(products) / (len(x) - 1)
    return result


def correlation(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float64]:
    result = np.zeros((x.shape[1], y.shape[1]))
    covariances = covariance(x, y)
    x_variances, y_variances = np.diag(covariance(x, x)), np.diag(covariance(y, y))
    for a in range(x.shape[1]):
        for b in range(y.shape[1]):
            if is_constant(x[:, a]) or is_constant(y[:, b]):
                continue
            result[a, b] = covariances[a, b] / math.sqrt(x_variances[a] * y_variances[b])
    return result


def is_constant(unit: NDArray[np.floating]) -> bool:
    return bool((unit == unit[0]).all())
