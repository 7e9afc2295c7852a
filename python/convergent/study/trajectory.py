"""How the networks come to agree during training: each epoch's alignment against the end's similarities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _storage, _validate
from convergent.measures.alignment import alignment_agreement
from convergent.progress import ReportProgress, silent
from convergent.statistics import LayerStatistics, Statistics
from convergent.study.intervals import add_interval, of_agreement
from convergent.study.layer import Scalars
from convergent.study.settings import CompareSettings
from convergent.study.shared_geometry import (
    Split,
    explained_variance,
    fitted,
    held_out_centred,
)

FORMAT = "convergent.Trajectory/1"
EPOCH_FORMAT = "convergent.TrajectoryEpoch/1"
MANIFEST = "trajectory.json"
COLUMNS = ("layer", "epoch", "quantity", "value")
_SETTINGS = ("n_features", "test_share", "seed")
_CONTENTS = 1  # counts the changes to what an epoch's results hold


@dataclass(frozen=True, slots=True)
class Epoch:
    """The networks at one epoch of their training, collected when they are needed.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> from convergent.study import Epoch
    >>> x = np.random.default_rng(0).standard_normal((50, 4))
    >>> Epoch("the weights' digest", lambda: cv.Statistics.from_arrays({"a": x, "b": x})).fingerprint
    "the weights' digest"
    """

    fingerprint: str
    """Text that changes with the weights and with whatever else the activations depend on."""
    collect: Callable[[], Statistics]
    """Returns the statistics, of which the images view of each layer counts."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Agreement of the networks at several epochs, layer by layer.

    Examples
    --------
    >>> from convergent.study import Trajectory
    >>> found = Trajectory(("relu1",), (0, 5), {("relu1", 0): {"agreement": 0.25}})
    >>> found.values("relu1", "agreement").tolist()
    [0.25, nan]
    """

    layers: tuple[str, ...]
    epochs: tuple[int, ...]
    """Ascending; the last one is the end of training."""
    scalars: Mapping[tuple[str, int], Scalars]
    """By layer and epoch: "agreement", "agreement_rank", "variance_explained", "variance_explained_leave_one_out", and
    with three networks or more each one's 95 % interval over networks, "..._low" and "..._high"."""

    def __repr__(self) -> str:
        return f"Trajectory({len(self.layers)} layers, epochs {', '.join(map(str, self.epochs))})"

    def values(self, layer: str, quantity: str) -> NDArray[np.float64]:
        """Return a quantity over the epochs, NaN where it was not computed."""
        found = [self.scalars.get((layer, epoch), {}) for epoch in self.epochs]
        return np.array([of_epoch.get(quantity, np.nan) for of_epoch in found])

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield one number each, with its layer, epoch and quantity."""
        for layer in self.layers:
            for epoch in self.epochs:
                for quantity, value in self.scalars.get((layer, epoch), {}).items():
                    yield dict(zip(COLUMNS, (layer, epoch, quantity, value)))

    @classmethod
    def load(cls, folder: _storage.AnyPlace) -> Trajectory:
        """Read what `follow_training` wrote to its end.

        Raises
        ------
        FileNotFoundError
            If the folder holds no finished trajectory.
        ValueError
            If a file is truncated, foreign, or of another run.
        """
        source = _storage.place(folder)
        path = source / MANIFEST
        if not path.exists():
            raise FileNotFoundError(f"{folder} holds no finished trajectory (no {MANIFEST})")
        content = _storage.read_json(path, FORMAT)
        try:
            layers = tuple(str(name) for name in content["layers"])
            keys = {int(epoch): str(key) for epoch, key in content["keys"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _storage.UnreadableFileError(f"{path} is no trajectory: {error}") from error
        scalars: dict[tuple[str, int], Scalars] = {}
        for epoch, key in keys.items():
            found = _stored(source, epoch, key)
            if found is None:
                name = _epoch_file(source, epoch)
                raise _storage.UnreadableFileError(f"{name} is missing or of another run")
            scalars |= {(layer, epoch): values for layer, values in found.items()}
        return cls(layers, tuple(keys), scalars)


def follow_training(
    final: Statistics,
    earlier: Mapping[int, Epoch],
    last: int,
    *,
    settings: CompareSettings | None = None,
    out: _storage.AnyPlace | None = None,
    n_threads: int | None = None,
    progress: ReportProgress = silent,
) -> Trajectory:
    """Compare similarities between networks at each epoch with those within them at the end.

    At each epoch a shared response is fitted to the networks as they are then. The similarities between networks in
    it, on held-out examples, are compared with the mean similarities within networks at the end of training.

    Parameters
    ----------
    final : Statistics
        Of the networks at the end of training; the images view counts.
    earlier : mapping from epoch to Epoch
        The same networks, layers and images before.
    last : int
        The epoch of `final`.
    settings : CompareSettings, optional
        Of which `n_features`, `test_share` and `seed` count. With the settings of a comparison, the last epoch's
        agreement is the comparison's.
    out : path or URL, optional
        Folder for one file an epoch, written when it is ready. Those that are there already and depend on the same
        statistics, weights and settings are taken as they are, so that a killed run resumes.
    n_threads : int, optional
        Threads of the kernels; results do not depend on it.
    progress : callable, optional
        Called as ``progress("trajectory", done, total)`` after each layer of each epoch.

    Returns
    -------
    Trajectory

    Raises
    ------
    ValueError
        If there is no earlier epoch or one is not before the last, statistics hold no images or too few, or an
        epoch's statistics have other networks, layers, images or units.

    Notes
    -----
    One epoch's statistics are in memory at a time, and of one layer the float64 copies that the shared response model
    needs.

    References
    ----------
    Lu et al. (2018), Figure 3, top.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> from convergent.study import CompareSettings, Epoch, follow_training
    >>> rng = np.random.default_rng(0)
    >>> signal, turns = rng.standard_normal((60, 5)), [np.linalg.qr(m)[0] for m in rng.standard_normal((3, 5, 5))]
    >>> def networks(noise):
    ...     return {name: signal @ turn + noise * rng.standard_normal((60, 5)) for name, turn in zip("abc", turns)}
    >>> start, end = (cv.Statistics.from_arrays(networks(noise)) for noise in (2.0, 0.1))
    >>> found = follow_training(end, {0: Epoch("start", lambda: start)}, last=8)
    >>> found.epochs, bool(np.diff(found.values("activations", "agreement"))[0] > 0.1)
    ((0, 8), True)
    """
    settings = settings or CompareSettings()
    epochs = _checked_epochs(earlier, last)
    work = _Work(final, settings, n_threads)
    keys = {epoch: work.key(earlier[epoch].fingerprint) for epoch in epochs[:-1]}
    keys[last] = work.key("final")
    folder = None if out is None else _storage.place(out)
    if folder is not None:
        _give_up_another(folder, keys)
    scalars: dict[tuple[str, int], Scalars] = {}
    n_layers = len(final.layers)
    for done, epoch in enumerate(epochs):
        found = None if folder is None else _stored(folder, epoch, keys[epoch])
        if found is None:
            statistics = final if epoch == last else earlier[epoch].collect()
            found = {}
            for i, name in enumerate(final.layers):
                progress("trajectory", done * n_layers + i, len(epochs) * n_layers)
                found[name] = work.agreement(statistics, name, epoch)
            if folder is not None:
                _save(folder, epoch, keys[epoch], found)
        scalars |= {(layer, epoch): values for layer, values in found.items()}
    progress("trajectory", len(epochs) * n_layers, len(epochs) * n_layers)
    if folder is not None:
        _storage.write_json(folder / MANIFEST, _manifest(keys, list(final.layers)))
    return Trajectory(tuple(final.layers), epochs, scalars)


def _checked_epochs(earlier: Mapping[int, Epoch], last: int) -> tuple[int, ...]:
    _validate.integer(last, "last", low=1)
    epochs = sorted(_validate.integer(epoch, "earlier", low=0) for epoch in earlier)
    if not epochs:
        raise ValueError("`earlier` must hold at least one epoch, got none")
    if epochs[-1] >= last:
        raise ValueError(f"`earlier` must hold epochs before the last, {last}, got {epochs[-1]}")
    return (*epochs, last)


class _Work:
    """What all epochs share: the end of training, the split, the settings."""

    def __init__(self, final: Statistics, settings: CompareSettings, n_threads: int | None) -> None:
        self._final, self._settings, self._n_threads = final, settings, n_threads
        for name, layer in final.layers.items():
            if len(layer.networks) < 2 or not layer.images:
                raise ValueError(
                    f"`final` must hold images of at least 2 networks, got {len(layer.networks)} "
                    f"networks and {'some' if layer.images else 'no'} images in layer {name}"
                )
        first = next(iter(final.layers.values()))
        self._split = Split.of(first.images, final.labels, settings)
        labels = "" if final.labels is None else repr(final.labels.tolist())
        content = settings.as_dict()
        self._parts = [layer.fingerprint() for layer in final.layers.values()]
        self._parts += [labels, f"contents={_CONTENTS}"]
        self._parts += [f"{name}={content[name]}" for name in _SETTINGS]

    def key(self, fingerprint: str) -> str:
        """Return a digest of all that an epoch's result depends on."""
        return _storage.text_digest("\n".join([*self._parts, fingerprint]))

    def agreement(self, statistics: Statistics, name: str, epoch: int) -> Scalars:
        """Return how well the networks of an epoch reproduce the similarities at the end."""
        final = self._final.layers[name]
        layer = statistics.layers.get(name)
        if layer is None or not _same_units(layer, final):
            raise ValueError(
                f"`earlier[{epoch}]` must hold the networks, images and units of `final` in layer {name}, "
                f"got {layer}"
            )
        model, test = fitted(layer.images, self._split, self._settings, self._n_threads)
        found = alignment_agreement(
            test,
            model.transform(test),
            reference=held_out_centred(final.images, self._split),
            native=False,
        )
        scalars = explained_variance(model, test)[0]
        for quantity, method in (("agreement", "linear"), ("agreement_rank", "rank")):
            scalars[quantity] = float(getattr(found, method))
            add_interval(scalars, quantity, of_agreement(found, method))
        return scalars


def _same_units(layer: LayerStatistics, final: LayerStatistics) -> bool:
    return (
        layer.networks == final.networks
        and [x.shape for x in layer.images] == [x.shape for x in final.images]
        and all(np.array_equal(a, b) for a, b in zip(layer.image_units, final.image_units))
    )


def _epoch_file(folder: _storage.Place, epoch: int) -> _storage.Place:
    return folder / f"epoch-{epoch:03d}.json"


def _save(folder: _storage.Place, epoch: int, key: str, found: Mapping[str, Scalars]) -> None:
    content = {_storage.FORMAT_KEY: EPOCH_FORMAT, "key": key, "layers": dict(found)}
    _storage.write_json(_epoch_file(folder, epoch), content)


def _stored(folder: _storage.Place, epoch: int, key: str) -> dict[str, Scalars] | None:
    """Return what is kept of an epoch, or None if nothing is or it depends on something else."""
    path = _epoch_file(folder, epoch)
    if not path.exists():
        return None
    content = _storage.read_json(path, EPOCH_FORMAT)
    try:
        if content["key"] != key:
            return None
        return {
            str(layer): {str(name): float(value) for name, value in scalars.items()}
            for layer, scalars in content["layers"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _storage.UnreadableFileError(f"{path} is no epoch of a trajectory") from error


def _manifest(keys: Mapping[int, str], layers: list[str]) -> dict[str, Any]:
    named = {str(epoch): key for epoch, key in keys.items()}
    return {_storage.FORMAT_KEY: FORMAT, "layers": layers, "keys": named}


def _give_up_another(folder: _storage.Place, keys: Mapping[int, str]) -> None:
    """Remove the manifest of another run, whose files this one replaces."""
    path = folder / MANIFEST
    if path.exists() and _storage.read_json(path, FORMAT).get("keys") != {
        str(epoch): key for epoch, key in keys.items()
    }:
        path.unlink()
