"""What may stand on the command line, and what is said when it may not."""

from __future__ import annotations

import argparse


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
