"""How the numbers came about: settings, data and software."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import numpy as np

import convergent
from convergent import _core
from convergent.study.study import Study

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "torchvision", "matplotlib")


def settings(study: Study, details: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return every setting that the numbers depend on, and the size of each layer."""
    rows: list[tuple[str, object]] = [("networks", ", ".join(study.networks))]
    for layer in study.layers:
        units = _same_or_list(layer.widths)
        dead = _same_or_list(layer.n_dead)
        rows.append(
            (
                f"layer {layer.name}",
                f"{units} units ({dead} dead), {layer.n_positions:,} positions of {layer.n_images:,} examples",
            )
        )
    rows += [(name.replace("_", " "), value) for name, value in study.settings.as_dict().items()]
    rows += list(details.items())
    return [(name, _plain(value)) for name, value in rows]


def _same_or_list(values: tuple[int, ...]) -> str:
    return str(values[0]) if len(set(values)) == 1 else ", ".join(map(str, values))


def _plain(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(item) for item in value)
    return f"{value:g}" if isinstance(value, (float, np.floating)) else str(value)


def versions() -> list[tuple[str, str]]:
    """Return the versions of the package and of what it stands on."""
    rows = [
        ("convergent", f"{convergent.__version__} (kernels for {_core.level})"),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
    ]
    for package in _PACKAGES:
        try:
            rows.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return rows
