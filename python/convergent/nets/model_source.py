"""Where a training's networks come from: a name with its parameters, or a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from convergent.nets.datasets import ImageDataset
from convergent.nets.models import build_model
from convergent.nets.recipe import CUSTOM, make_recipe
from convergent.nets.seed_run import seeded


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Makes the same network from any seed, and says in a recipe how."""

    name: str
    """In `MODELS`, or `CUSTOM`."""
    parameters: dict[str, Any] | None
    """To build a named model with."""
    factory: Callable[[], nn.Module]
    """Returns a new network."""

    @classmethod
    def of(
        cls,
        model: str | Callable[[], nn.Module],
        model_parameters: Mapping[str, Any] | None,
        dataset: ImageDataset,
    ) -> ModelSource:
        """Return the source of what was given to `train`."""
        if isinstance(model, str):
            _, channels, height, width = dataset.train_images.shape
            if height != width:
                raise ValueError(f"a named model takes square images, got {height} x {width}")
            parameters = {
                "in_channels": channels,
                "image_size": height,
                "n_classes": len(dataset.class_names),
                **(model_parameters or {}),
            }
            return cls(model, parameters, partial(build_model, model, **parameters))
        if not callable(model):
            raise TypeError(f"`model` must be a name or a function, got {type(model).__name__}")
        if model_parameters is not None:
            raise ValueError("`model_parameters` must be None where `model` is a function")
        return cls(CUSTOM, None, model)

    def network(self, seed: int, device: torch.device) -> nn.Module:
        """Return a network with a seed's initial weights."""
        with seeded(seed, device):
            network = self.factory()
        if not isinstance(network, nn.Module):
            raise TypeError(f"`model` must return a torch Module, got {type(network).__name__}")
        return network

    def recipe(
        self, network: nn.Module, dataset: ImageDataset, settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what one network is made with, as JSON values."""
        return make_recipe(self.name, self.parameters, network, dataset, settings)
