"""A comparison of many networks, layer by layer: planned, run, kept on disk, reported."""

from convergent.study.comparison import compare
from convergent.study.dask_cluster import DaskCluster
from convergent.study.executors import Executor
from convergent.study.folder import StudyFolder
from convergent.study.local_processes import LocalProcesses
from convergent.study.planning import Plan, PlannedTask, TaskGroup, plan
from convergent.study.result import Task, TaskResult
from convergent.study.settings import CompareSettings
from convergent.study.study import LayerSummary, Problem, Study
from convergent.study.trajectory import Epoch, Trajectory, follow_training

__all__ = [
    "CompareSettings",
    "DaskCluster",
    "Epoch",
    "Executor",
    "LayerSummary",
    "LocalProcesses",
    "Plan",
    "PlannedTask",
    "Problem",
    "Study",
    "StudyFolder",
    "Task",
    "TaskGroup",
    "TaskResult",
    "Trajectory",
    "compare",
    "follow_training",
    "plan",
]
