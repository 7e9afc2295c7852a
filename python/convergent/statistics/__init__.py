"""What one pass over the data keeps, and from which the measures follow."""

from __future__ import annotations

from convergent.statistics.builder import StatisticsBuilder
from convergent.statistics.collected import Statistics
from convergent.statistics.factor import Factor
from convergent.statistics.layer_statistics import LayerStatistics
from convergent.statistics.moments import Moments
from convergent.statistics.patches import UnitPatches
from convergent.statistics.row_sample import RowSample
from convergent.statistics.top_examples import TopExamples

__all__ = [
    "Factor",
    "LayerStatistics",
    "Moments",
    "RowSample",
    "Statistics",
    "StatisticsBuilder",
    "TopExamples",
    "UnitPatches",
]
