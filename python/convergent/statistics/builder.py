"""The streaming side of the statistics: batches of activations in, statistics out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent.statistics.collected import Statistics, check_labels
from convergent.statistics.factor import Factor
from convergent.statistics.image_rows import ImageRows
from convergent.statistics.joint_sums import JointSums
from convergent.statistics.layer_statistics import LayerStatistics
from convergent.statistics.moments import Moments
from convergent.statistics.row_sample import RowSample
from convergent.statistics.top_examples import TopExamples

_BATCH_BYTES = 1 << 26
VIEWS = ("positions", "images")


class StatisticsBuilder:
    """Streams the activations of several networks, layer by layer, into `Statistics`.

    Parameters
    ----------
    networks : sequence of str
        The networks' names.
    views : sequence of {"positions", "images"}
        What to keep: moments, factor and rows belong to the positions view.
    moments, factor : bool
        Whether to keep the joint moments and the joint triangular factor; False also for those that
        `finish` is given.
    n_rows : int
        Rows of the positions view to sample.
    max_units : int
        Largest number of flattened units to keep in the images view; which ones depends on `seed`
        and on the number of units only.
    seed : int
        For the sample and the choice of units.
    n_top : int
        How many images that each unit responds to most are kept, whatever the views; 0 for none.
    n_threads : int, optional
        For one layer; all processors by default. The result does not depend on it.

    Notes
    -----
    After its first batch each view of each layer may be updated by another thread.

    Examples
    --------
    >>> import numpy as np
    >>> from convergent.statistics import StatisticsBuilder
    >>> builder = StatisticsBuilder(["a", "b"])
    >>> for x in np.random.default_rng(0).normal(size=(5, 20, 4)):
    ...     builder.update("dense", {"a": x, "b": -x}, {"a": x, "b": -x})
    >>> builder.finish().layers["dense"]
    LayerStatistics('dense', widths=[4, 4], moments of 100 examples, factor, 100 rows, 100 images)
    """

    def __init__(
        self,
        networks: Sequence[str],
        *,
        views: Sequence[str] = VIEWS,
        moments: bool = True,
        factor: bool = True,
        n_rows: int = 60_000,
        max_units: int = 1_000,
        seed: int = 0,
        n_top: int = 0,
        n_threads: int | None = None,
    ) -> None:
        self._networks = tuple(networks)
        if not self._networks or len(set(self._networks)) != len(self._networks):
            raise ValueError(f"`networks` must be different names, got {list(networks)}")
        if not all(isinstance(network, str) for network in self._networks):
            raise TypeError(f"`networks` must be names, got {list(networks)}")
        if isinstance(views, str) or not views:
            raise ValueError(f"`views` must be a list of {', '.join(VIEWS)}, got {views!r}")
        self._views = tuple(_validate.choice(view, "views", VIEWS) for view in views)
        self._moments, self._factor = bool(moments), bool(factor)
        self._n_rows = _validate.integer(n_rows, "n_rows", low=1)
        self._max_units = _validate.integer(max_units, "max_units", low=1)
        self._seed = _validate.integer(seed, "seed", low=0, high=2**63 - 1)
        self._n_top = _validate.integer(n_top, "n_top", low=0)
        self._n_threads = _validate.thread_count(n_threads)
        self._positions: dict[str, _PositionsStream] = {}
        self._images: dict[str, _ImagesStream] = {}
        self._top: dict[str, list[TopExamples]] = {}

    def update(
        self,
        layer: str,
        positions: Mapping[str, Any] | None = None,
        images: Mapping[str, Any] | None = None,
    ) -> None:
        """Add one batch of one layer.

        Parameters
        ----------
        layer : str
            The layer's name.
        positions : mapping from network to array of float, shape (n_positions, n_units)
            The batch's positions view; ignored if that view is not kept.
        images : mapping from network to array of float, shape (n_images, ...)
            The batch's images view, flattened here; ignored if neither that view nor the images
            with the largest responses are kept.

        Raises
        ------
        ValueError
            If a network is missing, shapes do not fit, or a value is NaN or infinite.
        """
        self.update_positions(layer, positions)
        self.update_images(layer, images)

    def update_positions(self, layer: str, positions: Mapping[str, Any] | None) -> None:
        """Add one batch of one layer to what is kept of the positions view."""
        if "positions" not in self._views:
            return
        matrices = [
            _validate.activations(value, name, min_examples=1)
            for value, name in self._named(positions, "positions", layer)
        ]
        _refuse_unpaired([len(matrix) for matrix in matrices], "positions", layer)
        if layer not in self._positions:
            widths = [matrix.shape[1] for matrix in matrices]
            sample = RowSample(self._n_rows, widths, self._seed)
            self._positions[layer] = _PositionsStream(
                layer, widths, self._moments, self._factor, sample, self._n_threads
            )
        self._positions[layer].update(matrices)

    def update_images(self, layer: str, images: Mapping[str, Any] | None) -> None:
        """Add one batch of one layer to what is kept of the images view, and to the top images."""
        if "images" not in self._views and not self._n_top:
            return
        arrays = [
            _validate.image_array(value, name)
            for value, name in self._named(images, "images", layer)
        ]
        _refuse_unpaired([len(array) for array in arrays], "images", layer)
        if "images" in self._views:
            if layer not in self._images:
                self._images[layer] = _ImagesStream(layer, arrays, self._max_units, self._seed)
            self._images[layer].update(arrays)
        if self._n_top:
            if layer not in self._top:
                self._top[layer] = [TopExamples(array.shape[1], self._n_top) for array in arrays]
            for top, array in zip(self._top[layer], arrays):
                top.update(array)

    def _named(
        self, values: Mapping[str, Any] | None, kind: str, layer: str
    ) -> list[tuple[Any, str]]:
        """Return the networks' values in order, each with the name that messages give it."""
        given = values or {}
        if set(given) != set(self._networks):
            raise ValueError(
                f"`{kind}` of layer {layer!r} must be given for {', '.join(self._networks)}, "
                f"got {', '.join(given) or 'none'}"
            )
        return [(given[name], f"{kind}[{name!r}] of layer {layer!r}") for name in self._networks]

    def finish(
        self,
        *,
        labels: Any = None,
        settings: Mapping[str, Any] | None = None,
        moments: Mapping[str, Moments] | None = None,
        factors: Mapping[str, Factor] | None = None,
    ) -> Statistics:
        """Return what was kept; the builder may go on streaming afterwards.

        Parameters
        ----------
        labels : array, shape (n_images,), or None
            Numbers or text, in the order of the images.
        settings : mapping or None
            JSON values that say how the activations came about; the builder adds its own.
        moments : mapping from layer to Moments, or None
        factors : mapping from layer to Factor, or None
            Joint moments and factors of the positions view that were accumulated beside a builder
            that keeps none, such as on a GPU: one for each layer.

        Raises
        ------
        ValueError
            If nothing was streamed, the layers or `labels` differ in images, or `moments` or
            `factors` are not those of the positions streamed.
        """
        names = list(self._positions or self._images)
        if not names:
            raise ValueError("there must be at least one batch, got none")
        counts = {name: stream.n_images for name, stream in self._images.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"every layer must have seen the same images, got {counts}")
        n_images = next(iter(counts.values()), None)
        if moments is not None:
            self._check_given(moments, "moments", self._moments)
        if factors is not None:
            self._check_given(factors, "factors", self._factor)
        return Statistics(
            {name: self._finish_layer(name, moments, factors) for name in names},
            self._networks,
            None if labels is None else check_labels(labels, n_images),
            {
                **(settings or {}),
                "views": list(self._views),
                "n_rows": self._n_rows,
                "max_units": self._max_units,
                "seed": self._seed,
                "n_top": self._n_top,
                "n_images": n_images,
            },
        )

    def _check_given(
        self, given: Mapping[str, Moments] | Mapping[str, Factor], noun: str, is_kept: bool
    ) -> None:
        if is_kept:
            raise ValueError(f"`{noun}` must be given to a builder that keeps none")
        if set(given) != set(self._positions):
            raise ValueError(
                f"`{noun}` must be given for {', '.join(self._positions) or 'no layer'}, "
                f"got {', '.join(given) or 'none'}"
            )
        for name, stream in self._positions.items():
            found = given[name]
            if (found.widths, found.n_examples) != (stream.widths, stream.n_examples):
                raise ValueError(
                    f"`{noun}[{name!r}]` must have widths {list(stream.widths)} and "
                    f"{stream.n_examples} examples, got {list(found.widths)} and "
                    f"{found.n_examples}"
                )

    def _finish_layer(
        self,
        name: str,
        moments: Mapping[str, Moments] | None,
        factors: Mapping[str, Factor] | None,
    ) -> LayerStatistics:
        positions, images = self._positions.get(name), self._images.get(name)
        if positions:
            positions.settle()
        return LayerStatistics(
            name,
            self._networks,
            positions.widths if positions else images.widths if images else (),
            moments[name] if moments else positions.moments if positions else None,
            factors[name] if factors else positions.factor if positions else None,
            positions.sample.rows if positions else [],
            images.joined() if images else [],
            images.units if images else [],
            self._top.get(name, []),
        )


class _PositionsStream:
    """Moments, factor and rows of one layer."""

    def __init__(
        self,
        layer: str,
        widths: Sequence[int],
        moments: bool,
        factor: bool,
        sample: RowSample,
        n_threads: int | None,
    ) -> None:
        self._layer = layer
        self.widths = tuple(widths)
        self.n_examples = 0
        self._joint = JointSums(widths, n_threads=n_threads) if moments and factor else None
        self.moments = Moments(widths, n_threads=n_threads) if moments else None
        self.factor = Factor(widths, n_threads=n_threads) if factor else None
        if self._joint is not None:
            self.moments, self.factor = self._joint.moments, self._joint.factor
        self.sample = sample

    def update(self, matrices: list[_validate.Floats]) -> None:
        _refuse_other_widths(self.widths, [m.shape[1] for m in matrices], self._layer)
        if self._joint is not None:
            self._joint.update_checked(matrices)
        elif self.moments is not None:
            self.moments.update_checked(matrices)
        elif self.factor is not None:
            self.factor.take(matrices)
        self.sample.update_checked(matrices)
        self.n_examples += len(matrices[0])

    def settle(self) -> None:
        if self._joint is not None:
            self._joint.settle()


class _ImagesStream:
    """The chosen units of every image of one layer."""

    def __init__(
        self, layer: str, arrays: Sequence[NDArray[Any]], max_units: int, seed: int
    ) -> None:
        self._layer = layer
        self.widths = tuple(int(np.prod(array.shape[1:])) for array in arrays)
        self.units = [choose_units(width, max_units, seed) for width in self.widths]
        self._rows = [ImageRows(units.size) for units in self.units]
        self.n_images = 0

    def update(self, arrays: list[NDArray[Any]]) -> None:
        _refuse_other_widths(self.widths, [int(np.prod(a.shape[1:])) for a in arrays], self._layer)
        chosen = []
        for i, (array, units) in enumerate(zip(arrays, self.units)):
            with np.errstate(over="ignore"):
                values = np.ascontiguousarray(_taken(array, units), dtype=np.float32)
            _validate.refuse_non_finite(values, f"images[{i}] of layer {self._layer!r}")
            chosen.append(values)
        for rows, values in zip(self._rows, chosen):
            rows.append(values)
        self.n_images += len(arrays[0])

    def joined(self) -> list[NDArray[np.float32]]:
        """Return one array a network."""
        return [rows.joined() for rows in self._rows]


def _taken(array: NDArray[Any], units: NDArray[np.int64]) -> NDArray[Any]:
    """Return some columns of the flattened images, which is no copy if units are last in memory."""
    if array.ndim == 4 and array.strides[1] == array.itemsize:
        channels, rows, columns = np.unravel_index(units, array.shape[1:])
        array = array.transpose(0, 2, 3, 1)
        units = np.ravel_multi_index((rows, columns, channels), array.shape[1:])
    return array.reshape(len(array), -1).take(units, axis=1)


def choose_units(n_units: int, max_units: int, seed: int) -> NDArray[np.int64]:
    """Return a seeded choice of at most `max_units` of `n_units` units, ascending."""
    if n_units <= max_units:
        return np.arange(n_units, dtype=np.int64)
    generator = np.random.default_rng([seed, n_units])
    return np.sort(generator.choice(n_units, size=max_units, replace=False)).astype(np.int64)


def image_batches(arrays: Mapping[str, Any]) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the same images of every network, at most about 64 MiB of the largest array at once."""
    images = {
        network: _validate.image_array(value, f"arrays[{network!r}]")
        for network, value in arrays.items()
    }
    counts = [len(array) for array in images.values()]
    if len(set(counts)) > 1:
        raise ValueError(f"`arrays` must have the same images in every network, got {counts}")
    image_bytes = max(array.nbytes // len(array) for array in images.values())
    step = max(1, _BATCH_BYTES // max(1, image_bytes))
    for start in range(0, counts[0], step):
        yield {network: array[start : start + step] for network, array in images.items()}


def positions_view(images: NDArray[Any]) -> NDArray[Any]:
    """Return the positions view: (n, c, h, w) becomes (n h w, c), a matrix stays as it is."""
    if images.ndim == 2:
        return images
    return images.transpose(0, 2, 3, 1).reshape(-1, images.shape[1])


def _refuse_unpaired(counts: list[int], noun: str, layer: str) -> None:
    if len(set(counts)) > 1:
        raise ValueError(f"the networks must have as many {noun} in layer {layer!r}, got {counts}")


def _refuse_other_widths(widths: tuple[int, ...], found: Sequence[int], layer: str) -> None:
    if tuple(found) != widths:
        raise ValueError(f"layer {layer!r} must keep widths {list(widths)}, got {list(found)}")
