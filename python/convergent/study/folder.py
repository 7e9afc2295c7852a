"""Where the parts of a study lie on disk."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from convergent import _storage


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """A study's folder: each stage reads what the one before wrote.

    Examples
    --------
    >>> from convergent.study import StudyFolder
    >>> StudyFolder("my_study").summary.name
    'summary.csv'
    """

    root: Path

    def __init__(self, root: str | Path) -> None:
        object.__setattr__(self, "root", Path(root))

    @property
    def networks(self) -> Path:
        """Folder of the trained networks, one folder a seed."""
        return self.root / "networks"

    @property
    def statistics(self) -> Path:
        """Folder of what the pass over the data kept."""
        return self.root / "statistics"

    @property
    def patches(self) -> Path:
        """Folder of the image patches that units respond to most."""
        return self.root / "patches"

    def patch_file(self, layer: str, network: str) -> Path:
        """Path of the patches of one layer of one network."""
        name = f"{_storage.safe_name(network)}.npz"
        return self.patches / _storage.safe_name(layer) / name

    @property
    def comparisons(self) -> Path:
        """Folder of the results."""
        return self.root / "comparisons"

    @property
    def trajectory(self) -> Path:
        """Folder of what was compared during training, one file an epoch."""
        return self.root / "trajectory"

    @property
    def summary(self) -> Path:
        """Path of the tidy table."""
        return self.root / "summary.csv"

    @property
    def intervals(self) -> Path:
        """Path of the table of intervals."""
        return self.root / "intervals.csv"

    @property
    def report(self) -> Path:
        """Path of the page."""
        return self.root / "report.html"

    def metrics(self) -> dict[str, dict[str, list[float]]]:
        """Return each network's training metrics, by column; empty where none were trained here."""
        result = {}
        for path in sorted(self.networks.glob("*/metrics.csv")):
            with path.open(newline="", encoding="utf-8") as stream:
                rows = list(csv.DictReader(stream))
            if rows:
                result[path.parent.name] = {
                    column: [float(row[column]) for row in rows] for column in rows[0]
                }
        return result
