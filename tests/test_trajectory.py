"""Agreement during training: the numbers, what is kept of them, and what a killed run leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import study
from convergent._storage import UnreadableFileError
from convergent.study import CompareSettings, Epoch, Trajectory, follow_training
from convergent.study.shared_geometry import split_examples
from convergent.study.trajectory import _Work
from tests.reference import alignment as reference
from tests.reference.rsm import variance_explained

Matrix = NDArray[np.float64]
N_EXAMPLES, LAST = 60, 9
LABELS = np.arange(N_EXAMPLES) % 3
SETTINGS = CompareSettings(["shared_response"], n_features=4, seed=3)
NOISE = {0: 3.0, 2: 1.0, 5: 0.4, LAST: 0.1}


def networks(epoch: int, layer: int) -> dict[str, Matrix]:
    """Three turned copies of one signal, noisier at early epochs; `c` is wider."""
    signal = np.random.default_rng(layer).standard_normal((N_EXAMPLES, 5))
    result = {}
    for i, name in enumerate("abc"):
        rng = np.random.default_rng([epoch, layer, i])
        width = 6 if name == "c" else 5
        turn = np.linalg.qr(rng.standard_normal((width, width)))[0][:5]
        result[name] = signal @ turn + NOISE[epoch] * rng.standard_normal((N_EXAMPLES, width))
    return result


def collected(epoch: int) -> cv.Statistics:
    layers = {"first": networks(epoch, 0), "second": networks(epoch, 1)}
    return cv.Statistics.from_layers(layers, labels=LABELS)


def earlier(collect: Callable[[int], cv.Statistics] = collected) -> dict[int, Epoch]:
    return {e: Epoch(f"weights {e}", lambda e=e: collect(e)) for e in NOISE if e < LAST}  # type: ignore[misc]


def followed(out: Path | None = None, **options: Any) -> Trajectory:
    options = {"settings": SETTINGS, **options}
    return follow_training(collected(LAST), earlier(), LAST, out=out, **options)


def standardised(x: Matrix) -> Matrix:
    """Each example, as it is kept (float32), with mean 0 and standard deviation 1."""
    kept = x.astype(np.float32).astype(np.float64)
    result: Matrix = (kept - kept.mean(axis=1, keepdims=True)) / kept.std(axis=1, keepdims=True)
    return result


@pytest.mark.parametrize("epoch", list(NOISE))
def test_each_epoch_follows_the_twin(epoch: int) -> None:
    found = followed()
    fit, held_out = split_examples(N_EXAMPLES, LABELS, 0.2, SETTINGS.seed)
    for layer, name in enumerate(("first", "second")):
        now = [standardised(x) for x in networks(epoch, layer).values()]
        end = [standardised(x) for x in networks(LAST, layer).values()]
        model = cv.SharedResponseModel(4, seed=3).fit([x[fit] for x in now])
        shared = model.transform([x[held_out] for x in now])
        for convention in ("plain", "leave-one-out"):
            centred = [x[held_out] - x[fit].mean(axis=0) for x in now]
            expected = float(variance_explained(centred, model.weights_, convention).mean())
            suffix = "" if convention == "plain" else "_leave_one_out"
            value = found.scalars[name, epoch][f"variance_explained{suffix}"]
            assert value == pytest.approx(expected, abs=1e-6)
        goal = [x[held_out] - x[fit].mean(axis=0) for x in end]
        for quantity, method in (("agreement", "linear"), ("agreement_rank", "rank")):
            expected = reference.alignment(shared, goal, "cosine", method)
            value = found.scalars[name, epoch][quantity]
            assert value == pytest.approx(expected, abs=1e-6)
            low, high = (found.scalars[name, epoch][f"{quantity}_{end}"] for end in ("low", "high"))
            assert low <= value <= high
            assert low < high


def test_noise_that_ends_shows_as_a_rise() -> None:
    found = followed()
    assert found.layers == ("first", "second")
    assert found.epochs == (0, 2, 5, LAST)
    for name in found.layers:
        assert (np.diff(found.values(name, "agreement")) > 0.0).all()
        assert np.isnan(found.values(name, "accuracy")).all()
    assert repr(found) == "Trajectory(2 layers, epochs 0, 2, 5, 9)"
    rows = list(found.rows())
    assert len(rows) == 2 * 4 * 12
    value = found.scalars["first", 0]["agreement"]
    assert {"layer": "first", "epoch": 0, "quantity": "agreement", "value": value} in rows


def test_the_end_is_what_the_comparison_says() -> None:
    compared = study.compare(collected(LAST), settings=SETTINGS)
    found = followed()
    for name in found.layers:
        for quantity in ("agreement", "agreement_rank", "agreement_low", "agreement_high"):
            value = compared.value(name, "shared_response", quantity)
            assert found.scalars[name, LAST][quantity] == pytest.approx(value, abs=1e-12)


def test_two_networks_have_no_interval() -> None:
    def pair(epoch: int) -> cv.Statistics:
        kept = {name: x for name, x in networks(epoch, 0).items() if name != "c"}
        return cv.Statistics.from_arrays(kept)

    found = follow_training(pair(LAST), earlier(pair), LAST, settings=SETTINGS)
    quantities = {"variance_explained", "variance_explained_leave_one_out"}
    assert set(found.scalars["activations", 0]) == {"agreement", "agreement_rank", *quantities}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("n_done", [0, 1, 3, 5, 7])
def test_a_killed_run_goes_on_and_ends_in_the_same_bits(
    n_done: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle of an epoch or at the start of one; nothing is deleted before the second run."""
    whole = followed(tmp_path / "whole")
    agreement = _Work.agreement
    n_left = n_done

    def fails_later(self: _Work, statistics: cv.Statistics, name: str, epoch: int) -> Any:
        nonlocal n_left
        n_left -= 1
        if n_left < 0:
            raise KeyboardInterrupt
        return agreement(self, statistics, name, epoch)

    monkeypatch.setattr(_Work, "agreement", fails_later)
    with pytest.raises(KeyboardInterrupt):
        followed(tmp_path / "cut")
    assert len(list((tmp_path / "cut").glob("epoch-*.json"))) == n_done // 2
    with pytest.raises(FileNotFoundError, match="no finished trajectory"):
        Trajectory.load(tmp_path / "cut")
    monkeypatch.setattr(_Work, "agreement", agreement)
    begun: list[int] = []

    def counting(epoch: int) -> cv.Statistics:
        begun.append(epoch)
        return collected(epoch)

    options: Any = {"settings": SETTINGS, "out": tmp_path / "cut"}
    resumed = follow_training(collected(LAST), earlier(counting), LAST, **options)
    assert begun == [0, 2, 5][n_done // 2 :]
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    assert resumed == whole == Trajectory.load(tmp_path / "cut")


def test_only_what_changed_is_computed_again(tmp_path: Path) -> None:
    followed(tmp_path)
    begun: list[int] = []

    def counting(epoch: int) -> cv.Statistics:
        begun.append(epoch)
        return collected(epoch)

    def again(epochs: dict[int, Epoch], settings: CompareSettings = SETTINGS) -> Trajectory:
        begun.clear()
        return follow_training(collected(LAST), epochs, LAST, settings=settings, out=tmp_path)

    again(earlier(counting))
    assert begun == []
    again(earlier(counting), CompareSettings(["cka"], n_features=4, seed=3, n_bins=7))
    assert begun == []
    retrained = {**earlier(counting), 2: Epoch("other weights", lambda: counting(2))}
    again(retrained)
    assert begun == [2]
    other = again(earlier(counting), CompareSettings(n_features=3, seed=3))
    assert begun == [0, 2, 5]
    assert other == Trajectory.load(tmp_path)
    assert other.scalars != followed().scalars


def test_files_of_two_runs_are_not_mixed(tmp_path: Path) -> None:
    followed(tmp_path)

    def stopped(description: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        followed(tmp_path, settings=CompareSettings(n_features=3), progress=stopped)
    with pytest.raises(FileNotFoundError, match="no finished trajectory"):
        Trajectory.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("epoch-002.json", None, r"epoch-002.json is missing or of another run"),
        ("epoch-002.json", "{", "epoch-002.json is truncated"),
        ("epoch-002.json", "[]", "epoch-002.json must be of format"),
        ("epoch-002.json", {"key": "?"}, "epoch-002.json is missing or of another run"),
        ("epoch-002.json", {"layers": {"first": 3}}, "epoch-002.json is no epoch"),
        ("trajectory.json", {"keys": 3}, "trajectory.json is no trajectory"),
        ("trajectory.json", {"layers": None}, "trajectory.json is no trajectory"),
    ],
)
def test_damaged_files_are_named(name: str, content: Any, message: str, tmp_path: Path) -> None:
    followed(tmp_path)
    path = tmp_path / name
    if content is None:
        path.unlink()
    elif isinstance(content, str):
        path.write_text(content)
    else:
        path.write_text(json.dumps({**json.loads(path.read_text()), **content}))
    with pytest.raises(UnreadableFileError, match=message):
        Trajectory.load(tmp_path)


def test_any_number_of_threads_gives_the_same_numbers() -> None:
    assert followed(n_threads=1) == followed(n_threads=2)


def test_progress_counts_layers_of_epochs() -> None:
    seen: list[tuple[str, int, int]] = []
    followed(progress=lambda *state: seen.append(state))
    assert seen == [("trajectory", done, 8) for done in range(9)]


def without_images() -> cv.Statistics:
    from convergent.statistics import StatisticsBuilder

    builder = StatisticsBuilder(["a", "b"], views=("positions",))
    x = np.random.default_rng(0).standard_normal((30, 4))
    builder.update("layer", {"a": x, "b": x})
    return builder.finish()


@pytest.mark.parametrize(
    ("final", "epochs", "last", "message"),
    [
        (collected, {}, LAST, "`earlier` must hold at least one epoch, got none"),
        (collected, earlier(), 5, "`earlier` must hold epochs before the last, 5, got 5"),
        (collected, {-1: Epoch("", lambda: collected(0))}, LAST, "`earlier` must be at least 0"),
        (collected, earlier(), 0, "`last` must be at least 1"),
        (
            lambda _: cv.Statistics.from_arrays({"a": networks(0, 0)["a"]}),
            earlier(),
            LAST,
            "images of at least 2 networks, got 1 networks and some images in layer activations",
        ),
        (lambda _: without_images(), earlier(), LAST, "got 2 networks and no images in layer"),
        (
            lambda e: cv.Statistics.from_arrays({n: x[:15] for n, x in networks(e, 0).items()}),
            earlier(),
            LAST,
            "at least 20 examples",
        ),
        (
            collected,
            {0: Epoch("", lambda: cv.Statistics.from_arrays(networks(0, 0)))},
            LAST,
            r"`earlier\[0\]` must hold the networks, images and units of `final` in layer first",
        ),
        (
            lambda e: cv.Statistics.from_layers({"first": networks(e, 0)}, max_units=3),
            {0: Epoch("", lambda: cv.Statistics.from_layers(
                {"first": networks(0, 0)}, max_units=3, seed=1))},
            LAST,
            r"`earlier\[0\]` must hold the networks, images and units",
        ),
    ],
)  # fmt: skip
def test_bad_input(final: Any, epochs: dict[int, Epoch], last: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        follow_training(final(LAST), epochs, last, settings=SETTINGS)
