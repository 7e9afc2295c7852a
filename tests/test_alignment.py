"""Agreement of similarities between and within networks, also of resampled networks."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from convergent.measures import rsm_products
from convergent.measures.rsm_products import lower_places
from tests.reference import alignment as reference
from tests.reference import rsm as rsm_reference

Matrix = NDArray[np.float64]
QUANTITIES = ("linear", "rank", "native_linear", "native_rank")
N_EXAMPLES = 9


def networks(seed: int, n_networks: int = 4, widths: tuple[int, ...] = (5,)) -> list[Matrix]:
    """Turned copies of one signal with noise of their own, a dead unit and a silent example each."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((N_EXAMPLES, 5)) + 0.5
    result = []
    for i in range(n_networks):
        width = widths[i % len(widths)]
        turn = np.linalg.qr(rng.standard_normal((width, width)))[0][:5]
        x = signal[:, : len(turn)] @ turn + 0.4 * rng.standard_normal((N_EXAMPLES, width))
        x[:, 0] = 0.0
        x[i % N_EXAMPLES] = 0.0
        result.append(x)
    return result


def shared_of(native: list[Matrix], n_features: int = 4) -> list[Matrix]:
    model = cv.SharedResponseModel(n_features, tol=0.0, max_iter=5, n_threads=1)
    return model.fit_transform(native)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    kind=st.sampled_from(["cosine", "pearson"]),
    tile_bytes=st.sampled_from([8 * 14 * 3, 8 * 14 * 20, 1 << 25]),
)
def test_every_resample_follows_the_twin(
    seed: int, counts: list[int], kind: str, tile_bytes: int
) -> None:
    """Tiles of one entry, of a few, and of all; counts as a bootstrap draws them, with copies."""
    if np.count_nonzero(counts) < 2:
        counts = [2, 1, 0, 1]
    native = networks(seed)
    shared, final = shared_of(native), networks(seed + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rsm_products, "_TILE_BYTES", tile_bytes)
        found = cv.alignment_agreement(native, shared, reference=final, kind=kind)
    for method in ("linear", "rank"):
        for prefix, between in (("", shared), ("native_", native)):
            quantity = prefix + method
            expected = reference.alignment(between, final, kind, method)
            assert getattr(found, quantity) == pytest.approx(expected, abs=1e-12)
            drawn = [reference.repeated(of, counts) for of in (between, final)]
            expected = reference.alignment(drawn[0], drawn[1], kind, method)
            (ours,) = found.resampled([counts], quantity)
            assert ours == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", ["cosine", "pearson"])
def test_pairs_and_matrices_are_those_of_the_other_measures(kind: str) -> None:
    native = networks(0, widths=(5, 7, 6))
    shared = shared_of(native)
    found = cv.alignment_agreement(native, shared, kind=kind)
    missing: list[Any] = [found.native_linear, found.native_rank, found.native_pairs]
    assert [*missing, found.native_between, found.native_products] == [None] * 5
    np.testing.assert_allclose(found.between, cv.inter_rsm(shared, kind=kind), atol=1e-14)
    within = np.mean([cv.rsm(x, kind) for x in native], axis=0)
    np.testing.assert_allclose(found.within, within, atol=1e-14)
    for i, j in combinations(range(4), 2):
        expected = reference.alignment(
            [shared[i], shared[j]], [native[i], native[j]], kind, "linear"
        )
        assert found.pairs[i, j] == found.pairs[j, i] == pytest.approx(expected, abs=1e-12)
        expected = rsm_reference.consistency([native[i], native[j]], kind)
        assert found.consistency_pairs[i, j] == pytest.approx(expected, abs=1e-12)
    assert np.diagonal(found.pairs).tolist() == [1.0] * 4
    np.testing.assert_allclose(
        found.consistency_pairs, cv.consistency_matrix(native, kind=kind), atol=1e-12
    )
    assert found.consistency_pairs[1, 0] != found.consistency_pairs[2, 0]


def test_turned_copies_agree_in_the_shared_space_only() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 20))
    native = [x @ np.linalg.qr(rng.standard_normal((20, 20)))[0] for _ in range(5)]
    shared = cv.SharedResponseModel(20, center=False).fit_transform(native)
    found = cv.alignment_agreement(native, shared)
    assert found.linear > 0.999
    assert found.native_linear is not None
    assert abs(found.native_linear) < 0.3
    np.testing.assert_allclose(found.consistency_pairs, 1.0, atol=1e-12)
    assert "5 networks, 80 examples, linear=1.000" in repr(found)
    without = cv.alignment_agreement(native, shared, native=False)
    assert without.native_linear is None
    assert without.native_products is None
    assert without.linear == found.linear


def test_the_reference_decides_what_is_to_be_reproduced() -> None:
    early, final = networks(1), networks(2)
    found = cv.alignment_agreement(early, shared_of(early), reference=final)
    own = cv.alignment_agreement(early, shared_of(early))
    np.testing.assert_allclose(found.consistency_pairs, cv.consistency_matrix(final), atol=1e-12)
    assert found.linear < own.linear - 0.05


def test_sampled_entries_stand_for_all() -> None:
    rng = np.random.default_rng(3)
    signal = rng.standard_normal((90, 6))
    native = [signal + 0.8 * rng.standard_normal((90, 6)) for _ in range(5)]
    whole = cv.alignment_agreement(native, native)
    some = cv.alignment_agreement(native, native, n_sampled=1_000, seed=1)
    again = cv.alignment_agreement(native, native, n_sampled=1_000, seed=1)
    counts = rng.multinomial(5, np.full(5, 0.2), size=40)
    counts = counts[np.count_nonzero(counts, axis=1) > 1]
    assert some.products.sampled_within.shape == (5, 1_000)
    assert some.rank == whole.rank
    np.testing.assert_array_equal(some.resampled(counts), whole.resampled(counts))
    ours, theirs = some.resampled(counts, "rank"), whole.resampled(counts, "rank")
    np.testing.assert_array_equal(ours, again.resampled(counts, "rank"))
    assert 0.0 < np.abs(ours - theirs).max() < 0.06
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9


def test_sampled_entries_are_those_of_the_matrices() -> None:
    native = networks(4)
    found = cv.alignment_agreement(native, native, n_sampled=7, seed=5)
    expected = np.random.default_rng(5).choice(36, 7, replace=False, shuffle=False)
    rows, columns = (places[np.sort(expected)] for places in np.tril_indices(N_EXAMPLES, -1))
    for i, x in enumerate(native):
        np.testing.assert_allclose(
            found.products.sampled_within[i], cv.rsm(x)[rows, columns], atol=1e-14
        )
    both = cv.inter_rsm([native[1], native[0]])
    np.testing.assert_allclose(found.products.sampled_pairs[0], both[rows, columns], atol=1e-14)


@pytest.mark.parametrize("n", [2, 3, 50, 3_000_000_000])
def test_places_in_the_lower_triangle(n: int) -> None:
    last = n * (n - 1) // 2 - 1
    positions = np.arange(max(0, last - 200), last + 1)
    rows, columns = lower_places(positions)
    assert (rows[-1], columns[-1]) == (n - 1, n - 2)
    assert ((columns >= 0) & (columns < rows)).all()
    assert (rows * (rows - 1) // 2 + columns == positions).all()


def test_similarities_that_do_not_vary_agree_with_nothing() -> None:
    same = np.tile(np.random.default_rng(0).standard_normal(7), (12, 1))
    scaled = same * np.arange(1.0, 13.0)[:, None] / 3.0
    varied = np.random.default_rng(1).standard_normal((12, 7))
    found = cv.alignment_agreement([scaled, scaled, varied], [scaled, scaled, scaled])
    assert found.linear == found.rank == 0.0
    assert found.resampled([[1, 1, 0], [1, 1, 1]]).tolist() == [0.0, 0.0]
    assert found.resampled([[1, 1, 0]], "rank").tolist() == [0.0]
    assert found.consistency_pairs.tolist() == [[0.0] * 3, [0.0] * 3, [0.0, 0.0, 1.0]]
    assert cv.consistency_matrix([scaled, varied]).tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert cv.rsm_agreement(cv.rsm(scaled), cv.rsm(varied), method="rank") == 0.0


def test_any_form_of_array() -> None:
    native = networks(6)
    shared = shared_of(native)
    expected = cv.alignment_agreement(native, shared)
    forms = [np.asfortranarray(x) for x in native]
    for x in forms:
        x.flags.writeable = False
    assert cv.alignment_agreement(forms, shared).linear == pytest.approx(expected.linear, abs=1e-14)
    single = [x.astype(np.float32) for x in native]
    found = cv.alignment_agreement(single, shared)
    assert found.linear == pytest.approx(expected.linear, abs=1e-6)


X = np.random.default_rng(0).standard_normal((5, 3))
PAIR = [X, X[::-1]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cv.alignment_agreement([X], [X]), ValueError, "at least 2 networks, got 1"),
        (lambda: cv.alignment_agreement(PAIR, [X]), ValueError, "`shared` must hold at least 2"),
        (lambda: cv.alignment_agreement(PAIR, [X] * 3), ValueError, "the 2 networks, got 3"),
        (
            lambda: cv.alignment_agreement(PAIR, PAIR, reference=[X] * 3),
            ValueError,
            "`reference` must hold one matrix for each of the 2 networks, got 3",
        ),
        (
            lambda: cv.alignment_agreement(PAIR, [x[:4] for x in PAIR]),
            ValueError,
            "`shared` must have the 5 examples of `activations`, got 4",
        ),
        (
            lambda: cv.alignment_agreement(PAIR, [X, X[:, :2]]),
            ValueError,
            r"`shared\[1\]` must have as many features as `shared\[0\]`, got 2 and 3",
        ),
        (lambda: cv.alignment_agreement([X[:2]] * 2, [X[:2]] * 2), ValueError, "at least 3 exam"),
        (lambda: cv.alignment_agreement(PAIR, [X, X * np.nan]), ValueError, "must be finite"),
        (lambda: cv.alignment_agreement(PAIR, [X, X * 1j]), TypeError, "must be real"),
        (lambda: cv.alignment_agreement(PAIR, "ab"), TypeError, "must be a list of matrices"),
        (lambda: cv.alignment_agreement(PAIR, PAIR, kind="x"), ValueError, "`kind` must be one"),
        (lambda: cv.alignment_agreement(PAIR, PAIR, native=1), TypeError, "`native` must be True"),  # type: ignore[arg-type]
        (lambda: cv.alignment_agreement(PAIR, PAIR, n_sampled=1), ValueError, "at least 2, got 1"),
        (
            lambda: cv.alignment_agreement(PAIR, PAIR, n_sampled=2, seed=-1),
            ValueError,
            "`seed` must be at least 0",
        ),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("counts", "quantity", "message"),
    [
        ([[1, 1]], "slope", "`quantity` must be one of 'linear'"),
        ([[1, 1]], "native_rank", "`quantity` must be one that was computed, got 'native_rank'"),
        ([1, 1], "linear", r"`counts` must have shape \(n_resamples, 2\), got \(2,\)"),
        ([[1, 1, 1]], "linear", r"\(n_resamples, 2\), got \(1, 3\)"),
        (np.zeros((0, 2)), "linear", r"\(n_resamples, 2\), got \(0, 2\)"),
        ([[1, -1]], "linear", "`counts` must be finite and not negative, got -1"),
        ([[1, np.nan]], "linear", "must be finite"),
        ([[1, 1], [2, 0]], "rank", "at least two networks in each row, got 1 in row 1"),
    ],
)
def test_bad_counts(counts: Any, quantity: str, message: str) -> None:
    found = cv.alignment_agreement(PAIR, PAIR, native=False)
    with pytest.raises(ValueError, match=message):
        found.resampled(counts, quantity)
