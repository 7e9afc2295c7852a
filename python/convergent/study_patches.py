"""The image patches of a study: written beside its statistics, read for its report."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from convergent import _storage
from convergent.progress import ReportProgress, silent
from convergent.statistics import Statistics, UnitPatches
from convergent.study.folder import StudyFolder

if TYPE_CHECKING:
    from convergent.nets import ImageDataset

FORMAT = "convergent.patches/1"
MANIFEST = "patches.json"


def write_patches(
    folder: StudyFolder,
    statistics: Statistics,
    load_networks: Callable[[], Mapping[str, Any]],
    load_data: Callable[[], ImageDataset],
    progress: ReportProgress = silent,
) -> None:
    """Write the patches that are not there yet; with deconvolutions if captum is installed.

    Nothing is written if the statistics hold no top examples, or if the test images are no pictures
    because their pixels leave [0, 1]. Patches of other statistics are given up first.
    """
    deconvolve = importlib.util.find_spec("captum") is not None
    manifest = _manifest(statistics, deconvolve)
    if _stored_manifest(folder) != manifest:
        _storage.remove_below(folder.patches)
    if not any(layer.top for layer in statistics.layers.values()):
        return
    missing = [
        (layer, network)
        for layer in statistics.layers
        for network in statistics.networks
        if not folder.patch_file(layer, network).exists()
    ]
    if not missing:
        return
    data = load_data()
    pixels = data.pixels("test")
    if pixels.min() < 0.0 or pixels.max() > 1.0:
        return
    from convergent import nets

    _storage.write_json(folder.patches / MANIFEST, manifest)
    networks = load_networks()
    for done, (layer, network) in enumerate(missing, start=1):
        nets.unit_patches(
            networks[network], data.test_images, statistics, layer, network_name=network,
            pixels=pixels, deconvolve=deconvolve,
        ).save(folder.patch_file(layer, network))  # fmt: skip
        progress("patches", done, len(missing))


def read_patches(folder: StudyFolder) -> dict[str, dict[str, UnitPatches]]:
    """Return a study's patches by layer and network; none if they are not of its statistics.

    Raises
    ------
    ValueError
        If a file is truncated or foreign.
    """
    stored = _stored_manifest(folder)
    if stored is None or not Statistics.is_complete(folder.statistics):
        return {}
    statistics = Statistics.load(folder.statistics)
    if stored != _manifest(statistics, stored.get("deconvolve")):
        return {}
    found: dict[str, dict[str, UnitPatches]] = {}
    for layer in statistics.layers:
        for network in statistics.networks:
            path = folder.patch_file(layer, network)
            if path.exists():
                found.setdefault(layer, {})[network] = UnitPatches.load(path)
    return found


def _manifest(statistics: Statistics, deconvolve: Any) -> dict[str, Any]:
    """Return what patches depend on."""
    return {
        _storage.FORMAT_KEY: FORMAT,
        "study": statistics.settings.get("study"),
        "n_top": statistics.settings.get("n_top"),
        "deconvolve": deconvolve,
    }


def _stored_manifest(folder: StudyFolder) -> dict[str, Any] | None:
    """Return what the patches that are there were made of; None if there are none to be used."""
    try:
        stored: dict[str, Any] = _storage.read_json(folder.patches / MANIFEST, FORMAT)
    except (FileNotFoundError, _storage.UnreadableFileError):
        return None
    return stored
