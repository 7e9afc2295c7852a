"""What a study folder holds and lacks, stage by stage, and the command that comes next."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from convergent import _storage
from convergent.statistics import Statistics
from convergent.statistics.collected import read_manifest
from convergent.study.folder import StudyFolder
from convergent.study.result import Task, TaskResult
from convergent.study.study import FORMAT, MANIFEST, results_identity
from convergent.study.trajectory import MANIFEST as TRAJECTORY_MANIFEST
from convergent.study.trajectory import Trajectory
from convergent.study.unfinished import FORMAT as PLAN_FORMAT
from convergent.study.unfinished import PLAN
from convergent.study_next import next_command

COMPLETE, MISSING, UNFINISHED, OUTDATED, DAMAGED = (
    "complete",
    "missing",
    "unfinished",
    "outdated",
    "damaged",
)
_RESULTS = re.compile(rb'<meta name="convergent-results" content="([0-9a-f]+)">')
_HEAD = 4096
PROVENANCE = "provenance.json"
PROVENANCE_FORMAT = "convergent.Provenance/1"


def study_state(root: _storage.AnyPlace, *, verify: bool = False) -> dict[str, Any]:
    """Return what each stage has written into a study folder, what is missing, and what comes next.

    Parameters
    ----------
    root : path or URL
    verify : bool
        Whether to read every file and to compare it with its digest, where there is one.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.

    Returns
    -------
    dict
        JSON values: the state of "networks", "statistics", "patches", "results", "trajectory",
        "summary" and "report", what is "damaged" if that was asked for, and the "next" command.

    Notes
    -----
    Reads manifests, the small files of the statistics, and the last checkpoint of each network.

    Examples
    --------
    >>> import tempfile
    >>> from convergent.study_state import study_state
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study_state(folder)["statistics"]
    {'state': 'missing'}
    """
    folder = StudyFolder(root)
    if not folder.root.is_dir():
        raise FileNotFoundError(
            f"there is no study at {folder.root}; `convergent demo` makes one, and so does "
            "`convergent train --out DIR`"
        )
    state: dict[str, Any] = {"study": str(folder.root), "networks": _networks(folder)}
    state["statistics"] = _statistics(folder, state["networks"])
    state["patches"] = _patches(folder)
    state["results"] = _results(folder)
    state["trajectory"] = _trajectory(folder)
    state["summary"] = str(folder.summary) if folder.summary.exists() else MISSING
    state["report"] = _report(folder)
    if verify:
        state["damaged"] = list(damage(folder)) or "none"
    state["next"] = next_command(folder, state)
    return state


def damage(folder: StudyFolder) -> Iterator[str]:
    """Yield every file of a study that cannot be read or is not what was saved, with its fault."""
    if Statistics.is_complete(folder.statistics):
        try:
            yield from Statistics.damaged(folder.statistics)
        except ValueError as error:
            yield str(error)
    from convergent.statistics import UnitPatches

    loaders = (
        (folder.patches, "*/*.npz", UnitPatches.load),
        (folder.comparisons, "*/*/*.npz", TaskResult.load),
    )
    for below, pattern, load in loaders:
        found: list[_storage.Place] = [*below.glob(pattern)]
        for path in sorted(found, key=str):
            try:
                load(path)
            except ValueError as error:
                yield str(error)
    if (folder.trajectory / TRAJECTORY_MANIFEST).exists():
        try:
            Trajectory.load(folder.trajectory)
        except (ValueError, FileNotFoundError) as error:
            yield str(error)


def write_provenance(folder: StudyFolder) -> None:
    """Write which statistics the results that are there come from."""
    content = {
        _storage.FORMAT_KEY: PROVENANCE_FORMAT,
        "statistics": statistics_identity(folder.statistics),
    }
    _storage.write_json(folder.comparisons / PROVENANCE, content)


def statistics_identity(place: _storage.Place) -> str | None:
    """Return a digest of all that statistics hold, from their manifest; None where there is none."""
    try:
        manifest = read_manifest(place)
    except FileNotFoundError:
        return None
    content = {name: value for name, value in manifest.items() if name != "versions"}
    return _storage.text_digest(repr(sorted(content.items())))


def _networks(folder: StudyFolder) -> dict[str, Any]:
    """Return which networks are trained to their end, and how far the others are."""
    found: list[_storage.Place] = [*folder.networks.glob("*/recipe.json")]
    finished: list[str] = []
    unfinished: dict[str, str] = {}
    for path in sorted(found, key=str):
        name = path.parent.name
        try:
            recipe = _storage.read_json(path)
            epochs = int(recipe["epochs"])
        except (ValueError, KeyError, TypeError) as error:
            unfinished[name] = f"its recipe is damaged: {error}"
            continue
        done = _last_epoch(path.parent)
        if done == epochs and _checkpoint(folder, name, epochs).exists():
            finished.append(name)
        else:
            unfinished[name] = "not begun" if done is None else f"epoch {done} of {epochs}"
    state: dict[str, Any] = {"finished": finished or "none"}
    return state | ({"unfinished": unfinished} if unfinished else {})


def _last_epoch(network: _storage.Place) -> int | None:
    try:
        with _storage.reading(network / "metrics.csv") as stream:
            rows = list(csv.DictReader(io.StringIO(stream.read().decode(), newline="")))
        return int(rows[-1]["epoch"])
    except (FileNotFoundError, ValueError, KeyError, IndexError, TypeError):
        return None


def _checkpoint(folder: StudyFolder, network: str, epoch: int) -> _storage.Place:
    return folder.networks / network / f"epoch-{epoch:03d}.safetensors"


def _statistics(folder: StudyFolder, networks: dict[str, Any]) -> dict[str, Any]:
    """Return whether the statistics are there, whole, and of the networks as they are now."""
    try:
        manifest = read_manifest(folder.statistics)
        Statistics.load(folder.statistics)
    except FileNotFoundError as error:
        if Statistics.is_complete(folder.statistics):
            return {"state": DAMAGED, "why": str(error)}
        begun = bool(_storage.sizes(folder.statistics))
        return {"state": UNFINISHED if begun else MISSING}
    except ValueError as error:
        return {"state": DAMAGED, "why": str(error)}
    state: dict[str, Any] = {
        "state": COMPLETE,
        "layers": [entry["name"] for entry in manifest["layers"]],
        "networks": manifest["networks"],
    }
    source = manifest["settings"].get("study")
    digests = source.get("networks") if isinstance(source, dict) else None
    if not isinstance(digests, dict):
        return state | {"weights": "not of networks that were trained here"}
    finished = networks["finished"] if isinstance(networks["finished"], list) else []
    changed = [
        name for name in digests if name in finished and _weights(folder, name) != digests[name]
    ]
    new = [name for name in finished if name not in digests]
    gone = [name for name in digests if name not in finished]
    if changed:
        why = f"the weights of {', '.join(changed)} are others than those in {folder.networks}"
        return state | {"state": OUTDATED, "why": why}
    if new:
        state["not collected"] = new
    weights = f"{', '.join(gone)} not there to compare with" if gone else "those of the networks"
    return state | {"weights": weights}


def _weights(folder: StudyFolder, network: str) -> str:
    recipe = _storage.read_json(folder.networks / network / "recipe.json")
    return _storage.file_digest(_checkpoint(folder, network, int(recipe["epochs"])))


def _patches(folder: StudyFolder) -> str:
    n_patches = len(list(folder.patches.glob("*/*.npz")))
    return f"{n_patches} layers of networks" if n_patches else "none"


def _results(folder: StudyFolder) -> dict[str, Any]:
    """Return how many of the planned tasks have results, and which failed."""
    manifest = folder.comparisons / MANIFEST
    there = {
        name for name in _storage.sizes(folder.comparisons) if name.endswith(".npz")
        and name.count("/") == 2 and not name.startswith(".")
    }  # fmt: skip
    try:
        if not manifest.exists():
            return _unfinished(folder, there)
        content = _storage.read_json(manifest, FORMAT)
        done = set(content["results"])
        failed = [f"{task}: {row['reason']}" for row, task in _problems(content)]
        planned = done | {task.file.as_posix() for _, task in _problems(content)}
        state: dict[str, Any] = {
            "state": COMPLETE,
            "tasks": f"{len(done & there)} of {len(planned)}",
            "failed": failed or "none",
        }
        if not done <= there:
            lost = ", ".join(sorted(done - there)[:3])
            return state | {"state": DAMAGED, "why": f"{lost} is missing from {folder.comparisons}"}
        if any(row.get("unfinished") for row, _ in _problems(content)):
            return state | {"state": UNFINISHED}
        if _is_outdated(folder, content):
            why = f"the statistics in {folder.statistics} are others than those compared"
            return state | {"state": OUTDATED, "why": why}
        return state
    except (ValueError, KeyError, TypeError) as error:
        return {"state": DAMAGED, "why": str(error)}


def _problems(content: dict[str, Any]) -> list[tuple[dict[str, Any], Task]]:
    return [
        (row, Task(row["layer"], row["measure"], tuple(row["networks"])))
        for row in content["problems"]
    ]


def _unfinished(folder: StudyFolder, there: set[str]) -> dict[str, Any]:
    """Return the state of a comparison that has not ended; its plan says what it is to hold."""
    plan = folder.comparisons / PLAN
    if plan.exists():
        planned = {
            Task(row["layer"], row["measure"], tuple(row["networks"])).file.as_posix()
            for row in _storage.read_json(plan, PLAN_FORMAT)["tasks"]
        }
        return {"state": UNFINISHED, "tasks": f"{len(planned & there)} of {len(planned)}"}
    return {"state": UNFINISHED, "tasks": f"{len(there)} there"} if there else {"state": MISSING}


def _is_outdated(folder: StudyFolder, content: dict[str, Any]) -> bool:
    """Return whether the statistics are others than the results come from, as far as is known."""
    identity = statistics_identity(folder.statistics)
    if identity is None:
        return False
    try:
        compared = _storage.read_json(folder.comparisons / PROVENANCE, PROVENANCE_FORMAT)
        return bool(compared["statistics"] != identity)
    except FileNotFoundError:  # an older version wrote them
        manifest = read_manifest(folder.statistics)
        named = [(entry["name"], entry["widths"]) for entry in manifest["layers"]]
        return manifest["networks"] != content["networks"] or named != [
            (layer["name"], layer["widths"]) for layer in content["layers"]
        ]


def _report(folder: StudyFolder) -> str:
    """Return where the page is, if it is of the results that are there."""
    try:
        with _storage.reading(folder.report) as stream:
            found = _RESULTS.search(stream.read(_HEAD))
        content = _storage.read_json(folder.comparisons / MANIFEST, FORMAT)
        identity = results_identity(dict(zip(content["results"], content["keys"])))
    except FileNotFoundError:
        return str(folder.report) if folder.report.exists() else MISSING
    except (ValueError, KeyError, TypeError):  # the results say what is wrong, or are older
        return str(folder.report)
    is_older = found is not None and found[1].decode() != identity
    return OUTDATED if is_older else str(folder.report)


def _trajectory(folder: StudyFolder) -> str:
    partial = len(list(folder.trajectory.glob("epoch-*.json")))
    if not (folder.trajectory / TRAJECTORY_MANIFEST).exists():
        return f"unfinished, {partial} epochs there" if partial else "none"
    try:
        return f"{len(Trajectory.load(folder.trajectory).epochs)} epochs"
    except (ValueError, FileNotFoundError) as error:
        return f"damaged: {error}"
