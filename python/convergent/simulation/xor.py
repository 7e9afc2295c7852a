"""Hidden activations of a small network that has learnt an exclusive or."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate

Matrix = NDArray[np.float64]

N_UNITS = 50
"""Hidden units of a network, unless another number is asked for."""
_CENTRES = ((2.0, 0.0), (0.0, 2.0), (2.0, 2.0), (0.0, 0.0))
"""Of the four clusters: the first two are class 0, the others class 1."""
_MEAN_DECAY, _SQUARE_DECAY, _LEAST_ROOT = 0.9, 0.999, 1e-8


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class XorActivations:
    """Hidden activations of one network that was trained to tell the classes of an exclusive or apart.

    Attributes
    ----------
    train : array of float64, shape (n_examples, n_units)
        For the points that it was trained on, in (0, 1).
    test : array of float64, shape (n_examples, n_units)
        For as many points that it has not seen.
    labels : array of int, shape (n_examples,)
        Class of each example, 0 or 1, in ascending order; the same for both sets. Clusters follow each other.
    train_accuracy, test_accuracy : float
        Share of the points whose class the network tells.

    Examples
    --------
    >>> import convergent as cv
    >>> found = cv.xor_activations(0)
    >>> found.test.shape, found.test_accuracy > 0.95
    ((200, 50), True)
    """

    train: Matrix
    test: Matrix
    labels: NDArray[np.intp]
    train_accuracy: float
    test_accuracy: float

    def __repr__(self) -> str:
        return (
            f"XorActivations({len(self.train)} + {len(self.test)} examples, "
            f"{self.train.shape[1]} units, test accuracy {self.test_accuracy:.3f})"
        )


def xor_activations(
    seed: int = 0,
    *,
    n_units: int = N_UNITS,
    n_per_cluster: int = 50,
    sd: float = 0.3,
    n_steps: int = 1_000,
    learning_rate: float = 0.003,
) -> XorActivations:
    """Train a small network on a toy task that is not linearly separable, and record its hidden activations.

    Points lie in four clusters about (2, 0), (0, 2), (2, 2) and (0, 0), as the authors'; the first two are one class.
    The network has two inputs, one hidden layer of sigmoid units and a linear output.

    Parameters
    ----------
    seed : int
        Of the points and of the first weights.
    n_units : int
        Hidden units.
    n_per_cluster : int
        Points in a cluster, in each of the two sets.
    sd : float
        Standard deviation of a cluster, in both directions.
    n_steps : int
        Steps of Adam on the mean squared error of all training points; 0 leaves the network untrained.
    learning_rate : float
        Length of a step.

    Returns
    -------
    XorActivations

    Raises
    ------
    TypeError
        If a parameter is of the wrong kind.
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Takes about .15 s with the default settings; needs no torch. Few steps and few units may not suffice to learn the
    task: look at `test_accuracy`. No unit is dead, since sigmoids are not; some may be nearly duplicates. With the
    default settings the activations are like those of the authors' program: three directions have most of the
    variance.

    References
    ----------
    Lu et al. (2018), Section 3, "SRM can identify orthogonal transformations". Kingma & Ba (2015), Algorithm 1.

    Examples
    --------
    >>> import convergent as cv
    >>> found = cv.xor_activations(seed=1, n_units=20, n_per_cluster=10)
    >>> found.train.shape, found.labels.tolist() == [0] * 20 + [1] * 20
    ((40, 20), True)
    """
    _validate.integer(seed, "seed", low=0)
    _validate.integer(n_units, "n_units", low=1)
    _validate.integer(n_per_cluster, "n_per_cluster", low=1)
    _validate.integer(n_steps, "n_steps", low=0)
    _positive(sd, "sd")
    _positive(learning_rate, "learning_rate")
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.array([0, 0, 1, 1]), n_per_cluster)
    points, unseen = (_clusters(rng, n_per_cluster, sd) for _ in range(2))
    network = Network.drawn(rng, n_units)
    train(network, points, labels.astype(np.float64), n_steps, learning_rate)
    seen, new = network.hidden(points), network.hidden(unseen)
    return XorActivations(
        seen, new, labels, network.accuracy(seen, labels), network.accuracy(new, labels)
    )


def _positive(value: Any, name: str) -> None:
    if _validate.real(value, name) <= 0.0:
        raise ValueError(f"`{name}` must be above 0, got {value}")


def _clusters(rng: np.random.Generator, n_per_cluster: int, sd: float) -> Matrix:
    centres = np.repeat(np.array(_CENTRES), n_per_cluster, axis=0)
    points: Matrix = centres + sd * rng.standard_normal(centres.shape)
    return points


class Network:
    """Two inputs, a hidden layer of sigmoid units, a linear output; `parameters` is all of it in one vector.

    parameters : shape (4 * n_units + 1,)
        First weights (2, n_units), biases of the hidden units, output weights, output bias.
    """

    def __init__(self, parameters: Matrix) -> None:
        n = parameters.size // 4
        self.parameters = parameters
        self.first = parameters[: 2 * n].reshape(2, n)
        self.biases = parameters[2 * n : 3 * n]
        self.last = parameters[3 * n : 4 * n]
        self.last_bias = parameters[4 * n :]

    @classmethod
    def drawn(cls, rng: np.random.Generator, n_units: int) -> Network:
        """Return a network with weights drawn evenly from +- 1 / sqrt(inputs of the layer)."""
        reach = np.full(4 * n_units + 1, np.sqrt(0.5))
        reach[3 * n_units :] = np.sqrt(1.0 / n_units)
        return cls(reach * rng.uniform(-1.0, 1.0, reach.size))

    def hidden(self, points: Matrix) -> Matrix:
        """Return the hidden activations, (n_examples, n_units)."""
        drive = points @ self.first
        drive += self.biases
        # A sigmoid that cannot overflow.
        drive *= 0.5
        np.tanh(drive, out=drive)
        drive += 1.0
        drive *= 0.5
        return drive

    def output(self, hidden: Matrix) -> Matrix:
        """Return the output for hidden activations, (n_examples,)."""
        result: Matrix = hidden @ self.last + self.last_bias
        return result

    def accuracy(self, hidden: Matrix, labels: NDArray[np.intp]) -> float:
        """Return the share of examples whose class the output is nearer to."""
        return float(np.mean((self.output(hidden) > 0.5) == labels))


def train(
    network: Network, points: Matrix, targets: Matrix, n_steps: int, learning_rate: float
) -> None:
    """Minimise the mean squared error by Adam, in place."""
    slopes = Network(np.empty_like(network.parameters))
    mean, square = np.zeros((2, network.parameters.size))
    for step in range(1, n_steps + 1):
        _backpropagate(network, points, targets, slopes)
        mean += (1.0 - _MEAN_DECAY) * (slopes.parameters - mean)
        square += (1.0 - _SQUARE_DECAY) * (slopes.parameters**2 - square)
        root = np.sqrt(square / (1.0 - _SQUARE_DECAY**step)) + _LEAST_ROOT
        network.parameters -= learning_rate / (1.0 - _MEAN_DECAY**step) * mean / root


def _backpropagate(network: Network, points: Matrix, targets: Matrix, slopes: Network) -> None:
    """Write the derivatives of the mean squared error into `slopes`."""
    hidden = network.hidden(points)
    error = 2.0 / len(points) * (network.output(hidden) - targets)
    np.matmul(error, hidden, out=slopes.last)
    slopes.last_bias[0] = error.sum()
    hidden *= 1.0 - hidden
    hidden *= error[:, None]
    hidden *= network.last
    np.matmul(points.T, hidden, out=slopes.first)
    np.sum(hidden, axis=0, out=slopes.biases)
