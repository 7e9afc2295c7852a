"""Files behind a URL, by way of fsspec."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Any

from convergent._storage.places import Location, fits

_AT_ONCE = 32 << 20  # bytes up to which a file is put by one request from memory


@dataclass(frozen=True, slots=True)
class UrlLocation(Location):
    """A place named by a URL such as ``s3://bucket/study`` or ``memory://study``.

    What is written goes to a temporary file of this machine, and is put when it is whole: object
    stores put a file at once. What is read comes into a temporary file, never all into memory.
    """

    url: str

    def __post_init__(self) -> None:
        scheme, _, path = self.url.partition("://")
        object.__setattr__(self, "url", f"{scheme}://{path.rstrip('/')}")

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str | PurePath) -> UrlLocation:
        text = name.as_posix() if isinstance(name, PurePath) else name
        return UrlLocation(f"{self.url}/{text}")

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rpartition("/")[2]

    @property
    def parent(self) -> UrlLocation:
        """The place above."""
        return UrlLocation(self.url.rpartition("/")[0])

    def exists(self) -> bool:
        """Return whether a file is here, or files are below."""
        system, path = self._fresh()
        return bool(system.exists(path))

    def is_dir(self) -> bool:
        """Return whether files are below."""
        system, path = self._fresh()
        return bool(system.isdir(path))

    def glob(self, pattern: str) -> Iterator[UrlLocation]:
        """Yield the files below that a pattern fits, level by level, in order."""
        for name in self._below(pattern.count("/") + 1):
            if fits(name, pattern):
                yield self / name

    def sizes(self) -> dict[str, int]:
        """Return the bytes of every file below, by its path from here."""
        return self._below(None)

    def _below(self, depth: int | None) -> dict[str, int]:
        system, path = self._fresh()
        found = system.find(path, maxdepth=depth, detail=True)
        start = len(path.rstrip("/")) + 1
        return {name[start:]: found[name]["size"] for name in sorted(found) if len(name) > start}

    @contextmanager
    def reading(self) -> Iterator[IO[bytes]]:
        """Open a copy of the file to read."""
        system, path = self._fresh()
        with tempfile.TemporaryFile() as stream:
            with system.open(path, "rb") as source:
                shutil.copyfileobj(source, stream, 1 << 20)
            stream.seek(0)
            yield stream

    @contextmanager
    def replacing(self) -> Iterator[IO[bytes]]:
        """Open a temporary file that is put here when the block succeeds."""
        system, path = self._fresh()
        with tempfile.TemporaryDirectory(prefix="convergent-") as folder:
            temporary = Path(folder) / "file"
            with temporary.open("wb") as stream:
                yield stream
            try:
                _put(system, temporary, path)
            except FileNotFoundError:  # a store that has folders, and lacks this one
                system.makedirs(path.rpartition("/")[0], exist_ok=True)
                _put(system, temporary, path)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""
        system, path = self._fresh()
        try:
            system.rm_file(path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def _fresh(self) -> tuple[Any, str]:
        """Return the file system, without what it remembers of this place, and the path in it."""
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise ImportError(
                f"{self.url} is a URL, which needs the package fsspec; "
                "install it with `pip install 'convergent[full]'`, or give a folder"
            ) from error
        try:
            system, path = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise type(error)(f"{self.url} cannot be opened: {error}") from error
        system.invalidate_cache(path)
        return system, path


def _put(system: Any, file: Path, path: str) -> None:
    if file.stat().st_size <= _AT_ONCE:
        system.pipe_file(path, file.read_bytes())
    else:
        system.put_file(str(file), path)
