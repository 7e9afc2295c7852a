"""Race implementations of the same answer: interleaved runs, medians, ratios, the answers asserted."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from convergent import _core

BLAS_REST = 0.1  # seconds for which threads of a BLAS may spin on after their work
PACKAGES = ("convergent", "numpy", "scipy", "scikit-learn", "lapjv", "lapx", "rsatoolbox")


@dataclass(frozen=True)
class Row:
    """One contender's times in one race."""

    race: str
    contender: str
    seconds_median: float
    seconds_min: float
    seconds_max: float
    runs: int
    ratio: float
    """Median time of this contender over the median time of the first one."""


@dataclass
class Session:
    """Runs races, prints them, keeps the rows for the JSON file."""

    runs: int = 5
    long: bool = False
    """Whether sizes that take minutes are wanted."""
    rows: list[Row] = field(default_factory=list)
    limits: list[dict[str, str]] = field(default_factory=list)

    def race(
        self,
        title: str,
        contenders: Mapping[str, Callable[[], Any]],
        check: Callable[[Any, Any], None],
        *,
        runs: int | None = None,
        warm_up: bool = True,
        limit: str = "",
    ) -> None:
        """Time the contenders in turn; `check(ours, theirs)` asserts that the answers agree.

        The first contender is ours. `limit` says what the machine's physical limit for the job is.
        Without `warm_up` the runs that give the answers are the ones timed, since they are long;
        if ours is not, it is run again.
        """
        runs = runs or self.runs
        times: dict[str, list[float]] = {name: [] for name in contenders}
        answers = {}
        for name, contender in contenders.items():
            start = time.perf_counter()
            answers[name] = contender()
            if not warm_up:
                times[name].append(time.perf_counter() - start)
        ours = next(iter(contenders))
        for name, answer in answers.items():
            if name != ours:
                check(answers[ours], answer)
        del answers
        brief = {ours: contenders[ours]} if times[ours] and times[ours][0] < 1.0 else {}
        for _ in range(runs):
            for name, contender in (contenders if warm_up else brief).items():
                time.sleep(BLAS_REST)
                start = time.perf_counter()
                contender()
                times[name].append(time.perf_counter() - start)
        base = statistics.median(times[ours])
        print(f"\n{title}" + (f"\n  limit: {limit}" if limit else ""), flush=True)
        for name, seconds in times.items():
            median = statistics.median(seconds)
            row = Row(title, name, median, min(seconds), max(seconds), len(seconds), median / base)
            self.rows.append(row)
            print(
                f"  {name:<34} median {median * 1e3:>10.2f} ms   min {row.seconds_min * 1e3:>10.2f}"
                f"   max {row.seconds_max * 1e3:>10.2f}   x {row.ratio:.2f}",
                flush=True,
            )
        if limit:
            self.limits.append({"race": title, "limit": limit})

    def save(self, path: Path) -> None:
        """Write rows, limits and the machine as JSON (temporary name, then renamed)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "machine": machine(),
            "rows": [asdict(row) for row in self.rows],
            "limits": self.limits,
        }
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(content, indent=1) + "\n")
        temporary.replace(path)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "cpu": _cpu_name(),
        "level": _core.level,
        "compiler": _core.kernels.compiler(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "packages": versions,
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS", "default"),
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
