"""Build networks, train them from many seeds, collect their statistics. Needs PyTorch."""

from __future__ import annotations

try:
    import safetensors
    import torch
except ImportError as error:
    raise ImportError(
        "convergent.nets needs PyTorch and safetensors; install them with: "
        'pip install "convergent[full]"'
    ) from error

from convergent.nets.alexnet import AlexNet, AlexNet32
from convergent.nets.checkpoints import load_checkpoint, save_checkpoint
from convergent.nets.datasets import DATASETS, ImageDataset, batches, digits, load_dataset
from convergent.nets.epoch_report import EpochReport
from convergent.nets.extraction import collect
from convergent.nets.models import MODELS, ConvNet, build_model
from convergent.nets.patches import unit_patches
from convergent.nets.receptive_field import ReceptiveField, receptive_field
from convergent.nets.residual import CifarResNet, PlainNet
from convergent.nets.trained import TrainedNetworks, trained_dataset, trained_networks
from convergent.nets.training import checkpoint_paths, load_network, train
from convergent.nets.vgg import VGG
from convergent.training_recipes import RECIPES, TrainingRecipe
from convergent.training_settings import default_checkpoints

__all__ = [
    "DATASETS",
    "MODELS",
    "RECIPES",
    "VGG",
    "AlexNet",
    "AlexNet32",
    "CifarResNet",
    "ConvNet",
    "EpochReport",
    "ImageDataset",
    "PlainNet",
    "ReceptiveField",
    "TrainedNetworks",
    "TrainingRecipe",
    "batches",
    "build_model",
    "checkpoint_paths",
    "collect",
    "default_checkpoints",
    "digits",
    "load_checkpoint",
    "load_dataset",
    "load_network",
    "receptive_field",
    "save_checkpoint",
    "train",
    "trained_dataset",
    "trained_networks",
    "unit_patches",
]

del safetensors, torch
