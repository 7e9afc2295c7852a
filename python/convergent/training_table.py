"""The progress of a training: a table on a terminal or in a notebook, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

_SECONDS_BETWEEN_LINES = 2.0
_COLUMNS = ("seed", "epoch", "train loss", "test loss", "test accuracy", "images/s")


class Epoch(Protocol):
    """What a row shows: `convergent.nets.EpochReport`."""

    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def epoch(self) -> int: ...  # noqa: D102
    @property
    def n_epochs(self) -> int: ...  # noqa: D102
    @property
    def train_loss(self) -> float: ...  # noqa: D102
    @property
    def test_loss(self) -> float: ...  # noqa: D102
    @property
    def test_accuracy(self) -> float: ...  # noqa: D102
    @property
    def images_per_second(self) -> float: ...  # noqa: D102


@contextmanager
def training_table(
    *, quiet: bool = False, stream: TextIO | None = None, console: Any = None
) -> Iterator[Callable[[Epoch], None]]:
    """Yield a callable that shows each seed's last epoch, on standard error.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    stream : text stream or None
        Where plain lines go; None takes a table if standard error is a terminal.
    console : rich.console.Console or None
        Where the table goes, if not to standard error.

    Examples
    --------
    >>> import io
    >>> from types import SimpleNamespace
    >>> from convergent.training_table import training_table
    >>> lines = io.StringIO()
    >>> with training_table(stream=lines) as show:
    ...     show(SimpleNamespace(seed=3, epoch=12, n_epochs=12, train_loss=0.0213, test_loss=0.1,
    ...                          test_accuracy=0.975, images_per_second=21534.2))
    >>> print(lines.getvalue(), end="")
    seed 3  epoch 12/12  train loss 0.0213  test loss 0.1000  test accuracy 0.9750  images/s 21,534
    """
    if quiet:
        yield lambda epoch: None
        return
    if stream is None and console is None:
        console = _terminal()
    if console is None:
        yield _PlainLines(stream or sys.stderr)
        return
    from rich.live import Live

    rows: dict[int, tuple[str, ...]] = {}
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:

        def show(epoch: Epoch) -> None:
            rows[epoch.seed] = _cells(epoch)
            live.update(_table(rows), refresh=True)

        yield show


def _terminal() -> Any:
    """Return a console that can redraw itself, None if there is none."""
    try:
        from rich.console import Console
    except ImportError:
        return None
    console = Console(stderr=True)
    return console if console.is_terminal or console.is_jupyter else None


def _table(rows: dict[int, tuple[str, ...]]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(*_COLUMNS, box=box.SIMPLE_HEAD)
    for column in table.columns:
        column.justify = "right"
        column.no_wrap = True
    for cells in rows.values():
        table.add_row(*cells)
    return table


def _cells(epoch: Epoch) -> tuple[str, ...]:
    rate = f"{epoch.images_per_second:,.0f}" if epoch.images_per_second else "-"
    return (
        str(epoch.seed),
        f"{epoch.epoch}/{epoch.n_epochs}",
        f"{epoch.train_loss:.4f}",
        f"{epoch.test_loss:.4f}",
        f"{epoch.test_accuracy:.4f}",
        rate,
    )


class _PlainLines:
    """One line for each seed at its end, and one every few seconds before."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = time.monotonic()

    def __call__(self, epoch: Epoch) -> None:
        now = time.monotonic()
        if epoch.epoch >= epoch.n_epochs or now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            parts = zip(_COLUMNS, _cells(epoch))
            text = "  ".join(f"{name} {cell}" for name, cell in parts)
            print(text, file=self._stream, flush=True)
