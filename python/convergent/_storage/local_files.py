"""Writing a file under a temporary name, and removing what dead processes left of that."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from convergent._storage.names import text_digest
from convergent._storage.places import AnyPlace, Location, place

_TEMPORARY = re.compile(r"\.(?P<name>.+?)\.(?:(?P<machine>[0-9a-f]{8})-)?(?P<process>[0-9]+)\.tmp")


@contextmanager
def replacing(where: AnyPlace) -> Iterator[IO[bytes]]:
    """Open a temporary file; it takes the name `where` only when the block succeeds.

    What processes that are dead left of the same file is removed.
    """
    final = place(where)
    if isinstance(final, Location):
        with final.replacing() as stream:
            yield stream
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    for left in final.parent.glob(".*.tmp"):
        if _is_stale(left, final.name):
            left.unlink(missing_ok=True)
    temporary = final.with_name(f".{final.name}.{_machine()}-{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)


def remove_stale(folder: Path) -> None:
    """Remove the temporary files below a folder whose processes are dead."""
    for left in folder.rglob(".*.tmp"):
        if _is_stale(left):
            left.unlink(missing_ok=True)


def _is_stale(path: Path, name: str | None = None) -> bool:
    """Return whether a file is what a dead process of this machine left (of the file `name`)."""
    found = _TEMPORARY.fullmatch(path.name)
    if found is None or (name is not None and found["name"] != name):
        return False
    if found["machine"] not in (None, _machine()):
        return False  # several machines may write into one folder
    return not _is_alive(int(found["process"]))


def _machine() -> str:
    return text_digest(platform.node())[:8]


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        return True  # there a signal 0 would end it
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
