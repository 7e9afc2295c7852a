"""``convergent train``: networks from several seeds."""

from __future__ import annotations

import argparse
from typing import Any

from convergent.cli_arguments import (
    DATASET_NAMES,
    MODEL_NAMES,
    BadArguments,
    add_data,
    count,
    default_study,
    seed_list,
    width,
)
from convergent.training_recipes import RECIPES
from convergent.training_settings import (
    AUGMENTATIONS,
    DEFAULTS,
    DEVICE,
    PRECISIONS,
    SCHEDULES,
    make_settings,
)

_SETTINGS = (
    "recipe", "batch_size", "learning_rate", "schedule", "milestones", "factor", "augmentation",
    "precision", "compile", "ensemble",
)  # fmt: skip


def add_train(commands: Any) -> argparse.ArgumentParser:
    """Add the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train", help="train networks from several seeds", description="Train networks; resumes."
    )
    parser.add_argument("--out", metavar="DIR",
                        help="study folder (default: study-DATASET-MODEL)")  # fmt: skip
    parser.add_argument("--dataset", default="digits", choices=DATASET_NAMES, metavar="NAME",
                        help=f"of: {', '.join(DATASET_NAMES)} (default: digits)")  # fmt: skip
    add_data(parser)
    parser.add_argument("--download", action="store_true",
                        help="fetch the data set into the data folder if it is not there")  # fmt: skip
    parser.add_argument("--image-size", type=count, metavar="N",
                        help="pixels to which images of a folder are resized and cropped")  # fmt: skip
    parser.add_argument("--model", default="convnet", choices=MODEL_NAMES, metavar="NAME",
                        help=f"of: {', '.join(MODEL_NAMES)} (default: convnet)")  # fmt: skip
    parser.add_argument("--width", type=width, metavar="N",
                        help="channels of the network's first layer, to which all others are proportional; "
                        "for an AlexNet a factor (default: the network's own)")  # fmt: skip
    parser.add_argument(
        "--seeds", type=seed_list, default=list(range(4)), metavar="SEEDS",
        help="first:end, or numbers with commas (default: 0:4)",
    )  # fmt: skip
    add_training_settings(parser)
    parser.set_defaults(run=run_train)
    return parser


def add_training_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options of the training itself."""
    parser.add_argument("--recipe", choices=tuple(RECIPES), metavar="NAME",
                        help=f"settings of a paper, of: {', '.join(RECIPES)}; the options below change single "
                        "ones")  # fmt: skip
    parser.add_argument("--epochs", type=count, metavar="N",
                        help=f"default: the recipe's, {DEFAULTS.epochs}")  # fmt: skip
    parser.add_argument("--batch-size", type=count, metavar="N",
                        help=f"default: the recipe's, {DEFAULTS.batch_size}")  # fmt: skip
    parser.add_argument("--learning-rate", type=float, metavar="R",
                        help=f"first or highest one (default: the recipe's, {DEFAULTS.learning_rate})")  # fmt: skip
    parser.add_argument("--schedule", choices=SCHEDULES,
                        help=f"of the learning rate (default: the recipe's, {DEFAULTS.schedule})")  # fmt: skip
    parser.add_argument("--milestones", type=count, nargs="+", metavar="EPOCH",
                        help="epochs after which the schedule 'steps' lowers the rate")  # fmt: skip
    parser.add_argument("--factor", type=float, metavar="F",
                        help=f"what 'steps' multiplies the rate by (default: {RECIPES['default'].factor})")  # fmt: skip
    parser.add_argument("--augmentation", choices=AUGMENTATIONS,
                        help="random crops, and mirrored images (default: the recipe's, "
                        f"{DEFAULTS.augmentation})")  # fmt: skip
    parser.add_argument("--precision", choices=PRECISIONS, default=DEFAULTS.precision,
                        help="of products in training (default: %(default)s)")  # fmt: skip
    parser.add_argument("--compile", action="store_true", help="compile the network with torch")
    parser.add_argument("--ensemble", action=argparse.BooleanOptionalAction,
                        help="train the networks at once (default: small ones on a GPU)")  # fmt: skip
    parser.add_argument("--device", default=DEVICE, help="default: %(default)s")


def training_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return what `nets.train` takes of the options, beside epochs and device."""
    chosen = {name: getattr(options, name) for name in _SETTINGS}
    try:
        make_settings(options.recipe, {**chosen, "epochs": options.epochs})
    except ValueError as error:
        raise BadArguments(error) from error
    return chosen


def run_train(options: argparse.Namespace) -> dict[str, Any]:
    """Train a study's networks."""
    from convergent import pipeline
    from convergent.training_table import training_table

    with training_table(quiet=options.quiet) as table:
        return pipeline.train(
            options.out or default_study(options.dataset, options.model, options.width),
            options.seeds,
            dataset=options.dataset,
            data=options.data,
            download=options.download,
            image_size=options.image_size,
            model=options.model,
            width=options.width,
            epochs=options.epochs,
            device=options.device,
            settings=training_settings(options),
            on_epoch=table,
            on_batch=table.batch,
        )
