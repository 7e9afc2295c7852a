"""Progress of long work: rich on a terminal or in a notebook, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

ReportProgress = Callable[[str, int, int], None]
"""Called as report(description, done, total)."""

_SECONDS_BETWEEN_LINES = 2.0


def silent(description: str, done: int, total: int) -> None:
    """Report nothing."""


@contextmanager
def progress(*, quiet: bool = False, stream: TextIO | None = None) -> Iterator[ReportProgress]:
    """Yield a callable that shows how far each described piece of work has come, on standard error.

    Examples
    --------
    >>> import io
    >>> from convergent.progress import progress
    >>> lines = io.StringIO()
    >>> with progress(stream=lines) as report:
    ...     for done in range(3):
    ...         report("collecting", done + 1, 3)
    >>> print(lines.getvalue().splitlines()[-1])
    collecting: 3/3
    """
    if quiet:
        yield silent
        return
    bars = None if stream is not None else _rich_bars()
    if bars is None:
        yield _PlainLines(stream or sys.stderr)
        return
    tasks: dict[str, Any] = {}

    def report(description: str, done: int, total: int) -> None:
        if description not in tasks:
            tasks[description] = bars.add_task(description, total=total)
        bars.update(tasks[description], completed=done, total=total)

    with bars:
        yield report


def _rich_bars() -> Any:
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )
    except ImportError:
        return None
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        return None
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


class _PlainLines:
    """One line per piece of work at its end, and one every few seconds before."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = time.monotonic()

    def __call__(self, description: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            print(f"{description}: {done}/{total}", file=self._stream, flush=True)
