"""Draw how simple matches grow with the units: ``python -m bench.plot_growth RESULTS.json ... FIGURE.png``.

Where several results have the same row, the last one counts.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bench.bench_simple_matches import FAMILIES, race_title

COLORS = dict(zip(FAMILIES, ("#0072b2", "#d55e00")))
STYLES = {"convergent, 2 threads": "o-", "convergent, 1 thread": "s:"}
LITERAL = {"literal, what is known kept": "^--", "literal": "v-."}


def times(
    rows: list[dict[str, Any]], pattern: str, contender: str
) -> tuple[list[int], list[float]]:
    """Return units per network, ascending, and median seconds of one contender."""
    found = {}
    for row in rows:
        title = re.fullmatch(pattern, row["race"])
        if title and row["contender"] == contender:
            found[int(title[1])] = float(row["seconds_median"])
    return sorted(found), [found[n_units] for n_units in sorted(found)]


def growth(rows: list[dict[str, Any]], machine: dict[str, Any]) -> Figure:
    """Return the figure of what was timed on a machine."""
    figure = Figure(figsize=(7.0, 5.4), layout="constrained")
    axes = figure.add_subplot()
    for name, color in COLORS.items():
        race = re.escape(race_title(name, 0)).replace(r"0\ \+\ 0", r"(\d+) \+ \d+")
        literal = rf"Algorithm 2 for each unit, {name}, (\d+) \+ \d+ units"
        for pattern, styles in ((race, STYLES), (literal, LITERAL)):
            for contender, style in styles.items():
                sizes, seconds = times(rows, pattern, contender)
                axes.plot(sizes, seconds, style, color=color, label=f"{name}: {contender}", ms=4)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = axes.get_xticks()
    axes.set_xticks(ticks, [f"{int(tick):,}" for tick in ticks])
    axes.set(xlabel="units per network", ylabel="seconds", xlim=(14, 2400))
    axes.set_title("Minimal matches of all units for one order", loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    axes.set_title(f"{machine['cpu']}, {machine['level']}", loc="right", fontsize=7)
    return figure


def main() -> None:
    """Draw the rows of the results files."""
    *sources, target = map(Path, sys.argv[1:])
    sessions = [json.loads(source.read_text()) for source in sources]
    rows = [row for session in sessions for row in session["rows"]]
    target.parent.mkdir(parents=True, exist_ok=True)
    growth(rows, sessions[-1]["machine"]).savefig(target, dpi=160)


if __name__ == "__main__":
    main()
