"""Where files lie: a path on this machine, or a location behind a URL."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import IO, TypeAlias

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LOCAL_URL = "file://"


class UnreadableFileError(ValueError):
    """A file is truncated, or is not of the kind that its place says."""


class Location(ABC):
    """A place that is no path of this machine; it has those of a path's methods that are needed.

    A file of it is whole or absent, as far as its store puts files at once.
    """

    __slots__ = ()

    @abstractmethod
    def __truediv__(self, name: str | PurePath) -> Location:
        """Return a place below this one."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The last part."""

    @property
    @abstractmethod
    def parent(self) -> Location:
        """The place above."""

    @abstractmethod
    def exists(self) -> bool:
        """Return whether a file is here, or files are below."""

    @abstractmethod
    def is_dir(self) -> bool:
        """Return whether files are below."""

    @abstractmethod
    def glob(self, pattern: str) -> Iterator[Location]:
        """Yield the files below that a pattern like ``*/*.npz`` fits, level by level, in order."""

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """Return the bytes of every file below, by its path from here."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[IO[bytes]]:
        """Open the file to read; FileNotFoundError if there is none."""

    @abstractmethod
    def replacing(self) -> AbstractContextManager[IO[bytes]]:
        """Open a stream whose content becomes the file when the block succeeds."""

    def read_bytes(self) -> bytes:
        """Return the file's content."""
        with self.reading() as stream:
            return stream.read()

    def read_text(self, encoding: str = "utf-8") -> str:
        """Return the file's content as text."""
        return self.read_bytes().decode(encoding)

    @abstractmethod
    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""


Place: TypeAlias = Path | Location
AnyPlace: TypeAlias = str | os.PathLike[str] | Location


def is_url(text: object) -> bool:
    """Return whether a text names a place by a URL that is not one of this machine's folders."""
    return _URL.match(str(text)) is not None and not str(text).lower().startswith(_LOCAL_URL)


def place(where: AnyPlace) -> Place:
    """Return the path or the location that a path or a URL names; ``file://`` is a path.

    Raises
    ------
    ValueError
        If it is a chain of URLs.
    """
    if isinstance(where, Location):
        return where
    text = os.fspath(where)
    if "::" in text and "://" in text:
        raise ValueError(f"a place must be a folder or one URL, got the chain {text}")
    if is_url(text):
        from convergent._storage.url_location import UrlLocation

        return UrlLocation(text)
    if text.lower().startswith(_LOCAL_URL):
        from urllib.parse import unquote, urlsplit
        from urllib.request import url2pathname

        return Path(url2pathname(unquote(urlsplit(text).path)))
    return Path(where)


def local(where: AnyPlace, what: str) -> Path:
    """Return a path on this machine.

    Raises
    ------
    ValueError
        If it is a URL; the message says `what` must be local.
    """
    found = place(where)
    if isinstance(found, Location):
        raise ValueError(f"{what} must be a folder on this machine, got {found}")
    return found


def fits(name: str, pattern: str) -> bool:
    """Return whether a path fits a pattern, part by part."""
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


@contextmanager
def reading(where: AnyPlace) -> Iterator[IO[bytes]]:
    """Open a file to read."""
    found = place(where)
    with found.reading() if isinstance(found, Location) else found.open("rb") as stream:
        yield stream


def sizes(where: AnyPlace) -> dict[str, int]:
    """Return the bytes of every file below a place, by its path from there."""
    found = place(where)
    if isinstance(found, Location):
        return found.sizes()
    return {
        path.relative_to(found).as_posix(): path.stat().st_size
        for path in sorted(found.rglob("*"))
        if path.is_file()
    }


def remove_below(where: AnyPlace) -> None:
    """Remove every file below a place, and the folders of a path."""
    found = place(where)
    if isinstance(found, Location):
        for name in found.sizes():
            (found / name).unlink(missing_ok=True)
        return
    import shutil

    shutil.rmtree(found, ignore_errors=True)
