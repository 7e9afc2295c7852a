"""Where the parts of a study lie on disk."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from convergent import _storage

DEFAULT_LAYERS = ("*relu*",)
"""Layers that are collected unless others are named: after each rectifier, as the papers do."""
DEFAULT_TOP = 9
"""How many image patches of each unit are kept unless another number is asked for."""


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """A study's folder: each stage reads what the one before wrote.

    Parameters
    ----------
    root : path or URL
        Such as ``"my_study"`` or ``"s3://bucket/my_study"``. A URL needs fsspec, and the package
        that fsspec names for the URL's kind.

    Examples
    --------
    >>> from convergent.study import StudyFolder
    >>> StudyFolder("my_study").summary.name
    'summary.csv'
    """

    root: _storage.Place
    """A path, or the location that a URL names."""

    def __init__(self, root: _storage.AnyPlace) -> None:
        object.__setattr__(self, "root", _storage.place(root))

    @property
    def networks(self) -> _storage.Place:
        """Folder of the trained networks, one folder a seed."""
        return self.root / "networks"

    def local_networks(self) -> Path:
        """Return the folder of the networks; ValueError if it is not on this machine."""
        return _storage.local(self.networks, "networks that are trained or collected from")

    @property
    def statistics(self) -> _storage.Place:
        """Folder of what the pass over the data kept."""
        return self.root / "statistics"

    @property
    def patches(self) -> _storage.Place:
        """Folder of the image patches that units respond to most."""
        return self.root / "patches"

    def patch_file(self, layer: str, network: str) -> _storage.Place:
        """Path of the patches of one layer of one network."""
        name = f"{_storage.safe_name(network)}.npz"
        return self.patches / _storage.safe_name(layer) / name

    @property
    def comparisons(self) -> _storage.Place:
        """Folder of the results."""
        return self.root / "comparisons"

    @property
    def trajectory(self) -> _storage.Place:
        """Folder of what was compared during training, one file an epoch."""
        return self.root / "trajectory"

    @property
    def summary(self) -> _storage.Place:
        """Path of the tidy table."""
        return self.root / "summary.csv"

    @property
    def intervals(self) -> _storage.Place:
        """Path of the table of intervals."""
        return self.root / "intervals.csv"

    @property
    def report(self) -> _storage.Place:
        """Path of the page."""
        return self.root / "report.html"

    def metrics(self) -> dict[str, dict[str, list[float]]]:
        """Return each network's training metrics, by column; empty where none were trained here."""
        result = {}
        found: list[_storage.Place] = [*self.networks.glob("*/metrics.csv")]
        for path in sorted(found, key=str):
            with _storage.reading(path) as stream:
                rows = list(csv.DictReader(io.StringIO(stream.read().decode(), newline="")))
            if rows:
                result[path.parent.name] = {
                    column: [float(row[column]) for row in rows] for column in rows[0]
                }
        return result
