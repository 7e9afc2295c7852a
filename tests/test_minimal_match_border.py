"""Minimal matches at the border: dead units, bad arguments, progress, and Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import convergent as cv

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((40, 4))
Y = X @ RANDOM.standard_normal((4, 4)) + 0.1 * RANDOM.standard_normal((40, 4))


def with_dead() -> tuple[Any, Any]:
    x, y = np.insert(X, 1, 0.0, axis=1), np.insert(Y, 4, 0.0, axis=1)
    return x, y


def test_dead_units_left_out() -> None:
    x, y = with_dead()
    with pytest.warns(cv.DeadUnitWarning):
        matcher = cv.SubspaceMatcher(x, y)
    plain = cv.SubspaceMatcher(X, Y)
    levels = matcher.levels()
    assert levels.x[1] == levels.y[4] == np.inf
    np.testing.assert_allclose(np.delete(levels.x, 1), plain.levels().x, rtol=1e-12)
    assert levels.similarity(0.6) == plain.levels().similarity(0.6) == 1.0
    assert matcher.min_match(("x", 1), 0.5) is None
    assert matcher.all_min_matches(("y", 4), 0.5) == cv.MinMatches((), True)
    found = matcher.simple_matches(0.5)
    assert ("x", 1) not in found.of_unit
    assert found.sizes.tolist() == plain.simple_matches(0.5).sizes.tolist()


def test_dead_units_matched() -> None:
    matcher = cv.SubspaceMatcher(*with_dead(), dead_units="match")
    assert matcher.levels().x[1] == 0.0
    assert matcher.levels().similarity(0.9) == matcher.max_match(0.9).similarity == 1.0
    alone = matcher.min_match(("x", 1), 0.5)
    assert alone is not None
    assert (alone.x.tolist(), alone.y.tolist(), alone.similarity) == ([1], [], 0.1)
    found = matcher.simple_matches(0.5)
    assert found.sizes[:2].tolist() == [1, 1]
    assert found.of_unit["y", 4] == (1,)
    assert found.matches[found.of_unit["x", 0][0]].x.size > 0


def test_dead_units_unmatched() -> None:
    matcher = cv.SubspaceMatcher(*with_dead(), dead_units="unmatched")
    assert matcher.levels().similarity(0.9) == matcher.max_match(0.9).similarity == 0.8
    assert matcher.min_match(("x", 1), 0.5) is None


def test_a_network_of_dead_units() -> None:
    matcher = cv.SubspaceMatcher(np.zeros((9, 2)), X[:9], dead_units="unmatched")
    assert matcher.levels().similarity(0.99) == 0.0
    assert matcher.min_match(("y", 0), 0.9) is None
    assert matcher.all_min_matches(("y", 0), 0.9).complete
    assert len(matcher.simple_matches(0.9).matches) == 0


@pytest.mark.parametrize(
    ("unit", "error", "message"),
    [
        (("z", 0), ValueError, r'`unit` must be \("x", index\) or \("y", index\), got'),
        (3, ValueError, "`unit` must be"),
        (("x", 4), ValueError, "one of the 4 units of x, got 4"),
        (("y", -1), ValueError, "one of the 4 units of y, got -1"),
        (("x", 1.0), TypeError, "`unit` must name a whole number, got 1.0"),
    ],
)
def test_bad_units(unit: Any, error: type[Exception], message: str) -> None:
    matcher = cv.SubspaceMatcher(X, Y)
    with pytest.raises(error, match=message):
        matcher.min_match(unit, 0.3)
    with pytest.raises(error, match=message):
        matcher.all_min_matches(unit, 0.3)


def test_bad_arguments() -> None:
    matcher = cv.SubspaceMatcher(X, Y)
    units = [("x", i) for i in range(4)] + [("y", j) for j in range(4)]
    with pytest.raises(ValueError, match=r"each of the 8 units once, got 7 names of 7 units"):
        matcher.min_match(("x", 0), 0.3, order=units[:7])
    with pytest.raises(ValueError, match="exclude each other"):
        matcher.min_match(("x", 0), 0.3, order=units, seed=1)
    with pytest.raises(ValueError, match=r"`epsilon` must lie in \[0, 1\)"):
        matcher.min_match(("x", 0), 1.0)
    with pytest.raises(ValueError, match="`limit` must be at least 1"):
        matcher.all_min_matches(("x", 0), 0.3, limit=0)
    with pytest.raises(ValueError, match="`n_orders` must be at least 1"):
        matcher.simple_matches(0.3, n_orders=0)
    with pytest.raises(ValueError, match="`n_threads` must be at least 1"):
        matcher.simple_matches(0.3, n_threads=0)


def test_a_limit_is_admitted() -> None:
    x = np.eye(12)[:, :1]
    y = np.repeat(x, 6, axis=1)
    matcher = cv.SubspaceMatcher(x, y)
    assert not matcher.all_min_matches(("x", 0), 0.1, limit=5).complete
    everything = matcher.all_min_matches(("x", 0), 0.1, limit=6)
    assert everything.complete
    assert len(everything.matches) == 6


def large_matcher(n_units: int = 300) -> cv.SubspaceMatcher:
    random = np.random.default_rng(1)
    shared = random.standard_normal((4 * n_units, n_units // 2))
    x, y = (shared @ random.standard_normal((n_units // 2, n_units)) for _ in range(2))
    scale = 4.0 * np.sqrt(n_units / 300)
    noise = scale * random.standard_normal((2, 4 * n_units, n_units))
    return cv.SubspaceMatcher(x + noise[0], y + noise[1])


def test_progress_can_stop_the_search() -> None:
    matcher = large_matcher()
    calls: list[tuple[str, int, int]] = []

    def stop_at_once(description: str, done: int, total: int) -> bool:
        calls.append((description, done, total))
        return False

    part = matcher.simple_matches(0.5, n_orders=20, progress=stop_at_once)
    assert not part.complete
    assert calls[0][0] == "simple matches"
    assert calls[0][2] == 20 * 600
    assert len(part.matches) < 20 * 600


def test_errors_of_progress_are_raised() -> None:
    def fails(description: str, done: int, total: int) -> None:
        raise RuntimeError("from progress")

    with pytest.raises(RuntimeError, match="from progress"):
        large_matcher().simple_matches(0.5, n_orders=20, progress=fails)


INTERRUPT = """
import os, signal, sys, threading, time
from tests.test_minimal_match_border import large_matcher

matcher = large_matcher(int(sys.argv[1]))
sent = []
def interrupt():
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(float(sys.argv[2]), interrupt).start()
try:
    matcher.simple_matches(0.5, n_orders=1000, n_threads=2)
    print("finished")
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - sent[0])
"""


@pytest.mark.parametrize(
    ("n_units", "seconds"), [("300", "0.5"), ("600", "0.1"), ("600", "0.4"), ("600", "1.5")]
)
def test_interrupt(n_units: str, seconds: str) -> None:
    """A thousand orders are minutes of work; the larger ones are inverting, or copying rows."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPT, n_units, seconds],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    word, answered_after = done.stdout.split()
    assert word == "interrupted"
    assert float(answered_after) < 1.0


HALT = """
import time
from tests.test_minimal_match_border import large_matcher

matcher = large_matcher(600)
asked = []
def stop(description, done, total):
    asked.append(time.monotonic())
    return False
found = matcher.simple_matches(0.5, n_orders=1000, progress=stop)
print(found.complete, time.monotonic() - asked[0])
"""


def test_progress_is_heeded_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HALT], capture_output=True, text=True, check=True, timeout=120
    )
    complete, answered_after = done.stdout.split()
    assert complete == "False"
    assert float(answered_after) < 1.0
