"""Parameters as scikit-learn's pipelines, searches and `clone` expect them."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

Self = TypeVar("Self", bound="Estimator")


class Estimator:
    """Keeps the constructor's parameters as attributes of the same names."""

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return list(inspect.signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's parameters by name."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self: Self, **params: Any) -> Self:
        """Set constructor parameters by name; the model must be fitted again to follow them."""
        for name, value in params.items():
            if name not in self._parameter_names():
                raise ValueError(
                    f"parameters must be among {', '.join(self._parameter_names())}, got {name!r}"
                )
            setattr(self, name, value)
        return self
