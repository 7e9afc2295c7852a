"""A layer as the tasks of a study take it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from convergent import _storage
from convergent.measures.information import BinnedUnits, bin_units
from convergent.measures.sparse_map import SparseMap, sparse_map
from convergent.measures.subspace import SubspaceMatcher
from convergent.progress import silent
from convergent.statistics import LayerStatistics, Moments
from convergent.study.result import Task
from convergent.study.settings import CompareSettings

Scalars = dict[str, float]
Arrays = dict[str, NDArray[Any]]
Found = TypeVar("Found")

# Counts the changes to what a measure's results hold; older results on disk are computed again.
_CONTENTS = {"correlation": 3, "shared_response": 3}


def _depends_on(measure: str, settings: CompareSettings) -> tuple[str, ...]:
    """Return the names of the settings that a measure's result depends on."""
    of_draws = () if settings.convention == "all" else ("n_positions", "n_draws", "seed")
    return {
        "activations": (),
        "correlation": (),
        "mutual_information": ("n_bins",),
        "recurring_units": (),
        "sparse_map": ("penalties", "penalty"),
        "unit_tree": ("penalty",),
        "unit_groups": ("n_groups", "threshold", "alpha", "seed"),
        "max_match": ("epsilons", "convention", *of_draws),
        "simple_matches": ("epsilons", "n_orders", "max_matched", "seed"),
        "cka": (),
        "indexes": (),
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
        self._binned: dict[int, BinnedUnits] = {}
        self._maps: dict[tuple[int, int], SparseMap] = {}
        self._matchers: dict[tuple[int, int], SubspaceMatcher] = {}
        self._kept: dict[str, Any] = {}

    @cached_property
    def _fingerprint(self) -> str:
        labels = "" if self.labels is None else repr(self.labels.tolist())
        return f"{self.statistics.fingerprint()}\n{labels}"

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return self.settings.as_dict()

    def key(self, task: Task) -> str:
        """Return a digest of all that a task's result depends on."""
        parts = [self._fingerprint, repr(task.networks)]
        parts += [
            f"{name}={self._settings[name]}" for name in _depends_on(task.measure, self.settings)
        ]
        if task.measure in _CONTENTS:
            parts.append(f"contents={_CONTENTS[task.measure]}")
        return _storage.text_digest("\n".join(parts))

    @property
    def moments(self) -> Moments:
        """Moments of the positions view; ValueError if the statistics hold none."""
        if self.statistics.moments is None:
            raise ValueError("the statistics were collected without the positions view")
        return self.statistics.moments

    def sparse_map(self, i: int, j: int) -> SparseMap:
        """Return the map from network `i` to `j` at the penalty of the trees; the last pair's is kept."""
        if (i, j) not in self._maps:
            self._maps.clear()
            self._maps[i, j] = sparse_map(
                self.moments.correlation(i, i),
                self.moments.correlation(i, j),
                self.settings.penalty,
                given="correlations",
                n_threads=self.n_threads,
            )
        return self._maps[i, j]

    def once(self, name: str, compute: Callable[[Layer], Found]) -> Found:
        """Return what `compute` makes of this layer, computed when it is first asked for."""
        if name not in self._kept:
            self._kept[name] = compute(self)
        found: Found = self._kept[name]
        return found

    def matcher(self, i: int, j: int) -> SubspaceMatcher:
        """Return the matcher of all positions of networks `i` and `j`; the last pair's is kept.

        ValueError if the statistics hold no factor.
        """
        if self.statistics.factor is None:
            raise ValueError("the statistics were collected without the triangular factor")
        if (i, j) not in self._matchers:
            self._matchers.clear()
            self._matchers[i, j] = SubspaceMatcher.from_factor(
                self.statistics.factor, networks=(i, j)
            )
        return self._matchers[i, j]

    def binned(self, i: int) -> BinnedUnits:
        """Return the binned row sample of network `i`, binned once."""
        if i not in self._binned:
            self._binned[i] = bin_units(self.statistics.rows[i], n_bins=self.settings.n_bins)
        return self._binned[i]
