"""The progress of a training: a table on a terminal or in a notebook, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

_SECONDS_BETWEEN_LINES = 2.0
_SECONDS_BETWEEN_BATCHES = 10.0  # lines that tell of a batch
_SECONDS_BETWEEN_LOOKS = 0.2
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


class Shown(Protocol):
    """Shows how far a training has come."""

    def __call__(self, epoch: Epoch) -> None:
        """Show a seed's epoch."""

    def batch(self, seeds: tuple[int, ...], epoch: int, done: int, total: int) -> None:
        """Show now and then how many batches of an epoch are done."""


@contextmanager
def training_table(
    *, quiet: bool = False, stream: TextIO | None = None, console: Any = None
) -> Iterator[Shown]:
    """Yield a callable that shows each seed's last epoch and what is under way, on standard error.

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
        yield _Nothing()
        return
    if stream is None and console is None:
        console = _terminal()
    if console is None:
        yield _PlainLines(stream or sys.stderr)
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        yield _Table(live)


class _Nothing:
    """Shows nothing."""

    def __call__(self, epoch: Epoch) -> None:
        pass

    def batch(self, seeds: tuple[int, ...], epoch: int, done: int, total: int) -> None:
        pass


class _Table:
    """A row for each seed, and a line for what is under way."""

    def __init__(self, live: Any) -> None:
        self._live = live
        self._rows: dict[int, tuple[str, ...]] = {}
        self._last = 0.0

    def __call__(self, epoch: Epoch) -> None:
        self._rows[epoch.seed] = _cells(epoch)
        self._show("")

    def batch(self, seeds: tuple[int, ...], epoch: int, done: int, total: int) -> None:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LOOKS:
            self._last = time.monotonic()
            self._show(f"{_names(seeds)}, epoch {epoch}: batch {done}/{total}")

    def _show(self, under_way: str) -> None:
        self._live.update(_table(self._rows, under_way), refresh=True)


def _names(seeds: tuple[int, ...]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"


def _terminal() -> Any:
    """Return a console that can redraw itself, None if there is none."""
    try:
        from rich.console import Console
    except ImportError:
        return None
    console = Console(stderr=True)
    return console if console.is_terminal or console.is_jupyter else None


def _table(rows: dict[int, tuple[str, ...]], under_way: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(*_COLUMNS, box=box.SIMPLE_HEAD, caption=under_way or None, caption_justify="left")
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

    def batch(self, seeds: tuple[int, ...], epoch: int, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_BATCHES:
            self._last = now
            text = f"{_names(seeds)}  epoch {epoch}  batch {done}/{total}"
            print(text, file=self._stream, flush=True)
