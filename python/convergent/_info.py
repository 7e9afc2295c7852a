"""What is installed, and what a study folder holds."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import convergent
from convergent import _core, _storage, _validate
from convergent.statistics import Statistics
from convergent.study.folder import StudyFolder
from convergent.study.study import FORMAT, MANIFEST
from convergent.study.trajectory import MANIFEST as TRAJECTORY_MANIFEST
from convergent.study.trajectory import Trajectory

OPTIONAL_PACKAGES = (
    "torch",
    "torchvision",
    "safetensors",
    "pandas",
    "matplotlib",
    "jinja2",
    "rich",
)


def installation() -> dict[str, Any]:
    """Return version, CPU level, threads and packages."""
    levels = _core.supported_levels()
    found, missing = [], []
    for package in OPTIONAL_PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    return {
        "convergent": convergent.__version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "kernels": f"{_core.level}, {_core.kernels.compiler()}",
        "levels": [
            name if name in levels else f"{name} (not on this processor)"
            for name in _core.built_levels()
        ],
        "threads": _validate.available_processors(),
        "base packages": [f"{name} {version(name)}" for name in ("numpy", "scipy", "scikit-learn")],
        "optional packages": found or ["none"],
        "missing": missing or ["none"],
    }


def study_folder(path: str | Path) -> dict[str, Any]:
    """Return what each stage has written into a study folder, and what is missing."""
    folder = StudyFolder(path)
    if not folder.root.is_dir():
        raise FileNotFoundError(f"there is no folder {folder.root}")
    trained = sorted(p.parent.name for p in folder.networks.glob("*/metrics.csv"))
    state: dict[str, Any] = {"study": str(folder.root), "networks": trained or ["none"]}
    state["statistics"] = "complete" if Statistics.is_complete(folder.statistics) else "missing"
    n_patches = len(list(folder.patches.glob("*/*.npz")))
    state["patches"] = f"{n_patches} layers of networks" if n_patches else "none"
    manifest = folder.comparisons / MANIFEST
    if manifest.exists():
        content = _storage.read_json(manifest, FORMAT)
        state["results"] = f"{len(content['results'])} of {len(content['networks'])} networks"
        state["problems"] = len(content["problems"])
    else:
        partial = len(list(folder.comparisons.glob("*/*/*.npz")))
        state["results"] = f"unfinished, {partial} there" if partial else "missing"
    if (folder.trajectory / TRAJECTORY_MANIFEST).exists():
        epochs = Trajectory.load(folder.trajectory).epochs
        state["trajectory"] = f"{len(epochs)} epochs"
    else:
        partial = len(list(folder.trajectory.glob("epoch-*.json")))
        state["trajectory"] = f"unfinished, {partial} epochs there" if partial else "none"
    state["summary"] = str(folder.summary) if folder.summary.exists() else "missing"
    state["report"] = str(folder.report) if folder.report.exists() else "missing"
    return state
