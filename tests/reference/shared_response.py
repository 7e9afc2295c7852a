"""The deterministic shared response model, letter by letter, on the examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def objective(networks: Sequence[Matrix], weights: Sequence[Matrix], shared: Matrix) -> float:
    total = 0.0
    for x, w in zip(networks, weights):
        total += float(np.sum((x - shared @ w.T) ** 2))
    return total


def shared_response(networks: Sequence[Matrix], weights: Sequence[Matrix]) -> Matrix:
    shared = np.zeros((networks[0].shape[0], weights[0].shape[1]))
    for x, w in zip(networks, weights):
        shared = shared + x @ w
    return shared / len(networks)


def procrustes(a: Matrix) -> Matrix:
    u, _, vt = np.linalg.svd(a, full_matrices=False)
    result: Matrix = u @ vt
    return result


def fit(
    networks: Sequence[Matrix],
    start: Sequence[Matrix],
    n_iter: int,
    *,
    center: bool = True,
    diagonal: float = 0.0,
) -> tuple[list[Matrix], Matrix, list[float]]:
    """Return weights, shared response and the objective of the start and of every iteration."""
    data = [np.asarray(x, dtype=np.float64) for x in networks]
    if center:
        data = [x - x.mean(axis=0) for x in data]
    weights = [np.asarray(w, dtype=np.float64) for w in start]
    shared = shared_response(data, weights)
    history = [objective(data, weights, shared)]
    for _ in range(n_iter):
        for i, x in enumerate(data):
            a = x.T @ shared
            for j in range(a.shape[1]):
                a[j, j] += diagonal
            weights[i] = procrustes(a)
        shared = shared_response(data, weights)
        history.append(objective(data, weights, shared))
    return weights, shared, history


def sweeps(
    networks: Sequence[Matrix],
    start: Sequence[Matrix],
    n_sweeps: int,
    *,
    center: bool = True,
    rounding: float = 2.0**-51,
) -> tuple[list[Matrix], list[float]]:
    """Network after network, with steps beyond the last product that are kept when they rise."""
    data = [np.asarray(x, dtype=np.float64) for x in networks]
    if center:
        data = [x - x.mean(axis=0) for x in data]
    weights = [np.asarray(w, dtype=np.float64) for w in start]
    last = [np.zeros_like(w) for w in weights]
    history = [objective(data, weights, shared_response(data, weights))]
    reach, pushes, change = 0.9, 0, 0.0
    for sweep in range(n_sweeps):
        refused = 0
        for i, x in enumerate(data):
            others = [j for j in range(len(data)) if j != i or x.shape[1] > weights[i].shape[1]]
            product = x.T @ np.sum([data[j] @ weights[j] for j in others], axis=0)
            if i == 0:
                before, change = change, float(np.sum((product - last[0]) ** 2))
                pushes = next_pushes(sweep, pushes, change, before)
            turned = procrustes(product)
            if pushes > 0:
                beyond = (reach if pushes == 1 else 0.55 * reach) * (product - last[i])
                trial = procrustes(product + beyond)
                least = (-1.0 if pushes == 1 else 1.0) * rounding * np.sum(weights[i] * product)
                if np.sum((trial - weights[i]) * product) >= least:
                    turned = trial
                else:
                    refused += 1
            weights[i], last[i] = turned, product
        is_plain = 2 * refused > len(data)
        if pushes == 1:
            reach = max(0.7 * reach, 0.2) if is_plain else min(1.3 * reach, 0.9)
        pushes = 0 if is_plain else pushes
        history.append(objective(data, weights, shared_response(data, weights)))
    return weights, history


def next_pushes(sweep: int, pushes: int, change: float, before: float) -> int:
    """A push after each plain sweep, and one more where it changed the first product more."""
    if sweep == 0:
        return 0
    if pushes == 0:
        return 1
    return 2 if pushes == 1 and change > 2.2 * before else 0


def spectral_start(networks: Sequence[Matrix], k: int) -> list[Matrix]:
    """The leading directions of all units together, each network's part made orthonormal."""
    joined = np.concatenate([x - x.mean(axis=0) for x in networks], axis=1)
    _, _, directions = np.linalg.svd(joined, full_matrices=False)
    parts = np.split(directions[:k].T, np.cumsum([x.shape[1] for x in networks])[:-1])
    return [procrustes(part) for part in parts]


def start_from_some(networks: Sequence[Matrix], first: Matrix) -> list[Matrix]:
    """One example of every four gives weights, which one reading of all of them mends."""
    k = first.shape[1]
    state, rows = 1, []
    for group in range(len(networks[0]) // 4):
        state = (1664525 * state + 1013904223) % 2**32
        rows.append(4 * group + (state >> 16) % 4)
    drawn = [x[rows] - x[rows].mean(axis=0) for x in networks]
    begun = in_halves(drawn, first)
    shared = shared_response(drawn, begun)
    products = [len(drawn) * x.T @ shared for x in drawn]
    weights = [procrustes(p) for p in products]
    rise = 2.0 * sum(np.sum((w - b) * p) for w, b, p in zip(weights, begun, products))
    worth = 0.12 * k / len(rows)
    swept = weights
    if rise / len(drawn) / 10.0 >= worth * objective(drawn, begun, shared):
        for n_sweeps in range(1, 21):
            swept, values = sweeps(drawn, weights, n_sweeps, rounding=2.0**-22)
            if values[-2] - values[-1] < worth * values[-1]:
                break
    return rounds(networks, swept, [x[rows].mean(axis=0) for x in networks])


def in_halves(networks: Sequence[Matrix], first: Matrix) -> list[Matrix]:
    """The first network near its leading directions, those of the first half and one more aligned to
    all before them, the others to these."""
    x = networks[0]
    weights = [procrustes(x.T @ (x @ procrustes(first)))]
    response = x @ weights[0]
    n_first = len(networks) // 2 + 1
    for x in networks[1:n_first]:
        weights.append(procrustes(x.T @ response))
        response = response + x @ weights[-1]
    return weights + [procrustes(x.T @ response) for x in networks[n_first:]]


def rough_in_sequence(networks: Sequence[Matrix], first: Matrix) -> list[Matrix]:
    """The same where square networks begin at the rough factors of their products; `first` is square."""
    weights = [first]
    response = networks[0] @ first
    for x in networks[1:]:
        product = x.T @ response
        is_square = x.shape[1] == first.shape[1]
        weights.append(rough_factor(product) if is_square else procrustes(product))
        response = response + x @ weights[-1]
    return weights


def rough_factor(a: Matrix) -> Matrix:
    """Halley's steps for singular values of at least 1e-4 of a bound of the norm."""
    u, values, vt = np.linalg.svd(a)
    sums = np.abs(a).sum(axis=0).max() * np.abs(a).sum(axis=1).max()
    values = values / min(np.sqrt(sums), np.linalg.norm(a))
    least = 1e-4
    while least < 0.995:
        d = (4.0 * (1.0 - least**2) / least**4) ** (1.0 / 3.0)
        root = np.sqrt(1.0 + d)
        c1 = root + 0.5 * np.sqrt(8.0 - 4.0 * d + 8.0 * (2.0 - least**2) / (least**2 * root))
        c2 = (c1 - 1.0) ** 2 / 4.0
        c3 = c1 + c2 - 1.0
        values = values * (c1 + c2 * values**2) / (1.0 + c3 * values**2)
        least = least * (c1 + c2 * least**2) / (1.0 + c3 * least**2)
    result: Matrix = (u * values) @ vt
    return result


def blocks_of_rounds(n_blocks: int) -> list[list[int]]:
    """Numbers of blocks in rounds of growing size, the first of at least four blocks; every block
    goes to the round that lacks most of its share of the blocks up to it."""
    shares = [1, 2, 4]
    while len(shares) > 1 and n_blocks < 4 * sum(shares):
        shares.pop()
    result: list[list[int]] = [[] for _ in shares]
    for block in range(n_blocks):
        lacking = [
            share * (block + 1) - sum(shares) * len(blocks)
            for share, blocks in zip(shares, result, strict=True)
        ]
        result[lacking.index(max(lacking))].append(block)
    return result


def rounds(
    networks: Sequence[Matrix], weights: Sequence[Matrix], centres: Sequence[Matrix]
) -> list[Matrix]:
    """Weights of the products so far, after each of up to three shares of the examples, in blocks for
    which different networks, at least five if there are as many, make up the response."""
    n_examples, n_networks = networks[0].shape[0], len(networks)
    n_turns = max(1, n_networks // 5)
    weights = list(weights)
    products = [np.zeros_like(w) for w in weights]
    for blocks in blocks_of_rounds(-(-n_examples // 64)):
        share = np.concatenate([np.arange(n_examples)[64 * b : 64 * b + 64] for b in blocks])
        means = [x[share].mean(axis=0) for x in networks]
        for turn, block in enumerate(blocks):
            rows = slice(64 * block, 64 * block + 64)
            heard = [i for i in range(n_networks) if (i + turn) % n_turns == 0]
            response = np.sum(
                [(networks[i][rows] - centres[i]) @ weights[i] for i in heard], axis=0
            )
            for i, x in enumerate(networks):
                products[i] = products[i] + (x[rows] - means[i]).T @ response
        weights = [procrustes(p) for p in products]
    return weights
