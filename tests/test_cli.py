"""The command line as a user meets it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from convergent.cli import main


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    random = np.random.default_rng(0)
    x = np.maximum(random.standard_normal((100, 8)), 0.0)
    paths = []
    for name, array in {"a": x, "b": x[:, ::-1]}.items():
        path = tmp_path / f"{name}.npy"
        np.save(path, array)
        paths.append(str(path))
    return paths


def numbers(path: Path) -> dict[tuple[str, str], float]:
    with path.open(newline="") as stream:
        return {(r["measure"], r["quantity"]): float(r["value"]) for r in csv.DictReader(stream)}


def test_compare_two_arrays(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["compare", *files, "--out", str(out)]) == 0
    found = numbers(out / "summary.csv")
    assert found["correlation", "mean_one_to_one"] == pytest.approx(1.0)
    assert found["max_match", "similarity_at_0.15"] == 1.0
    assert str(out / "summary.csv") in capsys.readouterr().out
    assert (out / "intervals.csv").read_text().startswith("layer,measure,quantity,estimate,low,")


def test_settings_of_the_subspace_matches(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--convention", "authors", "--orders", "3", "--epsilons", "0.2"]
    measures = ["--measures", "max_match", "simple_matches"]
    assert main(["compare", *files, "--out", str(out), *measures, *options]) == 0
    settings = json.loads((out / "comparisons" / "study.json").read_text())["settings"]
    assert (settings["convention"], settings["n_orders"]) == ("authors", 3)
    found = numbers(out / "summary.csv")
    assert found["max_match", "similarity_at_0.2"] == 1.0
    assert found["simple_matches", "n_matches_at_0.2"] == 8.0
    assert found["simple_matches", "median_size_at_0.2"] == 2.0


def test_json_is_json(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["compare", *files, "--out", str(tmp_path / "out"), "--measures", "cka", "--json"]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert Path(result["summary"]).exists()
    assert Path(result["intervals"]).exists()
    assert result["problems"] == []


def test_npz_files_hold_layers_and_labels(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    for name in ("a", "b"):
        layers = {
            layer: random.standard_normal((60, 4)) for layer in ("conv1", f"only_{name}", "fc")
        }
        np.savez(tmp_path / f"{name}.npz", labels=labels, **layers)  # type: ignore[arg-type]
    out = tmp_path / "out"
    files = [str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]
    assert main(["compare", *files, "--out", str(out), "--measures", "cka", "--quiet"]) == 0
    with (out / "summary.csv").open(newline="") as stream:
        assert {row["layer"] for row in csv.DictReader(stream)} == {"conv1", "fc"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["compare"], "DIR|FILE"),
        (["compare", "A", "B"], "--out DIR is required"),
        (["compare", "A", "--out", "OUT"], "at least two files"),
        (["compare", "A", "B", "--out", "OUT", "--measures", "ckaa"], "invalid choice"),
        (["compare", "A", "B", "--out", "OUT", "--epsilons", "1.5"], r"must lie in [0, 1)"),
        (["demo", "--seeds", "1"], "--seeds must be at least 2"),
        (["demo", "--seeds", "many"], "must be a whole number"),
        (["train", "--out", "OUT", "--seeds", "3:3"], "must name different seeds"),
        (["nonsense"], "invalid choice"),
    ],
)
def test_bad_arguments_exit_with_2(
    arguments: list[str],
    message: str,
    files: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"A": files[0], "B": files[1], "OUT": str(tmp_path / "out")}
    try:
        code = main([places.get(argument, argument) for argument in arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.full((10, 3), np.nan), "must be finite"),
        (np.zeros(10), "must be (n_images, n_units)"),
        (np.zeros((10, 3), dtype=complex), "must be real"),
        (np.zeros((10, 0)), "not empty, got shape (10, 0)"),
        (np.zeros((11, 3)), "the same images in every network, got [10, 11]"),
        (None, "is not a .npy file"),
    ],
)
def test_bad_files_exit_with_1(
    content: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None, message: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    good, bad = tmp_path / "good.npy", tmp_path / "bad.npy"
    np.save(good, np.random.default_rng(0).standard_normal((10, 3)))
    if content is None:
        bad.write_bytes(b"not an array")
    else:
        np.save(bad, content)
    assert main(["compare", str(good), str(bad), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_pickled_arrays_are_refused_and_not_executed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "executed",)  # type: ignore[return-value]

    np.save(tmp_path / "a.npy", np.array([[Evil()]], dtype=object), allow_pickle=True)
    np.save(tmp_path / "b.npy", np.zeros((5, 2)))
    files = [str(tmp_path / "a.npy"), str(tmp_path / "b.npy")]
    assert main(["compare", *files, "--out", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "executed").exists()
    assert "a.npy" in capsys.readouterr().err


def test_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "no.npy", "none.npy", "--out", str(tmp_path)]) == 1
    assert "there is no file no.npy" in capsys.readouterr().err


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    from convergent import __version__, _core

    assert main(["info", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["convergent"] == __version__
    assert _core.level in shown["kernels"]
    assert shown["threads"] >= 1


def test_info_of_a_folder(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert main(["info", out]) == 1
    main(["compare", *files, "--out", out, "--measures", "cka", "--quiet"])
    capsys.readouterr()
    assert main(["info", out, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["summary"].endswith("summary.csv")


def test_stages_out_of_order_say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(tmp_path)]) == 1
    assert "convergent collect" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 1
    assert "no finished comparison" in capsys.readouterr().err


def run(arguments: list[str], **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "convergent.cli", *arguments], **options)  # type: ignore[call-overload, no-any-return]


def test_demo_killed_and_run_again_gives_the_same_numbers(tmp_path: Path) -> None:
    """The whole job, small; killed without warning in the middle, it goes on and ends with the same table."""
    for package in ("torch", "safetensors", "matplotlib", "jinja2"):
        pytest.importorskip(package)
    small = ["--seeds", "2", "--epochs", "3", "--quiet"]
    assert run(["demo", "--out", str(tmp_path / "whole"), *small]).wait() == 0
    cut = tmp_path / "cut"
    process = run(["demo", "--out", str(cut), *small])
    deadline = time.monotonic() + 120
    while not list(cut.glob("networks/*1/epoch*")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (cut / "summary.csv").exists()
    assert run(["demo", "--out", str(cut), *small]).wait() == 0
    assert (cut / "summary.csv").read_bytes() == (tmp_path / "whole" / "summary.csv").read_bytes()
    for name in ("epoch-000.json", "epoch-003.json", "trajectory.json"):
        whole = (tmp_path / "whole" / "trajectory" / name).read_bytes()
        assert (cut / "trajectory" / name).read_bytes() == whole
    assert (cut / "report.html").stat().st_size > 50_000


def test_an_unknown_level_is_refused(files: list[str]) -> None:
    environment = {**os.environ, "CONVERGENT_CPU": "x86-64-v9"}
    done = subprocess.run(
        [sys.executable, "-c", "import convergent._core"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "CONVERGENT_CPU=x86-64-v9: CPU level must be one of" in done.stderr
