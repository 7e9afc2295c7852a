"""Maximum and simple matches in a study: the measures' numbers, kept, resumed, bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import study
from convergent.measures.matching_similarity import drawn_examples
from convergent.study import CompareSettings, Study, Task, TaskResult, subspace_tasks, task_run
from convergent.study.layer import Layer

EPSILONS = (0.1, 0.5)
PAIR = ("a", "c")


def networks() -> dict[str, NDArray[np.float64]]:
    """Three networks of 8, 8 and 10 units: b is a in another order, c mixes a with noise; one unit is dead."""
    random = np.random.default_rng(0)
    a = random.standard_normal((300, 8))
    noise = np.linspace(0.01, 0.8, 8) * random.standard_normal((300, 8))
    c = np.concatenate([a + noise, random.standard_normal((300, 1)), np.zeros((300, 1))], axis=1)
    c[:, :2] = np.stack([a[:, 0] + a[:, 1], a[:, 0] - a[:, 1]], axis=1)
    return {"a": a, "b": a[:, ::-1].copy(), "c": c}


@pytest.fixture(scope="module")
def statistics() -> cv.Statistics:
    return cv.Statistics.from_arrays(networks())


def of_pair(result: Study, measure: str, pair: tuple[str, str] = PAIR) -> TaskResult:
    return next(r for r in result.of("activations", measure) if r.task.networks == pair)


@pytest.mark.filterwarnings("ignore::convergent.DeadUnitWarning")
def test_maximum_matches_of_all_positions(statistics: cv.Statistics) -> None:
    settings = CompareSettings(measures=["max_match"], epsilons=EPSILONS)
    arrays = of_pair(study.compare(statistics, settings=settings), "max_match").arrays
    matcher = cv.SubspaceMatcher(networks()["a"], networks()["c"])
    for row, epsilon in enumerate(EPSILONS):
        match = matcher.max_match(epsilon)
        assert np.flatnonzero(arrays["in_x"][row]).tolist() == match.x.tolist()
        assert np.flatnonzero(arrays["in_y"][row]).tolist() == match.y.tolist()
        assert arrays["similarity"][row] == arrays["similarity_draws"][0, row] == match.similarity
    assert arrays["similarity_std"].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(arrays["levels_y"], matcher.levels().y, atol=1e-9)
    assert arrays["levels_y"][-1] == np.inf


@pytest.mark.filterwarnings("ignore::convergent.DeadUnitWarning")
def test_the_authors_convention_draws_from_the_row_sample(statistics: cv.Statistics) -> None:
    settings = CompareSettings(
        measures=["max_match"],
        epsilons=EPSILONS,
        convention="authors",
        n_positions=40,
        n_draws=5,
        seed=3,
    )
    result = of_pair(study.compare(statistics, settings=settings), "max_match")
    x, _, y = statistics.layers["activations"].rows
    expected = cv.matching_similarity(
        x, y, EPSILONS, convention="authors", n_positions=40, n_draws=5, seed=3
    )
    arrays = result.arrays
    assert arrays["similarity_draws"].tolist() == expected.draws.tolist()
    assert arrays["similarity"].tolist() == expected.mean.tolist()
    assert arrays["similarity_std"].tolist() == expected.std.tolist()
    assert len(set(expected.draws[:, 1])) > 1
    assert result.scalars["similarity_at_0.5"] == expected.mean[1]
    matchers = [cv.SubspaceMatcher(x[d], y[d]) for d in drawn_examples(len(x), 40, 5, 3)]
    curves = [matcher.levels().similarity(arrays["curve_epsilon"]) for matcher in matchers]
    np.testing.assert_allclose(arrays["curve_similarity"], np.mean(curves, axis=0), atol=1e-15)
    for unit in range(8):
        times = [unit in matcher.max_match(0.5).x for matcher in matchers]
        assert arrays["in_x"][1, unit] == (sum(times) >= 2.5)
        levels = sorted(matcher.levels().x[unit] for matcher in matchers)
        assert arrays["levels_x"][unit] == levels[2]


@pytest.mark.filterwarnings("ignore::convergent.DeadUnitWarning")
def test_simple_matches_are_those_of_the_measure(statistics: cv.Statistics) -> None:
    settings = CompareSettings(measures=["simple_matches"], epsilons=EPSILONS, n_orders=3, seed=5)
    result = of_pair(study.compare(statistics, settings=settings), "simple_matches")
    arrays = result.arrays
    matcher = cv.SubspaceMatcher(networks()["a"], networks()["c"])
    for k, epsilon in enumerate(EPSILONS):
        found = matcher.simple_matches(epsilon, n_orders=3, seed=5)
        here = arrays["epsilon_index"] == k
        assert arrays["sizes_x"][here].tolist() == [match.x.size for match in found.matches]
        assert arrays["sizes_y"][here].tolist() == [match.y.size for match in found.matches]
        for side, n_units in (("x", 8), ("y", 10)):
            counts = [len(found.of_unit.get((side, unit), ())) for unit in range(n_units)]
            assert arrays[f"matches_of_{side}"][k].tolist() == counts
        assert result.scalars[f"n_matches_at_{epsilon:g}"] == len(found.matches) > 0
        assert result.scalars[f"median_size_at_{epsilon:g}"] == np.median(found.sizes)
        match = matcher.max_match(epsilon)
        assert arrays["n_matched"][k] == match.x.size + match.y.size
    assert arrays["searched"].all()
    assert {2, 4} <= set((arrays["sizes_x"] + arrays["sizes_y"]).tolist())


def test_no_simple_match() -> None:
    random = np.random.default_rng(1)
    x, y = random.standard_normal((2, 200, 5))
    result = study.compare(cv.Statistics.from_arrays({"a": x, "b": y}), ["simple_matches"])
    (found,) = result.results
    assert not result.problems
    assert found.arrays["sizes_x"].shape == found.arrays["epsilon_index"].shape == (0,)
    assert found.arrays["searched"].all()
    assert found.scalars == {f"n_matches_at_{e:g}": 0.0 for e in result.settings.epsilons}


@pytest.mark.filterwarnings("ignore::convergent.DeadUnitWarning")
def test_too_many_matched_units_are_a_problem_not_a_wait(
    statistics: cv.Statistics, tmp_path: Path
) -> None:
    matches = cv.max_match(networks()["a"], networks()["c"], EPSILONS)
    few, many = (match.x.size + match.y.size for match in matches)
    assert few < many
    settings = CompareSettings(
        measures=["simple_matches"], epsilons=EPSILONS, max_matched=int(many) - 1
    )
    result = study.compare(statistics, settings=settings, out=tmp_path)
    found = of_pair(result, "simple_matches")
    assert found.arrays["searched"].tolist() == [True, False]
    assert set(found.arrays["epsilon_index"]) == {0}
    assert found.arrays["n_matched"].tolist() == [few, many]
    assert "n_matches_at_0.5" not in found.scalars
    reasons = [p.reason for p in result.problems if p.task.networks == PAIR]
    assert reasons == [
        f"not searched at epsilon 0.5, where {many} units match (`max_matched` is {many - 1})"
    ]
    assert {p.reason for p in result.problems if p.task.networks == ("a", "b")} == {
        f"not searched at epsilon 0.1, 0.5, where 16, 16 units match (`max_matched` is {many - 1})"
    }
    assert Study.load(tmp_path).problems == result.problems
    assert study.compare(statistics, settings=settings, out=tmp_path).problems == result.problems
    settings = CompareSettings(["simple_matches"], EPSILONS, max_matched=int(many))
    problems = study.compare(statistics, settings=settings).problems
    assert PAIR not in [problem.task.networks for problem in problems]


@pytest.mark.parametrize(
    ("convention", "changed", "again"),
    [
        ("all", {"n_orders": 2}, {"simple_matches"}),
        ("all", {"max_matched": 5}, {"simple_matches"}),
        ("all", {"seed": 1}, {"simple_matches"}),
        ("all", {"n_draws": 2, "n_positions": 30}, set()),
        ("all", {"convention": "authors"}, {"max_match"}),
        ("authors", {"n_draws": 2}, {"max_match"}),
        ("authors", {"n_positions": 30}, {"max_match"}),
        ("authors", {"seed": 1}, {"max_match", "simple_matches"}),
        ("authors", {"epsilons": (0.3,)}, {"max_match", "simple_matches"}),
        ("authors", {"n_bins": 5}, set()),
    ],
)
def test_results_depend_on_the_settings_that_they_use(
    statistics: cv.Statistics,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    convention: str,
    changed: dict[str, Any],
    again: set[str],
) -> None:
    base: dict[str, Any] = {
        "measures": ["max_match", "simple_matches"],
        "convention": convention,
        "n_positions": 50,
        "n_draws": 3,
    }
    first = study.compare(statistics, settings=CompareSettings(**base), out=tmp_path)
    ran: list[str] = []
    run = task_run.run_task

    def counting(layer: Layer, task: Task, *rest: Any) -> TaskResult:
        ran.append(task.measure)
        return run(layer, task, *rest)

    monkeypatch.setattr(task_run, "run_task", counting)
    second = study.compare(statistics, settings=CompareSettings(**base), out=tmp_path)
    assert ran == []
    assert list(second.rows()) == list(first.rows())
    settings = CompareSettings(**{**base, **changed})
    third = study.compare(statistics, settings=settings, out=tmp_path)
    assert set(ran) == again
    assert list(third.rows()) == list(study.compare(statistics, settings=settings).rows())


def slow_pair() -> cv.Statistics:
    random = np.random.default_rng(0)
    shared = random.standard_normal((1000, 60))
    x, y = (
        shared @ random.standard_normal((60, 120)) + 2.0 * random.standard_normal((1000, 120))
        for _ in range(2)
    )
    return cv.Statistics.from_arrays({"a": x, "b": y})


def test_the_seed_draws_the_orders() -> None:
    statistics = slow_pair()
    x, y = statistics.layers["activations"].images
    sizes = []
    for seed in (0, 5):
        settings = CompareSettings(["simple_matches"], [0.5], n_orders=1, seed=seed)
        (result,) = study.compare(statistics, settings=settings).results
        found = cv.simple_matches(x, y, 0.5, seed=seed)
        sizes.append((result.arrays["sizes_x"] + result.arrays["sizes_y"]).tolist())
        assert sizes[-1] == found.sizes.tolist()
    assert sizes[0] != sizes[1]


def test_progress_ends_a_long_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subspace_tasks, "_SECONDS_BEFORE_PROGRESS", 0.0)
    statistics = slow_pair()
    settings = CompareSettings(["simple_matches"], [0.5], n_orders=200)

    def stops(description: str, done: int, total: int) -> bool:
        return description != "simple matches"

    result = study.compare(statistics, settings=settings, out=tmp_path, progress=stops)
    (problem,) = result.problems
    assert problem.reason == "the search for simple matches at epsilon 0.5 was stopped"
    assert result.results == ()
    assert not list(tmp_path.rglob("*.npz"))  # so that the next run searches again


def test_progress_of_a_long_search_comes_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics, settings = slow_pair(), CompareSettings(["simple_matches"], [0.5], n_orders=3)
    seen: list[tuple[str, int, int]] = []

    def keep(description: str, done: int, total: int) -> None:
        seen.append((description, done, total))

    monkeypatch.setattr(subspace_tasks, "_SECONDS_BEFORE_PROGRESS", 1e9)
    study.compare(statistics, settings=settings, progress=keep)
    assert {description for description, _, _ in seen} == {"compare"}
    monkeypatch.setattr(subspace_tasks, "_SECONDS_BEFORE_PROGRESS", 0.0)
    study.compare(statistics, settings=settings, progress=keep)
    search = [numbers for description, *numbers in seen if description == "simple matches"]
    assert search[-1] == [720, 720]


@pytest.mark.parametrize("measure", ["max_match", "simple_matches"])
def test_statistics_without_what_is_needed(measure: str) -> None:
    statistics = cv.Statistics.from_arrays(networks(), factor=False)
    result = study.compare(statistics, [measure])
    assert {p.reason for p in result.problems} == {
        "the statistics were collected without the triangular factor"
    }


def test_draws_need_the_row_sample() -> None:
    builder = cv.statistics.StatisticsBuilder(["a", "b"], views=["images"])
    images = {"a": networks()["a"], "b": networks()["b"]}
    builder.update("layer", images=images)
    settings = CompareSettings(["max_match"], convention="authors")
    (problem,) = study.compare(builder.finish(), settings=settings).problems
    assert problem.reason == "the statistics were collected without the positions view"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"convention": "paper"}, "`convention` must be one of 'all', 'authors', got 'paper'"),
        ({"n_positions": 1}, "`n_positions` must be at least 2, got 1"),
        ({"n_draws": 0}, "`n_draws` must be at least 1, got 0"),
        ({"n_orders": 0}, "`n_orders` must be at least 1, got 0"),
        ({"max_matched": -1}, "`max_matched` must be at least 0, got -1"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CompareSettings(**settings)
