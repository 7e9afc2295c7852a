"""A study says how sure its means are, and leaves out what it cannot say."""

from __future__ import annotations

import csv
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import study
from convergent.study import CompareSettings, Study, Task, TaskResult
from convergent.study.study import LayerSummary
from convergent.study.unit_tasks import SHUFFLED_EXAMPLES

NAMES = ("a", "b", "c", "d", "e")


def made(results: list[TaskResult], names: tuple[str, ...] = NAMES) -> Study:
    layer = LayerSummary("layer", (4,) * len(names), (0,) * len(names), 10, 10)
    return Study(names, (layer,), CompareSettings(), tuple(results))


def pair(a: str, b: str, **scalars: float) -> TaskResult:
    return TaskResult(Task("layer", "correlation", (a, b)), "key", scalars, {})


def together(
    scalars: dict[str, float], arrays: dict[str, Any], names: tuple[str, ...] = NAMES
) -> Study:
    task = Task("layer", "shared_response", names)
    return made([TaskResult(task, "key", scalars, arrays)], names)


def symmetric(n: int, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    a = 0.1 * rng.standard_normal(n)
    noise = np.tril(0.05 * rng.standard_normal((n, n)), -1)
    return 0.5 + a + a[:, None] + noise + noise.T


def pairs_of(matrix: NDArray[np.float64], names: tuple[str, ...] = NAMES) -> list[TaskResult]:
    index = range(len(names))
    return [pair(names[i], names[j], mean_semi=matrix[i, j]) for i, j in combinations(index, 2)]


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_pairs_have_the_interval_of_their_matrix(level: float) -> None:
    matrix = symmetric(5)
    results = pairs_of(matrix)
    expected = cv.bootstrap_pairs(matrix, level=level)
    for order in (results, results[::-1]):
        found = made(order).interval("layer", "correlation", "mean_semi", level=level)
        assert found is not None
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_pairs_that_failed_are_left_out() -> None:
    matrix = symmetric(5)
    matrix[0, 1] = matrix[1, 0] = np.nan
    results = [r for r in pairs_of(matrix) if not np.isnan(r.scalars["mean_semi"])]
    results.append(pair("a", "b", agreement=0.5))
    found = made(results).interval("layer", "correlation", "mean_semi")
    expected = cv.bootstrap_pairs(matrix)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_too_few_networks_have_no_interval() -> None:
    matrix = symmetric(5)
    of_two = pairs_of(matrix[:2, :2], NAMES[:2])
    assert made(of_two, NAMES[:2]).interval("layer", "correlation", "mean_semi") is None
    star = [pair("a", other, mean_semi=0.1 * k) for k, other in enumerate(NAMES[1:])]
    assert made(star).interval("layer", "correlation", "mean_semi") is None
    assert made(pairs_of(matrix)).interval("layer", "correlation", "agreement") is None
    assert made(pairs_of(matrix)).interval("elsewhere", "correlation", "mean_semi") is None


def test_no_end_lies_where_no_value_can_be() -> None:
    matrix = np.minimum(symmetric(3) + 0.45, 0.999)
    found = made(pairs_of(matrix, NAMES[:3]), NAMES[:3]).interval(
        "layer", "correlation", "mean_semi"
    )
    assert cv.bootstrap_pairs(matrix).high > 1.0
    assert found is not None
    assert found.high == 1.0


def test_quantities_of_all_networks() -> None:
    values = np.array([0.5, 0.6, 0.55, 0.7, 0.52])
    pairs = symmetric(5)
    np.fill_diagonal(pairs, 1.0)
    mean = float(pairs[np.tril_indices(5, -1)].mean())
    result = together(
        {
            "variance_explained": float(values.mean()),
            "consistency": mean,
            "agreement": 0.8,
            "agreement_low": 0.7,
            "agreement_high": 0.85,
            "n_features": 4.0,
        },
        {"variance_explained": values, "consistency_pairs": pairs, "agreement_pairs": pairs},
    )

    def interval(quantity: str, **options: Any) -> cv.Interval | None:
        return result.interval("layer", "shared_response", quantity, **options)

    assert interval("variance_explained") == cv.bootstrap_values(values)
    assert interval("consistency", level=0.8) == cv.bootstrap_pairs(pairs, level=0.8)
    # an agreement of mean matrices is no mean of its pairs: what the result says of it counts
    stored = interval("agreement")
    assert stored is not None
    assert (stored.low, stored.estimate, stored.high) == (0.7, 0.8, 0.85)
    assert interval("agreement", level=0.8) is None
    assert interval("n_features") is None
    assert interval("agreement_rank") is None
    rows = list(result.intervals())
    assert [row["quantity"] for row in rows] == ["variance_explained", "consistency", "agreement"]
    assert all(row["n_networks"] == 5 and row["level"] == 0.95 for row in rows)


def test_two_networks_at_once_have_no_interval() -> None:
    arrays = {"variance_explained": np.array([0.5, 0.6])}
    result = together({"variance_explained": 0.55}, arrays, NAMES[:2])
    assert result.interval("layer", "shared_response", "variance_explained") is None
    assert list(result.intervals()) == []


def test_noise_ceiling_of_a_layer() -> None:
    arrays = [
        np.random.default_rng(0).standard_normal((12, 4))
        + np.random.default_rng(k).standard_normal((12, 4))
        for k in range(1, 6)
    ]
    rsms = [cv.rsm(x)[np.tril_indices(12, -1)] for x in arrays]
    result = together({}, {"consistency_pairs": np.corrcoef(rsms)})
    found, expected = result.noise_ceiling("layer"), cv.noise_ceiling(arrays)
    assert found is not None
    assert (found.lower, found.upper) == pytest.approx((expected.lower, expected.upper))
    assert together({}, {}).noise_ceiling("layer") is None
    assert result.noise_ceiling("elsewhere") is None
    of_two = together({}, {"consistency_pairs": np.eye(2)}, NAMES[:2])
    assert of_two.noise_ceiling("layer") is None


def test_bands_are_intervals_of_points() -> None:
    rng = np.random.default_rng(0)
    results = [
        TaskResult(
            Task("layer", "max_match", names), "key", {}, {"curve": rng.random(150)[:length]}
        )
        for names, length in zip(combinations(NAMES[:4], 2), (150, 120, 130, 150, 140, 125))
    ]
    result = made(results, NAMES[:4])
    band = result.band("layer", "max_match", lambda of: of.arrays["curve"], bounds=(0.3, 0.7))
    assert len(band.mean) == 120
    assert band.low is not None
    assert band.high is not None
    for k in (0, 119):
        matrix = np.full((4, 4), np.nan)
        matrix[np.triu_indices(4, 1)] = [of.arrays["curve"][k] for of in results]
        expected = cv.bootstrap_pairs(np.fmax(matrix, matrix.T)).within(0.3, 0.7)
        assert band.mean[k] == pytest.approx(expected.estimate)
        assert (band.low[k], band.high[k]) == pytest.approx((expected.low, expected.high))
    assert (band.low >= np.minimum(band.mean, 0.3)).all()
    assert (band.high <= np.maximum(band.mean, 0.7)).all()
    two = made(results[:1], NAMES[:2]).band("layer", "max_match", lambda of: of.arrays["curve"])
    assert two.low is two.high is None
    assert len(two.mean) == 150


def test_a_point_that_some_pair_lacks_has_no_interval() -> None:
    curves = np.random.default_rng(0).random((3, 5))
    curves[1, 2] = np.nan
    results = [
        TaskResult(Task("layer", "max_match", names), "key", {}, {"curve": curve})
        for names, curve in zip(combinations(NAMES[:3], 2), curves)
    ]
    band = made(results, NAMES[:3]).band("layer", "max_match", lambda of: of.arrays["curve"])
    assert band.low is not None
    assert np.isnan(band.mean).tolist() == np.isnan(band.low).tolist() == [0, 0, 1, 0, 0]


@pytest.fixture(scope="module")
def compared() -> Study:
    rng = np.random.default_rng(0)
    causes = rng.standard_normal((150, 5))
    networks = {
        name: np.maximum(causes @ np.eye(5) + 0.5 * rng.standard_normal((150, 5)), 0.0)
        for name in NAMES[:4]
    }
    return study.compare(cv.Statistics.from_arrays(networks, labels=np.arange(150) % 3))


def test_every_mean_of_a_comparison_has_an_interval(compared: Study, tmp_path: Path) -> None:
    path = tmp_path / "intervals.csv"
    assert compared.write_intervals(path) == path
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = {(row["measure"], row["quantity"]) for row in rows}
    of_pairs = {
        (result.task.measure, quantity)
        for result in compared.results
        if len(result.task.networks) == 2 and result.task.measure != "simple_matches"
        for quantity in result.scalars
    }
    assert of_pairs <= found
    assert {
        ("activations", "mean"),
        ("shared_response", "variance_explained"),
        ("shared_response", "variance_explained_leave_one_out"),
        ("shared_response", "consistency"),
        ("shared_response", "agreement"),
    } <= found
    assert not any(quantity.endswith(("_low", "_high")) for _, quantity in found)
    for row in rows:
        value = compared.value(row["layer"], row["measure"], row["quantity"])
        assert float(row["estimate"]) == pytest.approx(value, abs=1e-9)
        assert float(row["low"]) <= value + 1e-12
        assert value - 1e-12 <= float(row["high"])
        assert row["n_networks"] == "4"


def test_chance_is_estimated_from_shuffled_examples(
    compared: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    for quantity in ("mean_semi", "mean_one_to_one"):
        by_chance = compared.values("activations", "correlation", f"{quantity}_shuffled")
        assert len(by_chance) == 6
        # the largest of five correlations of 150 examples, or their mean
        assert 0.0 < np.mean(by_chance) < 3.0 / np.sqrt(150)
        assert compared.value("activations", "correlation", quantity) > 0.4
    assert SHUFFLED_EXAMPLES == 4_000
    monkeypatch.setattr("convergent.study.unit_tasks.SHUFFLED_EXAMPLES", 20)
    x = np.random.default_rng(0).standard_normal((150, 5))
    few = study.compare(cv.Statistics.from_arrays({"a": x, "b": x}), ["correlation"])
    assert few.value("activations", "correlation", "mean_semi") == pytest.approx(1.0)
    assert 0.1 < few.value("activations", "correlation", "mean_semi_shuffled") < 0.6
