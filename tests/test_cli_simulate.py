"""``convergent simulate`` as a user meets it."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import convergent as cv
from convergent.cli import main

SMALL = ["--runs", "3", "--copies", "3", "--threads", "1"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_both_kinds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--out", str(tmp_path), *SMALL]) == 0
    shown = capsys.readouterr()
    assert "agreement orthogonal linear_shared   1.000 [1.000, 1.000]" in shown.out
    assert "agreement permutation rank_native" in shown.out
    assert "simulate permutation: 3/3" in shown.err
    table = rows(tmp_path / "summary.csv")
    assert [(row["kind"], row["space"], row["correlation"]) for row in table] == [
        (kind, space, correlation)
        for kind in ("orthogonal", "permutation")
        for space in ("shared", "native")
        for correlation in ("pearson", "spearman")
    ]
    for kind in ("orthogonal", "permutation"):
        found = cv.Simulation.load(tmp_path / kind / "simulation.npz")
        alone = cv.simulate(3, n_copies=3, kind=kind)
        np.testing.assert_array_equal(found.agreement, alone.agreement)


def test_settings_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--kind", "permutation", "--noise", "0.5", "--features", "20", "--seed", "2"]
    more = ["--convention", "authors", "--algorithm", "deterministic", "--json", "--quiet"]
    assert main(["simulate", "--out", str(tmp_path), *SMALL, *options, *more]) == 0
    shown = capsys.readouterr()
    assert "simulate" not in shown.err
    result = json.loads(shown.out)
    assert result["results"] == [str(tmp_path / "permutation" / "simulation.npz")]
    settings = cv.Simulation.load(result["results"][0]).settings
    assert (settings.noise, settings.n_features, settings.seed, settings.n_copies) == (0.5, 20, 2, 3)  # fmt: skip
    assert (settings.convention, settings.algorithm) == ("authors", "deterministic")
    assert (settings.rsm_kind, settings.rank) == ("pearson", "kendall")
    found = result["agreement"]["permutation"]["linear_shared"]
    assert found["low"] <= found["mean"] <= found["high"]
    main(["simulate", "--out", str(tmp_path), *SMALL, "--center", "--kind", "orthogonal", "--quiet"])  # fmt: skip
    assert cv.Simulation.load(tmp_path / "orthogonal" / "simulation.npz").settings.center


def test_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main(["simulate", "--out", str(tmp_path), *SMALL, "--json", "--quiet"]) == 0
    paths = [Path(path) for path in json.loads(capsys.readouterr().out)["figures"]]
    assert [path.name for path in paths] == [
        "agreement.png", "similarities_orthogonal.png", "similarities_permutation.png",
    ]  # fmt: skip
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_without_matplotlib_the_numbers_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("convergent.report")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["simulate", "--out", str(tmp_path), *SMALL, "--kind", "orthogonal"]) == 0
    shown = capsys.readouterr()
    assert "figures are not written, because matplotlib is not installed" in shown.err
    assert "figures" not in shown.out
    assert len(rows(tmp_path / "summary.csv")) == 4
    assert not list(tmp_path.glob("*.png"))


def test_needs_no_torch(tmp_path: Path) -> None:
    arguments = ["simulate", "--runs", "1", "--copies", "2", "--quiet", "--out", str(tmp_path)]
    code = (
        "import sys; from convergent.cli import main; "
        f"sys.exit(main({arguments!r}) or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runs", "0"], "must be at least 1"),
        (["--copies", "1"], "`n_copies` must be at least 2, got 1"),
        (["--noise", "-1"], "`noise` must not be negative, got -1.0"),
        (["--noise", "much"], "invalid float value"),
        (["--seed", "-1"], "`seed` must be at least 0, got -1"),
        (["--kind", "shear"], "invalid choice"),
        (["--algorithm", "magic"], "invalid choice"),
        (["--features", "51"], "--features must be at most 50, got 51"),
        (["--convention", "authors", "--center"], "`center` goes with `convention` 'paper'"),
    ],
)
def test_bad_arguments_exit_with_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["simulate", "--out", str(tmp_path / "out"), *arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_broken_result_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "orthogonal").mkdir()
    (tmp_path / "orthogonal" / "run-0000.npz").write_bytes(b"not an archive")
    assert main(["simulate", "--out", str(tmp_path), *SMALL]) == 1
    assert "run-0000.npz" in capsys.readouterr().err


def run(out: Path) -> subprocess.Popen[bytes]:
    arguments = ["simulate", "--out", str(out), "--runs", "6", "--copies", "3", "--quiet"]
    return subprocess.Popen([sys.executable, "-m", "convergent.cli", *arguments])


def test_killed_and_run_again_gives_the_same_bits(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(whole).wait() == 0
    process = run(cut)
    deadline = time.monotonic() + 120
    while not (cut / "orthogonal" / "run-0001.npz").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (cut / "summary.csv").exists()
    assert run(cut).wait() == 0
    for path in [*sorted(whole.rglob("*.npz")), whole / "summary.csv"]:
        assert (cut / path.relative_to(whole)).read_bytes() == path.read_bytes()
