"""What a part of the page is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from matplotlib.figure import Figure

from convergent.report.figures.style import data_uri


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure and its caption, which is also the text for those who cannot see it."""

    kind: ClassVar[str] = "picture"
    source: str
    """Data URI of the image."""
    caption: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of numbers as text."""

    kind: ClassVar[str] = "table"
    caption: str
    headings: Sequence[str]
    """Of all columns; the first stands over the rows' names."""
    rows: Sequence[tuple[str, Sequence[str]]]
    """Name and cells of each row."""


@dataclass(frozen=True, slots=True)
class Folded:
    """Parts that the reader unfolds, such as the large figures of one layer."""

    kind: ClassVar[str] = "folded"
    summary: str
    parts: Sequence[Picture | Table]
    unfolded: bool = False


Part = Picture | Table | Folded


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: one question, and what answers it in the order of the page."""

    title: str
    question: str
    parts: Sequence[Part]


def picture(figure: Figure, caption: str) -> Picture:
    """Return a figure as a part of the page; it needs nothing beside the page."""
    return Picture(data_uri(figure), caption)
