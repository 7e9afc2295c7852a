"""The compiled kernels: one extension module per CPU level, the best one chosen at import.

`kernels` is the module in use. The environment variable ``CONVERGENT_CPU`` chooses another level by its name
(``x86-64-v2``, ``x86-64-v3``, ``x86-64-v4``; ``baseline`` on other architectures).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from types import ModuleType

from convergent._core import _cpu

ENVIRONMENT_VARIABLE = "CONVERGENT_CPU"
_ALL_LEVELS = ("baseline", "x86-64-v2", "x86-64-v3", "x86-64-v4")


def _module_name(level: str) -> str:
    return f"{__name__}._{level.replace('-', '_')}"


def built_levels() -> tuple[str, ...]:
    """Return the CPU levels that this installation has modules for, lowest first."""
    return tuple(name for name in _ALL_LEVELS if importlib.util.find_spec(_module_name(name)))


def supported_levels() -> tuple[str, ...]:
    """Return the built CPU levels that this processor can run, lowest first."""
    runnable = {"baseline", *_cpu.supported_levels()}
    return tuple(name for name in built_levels() if name in runnable)


def load_level(level: str) -> ModuleType:
    """Return the extension module of one CPU level.

    Raises
    ------
    ValueError
        If there is no such level.
    ImportError
        If the level was not built, or if the processor lacks it.
    """
    if level not in _ALL_LEVELS:
        raise ValueError(f"CPU level must be one of {', '.join(_ALL_LEVELS)}, got {level!r}")
    if level not in built_levels():
        raise ImportError(
            f"CPU level {level} is not built here; built are {', '.join(built_levels()) or 'none'}"
        )
    if level not in supported_levels():
        raise ImportError(
            f"this processor lacks CPU level {level}; it runs {', '.join(supported_levels())}"
        )
    return importlib.import_module(_module_name(level))


def _choose() -> tuple[str, ModuleType]:
    wanted = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if wanted:
        try:
            return wanted, load_level(wanted)
        except (ValueError, ImportError) as error:
            raise ImportError(f"{ENVIRONMENT_VARIABLE}={wanted}: {error}") from error
    levels = supported_levels()
    if not levels:
        raise ImportError(
            "convergent has no compiled kernels for this processor; "
            f"built are {', '.join(built_levels()) or 'none'}"
        )
    return levels[-1], load_level(levels[-1])


level, kernels = _choose()
