"""A place behind a URL that is not there before and after a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from convergent import _storage


@pytest.fixture
def memory_place() -> Iterator[_storage.Location]:
    fsspec = pytest.importorskip("fsspec")

    def clear() -> None:
        system = fsspec.filesystem("memory")
        if system.exists("/convergent-test"):
            system.rm("/convergent-test", recursive=True)  # with the folders that it remembers

    place = _storage.place("memory://convergent-test")
    assert isinstance(place, _storage.Location)
    clear()
    yield place
    clear()
