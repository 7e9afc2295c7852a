"""A place behind a URL that is empty before and after a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from convergent import _storage


@pytest.fixture
def memory_place() -> Iterator[_storage.Location]:
    pytest.importorskip("fsspec")
    place = _storage.place("memory://convergent-test")
    assert isinstance(place, _storage.Location)
    _storage.remove_below(place)
    yield place
    _storage.remove_below(place)
