"""The software that something was computed with."""

from __future__ import annotations

import platform
import sys

from convergent import _core


def versions(*, with_torch: bool = False) -> dict[str, str]:
    """Return the versions of the package and of what it stands on, and the kernels' CPU level.

    Parameters
    ----------
    with_torch : bool
        Whether PyTorch took part, as far as it is loaded.
    """
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "kernels": _core.level}
    for package in ("convergent", "numpy", "scipy", "scikit-learn"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    torch = sys.modules.get("torch")
    if with_torch and torch is not None:
        found["torch"] = str(torch.__version__)
    return found
