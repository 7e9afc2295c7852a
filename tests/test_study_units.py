"""What studies compute of Li et al. (2016): the numbers of the measures, for dead and missing units, too."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import study
from convergent._storage import UnreadableFileError
from convergent.study import CompareSettings, Study, Task, TaskResult, layer, task_run
from convergent.study.layer import Layer
from convergent.study.mapping_tasks import LEAST_SPLIT

MEASURES = (
    "activations",
    "correlation",
    "recurring_units",
    "sparse_map",
    "unit_tree",
    "unit_groups",
)
N_EXAMPLES = 300
DEAD_A, DEAD_B = 3, 1


def networks() -> dict[str, NDArray[np.float64]]:
    """Three rectified networks of 12, 9 and 11 units with common causes; a and b have a dead unit."""
    random = np.random.default_rng(0)
    causes = random.standard_normal((N_EXAMPLES, 8))
    result = {}
    for name, width in (("a", 12), ("b", 9), ("c", 11)):
        mixing = np.eye(8, width) + 0.1 * random.standard_normal((8, width))
        own = 0.4 * random.standard_normal((N_EXAMPLES, width))
        result[name] = np.maximum(causes @ mixing + own, 0.0)
    result["a"][:, DEAD_A] = 0.0
    result["b"][:, DEAD_B] = 2.0
    return result


@pytest.fixture(scope="module")
def statistics() -> cv.Statistics:
    return cv.Statistics.from_arrays(networks())


@pytest.fixture(scope="module")
def result(statistics: cv.Statistics) -> Study:
    found = study.compare(statistics, MEASURES)
    assert not found.problems
    return found


def one(result: Study, measure: str, *names: str) -> TaskResult:
    (found,) = (
        r for r in result.of("activations", measure) if not names or r.task.networks == names
    )
    return found


def correlations(statistics: cv.Statistics, i: int, j: int) -> NDArray[np.float64]:
    moments = statistics.layers["activations"].moments
    assert moments is not None
    return moments.correlation(i, j)


def test_activations(result: Study) -> None:
    found = one(result, "activations")
    arrays = list(networks().values())
    for i, x in enumerate(arrays):
        np.testing.assert_allclose(found.arrays[f"mean_{i}"], x.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found.arrays[f"std_{i}"], x.std(axis=0, ddof=1), rtol=1e-12)
    assert found.scalars["dead"] == pytest.approx(2 / 32)
    expected = np.mean([x.mean() for x in arrays])
    assert found.scalars["mean"] == pytest.approx(expected, rel=1e-12)


def test_matches_keep_what_figures_need(result: Study, statistics: cv.Statistics) -> None:
    found = one(result, "correlation", "a", "b")
    summary = cv.match_summary(correlations(statistics, 0, 1))
    for name in ("mean_semi", "mean_one_to_one", "agreement", "unmatched"):
        assert found.scalars[name] == getattr(summary, name)
    np.testing.assert_array_equal(found.arrays["within_x"], correlations(statistics, 0, 0))
    np.testing.assert_array_equal(found.arrays["within_y"], correlations(statistics, 1, 1))
    pairs = found.arrays["scatter_pairs"]
    living = summary.order[summary.order != DEAD_A]
    assert pairs[:, 0].tolist() == [*living[:4], *living[-4:]]
    assert pairs[:, 1].tolist() == summary.semi.y[pairs[:, 0]].tolist()
    assert found.arrays["scatter_n_best"] == 4
    rows = statistics.layers["activations"].rows
    for k, (x, y) in enumerate(pairs.tolist()):
        np.testing.assert_array_equal(found.arrays["scatter_x"][k], rows[0][:, x])
        np.testing.assert_array_equal(found.arrays["scatter_y"][k], rows[1][:, y])
    assert found.arrays["scatter_x"].dtype == np.float32


def test_few_units_are_shown_once_each() -> None:
    x = networks()["a"][:, :3]
    found = study.compare(cv.Statistics.from_arrays({"a": x, "b": x[:, ::-1]}), ["correlation"])
    pairs = one(found, "correlation").arrays["scatter_pairs"]
    assert sorted(pairs.tolist()) == [[0, 2], [1, 1], [2, 0]]


def test_many_examples_are_thinned_out() -> None:
    x = np.random.default_rng(0).standard_normal((9_000, 2))
    found = study.compare(cv.Statistics.from_arrays({"a": x, "b": x}), ["correlation"])
    assert one(found, "correlation").arrays["scatter_x"].shape == (2, 2_000)


def test_recurring_units(result: Study, statistics: cv.Statistics) -> None:
    found = one(result, "recurring_units")
    pairs = {(i, j): correlations(statistics, i, j) for i, j in combinations(range(3), 2)}
    expected = cv.recurring_units(pairs, threshold=0.5)
    assert len(expected.units) > 2
    np.testing.assert_array_equal(found.arrays["units"], expected.units)
    np.testing.assert_array_equal(found.arrays["weakest"], expected.weakest)
    for i, counts in enumerate(expected.n_networks):
        np.testing.assert_array_equal(found.arrays[f"n_networks_{i}"], counts)
    assert found.scalars == {
        "n_recurring": len(expected.units),
        "share": len(expected.units) / 9,
    }


@pytest.mark.filterwarnings("ignore::convergent.DeadUnitWarning")
def test_sparse_maps(result: Study, statistics: cv.Statistics) -> None:
    found = one(result, "sparse_map", "a", "b")
    penalties = sorted([*result.settings.penalties, result.settings.penalty])
    assert found.arrays["penalties"].tolist() == penalties
    living = np.arange(9) != DEAD_B
    c_xx, c_xy = correlations(statistics, 0, 0), correlations(statistics, 0, 1)
    for k, penalty in enumerate(penalties):
        expected = cv.sparse_map(c_xx, c_xy, penalty, given="correlations")
        np.testing.assert_allclose(found.arrays["path_weights"][k], expected.weights, atol=2e-6)
        loss = expected.loss_of_unit[living].mean()
        assert found.scalars[f"loss_at_{penalty:g}"] == pytest.approx(loss, abs=1e-7)
        assert found.arrays["loss"][k] == found.scalars[f"loss_at_{penalty:g}"]
        assert found.arrays["predictors"][k] == found.scalars[f"predictors_at_{penalty:g}"]
        n_nonzero = expected.n_nonzero[living].mean()
        assert found.arrays["predictors"][k] == pytest.approx(n_nonzero, abs=0.2)
    chosen = cv.sparse_map(c_xx, c_xy, result.settings.penalty, given="correlations")
    np.testing.assert_array_equal(found.arrays["weights"], chosen.weights)
    assert (found.arrays["duality_gap"] <= 1e-8).all()
    assert not found.arrays["weights"][DEAD_B].any()


@pytest.mark.filterwarnings("ignore::convergent.DeadUnitWarning")
def test_trees(result: Study, statistics: cv.Statistics) -> None:
    found = one(result, "unit_tree", "a", "c")
    weights = one(result, "sparse_map", "a", "c").arrays["weights"]
    tree = cv.unit_tree(weights.T)
    assert tree.network.tolist() == [0] * 12 + [1] * 11  # the network that predicts comes first
    np.testing.assert_array_equal(found.arrays["weights"], weights.T)
    np.testing.assert_array_equal(found.arrays["linkage"], tree.linkage)
    np.testing.assert_array_equal(found.arrays["leaves"], tree.leaves)
    np.testing.assert_array_equal(found.arrays["network"], tree.network)
    np.testing.assert_array_equal(found.arrays["merge_similarity"], tree.merge_similarity)
    assert found.scalars == {"joined_share": tree.joined_share}


def test_groups(result: Study, statistics: cv.Statistics) -> None:
    found = one(result, "unit_groups", "b", "c")
    c_xx, c_xy, c_yy = (correlations(statistics, i, j) for i, j in ((1, 1), (1, 2), (2, 2)))
    groups = cv.unit_groups(c_xx, c_xy, c_yy, threshold=0.2, alpha=LEAST_SPLIT / 20)
    for name in ("labels_x", "labels_y", "sizes", "between", "within", "eigenvalues", "order"):
        np.testing.assert_array_equal(found.arrays[name], getattr(groups, name))
    expected = [[parent, child] for parent, children in groups.splits for child in children]
    assert found.arrays["splits"].tolist() == expected
    joint = (groups.sizes > 0).all(axis=1)
    assert joint.any()
    assert found.scalars["n_groups"] == groups.n_groups
    assert found.scalars["in_joint_groups"] == groups.sizes[joint].sum() / 20
    assert found.scalars["between"] == pytest.approx(groups.between[joint].mean())
    assert found.scalars["within"] == pytest.approx(groups.within[joint].mean())


def test_groups_of_four_units_stay_whole() -> None:
    random = np.random.default_rng(1)
    causes = np.repeat(random.standard_normal((N_EXAMPLES, 3)), 2, axis=1)
    arrays = {name: causes + 0.1 * random.standard_normal((N_EXAMPLES, 6)) for name in ("a", "b")}
    found = study.compare(cv.Statistics.from_arrays(arrays), ["unit_groups"])
    assert one(found, "unit_groups").arrays["sizes"].tolist() == [[2, 2]] * 3


def test_no_groups_have_no_similarity() -> None:
    x = np.linalg.qr(np.random.default_rng(0).standard_normal((40, 4)))[0]
    x -= x.mean(axis=0)
    statistics = cv.Statistics.from_arrays({"a": x[:, :2], "b": x[:, 2:]})
    found = study.compare(statistics, settings=CompareSettings(["unit_groups"], threshold=0.9))
    assert one(found, "unit_groups").scalars == {"n_groups": 0.0, "in_joint_groups": 0.0}


def test_nothing_to_predict_is_a_problem() -> None:
    x = networks()["a"]
    dead = cv.Statistics.from_arrays({"a": x, "b": np.zeros((N_EXAMPLES, 2))})
    found = study.compare(dead, ["sparse_map", "unit_tree"])
    (problem,) = found.problems
    assert problem.reason == "all units of b are dead, none to predict"
    assert one(found, "unit_tree").scalars == {"joined_share": pytest.approx(0.5, abs=0.5)}


def test_too_many_groups_are_a_problem(statistics: cv.Statistics) -> None:
    settings = CompareSettings(["unit_groups"], n_groups=1_000)
    found = study.compare(statistics, settings=settings)
    assert len(found.problems) == 3
    assert "`n_groups` must be at most" in found.problems[0].reason


def test_all_need_the_positions_view(statistics: cv.Statistics) -> None:
    source = statistics.layers["activations"]
    bare = type(source)(source.name, source.networks, source.widths, None, None, [], source.images,
                        source.image_units)  # fmt: skip
    without = cv.Statistics({"activations": bare}, statistics.networks, None)
    found = study.compare(without, MEASURES)
    assert not found.results
    assert {problem.task.measure for problem in found.problems} == set(MEASURES)
    assert all("without the positions view" in problem.reason for problem in found.problems)


def test_results_name_pairs_or_nobody() -> None:
    x = networks()["a"]
    found = study.compare(cv.Statistics.from_arrays({"a": x, "b": x}), MEASURES)
    for row in found.rows():
        together = row["measure"] in ("activations", "recurring_units")
        assert (row["network_a"], row["network_b"]) == (("", "") if together else ("a", "b"))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that fills with the measures that are computed."""
    found: list[str] = []
    run = task_run.run_task

    def counting(of: Layer, task: Task, *rest: Any) -> TaskResult:
        found.append(task.measure)
        return run(of, task, *rest)

    monkeypatch.setattr(task_run, "run_task", counting)
    return found


@pytest.mark.parametrize(
    ("change", "measures"),
    [
        ({}, set()),
        ({"penalty": 0.01}, {"sparse_map", "unit_tree"}),
        ({"penalties": [0.1]}, {"sparse_map"}),
        ({"threshold": 0.3}, {"unit_groups"}),
        ({"alpha": None}, {"unit_groups"}),
        ({"n_groups": 2}, {"unit_groups"}),
    ],
)
def test_a_setting_changes_only_what_depends_on_it(
    change: dict[str, Any],
    measures: set[str],
    statistics: cv.Statistics,
    ran: list[str],
    tmp_path: Path,
) -> None:
    study.compare(statistics, MEASURES, out=tmp_path)
    ran.clear()
    study.compare(statistics, settings=CompareSettings(MEASURES, **change), out=tmp_path)
    assert set(ran) == measures


def test_older_results_of_a_measure_that_changed_are_computed_again(
    statistics: cv.Statistics, ran: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(layer, "_CONTENTS", {})
        study.compare(statistics, MEASURES, out=tmp_path)
    ran.clear()
    study.compare(statistics, MEASURES, out=tmp_path)
    assert ran == ["correlation"] * 3


def test_a_tree_does_not_depend_on_what_was_stored(
    statistics: cv.Statistics, result: Study
) -> None:
    alone = study.compare(statistics, ["unit_tree"])
    for left, right in zip(
        alone.of("activations", "unit_tree"), result.of("activations", "unit_tree")
    ):
        np.testing.assert_array_equal(left.arrays["linkage"], right.arrays["linkage"])


def edited(statistics: cv.Statistics, folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Save a study, and change the settings in its manifest."""
    study.compare(statistics, ["cka"], out=folder)
    manifest = folder / "study.json"
    content = json.loads(manifest.read_text())
    edit(content["settings"])
    manifest.write_text(json.dumps(content))


def test_studies_from_before_these_settings_load(statistics: cv.Statistics, tmp_path: Path) -> None:
    new = ("penalties", "penalty", "n_groups", "threshold", "alpha")
    edited(statistics, tmp_path, lambda settings: [settings.pop(name) for name in new])
    assert Study.load(tmp_path).settings == CompareSettings(["cka"])


@pytest.mark.parametrize("change", [{"unheard_of": 1}, {"measures": ["unheard_of"]}])
def test_studies_of_other_settings_are_refused_by_name(
    change: dict[str, Any], statistics: cv.Statistics, tmp_path: Path
) -> None:
    edited(statistics, tmp_path, lambda settings: settings.update(change))
    with pytest.raises(UnreadableFileError, match=r"not a study's manifest.*unheard_of") as caught:
        Study.load(tmp_path)
    assert str(tmp_path / "study.json") in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"penalties": [-1.0]}, "`penalties` must be at least 0, got -1.0"),
        ({"penalty": -0.5}, "`penalty` must be at least 0, got -0.5"),
        ({"n_groups": 0}, "`n_groups` must be at least 1"),
        ({"threshold": -0.1}, "`threshold` must be at least 0, got -0.1"),
        ({"alpha": 0.0}, r"`alpha` must lie in \(0, 1\], got 0.0"),
        ({"alpha": 1.5}, r"`alpha` must lie in \(0, 1\], got 1.5"),
        ({"penalty": np.inf}, "`penalty` must be finite"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CompareSettings(**settings)
