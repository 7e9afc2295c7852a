"""The simulation of Lu et al. (2018), Figure 2: known transformations are found, and results survive a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import _storage
from convergent.simulation.one_run import QUANTITIES, MeanRsms, RunActivations, run_once
from convergent.simulation.settings import SimulationSettings
from tests.reference import shared_response, simulation

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
KINDS = ("orthogonal", "permutation")


@pytest.fixture(scope="module")
def networks() -> list[cv.XorActivations]:
    """Small networks, so that runs take no time."""
    return [cv.xor_activations(seed, n_units=12, n_per_cluster=8) for seed in range(4)]


@pytest.fixture(scope="module")
def golden_pairs(golden: Path) -> list[Pair]:
    with np.load(golden / "srm_xor_hidden.npz") as arrays:
        return [(a.T.astype(float), b.T.astype(float)) for a, b in zip(arrays["train"], arrays["test"])]  # fmt: skip


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_known_transformations_are_found(
    kind: str, center: bool, networks: list[cv.XorActivations]
) -> None:
    found = cv.simulate(kind=kind, center=center, activations=networks)
    for quantity in ("linear_shared", "rank_shared"):
        np.testing.assert_allclose(found.values(quantity), 1.0, atol=1e-9)
    for quantity in ("linear_native", "rank_native"):
        assert found.values(quantity).max() < 0.99
    assert found.converged.all()
    np.testing.assert_allclose(found.rsms.between_shared, found.rsms.within, atol=1e-9)
    assert np.abs(found.rsms.between_native - found.rsms.within).max() > 0.1
    assert found.labels is not None
    assert found.labels.tolist() == [0] * 16 + [1] * 16


def test_the_default_trains_networks_and_finds_the_rotations() -> None:
    found = cv.simulate(2, n_copies=5)
    np.testing.assert_allclose(found.agreement[:, :2], 1.0, atol=1e-9)
    assert found.test_accuracy is not None
    assert found.test_accuracy.min() > 0.95
    assert found.rsms.within.shape == (200, 200)
    assert repr(found).startswith("Simulation(2 runs of 5 orthogonal copies, linear agreement 1.0")
    # A run depends on its number alone.
    np.testing.assert_array_equal(cv.simulate(1, n_copies=5).agreement, found.agreement[:1])
    other = cv.simulate(1, n_copies=5, seed=1)
    assert other.test_accuracy is not None
    assert abs(other.agreement[0, 2] - found.agreement[0, 2]) > 1e-6


def test_runs_have_transformations_and_networks_of_their_own(
    networks: list[cv.XorActivations],
) -> None:
    again = cv.simulate(activations=networks[:1] * 3).values("linear_native")
    assert len(np.unique(again.round(6))) == 3
    trained = cv.simulate(3, n_copies=2, n_features=2).values("linear_shared")
    assert len(np.unique(trained.round(6))) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_golden_activations_agree_in_the_shared_space_only(
    kind: str, golden_pairs: list[Pair]
) -> None:
    """The paper's claim on networks of the authors' recipe: near 1 in the shared space, near 0 in the native one."""
    found = cv.simulate(kind=kind, activations=golden_pairs)
    np.testing.assert_allclose(found.agreement[:, :2], 1.0, atol=1e-6)
    assert abs(found.interval("linear_native").estimate) < 0.15
    assert abs(found.interval("rank_native").estimate) < 0.25
    assert found.test_accuracy is None
    assert found.labels is None


@pytest.mark.parametrize("rank", ["spearman", "kendall"])
@pytest.mark.parametrize("entries", ["lower", "all"])
@pytest.mark.parametrize("rsm_kind", ["cosine", "pearson"])
def test_agreements_are_the_literal_ones(rsm_kind: str, entries: str, rank: str) -> None:
    rng = np.random.default_rng(0)
    activations = RunActivations(rng.standard_normal((15, 4)) + 1.0, rng.standard_normal((9, 4)))
    for convention, between in (("paper", "pairwise"), ("authors", "leave-one-out")):
        settings = SimulationSettings.of(
            n_copies=3, noise=0.7, convention=convention, algorithm="deterministic",
            rsm_kind=rsm_kind, entries=entries, rank=rank,
        )  # fmt: skip
        found = run_once(activations, settings, 3, 1)
        both = np.vstack([activations.alignment, activations.test])
        copies = cv.rotated_copies(both, 3, noise=0.7, seed=3)
        model = cv.SharedResponseModel(4, seed=3, **settings.model)
        model.fit([copy[:15] for copy in copies])
        test = [copy[15:] for copy in copies]
        shared = [x @ w for x, w in zip(test, model.weights_)]
        expected = simulation.agreements(test, shared, rsm_kind, entries, rank, between)
        np.testing.assert_allclose(found.agreement, expected, atol=1e-9)


def test_the_authors_model_is_brainiaks_with_ten_iterations() -> None:
    settings = SimulationSettings.of(convention="authors", algorithm="deterministic")
    rng = np.random.default_rng(1)
    data = [rng.standard_normal((20, 3)) for _ in range(3)]
    model = cv.SharedResponseModel(3, seed=5, **settings.model).fit(data)
    start = cv.SharedResponseModel(3, seed=5, **{**settings.model, "max_iter": 0}).fit(data)
    weights, _, _ = shared_response.fit(data, start.weights_, 10, center=False, diagonal=0.001)
    for found, expected in zip(model.weights_, weights):
        np.testing.assert_allclose(found, expected, atol=1e-8)
    assert (settings.rsm_kind, settings.entries, settings.rank) == ("pearson", "all", "kendall")


@pytest.mark.parametrize("kind", KINDS)
def test_the_authors_program_falls_short(kind: str, golden_pairs: list[Pair]) -> None:
    """About .93 (linear) and .78 (Kendall's tau) over 50 runs of their program with orthogonal copies."""
    found = cv.simulate(kind=kind, convention="authors", activations=golden_pairs)
    linear, rank = found.interval("linear_shared"), found.interval("rank_shared")
    if kind == "orthogonal":
        assert linear.estimate == pytest.approx(0.93, abs=0.01)
        assert rank.estimate == pytest.approx(0.78, abs=0.02)
    assert 0.88 < linear.estimate < 0.95
    assert 0.72 < rank.estimate < 0.80
    assert abs(found.interval("linear_native").estimate) < 0.15


def test_noise_lowers_the_agreement(networks: list[cv.XorActivations]) -> None:
    agreement = [
        cv.simulate(activations=networks, noise=noise).interval("linear_shared").estimate
        for noise in (0.0, 1.0, 4.0)
    ]
    assert agreement == sorted(agreement, reverse=True)
    assert agreement[2] < 0.95


def test_fewer_features_than_units_are_enough_for_the_strong_directions() -> None:
    network = cv.xor_activations(0)
    found = [cv.simulate(activations=[network], n_features=k).agreement[0, 0] for k in (1, 5, 50)]
    assert found[0] < 0.9
    assert found[1] > 0.99
    assert found[2] == pytest.approx(1.0, abs=1e-9)


def test_degenerate_activations_have_an_answer() -> None:
    """Dead and duplicated units, fewer examples than units, float32; all units dead."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 4)).astype(np.float32)
    odd = np.column_stack([x, x[:, :2], np.zeros((6, 9), np.float32)])
    found = cv.simulate(activations=[(odd, odd)], n_copies=3)
    np.testing.assert_allclose(found.agreement[0, :2], 1.0, atol=1e-6)
    dead = cv.simulate(activations=[(np.zeros((6, 4)), np.zeros((5, 4)))], n_copies=3)
    np.testing.assert_array_equal(dead.agreement, np.zeros((1, 4)))


def test_the_same_bits_for_any_number_of_threads(networks: list[cv.XorActivations]) -> None:
    one, three = (
        cv.simulate(activations=networks[:2], noise=0.5, n_threads=n).agreement for n in (1, 3)
    )
    np.testing.assert_array_equal(one, three)


def test_intervals_are_those_of_the_runs() -> None:
    agreement = np.random.default_rng(0).uniform(0.2, 0.9, (30, 4))
    found = result(agreement)
    for i, quantity in enumerate(QUANTITIES):
        expected = cv.bootstrap_values(agreement[:, i])
        interval = found.interval(quantity)
        assert (interval.low, interval.high) == (expected.low, expected.high)
        assert interval.estimate == pytest.approx(agreement[:, i].mean())
    wide = result(np.array([[1.0] * 4, [1.0] * 4, [-0.9] * 4]))
    assert wide.interval("rank_native").high <= 1.0
    with pytest.raises(ValueError, match="`quantity` must be one of 'linear_shared'"):
        found.values("linear")


def result(agreement: NDArray[np.float64]) -> cv.Simulation:
    rng = np.random.default_rng(1)
    rsms = MeanRsms(*rng.uniform(-1.0, 1.0, (3, 6, 6)))
    settings = SimulationSettings.of(noise=0.25, n_features=3)
    converged = np.ones(len(agreement), dtype=np.bool_)
    return cv.Simulation(settings, agreement, converged, None, rsms, np.array([0, 0, 0, 1, 1, 1]))


def test_saved_and_read(tmp_path: Path) -> None:
    saved = result(np.random.default_rng(0).uniform(size=(5, 4)))
    read = cv.Simulation.load(saved.save(tmp_path / "of.npz"))
    assert read.settings == saved.settings
    np.testing.assert_array_equal(read.agreement, saved.agreement)
    np.testing.assert_array_equal(read.rsms.between_native, saved.rsms.between_native)
    np.testing.assert_array_equal(read.converged, saved.converged)
    assert read.labels is not None
    assert read.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert read.test_accuracy is None
    rows = list(read.rows())
    assert [(row["space"], row["correlation"]) for row in rows] == [
        ("shared", "pearson"), ("shared", "spearman"), ("native", "pearson"), ("native", "spearman"),
    ]  # fmt: skip
    assert rows[0]["mean"] == pytest.approx(saved.agreement[:, 0].mean())
    assert (rows[0]["noise"], rows[0]["runs"]) == (0.25, 5)


def test_files_that_are_no_simulation_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        cv.Simulation.load(tmp_path / "none.npz")
    path = result(np.zeros((3, 4))).save(tmp_path / "of.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="truncated"):
        cv.Simulation.load(path)
    arrays = {"settings": np.array("{}"), "agreement": np.zeros((3, 4))}
    _storage.write_arrays(path, "convergent.Simulation/1", arrays)
    with pytest.raises(ValueError, match="is no simulation"):
        cv.Simulation.load(path)
    _storage.write_arrays(path, "something else", arrays)
    with pytest.raises(ValueError, match=r"must hold convergent\.Simulation/1"):
        cv.Simulation.load(path)


def test_a_stopped_simulation_goes_on(tmp_path: Path, networks: list[cv.XorActivations]) -> None:
    whole = cv.simulate(activations=networks, noise=0.5, out=tmp_path / "whole")

    def stop(description: str, done: int, total: int) -> None:
        assert (description, total) == ("simulate orthogonal", 4)
        if done == 2:
            raise KeyboardInterrupt

    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        cv.simulate(activations=networks, noise=0.5, out=out, progress=stop)
    kept = sorted(path.name for path in out.iterdir())
    assert kept == ["run-0000.npz", "run-0001.npz"]
    before = {name: (out / name).stat().st_mtime_ns for name in kept}
    found = cv.simulate(activations=networks, noise=0.5, out=out)
    assert {name: (out / name).stat().st_mtime_ns for name in kept} == before
    np.testing.assert_array_equal(found.agreement, whole.agreement)
    names = ["simulation.npz", *kept, "run-0002.npz", "run-0003.npz"]
    for name in names:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert found.test_accuracy is not None
    np.testing.assert_array_equal(found.rsms.within, whole.rsms.within)


def test_runs_of_other_settings_or_networks_are_not_taken(
    tmp_path: Path, networks: list[cv.XorActivations]
) -> None:
    cv.simulate(activations=networks, out=tmp_path)
    swapped = networks[::-1]
    found = cv.simulate(activations=swapped, out=tmp_path)
    np.testing.assert_array_equal(found.agreement, cv.simulate(activations=swapped).agreement)
    for changed in ({"noise": 0.5}, {"n_copies": 4}, {"seed": 1}, {"kind": "permutation"}):
        alone = cv.simulate(activations=networks, **changed)
        found = cv.simulate(activations=networks, out=tmp_path, **changed)
        np.testing.assert_array_equal(found.agreement, alone.agreement)


def test_broken_runs_are_refused_by_name(tmp_path: Path, networks: list[cv.XorActivations]) -> None:
    cv.simulate(activations=networks[:1], out=tmp_path)
    path = tmp_path / "run-0000.npz"
    arrays = _storage.read_arrays(path, "convergent.SimulationRun/1")
    _storage.write_arrays(path, "convergent.SimulationRun/1", {**arrays, "agreement": np.zeros(3)})
    with pytest.raises(ValueError, match=r"run-0000\.npz is no run of a simulation"):
        cv.simulate(activations=networks[:1], out=tmp_path)
    path.write_bytes(b"not an archive")
    with pytest.raises(ValueError, match=r"run-0000\.npz"):
        cv.simulate(activations=networks[:1], out=tmp_path)


def test_not_having_converged_is_said(
    networks: list[cv.XorActivations], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        SimulationSettings, "model", property(lambda self: {"max_iter": 1, "tol": 1e-12})
    )
    with pytest.warns(cv.ConvergenceWarning, match="did not converge in 4 of 4 runs"):
        found = cv.simulate(activations=networks, noise=2.0)
    assert not found.converged.any()


EYE = np.eye(3)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_runs": 0}, "`n_runs` must be at least 1, got 0"),
        ({"n_copies": 1}, "`n_copies` must be at least 2, got 1"),
        ({"kind": "shear"}, "`kind` must be one of 'orthogonal', 'permutation', got 'shear'"),
        ({"convention": "ours"}, "`convention` must be one of 'paper', 'authors', got 'ours'"),
        ({"algorithm": "magic"}, "`algorithm` must be one of 'deterministic', 'probabilistic'"),
        ({"rsm_kind": "dot"}, "`rsm_kind` must be one of 'cosine', 'pearson', got 'dot'"),
        ({"entries": "upper"}, "`entries` must be one of 'lower', 'all', got 'upper'"),
        ({"rank": "tau"}, "`rank` must be one of 'spearman', 'kendall', got 'tau'"),
        ({"noise": -1.0}, "`noise` must not be negative, got -1.0"),
        ({"noise": np.inf}, "`noise` must be finite, got inf"),
        ({"n_features": 0}, "`n_features` must be at least 1, got 0"),
        ({"seed": -1}, "`seed` must be at least 0, got -1"),
        ({"center": True, "convention": "authors"}, "`center` goes with `convention` 'paper'"),
        ({"activations": []}, "`activations` must hold at least one run, got none"),
        ({"activations": [EYE]}, r"`activations\[0\]` must be XorActivations or a pair"),
        ({"activations": [(EYE, np.eye(4))]}, r"`activations\[0\]` must have the same units .* 3 and 4"),
        ({"activations": [(EYE, EYE[:2])]}, r"`activations\[0\]\[1\]` must have at least 3 examples, got 2"),
        ({"activations": [(EYE, EYE)], "n_runs": 2}, "`n_runs` must be between 1 and 1, got 2"),
        ({"activations": [(EYE, EYE)], "n_features": 4}, "`n_features` must be at most the number of units"),
    ],
)  # fmt: skip
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cv.simulate(**parameters)


def test_parameters_of_the_wrong_kind() -> None:
    with pytest.raises(TypeError, match=r"`activations` must be a list with .* got ndarray"):
        cv.simulate(activations=EYE)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`center` must be True or False, got 1"):
        cv.simulate(center=1)  # type: ignore[arg-type]
