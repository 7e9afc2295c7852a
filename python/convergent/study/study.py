"""The results of a comparison: look them up, tabulate them, save them, report them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from convergent import _storage
from convergent.inference.interval import Interval
from convergent.inference.noise_ceiling import NoiseCeiling
from convergent.statistics.provenance import versions
from convergent.study.network_intervals import (
    ENDS,
    STORED_LEVEL,
    Band,
    band_of,
    ceiling_of,
    interval_of,
)
from convergent.study.result import Task, TaskResult
from convergent.study.settings import TOGETHER, CompareSettings

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "convergent.Study/1"
MANIFEST = "study.json"
COLUMNS = ("layer", "measure", "quantity", "network_a", "network_b", "value")
INTERVAL_COLUMNS = (
    "layer",
    "measure",
    "quantity",
    "estimate",
    "low",
    "high",
    "level",
    "n_networks",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A task that could not be done, and why.

    `unfinished` says that another run would try it again: its worker died, or the comparison has not ended.
    """

    task: Task
    reason: str
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """What a layer's statistics hold: units, dead units, positions and images."""

    name: str
    widths: tuple[int, ...]
    n_dead: tuple[int, ...]
    n_positions: int
    n_images: int


@dataclass(frozen=True)
class Study:
    """Results of comparing several networks, layer by layer.

    Parameters
    ----------
    networks : tuple of str
    layers : tuple of LayerSummary
        In the order of the data's path through the network.
    settings : CompareSettings
    results : tuple of TaskResult
    problems : tuple of Problem
        What could not be computed; nothing is dropped silently.
    """

    networks: tuple[str, ...]
    layers: tuple[LayerSummary, ...]
    settings: CompareSettings
    results: tuple[TaskResult, ...] = field(repr=False)
    problems: tuple[Problem, ...] = ()

    def __repr__(self) -> str:
        return (
            f"Study({len(self.networks)} networks, {len(self.layers)} layers, "
            f"{len(self.results)} results, {len(self.problems)} problems)"
        )

    @property
    def unfinished(self) -> tuple[Task, ...]:
        """The tasks that have no result for no fault of their own; comparing again does them."""
        return tuple(problem.task for problem in self.problems if problem.unfinished)

    @property
    def identity(self) -> str:
        """A digest of which results there are and of what they depend on."""
        keys = {result.task.file.as_posix(): result.key for result in self.results}
        return results_identity(keys)

    @cached_property
    def _by_place(self) -> dict[tuple[str, str], list[TaskResult]]:
        places: dict[tuple[str, str], list[TaskResult]] = {}
        for result in self.results:
            places.setdefault((result.task.layer, result.task.measure), []).append(result)
        return places

    def of(self, layer: str, measure: str) -> list[TaskResult]:
        """Return the results of one measure on one layer, one a pair (or one for all networks)."""
        return self._by_place.get((layer, measure), [])

    def layers_with(self, measure: str) -> list[str]:
        """Return the layers for which a measure has a result, in the study's order."""
        return [layer.name for layer in self.layers if self.of(layer.name, measure)]

    def values(self, layer: str, measure: str, quantity: str) -> list[float]:
        """Return one quantity of every pair; empty where it was not computed."""
        return [
            result.scalars[quantity]
            for result in self.of(layer, measure)
            if quantity in result.scalars
        ]

    def value(self, layer: str, measure: str, quantity: str) -> float:
        """Return the mean of one quantity over the pairs; NaN where it was not computed."""
        values = self.values(layer, measure, quantity)
        return float(np.mean(values)) if values else float("nan")

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the tidy table's rows: one number each."""
        for result in self.results:
            names = result.task.networks
            a, b = ("", "") if result.task.measure in TOGETHER else names
            for quantity, value in result.scalars.items():
                row = (result.task.layer, result.task.measure, quantity, a, b, value)
                yield dict(zip(COLUMNS, row))

    def interval(
        self, layer: str, measure: str, quantity: str, *, level: float = STORED_LEVEL
    ) -> Interval | None:
        """Return the interval for the mean of one quantity, had other networks been trained.

        Of pairs of networks it is that of `bootstrap_pairs`; of all networks at once, that of their values, of
        their pairs, or what the result holds. None of fewer than three networks, or where the result does not
        say how they differ.
        """
        found = interval_of(self.of(layer, measure), quantity, level)
        return None if found is None else found[0]

    def intervals(self, *, level: float = STORED_LEVEL) -> Iterator[dict[str, Any]]:
        """Yield one row for each quantity and layer that has an interval."""
        for (layer, measure), results in self._by_place.items():
            quantities = dict.fromkeys(name for result in results for name in result.scalars)
            for quantity in quantities:
                stem = next((quantity.removesuffix(e) for e in ENDS if quantity.endswith(e)), "")
                found = interval_of(results, quantity, level)
                if stem not in quantities and found is not None:
                    interval, n = found
                    row = (interval.estimate, interval.low, interval.high, level, n)
                    yield dict(zip(INTERVAL_COLUMNS, (layer, measure, quantity, *row)))

    def band(
        self,
        layer: str,
        measure: str,
        curve: Callable[[TaskResult], NDArray[np.float64]],
        *,
        level: float = STORED_LEVEL,
        bounds: tuple[float, float] = (-np.inf, np.inf),
    ) -> Band:
        """Return the mean over pairs of a curve that each pair's result has, with the interval of each point.

        `bounds` are the least and the most that a point can be.
        """
        return band_of(self.of(layer, measure), curve, level, bounds)

    def noise_ceiling(self, layer: str) -> NoiseCeiling | None:
        """Return how well one RSM can agree with those of all networks; None where their pairs are not known."""
        return ceiling_of(self.of(layer, "shared_response"))

    def summary(self) -> pd.DataFrame:
        """Return the tidy table: one number a row, with its layer, measure, quantity and networks."""
        import pandas as pd

        return pd.DataFrame(list(self.rows()), columns=list(COLUMNS))

    def write_csv(self, path: _storage.AnyPlace) -> _storage.Place:
        """Write the tidy table; needs no pandas."""
        _storage.write_table(path, COLUMNS, self.rows())
        return _storage.place(path)

    def write_intervals(
        self, path: _storage.AnyPlace, *, level: float = STORED_LEVEL
    ) -> _storage.Place:
        """Write the rows of `intervals`; only the headings where there is none."""
        _storage.write_table(path, INTERVAL_COLUMNS, self.intervals(level=level))
        return _storage.place(path)

    @overload
    def report(self, path: os.PathLike[str], **context: Any) -> Path: ...

    @overload
    def report(self, path: str | _storage.Location, **context: Any) -> _storage.Place: ...

    def report(self, path: _storage.AnyPlace, **context: Any) -> _storage.Place:
        """Write the report as one self-contained HTML page and return its path.

        `context` is passed to `convergent.report.write_report`.
        """
        from convergent.report import write_report

        return write_report(self, path, **context)

    def save_manifest(self, folder: _storage.Place) -> None:
        """Write what ties the results in `folder` together."""
        content = {
            _storage.FORMAT_KEY: FORMAT,
            "networks": list(self.networks),
            "layers": [asdict(layer) for layer in self.layers],
            "settings": self.settings.as_dict(),
            "results": [result.task.file.as_posix() for result in self.results],
            "keys": [result.key for result in self.results],
            "versions": versions(),
            "problems": [_problem_row(problem) for problem in self.problems],
        }
        _storage.write_json(folder / MANIFEST, content)

    def save(self, folder: _storage.AnyPlace) -> _storage.Place:
        """Write every result below `folder`, a path or URL, the manifest last."""
        target = _storage.place(folder)
        for result in self.results:
            result.save(target)
        self.save_manifest(target)
        return target

    @classmethod
    def load(cls, folder: _storage.AnyPlace) -> Study:
        """Read a saved study; truncated or foreign files are refused by name, and nothing is executed.

        Of a comparison that has not ended, or was killed, the results that are there are read; each of the others
        is a problem that says so (`unfinished`).
        """
        folder = _storage.place(folder)
        path = folder / MANIFEST
        if not path.exists():
            from convergent.study.unfinished import load_unfinished

            return load_unfinished(folder)
        content = _storage.read_json(path, FORMAT)
        try:
            networks, layers, settings = described(content)
            problems = tuple(
                Problem(
                    Task(p["layer"], p["measure"], tuple(p["networks"])),
                    p["reason"],
                    bool(p.get("unfinished", False)),
                )
                for p in content["problems"]
            )
            files = [inside(folder, name) for name in content["results"]]
            keys = content.get("keys") or [None] * len(files)  # older versions wrote none
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, _storage.UnreadableFileError):
                raise
            raise _storage.UnreadableFileError(
                f"{path} is not a study's manifest: {error}"
            ) from error
        results = tuple(_result_of(file, key) for file, key in zip(files, keys))
        return cls(networks, layers, settings, results, problems)


def results_identity(keys: Mapping[str, str]) -> str:
    """Return a digest of results, by their files and the keys of what they depend on."""
    return _storage.text_digest(repr(sorted(keys.items())))


def _result_of(file: _storage.Place, key: str | None) -> TaskResult:
    """Return a result, which must be the one that its manifest means."""
    result = TaskResult.load(file)
    if not str(file).endswith(result.task.file.as_posix()) or key not in (None, result.key):
        raise _storage.UnreadableFileError(
            f"{file} is not the result that {MANIFEST} names: it holds {result.task}, computed from other "
            "statistics or settings or under another name; compare again"
        )
    return result


def _problem_row(problem: Problem) -> dict[str, Any]:
    row = {**asdict(problem.task), "reason": problem.reason}
    return {**row, "unfinished": True} if problem.unfinished else row


def described(
    content: dict[str, Any],
) -> tuple[tuple[str, ...], tuple[LayerSummary, ...], CompareSettings]:
    """Return the networks, layers and settings of a manifest; KeyError, TypeError or ValueError if it is none."""
    layers = tuple(
        LayerSummary(
            row["name"],
            tuple(row["widths"]),
            tuple(row["n_dead"]),
            row["n_positions"],
            row["n_images"],
        )
        for row in content["layers"]
    )
    return tuple(content["networks"]), layers, CompareSettings.from_dict(content["settings"])


def inside(folder: _storage.Place, name: str, manifest: str = MANIFEST) -> _storage.Place:
    """Return the place of a file that a manifest names, which must lie in its folder."""
    path = PurePosixPath(name)
    is_below = not (path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name)
    if is_below and isinstance(folder, Path):  # whatever links there are
        is_below = (folder / name).resolve().is_relative_to(folder.resolve())
    if not is_below:
        raise _storage.UnreadableFileError(
            f"{folder / manifest} names a file outside of it: {name}"
        )
    return folder / name
