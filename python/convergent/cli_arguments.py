"""What may stand on the command line, and what is said when it may not."""

from __future__ import annotations

import argparse

# What `nets.DATASETS` and `nets.MODELS` hold, for those who only ask for help: torch is slow to import.
DATASET_NAMES = (
    *("digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "imagefolder", "imagenet"),
)
MODEL_NAMES = (
    *("convnet", "alexnet32", "alexnet"),
    *("vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
    *("resnet18", "resnet34", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"),
    *("plain20", "plain32", "plain34", "plain42", "plain44", "plain56"),
)


class BadArguments(Exception):
    """The command line asks for something that cannot be."""


def count(text: str) -> int:
    """Return a whole number that is at least 1."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add where a comparison runs."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=count, metavar="N",
                       help="compare on so many processes of this machine (default: in this one)")  # fmt: skip
    where.add_argument("--scheduler", metavar="ADDRESS",
                       help="compare on a Dask cluster, such as tcp://10.0.0.1:8786")  # fmt: skip


def count_or_none(text: str) -> int:
    """Return a whole number that is at least 0."""
    return 0 if text == "0" else count(text)


def width(text: str) -> float:
    """Return a positive number, whole where it can be."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be positive, got {text}")
    return int(value) if value.is_integer() else value


def default_study(dataset: str, model: str, model_width: float | None) -> str:
    """Return the name of a study's folder, such as ``study-cifar10-vgg11_bn``."""
    suffix = "" if model_width is None else f"-w{model_width:g}"
    return f"study-{dataset}-{model}{suffix}"


def seed_list(text: str) -> list[int]:
    """Return the seeds of ``first:end``, or of numbers with commas."""
    try:
        if ":" in text:
            first, end = (int(part) for part in text.split(":"))
            seeds = list(range(first, end))
        else:
            seeds = [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"must look like 0:5 or 0,3,7, got {text!r}") from None
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f"must name different seeds from 0 up, got {text!r}")
    return seeds


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add where the data set lies."""
    parser.add_argument("--data", metavar="DIR",
                        help="folder that holds the data set (default: the variable CONVERGENT_DATA)")  # fmt: skip
