from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import mutual_info_score

import convergent as cv
from convergent import _core
from tests.reference import mutual_information as twin

Array = NDArray[np.float64]
CONVENTIONS = ["paper", "authors"]
SIDE: dict[str, Literal["left", "right"]] = {"paper": "left", "authors": "right"}


def draw_units(seed: int, n_examples: int, n_units: int) -> Array:
    """Draw rectified activations with dead, constant, duplicated, tied and unrectified units."""
    generator = np.random.default_rng(seed)
    signal = generator.standard_normal((n_examples, 1))
    x = signal + generator.standard_normal((n_examples, n_units)) + generator.normal(size=n_units)
    kinds = generator.integers(0, 9, n_units)
    rectified = kinds > 1
    x[:, rectified] = np.maximum(x[:, rectified], 0)
    x[:, kinds == 2] = 0
    x[:, kinds == 3] = 0.1
    x[:, kinds == 4] = np.round(x[:, kinds == 4])
    x[:, kinds == 5] = x[:, :1]
    x[:, kinds == 6] *= 1e-6
    return x


def lay_out(x: Array, layout: str) -> Array:
    if layout == "F":
        return np.asfortranarray(x)
    if layout == "strided":
        return np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3]
    if layout == "reversed":
        return np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    if layout == "readonly":
        x.setflags(write=False)
    return x


def quiet_bins(x: Any, **arguments: Any) -> cv.BinnedUnits:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.DeadUnitWarning)
        return cv.bin_units(x, **arguments)


def quiet_information(x: Any, y: Any, **arguments: Any) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.DeadUnitWarning)
        return cv.mutual_information(x, y, **arguments)


def assert_bins_are_the_twins(x: Array, n_bins: int, convention: str) -> cv.BinnedUnits:
    binned = quiet_bins(x, n_bins=n_bins, convention=convention)
    assert binned.codes.shape == x.shape
    assert binned.codes.dtype == np.uint8
    for j in range(x.shape[1]):
        codes, edges = twin.bin_unit(x[:, j].astype(np.float64), n_bins, convention)
        assert binned.edges[j].tolist() == edges
        assert binned.codes[:, j].tolist() == codes
    return binned


@pytest.mark.usefixtures("level")
@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 10**6),
    n_examples=st.integers(2, 70),
    n_x=st.integers(1, 7),
    n_y=st.integers(1, 7),
    n_bins=st.sampled_from([2, 3, 7, 20, 40, 255]),
    convention=st.sampled_from(CONVENTIONS),
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(["C", "F", "strided", "reversed", "readonly"]),
)
def test_agrees_with_the_definition(
    seed: int,
    n_examples: int,
    n_x: int,
    n_y: int,
    n_bins: int,
    convention: str,
    dtype: type,
    layout: str,
) -> None:
    x = lay_out(draw_units(seed, n_examples, n_x).astype(dtype), layout)
    y = draw_units(seed, n_examples, n_y)
    binned_x = assert_bins_are_the_twins(x, n_bins, convention)
    binned_y = assert_bins_are_the_twins(y, n_bins, convention)
    expected = twin.mutual_information(x, y, n_bins, convention)
    result = quiet_information(x, y, n_bins=n_bins, convention=convention)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)
    assert (result >= 0).all()
    np.testing.assert_array_equal(cv.mutual_information(binned_y, binned_x).T, result)

    corrected = cv.mutual_information(binned_x, binned_y, bias="miller-madow", n_threads=2)
    for i, a in enumerate(binned_x.codes.T.tolist()):
        for j, b in enumerate(binned_y.codes.T.tolist()):
            assert corrected[i, j] == pytest.approx(twin.miller_madow(a, b), abs=1e-12)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bins_of_many_examples_are_those_of_numpy_percentiles(dtype: type, convention: str) -> None:
    generator = np.random.default_rng(7)
    x = np.maximum(generator.standard_normal((30001, 11)) + np.linspace(-2, 4, 11), 0)
    x[:, 3] = np.round(x[:, 3] * 50) / 50
    x[:, 8] = generator.standard_normal(30001) * np.exp(generator.standard_normal(30001) * 20)
    x[:, 9] = 1e6 + generator.random(30001)
    x[:, 10] = 3
    x = x.astype(dtype)
    with pytest.warns(cv.DeadUnitWarning, match=r"units \(10\)"):
        binned = cv.bin_units(x, convention=convention)
    for j, unit in enumerate(x.T.astype(np.float64)):
        if convention == "paper":
            edges = np.percentile(unit, np.arange(1, 20) * 5)
            edges = np.append(edges[edges > 1e-6], 1e-6)
        else:
            first = np.mean(unit < 1e-6) * 100.1
            edges = np.percentile(unit, np.linspace(first, 100, 20))[:-1]
        np.testing.assert_array_equal(binned.edges[j], np.unique(edges))
        codes = np.searchsorted(np.unique(edges), unit, side=SIDE[convention])
        np.testing.assert_array_equal(binned.codes[:, j], codes)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize(
    ("key", "n_bins", "convention"),
    [
        ("mi_paper5pct", 20, "paper"),
        ("mi_authors10", 10, "authors"),
        ("mi_authors20", 20, "authors"),
        ("mi_authors21", 21, "authors"),
    ],
)
def test_golden(golden: Path, key: str, n_bins: int, convention: str) -> None:
    with np.load(golden / "mi_small.npz") as stored:
        x, y, expected = stored["A"].T, stored["B"].T, stored[key]
    result = cv.mutual_information(x, y, n_bins=n_bins, convention=convention)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


@pytest.fixture(scope="module")
def network() -> NDArray[np.float32]:
    """Enough examples for two blocks, enough units for several tiles; dense and sparse ones."""
    generator = np.random.default_rng(11)
    x = generator.standard_normal((40001, 3)) @ generator.standard_normal((3, 37))
    x += generator.standard_normal(x.shape) + np.linspace(-3, 5, 37)
    x[20000:] = np.sort(x[20000:], axis=0)
    return np.maximum(x, 0).astype(np.float32)


@pytest.mark.parametrize("n_bins", [4, 12, 20, 27, 60])
def test_every_level_and_thread_count_gives_the_same_bits(
    network: NDArray[np.float32], n_bins: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = network[:, :18], network[:, 16:]
    expected: Array | None = None
    for name in _core.supported_levels():
        monkeypatch.setattr(_core, "kernels", _core.load_level(name))
        for n_threads in (1, 2, 3):
            result = cv.mutual_information(x, y, n_bins=n_bins, n_threads=n_threads)
            expected = result if expected is None else expected
            assert (result == expected).all()
    binned_x, binned_y = cv.bin_units(x, n_bins=n_bins), cv.bin_units(y, n_bins=n_bins)
    for i, j in [(0, 0), (0, 18), (17, 1), (9, 20), (16, 0), (5, 7)]:
        judge = mutual_info_score(binned_x.codes[:, i], binned_y.codes[:, j])
        assert expected is not None
        assert expected[i, j] == pytest.approx(judge, abs=1e-12)


def test_the_diagonal_is_the_entropy(network: NDArray[np.float32]) -> None:
    binned = cv.bin_units(network[:2000, ::4])
    entropies = [twin.entropy(codes) for codes in binned.codes.T.tolist()]
    result = cv.mutual_information(binned, binned)
    np.testing.assert_allclose(np.diagonal(result), entropies, rtol=0, atol=1e-14)
    assert (result == result.T).all()
    assert (result <= np.diagonal(result)).all()
    np.testing.assert_array_equal(
        cv.mutual_information(network[:2000, ::4], network[:2000, ::4]), result
    )


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_gaussian_pair(convention: str) -> None:
    generator = np.random.default_rng(12)
    a = generator.standard_normal(400_000) + 20
    b = 0.6 * (a - 20) + 0.8 * generator.standard_normal(400_000) + 20
    x, y = a[:, np.newaxis], b[:, np.newaxis]
    exact = -0.5 * np.log(1 - 0.36)
    coarse, fine = (
        cv.mutual_information(x, y, n_bins=n, convention=convention, bias="miller-madow")[0, 0]
        for n in (8, 100)
    )
    assert fine == pytest.approx(exact, abs=0.006)
    assert abs(fine - exact) < abs(coarse - exact)


def test_independent_units_and_their_bias() -> None:
    x = np.random.default_rng(13).random((20000, 12))
    plain = cv.mutual_information(x[:, :6], x[:, 6:])
    corrected = cv.mutual_information(x[:, :6], x[:, 6:], bias="miller-madow")
    assert plain.mean() == pytest.approx(19 * 19 / 40000, rel=0.1)
    assert abs(corrected.mean()) < 3e-4
    assert corrected.min() < 0


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), power=st.sampled_from([0.5, 1.0, 3.0]))
def test_nearly_invariant_under_monotone_maps_of_the_active_values(seed: int, power: float) -> None:
    x = np.maximum(np.random.default_rng(seed).standard_normal((601, 4)), 0)
    # 600 is a multiple of 20, so every percentile is an order statistic up to rounding and maps along; the
    # example that is that order statistic may fall on either side of the rounded edge.
    before = cv.bin_units(x)
    after = cv.bin_units(np.where(x > 0, 1 + x**power, 0))
    differing = before.codes != after.codes
    assert differing.sum(axis=0).max() <= 3
    np.testing.assert_allclose(
        cv.mutual_information(before, before), cv.mutual_information(after, after), atol=0.03
    )


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_units_of_one_bin_are_dead(convention: str) -> None:
    x = np.random.default_rng(14).random((61, 5))
    dead = x.copy()
    dead[:, 0] = 0
    dead[:, 3] = 0.1
    with pytest.warns(cv.DeadUnitWarning) as caught:
        result = cv.mutual_information(dead, x, convention=convention)
    assert [str(w.message) for w in caught] == [
        "`x` has 2 constant or dead units (0, 3): all examples fall into one bin, so mutual "
        "information is 0"
    ]
    assert caught[0].filename == __file__
    assert (result[[0, 3]] == 0).all()
    assert not np.signbit(result).any()
    with pytest.warns(cv.DeadUnitWarning, match=r"`y` has 2") as caught:
        assert (cv.mutual_information(x, dead, convention=convention)[:, [0, 3]] == 0).all()
    assert len(caught) == 1
    with pytest.warns(cv.DeadUnitWarning, match=r"`x` has 2") as caught:
        cv.mutual_information(dead, dead, convention=convention)
    assert len(caught) == 1
    with pytest.warns(cv.DeadUnitWarning, match=r"`x` has 2") as caught:
        binned = cv.bin_units(dead, convention=convention)
    assert caught[0].filename == __file__
    assert binned.dead_units.tolist() == [0, 3]
    corrected = cv.mutual_information(binned, binned, bias="miller-madow")
    assert (corrected[[0, 3]] == 0).all()


def test_an_unrectified_unit_below_zero_is_dead_in_the_papers_bins() -> None:
    x = -np.random.default_rng(15).random((50, 1))
    with pytest.warns(cv.DeadUnitWarning, match="fall into one bin"):
        assert cv.bin_units(x).edges[0].tolist() == [1e-6]


def test_the_edge_values_of_the_special_bin() -> None:
    x = np.array([[0.0], [1e-6], [np.nextafter(1e-6, 1)], [1.0]])
    assert cv.bin_units(x, n_bins=2).codes[:, 0].tolist() == [0, 0, 1, 2]
    single = np.array([[0.0], [1e-6], [1.0]], dtype=np.float32)  # 1e-6 rounds down to float32
    assert cv.bin_units(single, n_bins=2).codes[:, 0].tolist() == [0, 0, 1]


def test_almost_only_zeros() -> None:
    x = np.zeros((5000, 1))
    x[7:11, 0] = [1, 2, 3, 4]
    paper = cv.bin_units(x)
    assert paper.edges[0].tolist() == [1e-6]
    authors = cv.bin_units(x, n_bins=3, convention="authors")  # 1.001 z exceeds 100 %
    assert np.bincount(authors.codes[:, 0]).tolist() == [4996, 2, 2]


@pytest.mark.usefixtures("level")
def test_units_at_odd_addresses(network: NDArray[np.float32]) -> None:
    packed = np.zeros((500, 3), dtype=[("tag", "u1"), ("value", "<f8")])
    packed["value"] = network[:500, 10:13]
    expected = cv.bin_units(network[:500, 10:13].astype(np.float64))
    np.testing.assert_array_equal(cv.bin_units(packed["value"]).codes, expected.codes)


def test_other_number_types() -> None:
    x = np.random.default_rng(16).integers(0, 50, (200, 3))
    expected = cv.bin_units(x.astype(np.float64)).codes
    for dtype in (np.int64, np.uint8, np.float16, ">f4", ">f8"):
        np.testing.assert_array_equal(cv.bin_units(x.astype(dtype)).codes, expected)


def test_binned_units_mix_with_arrays(network: NDArray[np.float32]) -> None:
    x, y = network[:900, 8:14], network[:900, 14:30]
    expected = cv.mutual_information(x, y, n_bins=9, convention="authors")
    binned = cv.bin_units(y, n_bins=9, convention="authors", n_threads=2)
    mixed = cv.mutual_information(x, binned, n_bins=9, convention="authors")
    np.testing.assert_array_equal(mixed, expected)
    binned_x = cv.bin_units(x, n_bins=9, convention="authors", n_threads=1)
    np.testing.assert_array_equal(cv.mutual_information(binned_x, binned), expected)
    restored = pickle.loads(pickle.dumps(binned_x))
    np.testing.assert_array_equal(cv.mutual_information(restored, binned), expected)
    assert np.shares_memory(np.ascontiguousarray(binned.codes.T), binned.codes)
    assert repr(binned) == ("BinnedUnits(16 units, 900 examples, n_bins=9, convention='authors')")
