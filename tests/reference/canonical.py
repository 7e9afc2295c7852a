"""Canonical correlations by QR of the examples and by the eigenproblem; indexes as published sums over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Matrix = NDArray[np.float64]


def centred(x: Matrix, center: bool = True) -> Matrix:
    return np.asarray(x - x.mean(axis=0) if center else x, dtype=np.float64)


def by_eigenproblem(x: Matrix, y: Matrix, center: bool = True) -> Matrix:
    """Generalised eigenvalues of [[0, Sxy], [Syx, 0]] beside [[Sxx, 0], [0, Syy]], for full ranks."""
    x, y = centred(x, center), centred(y, center)
    p, q = x.shape[1], y.shape[1]
    left = np.block([[np.zeros((p, p)), x.T @ y], [y.T @ x, np.zeros((q, q))]])
    right = np.block([[x.T @ x, np.zeros((p, q))], [np.zeros((q, p)), y.T @ y]])
    return np.asarray(eigh(left, right, eigvals_only=True)[::-1][: min(p, q)])


def orthonormal(x: Matrix) -> Matrix:
    """Basis of what the columns span, each at norm 1, at NumPy's rank tolerance."""
    norms = np.linalg.norm(x, axis=0)
    scaled = x[:, norms > 0.0] / norms[norms > 0.0]
    u, s, _ = np.linalg.svd(scaled, full_matrices=False)
    return np.asarray(u[:, s > max(x.shape) * np.finfo(float).eps * s.max(initial=0.0)])


def by_bases(qx: Matrix, qy: Matrix) -> Matrix:
    return np.asarray(np.clip(np.linalg.svd(qx.T @ qy)[1], 0.0, 1.0))


def cca(x: Matrix, y: Matrix, kind: str = "squared", center: bool = True) -> float:
    found = by_bases(orthonormal(centred(x, center)), orthonormal(centred(y, center)))
    return float(np.mean(found**2 if kind == "squared" else found))


def leading(x: Matrix, variance: float) -> Matrix:
    """Fewest left singular vectors that carry this share of the variance."""
    u, s, _ = np.linalg.svd(centred(x), full_matrices=False)
    share = np.cumsum(s**2) / np.sum(s**2)
    n_kept = 1
    while share[n_kept - 1] < variance:
        n_kept += 1
    return np.asarray(u[:, :n_kept])


def svcca(x: Matrix, y: Matrix, variance: float = 0.99, kind: str = "squared") -> float:
    found = by_bases(leading(x, variance), leading(y, variance))
    return float(np.mean(found**2 if kind == "squared" else found))


def pwcca(x: Matrix, y: Matrix) -> float:
    """Morcos et al. (2018): correlations weighted by how much the canonical variables account for x."""
    x, y = centred(x), centred(y)
    qx, qy = orthonormal(x), orthonormal(y)
    u, correlations, _ = np.linalg.svd(qx.T @ qy, full_matrices=False)
    weights = []
    for i in range(len(correlations)):
        variable = qx @ u[:, i]
        weights.append(sum(abs(float(variable @ x[:, j])) for j in range(x.shape[1])))
    return float(np.sum(np.array(weights) * correlations) / np.sum(weights))
