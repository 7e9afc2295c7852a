"""The result of one task of a study: one measure on one layer, for one pair of networks or for all."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _storage

FORMAT = "convergent.TaskResult/1"
_HEADER = "header"
ALL_LAYERS = ""
"""Stands for the layer of a task that is of all layers."""


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of a study: `networks` names a pair, or every network for a measure of all at once.

    `layer` is empty for a measure of all layers.
    """

    layer: str
    measure: str
    networks: tuple[str, ...]

    def __str__(self) -> str:
        who = " and ".join(self.networks) if len(self.networks) == 2 else "all networks"
        where = "all layers" if self.layer == ALL_LAYERS else f"layer {self.layer}"
        return f"{self.measure} of {who}, {where}"

    @property
    def file(self) -> Path:
        """Path of the task's result inside a study's folder of comparisons."""
        who = "--".join(_storage.safe_name(name) for name in self.networks)
        return Path(_storage.safe_name(self.layer), self.measure, f"{_storage.safe_name(who)}.npz")


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Numbers and arrays of one task, and the key of everything that they depend on."""

    task: Task
    key: str
    scalars: dict[str, float]
    arrays: dict[str, NDArray[Any]] = field(repr=False)

    def save(self, folder: _storage.Place) -> None:
        """Write the result below `folder`."""
        header = {
            "layer": self.task.layer,
            "measure": self.task.measure,
            "networks": list(self.task.networks),
            "key": self.key,
            "scalars": self.scalars,
        }
        text = np.array(json.dumps(header))
        _storage.write_arrays(folder / self.task.file, FORMAT, {_HEADER: text, **self.arrays})

    @classmethod
    def load(cls, path: _storage.AnyPlace) -> TaskResult:
        """Read a result; a truncated or foreign file is refused by name."""
        arrays = _storage.read_arrays(path, FORMAT)
        try:
            header = json.loads(str(arrays.pop(_HEADER)[()]))
            task = Task(header["layer"], header["measure"], tuple(header["networks"]))
            scalars = {name: float(value) for name, value in header["scalars"].items()}
            return cls(task, header["key"], scalars, arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise _storage.UnreadableFileError(f"{path} is not a result of a comparison") from error
