"""RSA: the literal correlation of similarities, by tiles and by ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convergent as cv
from convergent.measures import pair_products
from tests.drawn_networks import Array, pairs, rotation, spoil
from tests.reference import rsm as reference

SETTINGS = settings(max_examples=30, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
KINDS = st.sampled_from(["cosine", "pearson"])
METHODS = st.sampled_from(["linear", "rank"])


@SETTINGS
@given(pair=pairs(n_examples=(3, 14), widths=(3, 16)), kind=KINDS, method=METHODS)
def test_follows_the_twin(pair: tuple[Array, Array], kind: str, method: str) -> None:
    x, y = pair
    matrices = [reference.inter_rsm(m, m, kind) for m in (x.astype("f8"), y.astype("f8"))]
    if any(np.ptp(m[np.tril_indices(len(m), -1)]) < 1e-12 for m in matrices):
        return
    literal = reference.agreement(matrices[0], matrices[1], method, "lower")
    assert cv.rsa(x, y, kind=kind, method=method) == pytest.approx(literal, abs=1e-10)


@SETTINGS
@given(
    seed=SEEDS,
    n_examples=st.sampled_from([3, 7, 40]),
    dtype=st.sampled_from(["f4", "f8"]),
    how=st.sampled_from(["", "dead", "constant", "duplicated", "all"]),
    kind=KINDS,
    method=METHODS,
)
def test_one_with_itself(
    seed: int, n_examples: int, dtype: str, how: str, kind: str, method: str
) -> None:
    x = np.random.default_rng(seed).standard_normal((n_examples, 9))
    spoil(x, how)
    x[1] = 0.0
    x = x.astype(dtype)
    assert cv.rsa(x, x.copy(), kind=kind, method=method) == pytest.approx(1.0, abs=1e-12)


@SETTINGS
@given(seed=SEEDS, method=METHODS)
def test_rotation_and_scale_change_nothing(seed: int, method: str) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((20, 6)), rng.standard_normal((20, 4))
    base = cv.rsa(x, y, method=method)
    assert cv.rsa(1e-160 * x @ rotation(rng, 6), y, method=method) == pytest.approx(base, abs=1e-10)
    assert cv.rsa(1e160 * x, y, method=method) == pytest.approx(base, abs=1e-12)
    assert cv.rsa(y, x, method=method) == pytest.approx(base, abs=1e-12)


@pytest.mark.parametrize("kind", ["cosine", "pearson"])
def test_tiles_of_any_size_give_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((83, 6)) + 1.0, rng.standard_normal((83, 4))
    whole = cv.rsm_agreement(cv.rsm(x, kind), cv.rsm(y, kind))
    for size in (1, 7, 82, 83, 84):
        monkeypatch.setattr(pair_products, "_tile_size", lambda n_networks, size=size: size)
        assert cv.rsa(x, y, kind=kind) == pytest.approx(whole, abs=1e-13)


@pytest.mark.parametrize("method", ["linear", "rank"])
def test_similarities_that_do_not_vary(method: str) -> None:
    x = np.random.default_rng(1).standard_normal((9, 3))
    assert cv.rsa(np.arange(1.0, 10.0)[:, np.newaxis], x, method=method) == 0.0
    assert cv.rsa(np.eye(9), x, method=method) == 0.0
    small = np.outer(np.arange(1.0, 10.0), [1 / 3, 0.7, 1.1])  # alike but for rounding
    assert cv.rsa(x, small, method=method) == 0.0
    with pytest.warns(cv.DeadUnitWarning, match="`y` has 2 constant or dead units"):
        assert cv.rsa(x, np.full((9, 2), 0.1), method=method) == 0.0


X = np.arange(12.0).reshape(4, 3) ** 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cv.rsa(X, X, kind="euclidean"), "`kind` must be one of 'cosine', 'pearson', got"),
        (lambda: cv.rsa(X, X, method="kendall"), "`method` must be one of 'linear', 'rank', got"),
        (lambda: cv.rsa(X[:2], X[:2]), "at least 3 examples, got 2"),
        (lambda: cv.rsa(X, X[:, :1], kind="pearson"), "at least two units, `y` has 1"),
    ],
)
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
