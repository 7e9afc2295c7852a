"""Simulations on disk: a folder for each kind of transformation, a table, and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convergent import _storage
from convergent._warnings import say_undrawn
from convergent.progress import ReportProgress, silent
from convergent.simulation.one_run import QUANTITIES
from convergent.simulation.runs import RESULT, simulate
from convergent.simulation.settings import SimulationSettings
from convergent.simulation.simulation import COLUMNS, Simulation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150


def simulate_to_files(
    root: str | Path,
    settings: Sequence[SimulationSettings],
    n_runs: int,
    *,
    n_threads: int | None = None,
    progress: ReportProgress = silent,
) -> dict[str, Any]:
    """Run simulations of different kinds below a folder and write their table and figures.

    Runs that are there already and depend on the same settings are kept.
    """
    root = Path(root)
    found = [
        simulate(n_runs, out=root / of.kind, n_threads=n_threads, progress=progress, **of.as_dict())
        for of in settings
    ]
    rows = chain.from_iterable(simulation.rows() for simulation in found)
    _storage.write_table(root / "summary.csv", COLUMNS, rows)
    result: dict[str, Any] = {
        "results": [str(root / of.kind / RESULT) for of in settings],
        "summary": str(root / "summary.csv"),
    }
    figures = _write_figures(found, root)
    if figures:
        result["figures"] = [str(path) for path in figures]
    return {**result, "agreement": {of.settings.kind: _intervals(of) for of in found}}


def _intervals(simulation: Simulation) -> dict[str, dict[str, float]]:
    found = {}
    for quantity in QUANTITIES:
        interval = simulation.interval(quantity)
        found[quantity] = {"mean": interval.estimate, "low": interval.low, "high": interval.high}
    return found


def _write_figures(simulations: Sequence[Simulation], root: Path) -> list[Path]:
    """Write the figures, or say why there are none."""
    try:
        from convergent.report import figures
    except ImportError as error:
        say_undrawn("figures are", error)
        return []
    drawn = {"agreement.png": figures.simulation_bars(simulations)}
    for simulation in simulations:
        name = f"similarities_{simulation.settings.kind}.png"
        drawn[name] = figures.simulation_rsms(simulation)
    return [_write_figure(figure, root / name) for name, figure in drawn.items()]


def _write_figure(figure: Figure, path: Path) -> Path:
    with _storage.replacing(path) as stream:
        figure.savefig(stream, format="png", dpi=_DPI)
    return path
