"""A layer as the tasks of a study take it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent.measures.information import BinnedUnits, bin_units
from convergent.progress import silent
from convergent.statistics import LayerStatistics
from convergent.study.result import Task
from convergent.study.settings import CompareSettings

Scalars = dict[str, float]
Arrays = dict[str, NDArray[Any]]


def _depends_on(measure: str, settings: CompareSettings) -> tuple[str, ...]:
    """Return the names of the settings that a measure's result depends on."""
    of_draws = () if settings.convention == "all" else ("n_positions", "n_draws", "seed")
    return {
        "correlation": (),
        "mutual_information": ("n_bins",),
        "max_match": ("epsilons", "convention", *of_draws),
        "simple_matches": ("epsilons", "n_orders", "max_matched", "seed"),
        "cka": (),
        "shared_response": ("n_features", "test_share", "seed"),
    }[measure]


class Layer:
    """A layer's statistics with what several tasks share: each network is binned once, not once a pair."""

    def __init__(
        self,
        statistics: LayerStatistics,
        labels: NDArray[np.intp] | None,
        settings: CompareSettings,
        n_threads: int | None = None,
        progress: Callable[[str, int, int], object] = silent,
    ) -> None:
        self.statistics = statistics
        self.labels = labels
        self.settings = settings
        self.n_threads = n_threads
        self.progress = progress

    @cached_property
    def _fingerprint(self) -> str:
        labels = "" if self.labels is None else repr(self.labels.tolist())
        return f"{self.statistics.fingerprint()}\n{labels}"

    def key(self, task: Task) -> str:
        """Return a digest of all that a task's result depends on."""
        content = self.settings.as_dict()
        parts = [self._fingerprint, repr(task.networks)]
        parts += [f"{name}={content[name]}" for name in _depends_on(task.measure, self.settings)]
        return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()

    @cached_property
    def binned(self) -> list[BinnedUnits]:
        """Binned row sample of every network."""
        return [bin_units(rows, n_bins=self.settings.n_bins) for rows in self.statistics.rows]
