"""Similarity indexes of pairs and of many networks at once, beside the obvious NumPy forms and rsatoolbox."""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

import convergent as cv
from bench.harness import Row, Session

Matrix = NDArray[Any]
SAMPLE = 8
"""Pairs on which the obvious loop is timed; its time is scaled to all pairs."""


def representations(n_matrices: int, n_examples: int, n_units: int = 512) -> list[Matrix]:
    """Rectified mixtures of forty common causes, float32; the further apart, the less alike."""
    rng = np.random.default_rng(0)
    causes = rng.standard_normal((n_examples, 40), dtype=np.float32)
    found = []
    for i in range(n_matrices):
        if i % 20 == 0 and i:  # the next layer
            causes = 0.8 * causes + 0.6 * rng.standard_normal(causes.shape, dtype=np.float32)
        mixed = causes @ rng.standard_normal((40, n_units), dtype=np.float32) / 6.0
        mixed += rng.standard_normal(mixed.shape, dtype=np.float32)
        found.append(np.maximum(mixed, 0.0))
    return found


def numpy_cka(x: Matrix, y: Matrix) -> float:
    """Linear CKA from cross-products (Kornblith et al. 2019), in the precision of the input."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    cross = np.linalg.norm(x.T @ y) ** 2
    return float(cross / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


def numpy_debiased_cka(x: Matrix, y: Matrix) -> float:
    """Debiased linear CKA as it is usually written, from Gram matrices without their diagonals."""

    def hsic(k: Matrix, other: Matrix) -> float:
        n = len(k)
        first = np.sum(k * other) + k.sum() * other.sum() / ((n - 1) * (n - 2))
        return float(first - 2.0 / (n - 2) * np.sum(k.sum(axis=0) * other.sum(axis=0)))

    grams = [m @ m.T for m in (x - x.mean(axis=0), y - y.mean(axis=0))]
    for gram in grams:
        np.fill_diagonal(gram, 0.0)
    own = hsic(grams[0], grams[0]) * hsic(grams[1], grams[1])
    return float(hsic(*grams) / np.sqrt(own))


def numpy_cca(x: Matrix, y: Matrix) -> float:
    """Mean squared canonical correlation by QR of the examples."""
    qx, qy = (np.linalg.qr(m - m.mean(axis=0))[0] for m in (x, y))
    return float(np.linalg.norm(qx.T @ qy) ** 2 / min(qx.shape[1], qy.shape[1]))


def numpy_svcca(x: Matrix, y: Matrix) -> float:
    """Mean squared canonical correlation of the singular vectors that hold 99 % of the variance."""
    bases = []
    for m in (x, y):
        u, s, _ = np.linalg.svd(m - m.mean(axis=0), full_matrices=False)
        bases.append(u[:, : int(np.searchsorted(np.cumsum(s**2) / np.sum(s**2), 0.99)) + 1])
    n_least = min(basis.shape[1] for basis in bases)
    return float(np.linalg.norm(bases[0].T @ bases[1]) ** 2 / n_least)


def numpy_procrustes(x: Matrix, y: Matrix) -> float:
    """Nuclear norm of the cross-products over the norms."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    size = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.linalg.norm(x.T @ y, "nuc") / size)


def numpy_rsa(x: Matrix, y: Matrix) -> float:
    """Correlation of the cosine similarities below the diagonal."""
    unit = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in (x, y)]
    below = np.tril_indices(len(x), -1)
    return float(np.corrcoef((unit[0] @ unit[0].T)[below], (unit[1] @ unit[1].T)[below])[0, 1])


def in_double(index: Callable[[Matrix, Matrix], float]) -> Callable[[Matrix, Matrix], float]:
    """Return the index of float64 copies of its arguments."""
    return lambda x, y: index(x.astype(np.float64), y.astype(np.float64))


def blas_threads() -> int:
    """Return how many threads NumPy's products take, so that the atlases take as many."""
    from threadpoolctl import threadpool_info

    counts = [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]
    return max(counts, default=1)


def close(tolerance: float) -> Callable[[Any, Any], None]:
    """Return a check that answers agree."""

    def check(ours: Any, theirs: Any) -> None:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)

    return check


def pairs(session: Session, n_examples: int, n_units: int) -> None:
    """One pair of networks: every index."""
    x, y = (m.astype(np.float64) for m in representations(2, n_examples, n_units))
    gram = n_examples * n_units**2 / 1e9
    size = f"2 networks x {n_units} units x {n_examples:,} examples, float64"
    races: list[tuple[str, Any, Any, str]] = [
        ("cca", cv.cca, numpy_cca, f"two factors and three products: {10 * gram:.0f} Gflop"),
        ("svcca", cv.svcca, numpy_svcca, f"two factors and three products: {10 * gram:.0f} Gflop"),
        ("procrustes", cv.procrustes, numpy_procrustes, f"one product: {2 * gram:.0f} Gflop"),
        ("rsa", cv.rsa, numpy_rsa,
         f"half of two Gram matrices: {2 * n_examples**2 * n_units / 1e9:.0f} Gflop"),
        ("debiased cka", lambda x, y: cv.cka(x, y, debiased=True), numpy_debiased_cka,
         f"three products, two of them symmetric: {4 * gram:.0f} Gflop"),
    ]  # fmt: skip
    for name, ours, theirs, limit in races:
        session.race(
            f"{name}: {size}",
            {
                "convergent": lambda ours=ours: ours(x, y),
                "NumPy": lambda theirs=theirs: theirs(x, y),
            },
            close(1e-9),
            runs=min(session.runs, 3),
            limit=limit,
        )


def atlas(
    session: Session,
    networks: Sequence[Matrix],
    index: str,
    obvious: dict[str, tuple[Callable[[Matrix, Matrix], float], float]],
    limit: str,
    **options: Any,
) -> None:
    """Time an atlas, and loops over some of its pairs; the answers of those pairs are asserted."""
    n = len(networks)
    n_examples, n_units = networks[0].shape
    every = list(combinations(range(n), 2))
    chosen = [every[k] for k in np.linspace(0, len(every) - 1, SAMPLE).astype(int)]
    n_threads = blas_threads()
    start = time.perf_counter()
    values = cv.index_atlas(networks, index, n_threads=n_threads, **options).values
    seconds = {f"convergent, all {len(every):,} pairs": time.perf_counter() - start}
    for name, (of_pair, tolerance) in obvious.items():
        of_pair(*networks[:2])
        start = time.perf_counter()
        found = [of_pair(networks[i], networks[j]) for i, j in chosen]
        each = (time.perf_counter() - start) / len(chosen)
        close(tolerance)([values[i, j] for i, j in chosen], found)
        seconds[f"{name}, {len(chosen)} pairs scaled to all"] = each * len(every)
    shape = f"{n} matrices x {n_units} units x {n_examples:,} examples, {n_threads} threads"
    title = f"atlas of {index}{' ' + str(options) if options else ''}: {shape}"
    session.limits.append({"race": title, "limit": limit})
    print(f"\n{title}\n  limit: {limit}")
    base = next(iter(seconds.values()))
    for name, taken in seconds.items():
        session.rows.append(Row(title, name, taken, taken, taken, 1, taken / base))
        print(f"  {name:<52} {taken:>10.2f} s   x {taken / base:.2f}", flush=True)


def cka_limit(n_matrices: int, n_examples: int, n_units: int) -> str:
    """Return how many operations the two ways to linear CKA take."""
    total = n_matrices * n_units
    tiles = n_examples**2 * (total + n_matrices**2 / 2) / 1e12
    units = n_examples * (total**2 + n_matrices * n_units**2) / 1e12
    loop = n_matrices * (n_matrices - 1) / 2 * 4 * n_examples * n_units**2 / 1e12
    return (
        f"{tiles:.2f} Tflop by Gram matrices of the examples in tiles, {units:.2f} by products of units, "
        f"{loop:.2f} in the loop (two of its three products are symmetric)"
    )


def cka_atlases(session: Session, n_matrices: int, n_examples: int) -> None:
    """Linear CKA of all pairs, plain and debiased."""
    networks = representations(n_matrices, n_examples)
    limit = cka_limit(n_matrices, n_examples, networks[0].shape[1])
    loops = {
        "NumPy loop, float64": (in_double(numpy_cka), 1e-12),
        "NumPy loop, float32 (as given)": (numpy_cka, 1e-4),
    }
    atlas(session, networks, "cka", loops, limit)
    if not session.long:
        debiased = {"NumPy loop, float64": (in_double(numpy_debiased_cka), 1e-9)}
        atlas(session, networks, "cka", debiased, limit, debiased=True)


def other_atlases(session: Session, n_matrices: int, n_examples: int, n_units: int) -> None:
    """The other indexes of all pairs."""
    networks = representations(n_matrices, n_examples, n_units)
    total = n_matrices * n_units
    products = n_examples * total**2 / 1e12
    tiles = n_examples**2 * (total + n_matrices**2 / 2) / 1e12
    by_index = {
        "cca": (numpy_cca, f"{min(products, tiles):.3f} Tflop, and the factors"),
        "svcca": (numpy_svcca, f"at most {min(products, tiles):.3f} Tflop, and the factors"),
        "procrustes": (numpy_procrustes, f"{products:.3f} Tflop, and singular values of each pair"),
        "rsa": (numpy_rsa, f"{tiles:.3f} Tflop"),
    }
    for index, (obvious, limit) in by_index.items():
        loops = {"NumPy loop, float64": (in_double(obvious), 1e-9)}
        atlas(session, networks, index, loops, limit)


def rsatoolbox_race(session: Session, n_matrices: int, n_examples: int, n_units: int) -> None:
    """RSA of all pairs beside rsatoolbox, where it is installed."""
    if importlib.util.find_spec("rsatoolbox") is None:
        print("\nrsatoolbox is not installed: its race is left out")
        return
    import rsatoolbox

    networks = [m.astype(np.float64) for m in representations(n_matrices, n_examples, n_units)]
    n_threads = blas_threads()

    def theirs() -> Matrix:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = [rsatoolbox.data.Dataset(m) for m in networks]
            rdms = rsatoolbox.rdm.calc_rdm(data, method="correlation")
            return np.asarray(rsatoolbox.rdm.compare(rdms, rdms, method="corr"))

    session.race(
        f"rsa (Pearson), all pairs of {n_matrices} networks x {n_units} units x {n_examples:,} examples",
        {
            "convergent": lambda: (
                cv.index_atlas(networks, "rsa", kind="pearson", n_threads=n_threads).values
            ),
            "rsatoolbox": theirs,
        },
        close(1e-9),
        runs=min(session.runs, 3),
        limit=f"{n_examples**2 * (n_matrices * n_units + n_matrices**2 / 2) / 1e9:.1f} Gflop",
    )


def run(session: Session) -> None:
    """Run the races; the full atlas (4 GB of activations) where minutes do not matter."""
    scipy.linalg.svdvals(np.eye(2))  # its BLAS is loaded before the clock starts
    pairs(session, 5_000, 512)
    rsatoolbox_race(session, 20, 500, 128)
    other_atlases(session, 20, 2_000, 128)
    cka_atlases(session, *((200, 10_000) if session.long else (40, 2_000)))
