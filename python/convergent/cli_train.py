"""The settings of ``convergent train``."""

from __future__ import annotations

import argparse
from typing import Any

from convergent.cli_arguments import BadArguments, count

# As in `convergent.nets`, which cannot be imported here: it needs torch. A test holds them alike.
RECIPE_NAMES = ("default", "li2016", "wang2018", "lu2018", "lu2018_resnet")
SCHEDULE_NAMES = ("cosine", "steps", "one_cycle", "constant")
AUGMENTATION_NAMES = ("none", "crop", "crop_flip")
PRECISION_NAMES = ("float32", "bfloat16", "float16")
_SETTINGS = (
    "recipe", "batch_size", "learning_rate", "schedule", "milestones", "factor", "augmentation",
    "precision", "compile", "ensemble",
)  # fmt: skip


def add_training_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options of the training itself."""
    parser.add_argument("--recipe", choices=RECIPE_NAMES, metavar="NAME",
                        help=f"settings of a paper, of: {', '.join(RECIPE_NAMES)}; the options below change single "
                        "ones")  # fmt: skip
    parser.add_argument("--epochs", type=count, metavar="N", help="default: the recipe's, 12")
    parser.add_argument("--batch-size", type=count, metavar="N", help="default: the recipe's, 64")
    parser.add_argument("--learning-rate", type=float, metavar="R",
                        help="first or highest one (default: the recipe's, 0.1)")  # fmt: skip
    parser.add_argument("--schedule", choices=SCHEDULE_NAMES,
                        help="of the learning rate (default: the recipe's, cosine)")  # fmt: skip
    parser.add_argument("--milestones", type=count, nargs="+", metavar="EPOCH",
                        help="epochs after which the schedule 'steps' lowers the rate")  # fmt: skip
    parser.add_argument("--factor", type=float, metavar="F",
                        help="what 'steps' multiplies the rate by (default: 0.1)")  # fmt: skip
    parser.add_argument("--augmentation", choices=AUGMENTATION_NAMES,
                        help="random crops, and mirrored images (default: the recipe's, none)")  # fmt: skip
    parser.add_argument("--precision", choices=PRECISION_NAMES, default="float32",
                        help="of products in training (default: float32)")  # fmt: skip
    parser.add_argument("--compile", action="store_true", help="compile the network with torch")
    parser.add_argument("--ensemble", action=argparse.BooleanOptionalAction,
                        help="train the networks at once (default: small ones on a GPU)")  # fmt: skip
    parser.add_argument("--device", default="cpu", help="default: cpu")


def training_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return what `nets.train` takes of the options, beside epochs and device."""
    from convergent.nets.settings import make_settings

    chosen = {name: getattr(options, name) for name in _SETTINGS}
    try:
        make_settings(options.recipe, {**chosen, "epochs": options.epochs})
    except ValueError as error:
        raise BadArguments(error) from error
    return chosen
