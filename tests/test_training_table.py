from __future__ import annotations

import io

import pytest

pytest.importorskip("torch")
pytest.importorskip("rich")

from rich.console import Console

from convergent.nets import EpochReport
from convergent.training_table import training_table


def report(seed: int, epoch: int) -> EpochReport:
    return EpochReport(
        seed=seed,
        epoch=epoch,
        n_epochs=5,
        train_loss=1.0 / (epoch + 1),
        test_loss=0.5,
        test_accuracy=0.25,
        seconds=2.0,
        images_per_second=0.0 if epoch == 0 else 12345.6,
    )


def test_a_terminal_shows_the_last_epoch_of_each_seed() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=90, force_terminal=True, color_system=None)
    with training_table(console=console) as show:
        for epoch in range(3):
            for seed in (4, 7):
                show(report(seed, epoch))
    last = stream.getvalue().split("seed")[-1]
    assert [line.split() for line in last.splitlines() if "/" in line] == [
        ["epoch", "train", "loss", "test", "loss", "test", "accuracy", "images/s"],
        ["4", "2/5", "0.3333", "0.5000", "0.2500", "12,346"],
        ["7", "2/5", "0.3333", "0.5000", "0.2500", "12,346"],
    ]


def test_a_pipe_gets_lines_for_ends_and_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("convergent.training_table.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    with training_table(stream=stream) as show:
        show(report(1, 0))
        now[0] += 2.5
        show(report(1, 1))
        show(report(1, 2))
        show(report(2, 5))
    assert stream.getvalue().splitlines() == [
        "seed 1  epoch 1/5  train loss 0.5000  test loss 0.5000  test accuracy 0.2500  images/s 12,346",
        "seed 2  epoch 5/5  train loss 0.1667  test loss 0.5000  test accuracy 0.2500  images/s 12,346",
    ]


def test_batches_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("convergent.training_table.time.monotonic", lambda: now[0])
    lines, drawn = io.StringIO(), io.StringIO()
    console = Console(file=drawn, width=90, force_terminal=True, color_system=None)
    with training_table(stream=lines) as show, training_table(console=console) as table:
        for done in range(1, 6):
            now[0] += 4.0
            for each in (show, table):
                each.batch((3,) if done < 4 else (3, 8), 2, done, 40)
        table(report(3, 2))
    assert lines.getvalue().splitlines() == ["seed 3  epoch 2  batch 3/40"]
    assert "seed 3, epoch 2: batch 1/40" in drawn.getvalue()
    assert "seeds 3, 8, epoch 2: batch 5/40" in drawn.getvalue()
    assert "batch" not in drawn.getvalue().split("images/s")[-1]
    with training_table(quiet=True) as nothing:
        nothing.batch((0,), 1, 1, 1)


def test_standard_error_that_is_no_terminal_is_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with training_table() as show:
        show(report(1, 5))
    assert capsys.readouterr().err.startswith("seed 1  epoch 5/5  train loss 0.1667")
    with training_table(quiet=True) as show:
        show(report(1, 5))
    assert capsys.readouterr().err == ""
