"""Progress of long work: rich on a terminal or in a notebook, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

ReportProgress = Callable[[str, int, int], None]
"""Called as report(description, done, total)."""

_SECONDS_BETWEEN_LINES = 2.0
_NAMES_SHOWN = 3


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
    with bars:
        yield _Bars(bars)


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
        TextColumn("{task.fields[running]}", markup=False, style="dim"),
        console=console,
    )


class _Bars:
    """A bar per piece of work, with the names of its parts that are under way."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}
        self._names: dict[str, str] = {}

    def __call__(self, description: str, done: int, total: int) -> None:
        if description not in self._tasks:
            self._tasks[description] = self._bars.add_task(description, total=total, running="")
        running = self._names.get(description, "") if done < total else ""
        self._bars.update(self._tasks[description], completed=done, total=total, running=running)

    def running(self, description: str, names: Sequence[str]) -> None:
        """Take the names of the parts under way, which the next call shows."""
        self._names[description] = _few(names)


def _few(names: Sequence[str]) -> str:
    left_out = len(names) - _NAMES_SHOWN
    return "; ".join(names[:_NAMES_SHOWN]) + (f"; {left_out} more" if left_out > 0 else "")


class _PlainLines:
    """One line per piece of work at its end, and one every few seconds before."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = time.monotonic()
        self._names: dict[str, str] = {}

    def running(self, description: str, names: Sequence[str]) -> None:
        """Take the names of the parts under way, which the next line shows."""
        self._names[description] = _few(names)

    def __call__(self, description: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            names = self._names.get(description, "") if done < total else ""
            running = f" ({names})" if names else ""
            print(f"{description}: {done}/{total}{running}", file=self._stream, flush=True)
