"""The checkpoints of a study folder, compared with the end of the training."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from convergent import nets, pipeline
from convergent.cli import main
from convergent.statistics import Statistics
from convergent.study import CompareSettings, Study, StudyFolder, Trajectory
from convergent.study_state import study_state
from convergent.study_trajectory import checkpointed_epochs, collected_images

SETTINGS = CompareSettings(["shared_response"], n_features=8, seed=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks of three epochs (checkpoints 0, 1, 2, 3), collected and compared."""
    root = tmp_path_factory.mktemp("study")
    pipeline.train(root, range(2), epochs=3)
    pipeline.collect(root, layers=["relu1", "relu3"], n_top=0)
    pipeline.compare(root, settings=SETTINGS)
    return root


@pytest.fixture
def study(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "study"))


def test_every_checkpoint_is_compared_with_the_settings_of_the_comparison(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trajectory", str(study), "--threads", "1", "--quiet"]) == 0
    assert "0, 1, 2, 3" in capsys.readouterr().out
    found = Trajectory.load(study / "trajectory")
    assert (found.layers, found.epochs) == (("relu1", "relu3"), (0, 1, 2, 3))
    compared = Study.load(study / "comparisons")
    for layer in found.layers:
        expected = compared.value(layer, "shared_response", "agreement")
        assert found.scalars[layer, 3]["agreement"] == pytest.approx(expected, abs=1e-12)
    relu3 = found.values("relu3", "agreement")
    assert relu3[0] < relu3[-1] - 0.05
    other = pipeline.trajectory(study, settings=CompareSettings(n_features=3))
    assert other["epochs"] == [0, 1, 2, 3]
    assert Trajectory.load(study / "trajectory").values("relu3", "agreement")[-1] != relu3[-1]


def test_without_a_comparison_the_defaults_count(study: Path) -> None:
    shutil.rmtree(study / "comparisons")
    pipeline.trajectory(study)
    default = Trajectory.load(study / "trajectory")
    pipeline.trajectory(study, settings=CompareSettings())
    assert Trajectory.load(study / "trajectory") == default


def test_the_checkpoint_of_the_end_gives_the_statistics_of_the_end(study: Path) -> None:
    """The same layers, units and images as `collect` keeps."""
    final = Statistics.load(study / "statistics")
    paths = {name: study / "networks" / name for name in final.networks}
    data = nets.digits()
    batches = nets.batches(data.test_images, data.test_labels)
    networks = {name: nets.load_network(path) for name, path in paths.items()}
    again = collected_images(networks, batches, final)
    assert list(again.layers) == list(final.layers)
    for name, layer in final.layers.items():
        for ours, theirs in zip(again.layers[name].images, layer.images):
            np.testing.assert_array_equal(ours, theirs)


def test_info_and_report_know_it(study: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    assert study_state(study)["trajectory"] == "none"
    pipeline.report(study)
    assert "The same during training" not in (study / "report.html").read_text()
    pipeline.trajectory(study)
    assert study_state(study)["trajectory"] == "4 epochs"
    pipeline.report(study)
    assert "The same during training" in (study / "report.html").read_text()
    (study / "trajectory" / "trajectory.json").unlink()
    assert study_state(study)["trajectory"] == "unfinished, 4 epochs there"


def test_epochs_that_one_network_lacks_are_left_out(study: Path) -> None:
    (study / "networks" / "seed-01" / "epoch-001.safetensors").unlink()
    assert pipeline.trajectory(study)["epochs"] == [0, 2, 3]


def test_a_changed_checkpoint_changes_its_epoch_only(study: Path) -> None:
    folder = StudyFolder(study)
    statistics = Statistics.load(folder.statistics)
    before, last = checkpointed_epochs(folder, statistics, "cpu", lambda *_: None)
    assert last == 3
    networks = study / "networks"
    shutil.copy(
        networks / "seed-00" / "epoch-002.safetensors",
        networks / "seed-00" / "epoch-001.safetensors",
    )
    after, _ = checkpointed_epochs(folder, statistics, "cpu", lambda *_: None)
    assert [before[e].fingerprint == after[e].fingerprint for e in (0, 1, 2)] == [True, False, True]


def test_what_does_not_fit_is_refused(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trajectory", str(study / "networks")]) == 1
    assert "run `convergent collect" in capsys.readouterr().err
    networks = study / "networks"
    for epoch in (0, 1, 2):
        (networks / "seed-00" / f"epoch-{epoch:03d}.safetensors").unlink()
    assert main(["trajectory", str(study)]) == 1
    assert "holds no checkpoints from before the last epoch" in capsys.readouterr().err
    shutil.copy(
        networks / "seed-01" / "epoch-002.safetensors",
        networks / "seed-00" / "epoch-003.safetensors",
    )
    assert main(["trajectory", str(study)]) == 1
    assert "is of other weights than" in capsys.readouterr().err
    (networks / "seed-01" / "epoch-003.safetensors").unlink()
    assert main(["trajectory", str(study)]) == 1
    assert "must be trained for as many epochs, got" in capsys.readouterr().err


def test_statistics_of_arrays_are_refused(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((30, 4))
    Statistics.from_arrays({"a": x, "b": x}).save(tmp_path / "statistics")
    with pytest.raises(ValueError, match="is not of networks trained into"):
        pipeline.trajectory(tmp_path)
