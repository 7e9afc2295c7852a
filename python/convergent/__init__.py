"""Do networks trained from different seeds learn the same thing, and where?

Measures take activations as arrays of shape ``(n_examples, n_units)`` and need only NumPy. Training, collecting
and reporting live in `convergent.nets`, `convergent.study` and `convergent.report`.
"""

from __future__ import annotations

from typing import Any

import lazy_loader

_public_name, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("convergent")
    return _public_name(name)
