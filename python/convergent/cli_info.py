"""The command ``convergent info``."""

from __future__ import annotations

import argparse
from typing import Any

from convergent.cli_arguments import BadArguments


def add_info(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "info",
        help="show version, CPU level, threads and optional packages, or what a study folder holds",
        description="Show the installation, or what a study folder (or the URL of one) holds stage by stage, what it "
        "lacks, and which command comes next.",
    )
    parser.add_argument("study", nargs="?", metavar="DIR|URL", help="study folder")
    parser.add_argument(
        "--verify", action="store_true", help="read every file and compare it with its digest"
    )
    parser.set_defaults(run=run_info)
    return parser


def run_info(options: argparse.Namespace) -> dict[str, Any]:
    """Describe the installation or a study folder."""
    if options.study is None:
        from convergent._info import installation

        if options.verify:
            raise BadArguments("--verify goes with a study folder")
        return installation()
    from convergent.study_state import study_state

    return study_state(options.study, verify=options.verify)
