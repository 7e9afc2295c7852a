"""The checkpoints of a study folder as epochs whose networks are compared with those at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convergent import _storage
from convergent.progress import ReportProgress
from convergent.statistics import Statistics
from convergent.study.folder import StudyFolder
from convergent.study.trajectory import Epoch

if TYPE_CHECKING:
    from convergent.nets import ImageDataset


def checkpointed_epochs(
    folder: StudyFolder,
    statistics: Statistics,
    device: str,
    progress: ReportProgress,
    data: str | Path | None = None,
) -> tuple[dict[int, Epoch], int]:
    """Return the epochs before the last of which every network has a checkpoint, and the last one.

    The data set is loaded when the first epoch is collected, from the folder `data`.

    Raises
    ------
    ValueError
        If the statistics are of other weights than the networks' last ones, or there is no epoch
        before the last that all networks have.
    """
    from convergent import nets

    networks = folder.local_networks()
    source = statistics.settings.get("study")
    if source is None:
        raise ValueError(f"{folder.statistics} is not of networks trained into {folder.networks}")
    checkpoints = {name: nets.checkpoint_paths(networks / name) for name in statistics.networks}
    ends = {name: max(paths, default=-1) for name, paths in checkpoints.items()}
    if len(set(ends.values())) > 1:
        raise ValueError(f"the networks must be trained for as many epochs, got {ends}")
    last = next(iter(ends.values()))
    weights = {
        name: _storage.file_digest(paths[last]) for name, paths in checkpoints.items() if last >= 0
    }
    if weights != source["networks"]:
        raise ValueError(
            f"{folder.statistics} is of other weights than {folder.networks} holds; "
            f"run `convergent collect {folder.root}` again"
        )
    common = set.intersection(*(set(paths) for paths in checkpoints.values())) - {last}
    if not common:
        raise ValueError(f"{folder.networks} holds no checkpoints from before the last epoch")
    folders = [networks / name for name in statistics.networks]
    load_data = cache(lambda: nets.trained_dataset(folders, data))
    epochs = {}
    for epoch in sorted(common):
        paths = {name: checkpoints[name][epoch] for name in statistics.networks}
        epochs[epoch] = _epoch(paths, statistics, load_data, device, progress)
    return epochs, last


def _epoch(
    paths: Mapping[str, Path],
    statistics: Statistics,
    load_data: Callable[[], ImageDataset],
    device: str,
    progress: ReportProgress,
) -> Epoch:
    def collect() -> Statistics:
        from convergent import nets

        data = load_data()
        networks = {name: nets.load_network(path) for name, path in paths.items()}
        batches = nets.batches(data.test_images, data.test_labels)
        return collected_images(networks, batches, statistics, device, progress)

    return Epoch("\n".join(_storage.file_digest(path) for path in paths.values()), collect)


def collected_images(
    networks: Mapping[str, Any],
    loader: Any,
    final: Statistics,
    device: str = "cpu",
    progress: ReportProgress | None = None,
) -> Statistics:
    """Return the images view of the layers and units that `final` has, of networks at another epoch."""
    from convergent import nets

    modules = final.settings["layers"]
    return nets.collect(
        networks,
        loader,
        layers={name: [of[name] for of in modules.values()] for name in networks},
        device=device,
        views=("images",),
        factor=False,
        max_units=final.settings["max_units"],
        seed=final.settings["seed"],
        n_top=0,
        progress=progress,
    )
