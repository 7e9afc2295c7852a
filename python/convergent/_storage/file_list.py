"""The files of a folder by size and digest: listed as they are written, checked as they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import IO, Any, cast

from convergent._storage.local_files import replacing
from convergent._storage.names import DIGEST_BYTES, stream_digest
from convergent._storage.places import Location, Place, UnreadableFileError, fits, reading, sizes

_SIZE = "bytes"
_DIGEST = "blake2b"


class FileList:
    """The files below a place.

    Parameters
    ----------
    root : Path or Location
        Where the files lie.
    entries : mapping, optional
        Size and digest of each file by its path from `root`, as a manifest has them.
    is_kept : bool
        Whether what is written is kept there, or only listed.
    """

    def __init__(
        self, root: Place, entries: Mapping[str, Any] | None = None, *, is_kept: bool = True
    ) -> None:
        self.root = root
        self.entries: dict[str, Any] = dict(entries or {})
        self.is_kept = is_kept

    @staticmethod
    def is_whole(entries: Any) -> bool:
        """Return whether a manifest's list is one, and names no file outside of its folder."""
        return isinstance(entries, dict) and all(
            isinstance(entry, dict)
            and isinstance(entry.get(_SIZE), int)
            and isinstance(entry.get(_DIGEST), str)
            and not PurePosixPath(name).is_absolute()
            and ".." not in PurePosixPath(name).parts
            for name, entry in entries.items()
        )

    def check_sizes(self, folders: Collection[str]) -> None:
        """Refuse files of the place or of some folders in it that are missing or of another size.

        Raises
        ------
        FileNotFoundError
            If a file is missing.
        UnreadableFileError
            If a file has another size.
        """
        found = sizes(self.root)
        for name, entry in self.entries.items():
            if "/" in name and name.partition("/")[0] not in folders:
                continue
            if name not in found:
                raise FileNotFoundError(f"{self.root / name} is missing")
            if found[name] != entry[_SIZE]:
                raise UnreadableFileError(
                    f"{self.root / name} is truncated or was changed: it must have "
                    f"{entry[_SIZE]} bytes, got {found[name]}"
                )

    def damaged(self) -> list[str]:
        """Return the files that are missing or are not what they were, each with what is wrong."""
        wrong = []
        for name in self.entries:
            try:
                with (self / name).reading():
                    pass
            except FileNotFoundError:
                wrong.append(f"{self.root / name} is missing")
            except UnreadableFileError as error:
                wrong.append(str(error))
        return wrong

    def __truediv__(self, name: str) -> ListedPlace:
        return ListedPlace(self, name)


@dataclass(frozen=True, slots=True)
class ListedPlace(Location):
    """A file or folder below a list's place: writing lists a file, reading checks it."""

    files: FileList
    path: str

    def __str__(self) -> str:
        return str(self.at)

    def __truediv__(self, name: str | PurePath) -> ListedPlace:
        text = name.as_posix() if isinstance(name, PurePath) else name
        return ListedPlace(self.files, f"{self.path}/{text}")

    @property
    def name(self) -> str:
        """The last part."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> ListedPlace:
        """The place above."""
        return ListedPlace(self.files, self.path.rpartition("/")[0])

    @property
    def at(self) -> Place:
        """The place itself, whose content is not checked."""
        return self.files.root / self.path

    def exists(self) -> bool:
        """Return whether the list has it, or files below it."""
        return self.path in self.files.entries or self.is_dir()

    def is_dir(self) -> bool:
        """Return whether the list has files below."""
        return bool(self.sizes())

    def glob(self, pattern: str) -> Iterator[ListedPlace]:
        """Yield the listed files below that a pattern fits."""
        for name in sorted(self.sizes()):
            if fits(name, pattern):
                yield self / name

    def sizes(self) -> dict[str, int]:
        """Return the bytes of the listed files below, by their paths from here."""
        start = f"{self.path}/"
        return {
            name.removeprefix(start): entry[_SIZE]
            for name, entry in self.files.entries.items()
            if name.startswith(start)
        }

    @contextmanager
    def reading(self) -> Iterator[IO[bytes]]:
        """Open the file when its size and digest are those of the list."""
        entry = self.files.entries.get(self.path)
        if entry is None:
            raise UnreadableFileError(f"{self} is not among the files of its manifest")
        with reading(self.at) as stream:
            digest = stream_digest(stream)
            if (stream.tell(), digest) != (entry[_SIZE], entry[_DIGEST]):
                raise UnreadableFileError(
                    f"{self} is truncated or another file than was saved: its content must have "
                    f"{entry[_SIZE]} bytes and the digest {entry[_DIGEST]}"
                )
            stream.seek(0)
            yield stream

    @contextmanager
    def replacing(self) -> Iterator[IO[bytes]]:
        """Open a stream; the file is listed when the block succeeds."""
        target = replacing(self.at) if self.files.is_kept else nullcontext(_Nowhere())
        with target as stream:
            listed = _Listed(stream)
            yield cast("IO[bytes]", listed)
        self.files.entries[self.path] = listed.entry()

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file, and take it from the list."""
        self.files.entries.pop(self.path, None)
        if self.files.is_kept:
            self.at.unlink(missing_ok=missing_ok)


class _Listed:
    """A stream that only goes on, so that what passes through it can be measured."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._size = 0
        self._digest = hashlib.blake2b(digest_size=DIGEST_BYTES)

    def write(self, content: Any) -> int:
        view = memoryview(content)
        self._digest.update(view)
        self._size += view.nbytes
        self._stream.write(view)
        return view.nbytes

    def read(self, size: int = -1) -> bytes:
        raise OSError("nothing can be read from what is written")

    def flush(self) -> None:
        self._stream.flush()

    def entry(self) -> dict[str, Any]:
        return {_SIZE: self._size, _DIGEST: self._digest.hexdigest()}


class _Nowhere:
    """A stream that keeps nothing."""

    def write(self, content: Any) -> None:
        pass

    def flush(self) -> None:
        pass
