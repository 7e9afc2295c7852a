"""The deterministic shared response model beside BrainIAK's and fastsrm's: who has the lower objective, and when.

Peers are optional (``pip install brainiak fastsrm``; BrainIAK needs Debian's libopenmpi3 and openmpi-bin). Ours is
asserted to end no higher than theirs. The race against a hundred of BrainIAK's iterations needs ``--long``.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import convergent as cv
from bench.bench_shared_response import draw_networks
from bench.harness import Session

Matrix = NDArray[np.float64]
Weights = list[Matrix]

N_LAYERS, N_SEEDS = 3, 10
MOST_SWEEPS = 500  # of a fit that is to converge
SAME = 1.0 + 1e-9  # factor within which two objectives are one optimum


def objective(networks: list[Matrix], weights: Weights) -> float:
    """Return Equation 1 with the best shared response for these weights."""
    shared = np.mean([x @ w for x, w in zip(networks, weights)], axis=0)
    return float(sum(np.sum((x - shared @ w.T) ** 2) for x, w in zip(networks, weights)))


def ours(networks: list[Matrix], k: int, **parameters: Any) -> Weights:
    """Fit our model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.ConvergenceWarning)
        return cv.SharedResponseModel(k, **parameters).fit(networks).weights_


def brainiak(networks: list[Matrix], k: int, n_iter: int) -> Weights:
    """Fit BrainIAK's DetSRM; it takes units by examples."""
    os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT", "1")
    os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from brainiak.funcalign.srm import DetSRM

    model = DetSRM(n_iter=n_iter, features=k)
    model.fit([x.T for x in networks])
    return list(model.w_)


def fastsrm(networks: list[Matrix], k: int, n_iter: int) -> Weights:
    """Fit fastsrm's deterministic model."""
    from fastsrm.srm import detsrm

    weights, _ = detsrm([x.T for x in networks], k, n_iter=n_iter, random_state=0)
    return list(weights)


def fewest_sweeps(networks: list[Matrix], k: int, target: float) -> int:
    """Return how many of our sweeps are enough for an objective that is not above the target."""
    for sweeps in (0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30):
        if objective(networks, ours(networks, k, max_iter=sweeps, tol=0.0)) <= target:
            return sweeps
    raise AssertionError(f"thirty sweeps do not reach {target}")


def loosest_tolerance(networks: list[Matrix], k: int, target: float) -> float:
    """Return the loosest tolerance at which our converged fit is not above the target."""
    tolerances = [scale * 10.0**power for power in range(-4, -12, -1) for scale in (1.0, 0.3)]
    for tol in tolerances:
        if objective(networks, ours(networks, k, max_iter=MOST_SWEEPS, tol=tol)) <= target * SAME:
            return tol
    raise AssertionError(f"no tolerance reaches {target}")


def race(
    session: Session, title: str, networks: list[Matrix], k: int, peer: str, iterations: int
) -> None:
    """Race the fewest of our sweeps that are enough against ten of a peer's iterations, or our fit until
    it converged, at the loosest tolerance that is enough, against a hundred."""
    if importlib.util.find_spec(peer) is None:
        print(f"  ({peer} is not installed)")
        return
    centred = [x - x.mean(axis=0) for x in networks]
    fit = {"brainiak": brainiak, "fastsrm": fastsrm}[peer]
    target = objective(centred, fit(centred, k, iterations))
    if iterations > 10:
        tol = loosest_tolerance(centred, k, target)
        parameters: dict[str, Any] = {"max_iter": MOST_SWEEPS, "tol": tol}
        name = f"convergent, until tol = {tol:.0e}"
    else:
        sweeps = fewest_sweeps(centred, k, target)
        parameters, name = {"max_iter": sweeps, "tol": 0.0}, f"convergent, {sweeps} sweeps"
    found: list[float] = []

    def check(mine: Weights, theirs: Weights) -> None:
        first, second = objective(centred, mine), objective(centred, theirs)
        found.append(first / second - 1.0)
        assert first <= second * SAME, (first, second)

    n_examples = len(centred[0])
    n_units = sum(x.shape[1] for x in centred)
    on_examples = 4e-9 * n_examples * n_units * k
    session.race(
        f"{title}, k = {k}",
        {
            name: lambda: ours(centred, k, **parameters),
            f"{peer}, {iterations} iterations": lambda: fit(centred, k, iterations),
        },
        check,
        runs=min(session.runs, 3),
        warm_up=iterations <= 10,
        limit=f"{on_examples:.2f} Gflop an iteration on the examples, "
        f"{2e-9 * n_units**2 * k:.2f} on products that take {1e-9 * n_examples * n_units**2:.1f}",
    )
    print(f"  our objective over the peer's, less one: {', '.join(f'{f:+.1e}' for f in found)}")


def mnist_layers() -> list[list[Matrix]]:
    """Return the hidden layers of ten networks trained on MNIST: 10,000 examples x 200 units each."""
    data = Path(os.environ["CONVERGENT_SHARED"]) / "data"
    spec = importlib.util.spec_from_file_location("load_packed", data / "load_packed.py")
    assert spec is not None
    assert spec.loader is not None
    packed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packed)
    pixels = packed.load(data / "mnist_test.npz")["x"]
    images = pixels.reshape(len(pixels), -1) / np.float32(255.0)
    layers: list[list[Matrix]] = [[] for _ in range(N_LAYERS)]
    for seed in range(N_SEEDS):
        weights = np.load(data / "nets" / f"mnist_mlp_bn200x3_seed{seed}.npz")
        hidden = images
        for layer in range(N_LAYERS):
            linear, norm = f"{3 * layer}.", f"{3 * layer + 1}."
            hidden = hidden @ weights[linear + "weight"].T + weights[linear + "bias"]
            hidden -= weights[norm + "running_mean"]
            hidden /= np.sqrt(weights[norm + "running_var"] + 1e-5)
            hidden = hidden * weights[norm + "weight"] + weights[norm + "bias"]
            hidden = np.maximum(hidden, 0.0)
            layers[layer].append(hidden.astype(np.float64))
    return layers


def large(
    n_networks: int = 50, n_units: int = 1_000, n_examples: int = 10_000, k: int = 50
) -> None:
    """Fit a model whose cross-products would not fit into memory; print time, operations and memory."""
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((n_examples, k), np.float32) / np.sqrt(np.arange(1, k + 1))
    networks = []
    for _ in range(n_networks):
        x = 0.7 * rng.standard_normal((n_examples, n_units), np.float32)
        x += signal.astype(np.float32) @ rng.standard_normal((k, n_units), np.float32)
        networks.append(np.maximum(x, 0.0, out=x))
    start = time.perf_counter()
    model = cv.SharedResponseModel(k, max_iter=200).fit(networks)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sweep = 4e-12 * n_examples * n_networks * n_units * k
    print(
        f"\n{n_networks} networks x {n_units} units x {n_examples} examples in float32, k = {k}: {seconds:.1f} s for "
        f"{model.n_iter_} sweeps of {sweep:.2f} Tflop, converged: {model.converged_}; peak memory {peak:.1f} GiB, "
        f"of which activations {n_networks * n_units * n_examples * 4 / 2**30:.1f}",
        flush=True,
    )


def run(session: Session) -> None:
    """Run the races."""
    if session.long:
        large()
    networks = draw_networks(512)
    title = "10 networks x 512 units x 5000 examples"
    for k in (50, 512):
        race(session, title, networks, k, "brainiak", 10)
        race(session, title, networks, k, "fastsrm", 10)
        if session.long:
            race(session, title, networks, k, "brainiak", 100)
    if "CONVERGENT_SHARED" not in os.environ:
        print("  (the trained networks are not there: CONVERGENT_SHARED is not set)")
        return
    for number, layer in enumerate(mnist_layers(), 1):
        for k in (20, 50, 200):
            name = f"ten MNIST networks, layer {number}, 200 units x 10000 examples"
            race(session, name, layer, k, "brainiak", 10)
            race(session, name, layer, k, "fastsrm", 10)
            if session.long and number == 1:
                race(session, name, layer, k, "brainiak", 100)
