"""What a pass over the data kept of one layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convergent import _storage
from convergent.statistics.factor import Factor
from convergent.statistics.moments import Moments
from convergent.statistics.top_examples import TopExamples


class SavedLayer(NamedTuple):
    """Where a layer's files lie, and the layer's fingerprint when they were written."""

    folder: str
    fingerprint: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LayerStatistics:
    """What one layer of every network left behind, networks in the same order throughout.

    The positions view has channels as units and every image position as an example; the images view
    has every image as an example and its flattened units, at most ``max_units`` of them.
    """

    name: str
    """The layer's name."""
    networks: tuple[str, ...]
    """The networks' names."""
    widths: tuple[int, ...]
    """Units of each network in the positions view (in the images view where there is no other)."""
    moments: Moments | None
    """Joint moments of the positions view; None if that view was not collected."""
    factor: Factor | None
    """Joint triangular factor of the positions view; None if it was not collected."""
    rows: Sequence[NDArray[np.float32]]
    """Paired sample of the positions view: float32 (n_rows, widths[i]) of each network."""
    images: Sequence[NDArray[np.float32]]
    """The images view: float32 (n_images, n_image_units) of each network."""
    image_units: list[NDArray[np.int64]]
    """Which flattened units the columns of `images` are: ascending int64 of each network."""
    top: list[TopExamples] = field(default_factory=list)
    """The images that each unit of each network responds to most; empty if they were not kept."""
    saved: SavedLayer | None = None
    """Where it was loaded from, and the fingerprint that it had when it was saved."""

    @property
    def n_images(self) -> int:
        """Number of examples of the images view; 0 where it was not collected."""
        if isinstance(self.images, _storage.StoredArrays):
            return self.images.shapes[0][0]
        return len(self.images[0]) if self.images else 0

    def fingerprint(self) -> str:
        """Return a digest of what measures depend on: of everything but `top`.

        Raises
        ------
        ValueError
            If the layer comes from files that are not those that were saved.
        """
        arrays: list[NDArray[Any]] = [*self.rows, *self.images, *self.image_units]
        if self.moments is not None:
            arrays.append(self.moments.mean())
        if self.factor is not None:
            arrays.append(self.factor.triangle())
        found = _storage.array_digest(repr((self.name, self.networks, self.widths)), arrays)
        if self.saved is not None and found != self.saved.fingerprint:
            raise _storage.UnreadableFileError(
                f"{self.saved.folder} holds other rows or images than were saved; "
                "`convergent info --verify` names the files"
            )
        return found

    def __repr__(self) -> str:
        kept = [
            f"moments of {self.moments.n_examples} examples" if self.moments else "",
            "factor" if self.factor else "",
            f"{len(self.rows[0])} rows" if self.rows else "",
            f"{self.n_images} images" if self.images else "",
            "top examples" if self.top else "",
        ]
        return (
            f"LayerStatistics({self.name!r}, widths={list(self.widths)}, "
            f"{', '.join(part for part in kept if part)})"
        )
