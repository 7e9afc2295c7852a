"""What is installed."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import convergent
from convergent import _core, _validate

OPTIONAL_PACKAGES = (
    "torch",
    "torchvision",
    "safetensors",
    "pandas",
    "matplotlib",
    "jinja2",
    "rich",
    "fsspec",
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
