"""A comparison of many networks, layer by layer: planned, run, kept on disk, reported."""

from convergent.study.comparison import compare
from convergent.study.folder import StudyFolder
from convergent.study.result import Task, TaskResult
from convergent.study.settings import CompareSettings
from convergent.study.study import LayerSummary, Problem, Study
from convergent.study.trajectory import Epoch, Trajectory, follow_training

__all__ = [
    "CompareSettings",
    "Epoch",
    "LayerSummary",
    "Problem",
    "Study",
    "StudyFolder",
    "Task",
    "TaskResult",
    "Trajectory",
    "compare",
    "follow_training",
]
