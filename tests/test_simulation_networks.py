"""The simulation's networks and copies: trained as a literal program trains them, transformed as they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convergent as cv
from convergent.simulation.xor import Network, train
from tests.reference import simulation as reference


def test_training_is_the_literal_one() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((12, 2))
    targets = (points[:, 0] * points[:, 1] > 0.0).astype(np.float64)
    network = Network.drawn(rng, 4)
    expected = reference.adam(network.parameters.tolist(), 4, points, targets, 30, 0.05)
    train(network, points, targets, 30, 0.05)
    np.testing.assert_allclose(network.parameters, expected, rtol=1e-10)
    hidden = [reference.hidden(expected, 4, point) for point in points]
    np.testing.assert_allclose(network.hidden(points), hidden, rtol=1e-10)
    outputs = [reference.output(expected, 4, point) for point in points]
    np.testing.assert_allclose(network.output(network.hidden(points)), outputs, rtol=1e-10)


def test_the_literal_gradient_is_that_of_the_error() -> None:
    rng = np.random.default_rng(1)
    points, targets = rng.standard_normal((5, 2)), rng.standard_normal(5)
    parameters = rng.standard_normal(13).tolist()

    def error(values: list[float]) -> float:
        outputs = [reference.output(values, 3, point) for point in points]
        return float(np.mean((np.array(outputs) - targets) ** 2))

    for i, slope in enumerate(reference.gradient(parameters, 3, points, targets)):
        above, below = list(parameters), list(parameters)
        above[i] += 1e-6
        below[i] -= 1e-6
        assert slope == pytest.approx((error(above) - error(below)) / 2e-6, abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_networks_learn_the_task(seed: int) -> None:
    found = cv.xor_activations(seed)
    assert min(found.train_accuracy, found.test_accuracy) >= 0.97
    assert found.train.shape == found.test.shape == (200, 50)
    assert found.train.min() > 0.0
    assert found.train.max() < 1.0
    assert found.labels.tolist() == [0] * 100 + [1] * 100
    untrained = cv.xor_activations(seed, n_steps=0)
    assert untrained.train_accuracy < 0.8
    assert not np.array_equal(untrained.train, found.train)


def test_clusters_lie_where_they_say() -> None:
    """An untrained network's first drives are linear in the points, so that they can be found again."""
    found = cv.xor_activations(0, n_per_cluster=2000, n_steps=0)
    rng = np.random.default_rng(0)
    expected = np.repeat([[2.0, 0.0], [0.0, 2.0], [2.0, 2.0], [0.0, 0.0]], 2000, axis=0)
    rng.standard_normal((2, *expected.shape))  # both sets
    network = Network.drawn(rng, 50)
    drives = np.log(found.test / (1.0 - found.test)) - network.biases
    points = drives @ np.linalg.pinv(network.first)
    means = points.reshape(4, 2000, 2).mean(axis=1)
    np.testing.assert_allclose(means, expected[::2000], atol=0.03)
    np.testing.assert_allclose((points - expected).std(axis=0), 0.3, atol=0.01)


def test_networks_are_those_of_their_seed() -> None:
    first, again, other = (cv.xor_activations(seed, n_steps=5) for seed in (3, 3, 4))
    assert np.array_equal(first.test, again.test)
    assert not np.allclose(first.test, other.test)
    assert not np.allclose(first.train, first.test)


def test_golden_activations_are_alike(golden: Any) -> None:
    """The authors' program gives hidden activations with the same few strong directions, and learns as well."""
    with np.load(golden / "srm_xor_hidden.npz") as arrays:
        theirs, accuracy = arrays["test"].astype(np.float64), arrays["acc"][:, 1].mean()

    def strengths(examples: Any) -> Any:
        return np.linalg.svd(examples - examples.mean(axis=0), compute_uv=False)[:3]

    of_theirs = np.array([strengths(network.T) for network in theirs])
    ours = [cv.xor_activations(seed) for seed in range(10)]
    of_ours = np.array([strengths(network.test) for network in ours])
    np.testing.assert_allclose(of_ours.mean(axis=0), of_theirs.mean(axis=0), rtol=0.1)
    assert np.mean([network.test_accuracy for network in ours]) == pytest.approx(
        accuracy, abs=0.005
    )


def test_orthogonal_copies_are_rotations_of_all_kinds() -> None:
    x = np.eye(3)
    matrices = np.stack(cv.rotated_copies(x, 4000, seed=1))
    for matrix in matrices[:50]:
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    # Moments of the uniform distribution over orthogonal matrices; QR alone has a negative trace.
    traces = np.trace(matrices, axis1=1, axis2=2)
    assert abs(traces.mean()) < 0.08
    assert np.mean(traces**2) == pytest.approx(1.0, abs=0.1)
    np.testing.assert_allclose(np.mean(matrices**2, axis=0), 1.0 / 3.0, atol=0.02)
    assert np.mean(np.linalg.det(matrices) > 0.0) == pytest.approx(0.5, abs=0.05)


def test_copies_differ_and_keep_what_they_should() -> None:
    x = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    rotated = cv.rotated_copies(x, 3)
    assert all(copy.dtype == np.float64 for copy in rotated)
    assert not np.allclose(rotated[0], rotated[1])
    for copy in rotated:
        np.testing.assert_allclose(copy @ copy.T, x.astype(np.float64) @ x.T, atol=1e-5)
    for copy in cv.rotated_copies(x, 3, kind="permutation"):
        order = [int(np.flatnonzero((unit == x.T).all(axis=1))[0]) for unit in copy.T]
        assert sorted(order) == list(range(6))
    assert [len(set(map(tuple, cv.rotated_copies(np.eye(9), 2, kind="permutation")[0])))] == [9]


@pytest.mark.parametrize("kind", ["orthogonal", "permutation"])
def test_noise_is_relative_to_the_activations(kind: str) -> None:
    x = 7.0 * np.random.default_rng(0).standard_normal((3000, 5)) + 100.0
    clean, noisy = (cv.rotated_copies(x, 2, kind=kind, noise=noise) for noise in (0.0, 0.5))
    added = [b - a for a, b in zip(clean, noisy)]
    for noise in added:
        np.testing.assert_allclose(noise.std(axis=0), 3.5, rtol=0.06)
    assert abs(np.corrcoef(added[0].ravel(), added[1].ravel())[0, 1]) < 0.05


def test_copies_are_those_of_their_seed() -> None:
    x = np.random.default_rng(0).standard_normal((8, 4))
    first, longer = cv.rotated_copies(x, 2, seed=5), cv.rotated_copies(x, 4, seed=5)
    assert all(np.array_equal(a, b) for a, b in zip(first, longer))
    assert not np.allclose(first[0], cv.rotated_copies(x, 1, seed=6)[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cv.xor_activations(-1), "`seed` must be at least 0, got -1"),
        (lambda: cv.xor_activations(n_units=0), "`n_units` must be at least 1, got 0"),
        (lambda: cv.xor_activations(n_per_cluster=0), "`n_per_cluster` must be at least 1, got 0"),
        (lambda: cv.xor_activations(n_steps=-1), "`n_steps` must be at least 0, got -1"),
        (lambda: cv.xor_activations(sd=0.0), "`sd` must be above 0, got 0.0"),
        (lambda: cv.xor_activations(learning_rate=-1), "`learning_rate` must be above 0, got -1"),
        (lambda: cv.rotated_copies(np.ones(3)), "two-dimensional"),
        (lambda: cv.rotated_copies(np.full((3, 2), np.nan)), "must be finite"),
        (lambda: cv.rotated_copies(np.eye(3), 0), "`n_copies` must be at least 1, got 0"),
        (lambda: cv.rotated_copies(np.eye(3), kind="shear"), "`kind` must be one of"),
        (lambda: cv.rotated_copies(np.eye(3), noise=-0.5), "`noise` must not be negative, got -0.5"),
        (lambda: cv.rotated_copies(np.eye(3), seed=-2), "`seed` must be at least 0, got -2"),
    ],
)  # fmt: skip
def test_bad_parameters(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_parameters_of_the_wrong_kind() -> None:
    with pytest.raises(TypeError, match=r"`n_units` must be a whole number, got 2\.5"):
        cv.xor_activations(n_units=2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be real"):
        cv.rotated_copies(np.eye(3) * 1j)
    with pytest.raises(TypeError, match="`noise` must be a real number"):
        cv.rotated_copies(np.eye(3), noise="much")  # type: ignore[arg-type]
