"""What a simulation found, and its file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _storage, _validate
from convergent.inference.interval import Interval
from convergent.inference.values import bootstrap_values
from convergent.simulation.one_run import QUANTITIES, MeanRsms
from convergent.simulation.settings import SimulationSettings

Matrix = NDArray[np.float64]

FORMAT = "convergent.Simulation/1"
COLUMNS = (
    "kind",
    "noise",
    "convention",
    "algorithm",
    "space",
    "correlation",
    "runs",
    "mean",
    "low",
    "high",
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Simulation:
    """How well the shared response model found transformations that are known, run by run.

    Attributes
    ----------
    settings : SimulationSettings
    agreement : array of float64, shape (n_runs, 4)
        Correlation of the mean inter-network RSM with the mean within-network RSM, in the order of `QUANTITIES`:
        linear and rank in the shared space, linear and rank in the native space.
    converged : array of bool, shape (n_runs,)
        Whether the model reached its tolerance.
    test_accuracy : array of float64, shape (n_runs,), or None
        Share of unseen points whose class each run's network tells; None for activations brought from elsewhere.
    rsms : MeanRsms
        Of the first run: `within`, `between_shared`, `between_native`, each (n_examples, n_examples).
    labels : array of int, shape (n_examples,), or None
        Classes of the examples of `rsms`, in ascending order; None where they are not known.

    Examples
    --------
    >>> import convergent as cv
    >>> found = cv.simulate(3, n_copies=4)
    >>> found.interval("linear_shared")
    Interval(1 [1, 1], 95 % over values)
    """

    settings: SimulationSettings
    agreement: Matrix
    converged: NDArray[np.bool_]
    test_accuracy: Matrix | None
    rsms: MeanRsms
    labels: NDArray[np.intp] | None

    def __repr__(self) -> str:
        shared, native = self.agreement[:, 0].mean(), self.agreement[:, 2].mean()
        return (
            f"Simulation({len(self.agreement)} runs of {self.settings.n_copies} {self.settings.kind} copies, "
            f"linear agreement {shared:.3f} shared, {native:.3f} native)"
        )

    def values(self, quantity: str) -> Matrix:
        """Return one of the `QUANTITIES` of every run, (n_runs,)."""
        return self.agreement[
            :, QUANTITIES.index(_validate.choice(quantity, "quantity", QUANTITIES))
        ]

    def interval(self, quantity: str, *, level: float = 0.95, seed: int = 0) -> Interval:
        """Return the mean over runs and its bootstrap interval, within [-1, 1].

        Parameters
        ----------
        quantity : {"linear_shared", "rank_shared", "linear_native", "rank_native"}
        level : float in (0, 1)
            Confidence.
        seed : int
            Of the resamples.

        Returns
        -------
        Interval
        """
        found = bootstrap_values(self.values(quantity), level=level, seed=seed)
        return found.within(-1.0, 1.0)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield one mean with its 95 % interval a row."""
        of = self.settings
        for quantity in QUANTITIES:
            correlation, space = quantity.split("_")
            name = of.rank if correlation == "rank" else "pearson"
            found = self.interval(quantity)
            row = (of.kind, of.noise, of.convention, of.algorithm, space, name, len(self.agreement),
                   found.estimate, found.low, found.high)  # fmt: skip
            yield dict(zip(COLUMNS, row))

    def save(self, path: str | Path) -> Path:
        """Write the simulation as one ``.npz`` file and return its path."""
        arrays: dict[str, NDArray[Any]] = {
            "settings": np.array(json.dumps(self.settings.as_dict())),
            "agreement": self.agreement,
            "converged": self.converged,
            "within": self.rsms.within,
            "between_shared": self.rsms.between_shared,
            "between_native": self.rsms.between_native,
        }
        for name in ("test_accuracy", "labels"):
            if getattr(self, name) is not None:
                arrays[name] = getattr(self, name)
        _storage.write_arrays(path, FORMAT, arrays)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Simulation:
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is truncated, or is no simulation.
        """
        arrays = _storage.read_arrays(path, FORMAT)
        try:
            settings = SimulationSettings(**json.loads(str(arrays["settings"])))
            agreement = _storage.shaped(arrays["agreement"], (len(arrays["agreement"]), 4))
            square = (len(arrays["within"]),) * 2
            names = ("within", "between_shared", "between_native")
            rsms = MeanRsms(*(_storage.shaped(arrays[name], square) for name in names))
            converged = _storage.shaped(arrays["converged"], agreement.shape[:1])
            accuracy, labels = arrays.get("test_accuracy"), arrays.get("labels")
            if accuracy is not None:
                _storage.shaped(accuracy, agreement.shape[:1])
            if labels is not None:
                _storage.shaped(labels, square[:1])
        except (KeyError, TypeError, ValueError) as error:
            raise _storage.UnreadableFileError(f"{path} is no simulation: {error}") from error
        return cls(settings, agreement, converged, accuracy, rsms, labels)
