"""The stages of a study over one folder, each resumable and each returning what it wrote."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from convergent import _storage
from convergent._warnings import say_undrawn
from convergent.progress import ReportProgress, silent
from convergent.statistics import Statistics
from convergent.study.arrays import statistics_from_files
from convergent.study.comparison import compare as compare_statistics
from convergent.study.folder import DEFAULT_LAYERS, DEFAULT_TOP, StudyFolder
from convergent.study.settings import CompareSettings
from convergent.study.study import MANIFEST, Study
from convergent.study.trajectory import MANIFEST as TRAJECTORY_MANIFEST
from convergent.study.trajectory import Trajectory, follow_training
from convergent.study_patches import read_patches, write_patches
from convergent.study_state import write_provenance


def train(
    root: _storage.AnyPlace,
    seeds: Iterable[int],
    *,
    dataset: str = "digits",
    data: str | Path | None = None,
    download: bool = False,
    image_size: int | None = None,
    model: str = "convnet",
    width: float | None = None,
    epochs: int | None = None,
    device: str = "cpu",
    settings: Mapping[str, Any] | None = None,
    progress: ReportProgress = silent,
    on_epoch: Callable[[Any], None] | None = None,
    on_batch: Callable[[tuple[int, ...], int, int, int], None] | None = None,
) -> dict[str, Any]:
    """Train one network a seed below the study folder; finished ones are kept.

    The data set is found in the folder `data`, or in the one that CONVERGENT_DATA names; where it lies is not kept.
    `settings` are further arguments of `nets.train`.
    """
    from convergent import nets

    paths = nets.train(
        model,
        nets.load_dataset(dataset, data, download, image_size=image_size),
        seeds=seeds,
        out=StudyFolder(root).local_networks(),
        epochs=epochs,
        model_parameters=None if width is None else {"width": width},
        device=device,
        progress=progress,
        on_epoch=on_epoch,
        on_batch=on_batch,
        **(settings or {}),
    )
    return {"networks": [str(path) for path in paths]}


def collect(
    root: _storage.AnyPlace,
    *,
    seeds: Iterable[int] | None = None,
    layers: Sequence[str] | None = None,
    data: str | Path | None = None,
    device: str = "cpu",
    n_top: int = DEFAULT_TOP,
    progress: ReportProgress = silent,
) -> dict[str, Any]:
    """Run the test images through the trained networks once and keep the statistics.

    All trained networks of the folder take part, or those of some seeds. Statistics that are there already and come
    from the same weights and settings are kept. With `n_top` > 0, the patches of images that each unit responds to
    most are kept, too. `data` is the folder of the data set, by default what CONVERGENT_DATA names.
    """
    from convergent import nets

    folder = StudyFolder(root)
    trained = nets.trained_networks(folder.local_networks(), seeds)
    chosen = list(layers or DEFAULT_LAYERS)
    source = {
        "networks": trained.fingerprints,
        "dataset": trained.dataset,
        "layers": chosen,
    }
    load_data = cache(lambda: trained.load_dataset(data))
    statistics = _stored_statistics(folder, source, n_top)
    if statistics is None:
        dataset = load_data()
        statistics = nets.collect(
            trained.load(),
            nets.batches(dataset.test_images, dataset.test_labels),
            layers=chosen,
            device=device,
            n_top=n_top,
            progress=progress,
        )
        statistics.settings["study"] = source
        statistics.save(folder.statistics)
    write_patches(folder, statistics, trained.load, load_data, progress)
    return _collected(folder, statistics)


def _stored_statistics(
    folder: StudyFolder, source: dict[str, Any], n_top: int
) -> Statistics | None:
    """Return the statistics that are there if they come from the same source."""
    if not Statistics.is_complete(folder.statistics):
        return None
    stored = Statistics.load(folder.statistics)
    if stored.settings.get("study") != source or stored.settings.get("n_top", 0) != n_top:
        return None
    return stored


def _collected(folder: StudyFolder, statistics: Statistics) -> dict[str, Any]:
    result: dict[str, Any] = {
        "statistics": str(folder.statistics),
        "networks": list(statistics.networks),
        "layers": list(statistics.layers),
    }
    if folder.patches.exists():
        result["patches"] = str(folder.patches)
    return result


def compare(
    root: _storage.AnyPlace,
    *,
    settings: CompareSettings | None = None,
    n_threads: int | None = None,
    n_workers: int | None = None,
    scheduler: str | None = None,
    progress: ReportProgress = silent,
) -> dict[str, Any]:
    """Compare the networks of a study folder from their statistics."""
    folder = StudyFolder(root)
    _existing_statistics(folder)
    found = _compared(
        folder, folder.statistics, settings, n_threads, progress, n_workers, scheduler
    )
    write_provenance(folder)
    return found


def _existing_statistics(folder: StudyFolder) -> Statistics:
    if not Statistics.is_complete(folder.statistics):
        raise FileNotFoundError(
            f"{folder.root} holds no statistics; run `convergent collect {folder.root}` first"
        )
    return Statistics.load(folder.statistics)


def trajectory(
    root: _storage.AnyPlace,
    *,
    settings: CompareSettings | None = None,
    data: str | Path | None = None,
    device: str = "cpu",
    n_threads: int | None = None,
    progress: ReportProgress = silent,
) -> dict[str, Any]:
    """Compare the networks at each checkpoint with what they are at the end of their training.

    The statistics of the last epoch must be there. Without `settings`, those of the study's comparison count, or the
    defaults where there is none.
    """
    from convergent.study_trajectory import checkpointed_epochs

    folder = StudyFolder(root)
    statistics = _existing_statistics(folder)
    if settings is None and (folder.comparisons / MANIFEST).exists():
        settings = Study.load(folder.comparisons).settings
    earlier, last = checkpointed_epochs(folder, statistics, device, progress, data)
    found = follow_training(
        statistics,
        earlier,
        last,
        settings=settings,
        out=folder.trajectory,
        n_threads=n_threads,
        progress=progress,
    )
    return {"trajectory": str(folder.trajectory), "epochs": list(found.epochs)}


def compare_files(
    paths: Sequence[str | Path],
    root: _storage.AnyPlace,
    *,
    settings: CompareSettings | None = None,
    n_threads: int | None = None,
    n_workers: int | None = None,
    scheduler: str | None = None,
    progress: ReportProgress = silent,
) -> dict[str, Any]:
    """Compare networks whose activations lie in files, and report."""
    folder = StudyFolder(root)
    statistics = statistics_from_files(paths)
    result = _compared(folder, statistics, settings, n_threads, progress, n_workers, scheduler)
    try:
        import jinja2  # noqa: F401
        import matplotlib as mpl  # noqa: F401
    except ImportError as error:
        say_undrawn("report.html is", error)
        return result
    return {**result, **report(root)}


def _compared(
    folder: StudyFolder,
    statistics: Statistics | _storage.Place,
    settings: CompareSettings | None,
    n_threads: int | None,
    progress: ReportProgress,
    n_workers: int | None,
    scheduler: str | None,
) -> dict[str, Any]:
    study = compare_statistics(
        statistics,
        settings=settings,
        out=folder.comparisons,
        n_threads=n_threads,
        n_workers=n_workers,
        scheduler=scheduler,
        progress=progress,
    )
    study.write_csv(folder.summary)
    study.write_intervals(folder.intervals)
    for problem in study.problems:
        print(f"not computed: {problem.task}: {problem.reason}", file=sys.stderr)
    return {
        "results": str(folder.comparisons),
        "summary": str(folder.summary),
        "intervals": str(folder.intervals),
        "problems": [f"{problem.task}: {problem.reason}" for problem in study.problems],
        "unfinished": [str(task) for task in study.unfinished],
    }


def report(root: _storage.AnyPlace) -> dict[str, Any]:
    """Write a study's table and page from its results; of an unfinished comparison, from those that are there."""
    folder = StudyFolder(root)
    study = Study.load(folder.comparisons)
    if study.unfinished:
        print(
            f"{len(study.unfinished)} tasks have no result yet; compare again to do them",
            file=sys.stderr,
        )
    study.write_csv(folder.summary)
    study.write_intervals(folder.intervals)
    metrics = folder.metrics()
    details: dict[str, object] = {}
    if metrics:
        details["test accuracy"] = [f"{m['test_accuracy'][-1]:.3f}" for m in metrics.values()]
    followed = folder.trajectory / TRAJECTORY_MANIFEST
    study.report(
        folder.report,
        metrics=metrics,
        details=details,
        patches=read_patches(folder),
        trajectory=Trajectory.load(folder.trajectory) if followed.exists() else None,
    )
    return {
        "summary": str(folder.summary),
        "intervals": str(folder.intervals),
        "report": str(folder.report),
    }
