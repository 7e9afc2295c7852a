"""The plan of a comparison in its folder, from which an unfinished comparison is read."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from convergent import _storage
from convergent.study.planning import Plan, PlannedTask
from convergent.study.result import Task, TaskResult
from convergent.study.settings import CompareSettings
from convergent.study.study import MANIFEST, LayerSummary, Problem, Study, described, inside
from convergent.study.task_run import stored_result

FORMAT = "convergent.Plan/1"
PLAN = "plan.json"
UNFINISHED = "not computed yet: the comparison has not ended"


def write_plan(
    folder: _storage.Place,
    plan: Plan,
    networks: tuple[str, ...],
    layers: tuple[LayerSummary, ...],
    settings: CompareSettings,
) -> None:
    """Write what is to come into the folder, and give up the manifest of a comparison that was finished there."""
    content = {
        _storage.FORMAT_KEY: FORMAT,
        "networks": list(networks),
        "layers": [asdict(layer) for layer in layers],
        "settings": settings.as_dict(),
        "tasks": [_row(planned) for planned in plan.tasks],
    }
    # Without the line breaks of `write_json`, which take seconds for the tasks of fifty networks.
    _storage.write_text(folder / PLAN, json.dumps(content) + "\n")
    (folder / MANIFEST).unlink(missing_ok=True)


def _row(planned: PlannedTask) -> dict[str, Any]:
    task = planned.task
    return {
        "layer": task.layer,
        "measure": task.measure,
        "networks": list(task.networks),
        "key": planned.key,
    }


def remove_plan(folder: _storage.Place) -> None:
    """Remove the plan: the manifest says everything."""
    (folder / PLAN).unlink(missing_ok=True)


def load_unfinished(folder: _storage.Place) -> Study:
    """Return the results that are there of an unfinished comparison; those that are not are its problems.

    Raises
    ------
    FileNotFoundError
        If no comparison was begun in the folder.
    UnreadableFileError
        If the plan or a result is truncated, or is of another kind.
    """
    path = folder / PLAN
    if not path.exists():
        raise FileNotFoundError(f"{folder} holds no finished comparison (no {MANIFEST})")
    content = _storage.read_json(path, FORMAT)
    try:
        networks, layers, settings = described(content)
        planned = [
            (Task(row["layer"], row["measure"], tuple(row["networks"])), str(row["key"]))
            for row in content["tasks"]
        ]
        for task, _ in planned:
            inside(folder, task.file.as_posix(), PLAN)
    except _storage.UnreadableFileError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise _storage.UnreadableFileError(f"{path} is not a study's plan: {error}") from error
    results: list[TaskResult] = []
    problems: list[Problem] = []
    for task, key in planned:
        found = stored_result(folder, task, key)
        if found is None:
            problems.append(Problem(task, UNFINISHED, unfinished=True))
        else:
            results.append(found)
    return Study(networks, layers, settings, tuple(results), tuple(problems))
