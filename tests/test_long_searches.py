"""Long searches for subspace matches: progress, stopping, Ctrl-C, and being killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import convergent as cv
from convergent.progress import progress

Members = tuple[tuple[int, ...], tuple[int, ...]]
EPSILON = 0.5


@cache
def large_matcher(n_units: int = 400) -> cv.SubspaceMatcher:
    """As many units each; at `EPSILON` nearly every unit has a minimal match of its own."""
    random = np.random.default_rng(1)
    shared = random.standard_normal((3 * n_units, n_units // 2))
    x, y = (shared @ random.standard_normal((n_units // 2, n_units)) for _ in range(2))
    noise = np.sqrt(n_units / 25) * random.standard_normal((2, 3 * n_units, n_units))
    return cv.SubspaceMatcher(x + noise[0], y + noise[1])


def members(found: cv.SimpleMatches) -> list[Members]:
    return [(tuple(match.x.tolist()), tuple(match.y.tolist())) for match in found.matches]


def by_unit(found: cv.SimpleMatches) -> dict[tuple[str, int], set[Members]]:
    named = members(found)
    return {unit: {named[i] for i in places} for unit, places in found.of_unit.items()}


class StopAfter:
    """Stops a search once some of it is done, and remembers when."""

    def __init__(self, n_done: int) -> None:
        self.n_done = n_done
        self.stopped_at = np.inf
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, description: str, done: int, total: int) -> bool:
        self.calls.append((description, done, total))
        if done < self.n_done:
            return True
        self.stopped_at = min(self.stopped_at, time.monotonic())
        return False


def test_a_stopped_search_returns_part_of_the_result() -> None:
    matcher = large_matcher()
    whole = matcher.simple_matches(EPSILON, n_orders=4)
    assert whole.complete
    stop = StopAfter(200)
    part = matcher.simple_matches(EPSILON, n_orders=4, progress=stop)
    assert not part.complete
    assert all(call[::2] == ("simple matches", 4 * 800) for call in stop.calls)
    assert 0 < len(part.matches) < len(whole.matches)
    assert set(members(part)) < set(members(whole))
    found, everything = by_unit(part), by_unit(whole)
    assert all(found[unit] <= everything[unit] for unit in found)
    assert sum(len(matches) for matches in found.values()) >= 200


def test_a_search_stops_within_a_second() -> None:
    matcher = large_matcher()
    seconds = []
    for n_done in (0, 100, 1000):
        stop = StopAfter(n_done)
        part = matcher.simple_matches(EPSILON, n_orders=1000, progress=stop)
        seconds.append(time.monotonic() - stop.stopped_at)
        assert not part.complete
    assert min(seconds) < 1.0  # the machine may be busy with something else once or twice


def test_stopping_at_the_end_changes_nothing() -> None:
    matcher = cv.SubspaceMatcher(np.eye(6)[:, :4], np.eye(6)[:, 2:])
    stop = StopAfter(2 * 8)  # half of the units have no match and need no search
    found = matcher.simple_matches(0.1, n_orders=2, progress=stop)
    assert found.complete
    assert found.sizes.tolist() == [2, 2]
    assert stop.calls[-1] == ("simple matches", 16, 16)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_errors_of_progress_are_raised(error: type[BaseException]) -> None:
    def fails(description: str, done: int, total: int) -> None:
        raise error("from progress")

    with pytest.raises(error, match="from progress"):
        large_matcher().simple_matches(EPSILON, n_orders=100, progress=fails)
    with pytest.raises(error, match="from progress"):  # also in the one call of a short search
        cv.simple_matches(np.eye(3), np.eye(3), 0.1, progress=fails)


def test_progress_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as report:
        found = cv.simple_matches(np.eye(5), np.eye(5), 0.1, n_orders=3, progress=report)
    assert found.complete
    assert capsys.readouterr().err.splitlines()[-1] == "simple matches: 30/30"


def environment(folder: Path) -> dict[str, str]:
    """Of a process that finds the same modules and has its temporary files in `folder`."""
    places = {name: str(folder) for name in ("TMPDIR", "TEMP", "TMP", "HOME")}
    return {
        **os.environ,
        **places,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }


BAR = """
from convergent.progress import progress
from tests.test_long_searches import EPSILON, large_matcher

with progress() as report:
    large_matcher().simple_matches(EPSILON, progress=report)
"""


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    pytest.importorskip("rich")
    terminal = {**environment(tmp_path), "FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "100"}
    terminal.pop("NO_COLOR", None)
    done = subprocess.run(
        [sys.executable, "-c", BAR], env=terminal, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    assert "simple matches" in done.stderr
    assert "800/800" in done.stderr
    assert "\N{BOX DRAWINGS HEAVY HORIZONTAL}" * 20 in done.stderr


INTERRUPT = """
import os, signal, threading, time
import numpy as np
import convergent as cv
from convergent import _core
from tests.test_long_searches import EPSILON, large_matcher

def long_span(n):
    '''Every further epsilon takes out one unit of each network.'''
    random = np.random.default_rng(0)
    triangle = np.asfortranarray(np.eye(n) + 1e-3 * np.triu(random.standard_normal((n, n))))
    beside = np.asfortranarray(1e-6 * random.standard_normal((n, n)))
    return triangle, np.arange(n), beside, np.linspace(0.99, 0.01, n) ** 2, 1e-12

def interrupt():
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)

{setup}
before = matcher.simple_matches(0.1, n_orders=2)
for _ in range(3):
    sent = []
    threading.Timer({delay}, interrupt).start()
    try:
        {call}
        print("finished")
    except KeyboardInterrupt:
        print("interrupted", time.monotonic() - sent[0])
after = matcher.simple_matches(0.1, n_orders=2)
print("usable", repr(after) == repr(before) and after.of_unit == before.of_unit)
"""
SMALL = "matcher = cv.SubspaceMatcher(np.eye(9)[:, :6], np.eye(9)[:, 2:])"
LONG_SPAN = f"{SMALL}; span = long_span(2500)"
LARGE = "matcher = large_matcher()"
LARGER = "matcher = large_matcher(700)"
ORDERS = "matcher.simple_matches(EPSILON, n_orders=1000)"


@pytest.mark.parametrize(
    ("setup", "call", "delay"),
    [
        (LONG_SPAN, "_core.kernels.max_match(span, span, np.linspace(0.99, 0.01, 2500))", 0.5),
        (LONG_SPAN, "_core.kernels.match_levels(span, span)", 0.5),
        (LARGE, ORDERS, 0.5),
        (LARGE, "matcher.simple_matches(EPSILON, n_orders=1000, progress=lambda *_: None)", 0.5),
        (LARGE, "matcher.all_min_matches(('x', 0), EPSILON, limit=100_000)", 0.5),
        (LARGER, ORDERS, 0.05),  # while the first order is being set up
        (LARGER, ORDERS, 1.5),
    ],
    ids=["max_match", "levels", "simple", "with progress", "all", "early", "larger"],
)
def test_interrupt_is_answered_within_a_second(
    setup: str, call: str, delay: float, tmp_path: Path
) -> None:
    """Each call is many seconds or minutes of work."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPT.format(setup=setup, call=call, delay=delay)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    *answers, last = (line.split() for line in done.stdout.splitlines())
    assert [word for word, *_ in answers] == ["interrupted"] * 3
    assert min(float(seconds) for _, seconds in answers) < 1.0
    assert last == ["usable", "True"]


KILLED = """
from tests.test_long_searches import EPSILON, large_matcher

def searching(description, done, total):
    if done > 0:
        print("searching", flush=True)

large_matcher().simple_matches(EPSILON, n_orders=1000, progress=searching)
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_interrupt_by_kill_leaves_nothing_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED],
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "searching\n"
        finally:
            process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
