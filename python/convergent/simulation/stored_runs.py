"""Runs on disk: each is written when it ends, and taken as it is by the next simulation that wants the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _storage
from convergent.simulation.one_run import MeanRsms, RunActivations
from convergent.simulation.settings import SimulationSettings

Matrix = NDArray[np.float64]

_FORMAT = "convergent.SimulationRun/1"
_CONTENTS = 1
"""Raise it when the same settings give other numbers, so that runs on disk are not taken for these."""
_RSMS = ("within", "between_shared", "between_native")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StoredRun:
    """What is kept of a run: similarities and labels of the first one only."""

    agreement: Matrix
    converged: bool
    test_accuracy: float | None
    rsms: MeanRsms | None
    labels: NDArray[np.intp] | None


def run_file(folder: Path, number: int) -> Path:
    """Return the path of a run."""
    return folder / f"run-{number:04d}.npz"


def run_key(settings: SimulationSettings, number: int, given: RunActivations | None) -> str:
    """Return a digest of all that a run depends on."""
    content = [_CONTENTS, settings.as_dict(), number, None if given is None else given.digest()]
    return _storage.text_digest(json.dumps(content, sort_keys=True))


def store(path: Path, key: str, run: StoredRun) -> None:
    """Write a run."""
    arrays: dict[str, NDArray[Any]] = {
        "key": np.array(key),
        "agreement": run.agreement,
        "converged": np.array(run.converged),
    }
    if run.test_accuracy is not None:
        arrays["test_accuracy"] = np.array(run.test_accuracy)
    if run.labels is not None:
        arrays["labels"] = run.labels
    if run.rsms is not None:
        arrays |= {name: getattr(run.rsms, name) for name in _RSMS}
    _storage.write_arrays(path, _FORMAT, arrays)


def stored(path: Path, key: str) -> StoredRun | None:
    """Return what is kept of a run, or None if nothing is or it depends on something else."""
    if not path.exists():
        return None
    arrays = _storage.read_arrays(path, _FORMAT)
    try:
        if str(arrays["key"]) != key:
            return None
        accuracy = arrays.get("test_accuracy")
        return StoredRun(
            _storage.shaped(arrays["agreement"], (4,)),
            bool(arrays["converged"]),
            None if accuracy is None else float(accuracy),
            MeanRsms(*(arrays[name] for name in _RSMS)) if _RSMS[0] in arrays else None,
            arrays.get("labels"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _storage.UnreadableFileError(f"{path} is no run of a simulation: {error}") from error
