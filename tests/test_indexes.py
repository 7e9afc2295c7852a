from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convergent as cv
from tests.reference import indexes as reference

SETTINGS = settings(max_examples=30, deadline=None)
KERNELS = st.sampled_from(["linear", "rbf"])


def test_published_numbers() -> None:
    rng = np.random.RandomState(1337)
    x = rng.randn(100, 10)
    y = rng.randn(100, 10) + x
    assert cv.cka(x, y) == pytest.approx(0.55761, abs=5e-6)
    assert cv.cka(x, y, "rbf") == pytest.approx(0.65483, abs=5e-6)
    assert cv.cka(x, y, debiased=True) == pytest.approx(0.51346, abs=5e-6)


@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    n_examples=st.integers(5, 25),
    widths=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    kernel=KERNELS,
    debiased=st.booleans(),
    dtype=st.sampled_from(["f4", "f8", ">f8"]),
    order=st.sampled_from(["C", "F"]),
)
def test_follows_the_twin(
    seed: int, n_examples: int, widths: tuple[int, int], kernel: str, debiased: bool,
    dtype: str, order: Any,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    x, y = (
        np.array(rng.standard_normal((n_examples, w)) + 2.0, dtype, order=order) for w in widths
    )
    x.flags.writeable = False
    literal = reference.cka(x.astype("f8"), y.astype("f8"), kernel, debiased)
    ours = cv.cka(x, y, kernel, debiased)
    assert ours == pytest.approx(min(max(literal, -1.0), 1.0), abs=1e-9)


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1), wide=st.booleans(), kernel=KERNELS, debiased=st.booleans())
def test_one_with_itself_whatever_the_units(
    seed: int, wide: bool, kernel: str, debiased: bool
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((12, 30 if wide else 6))
    x[:, 0], x[:, 1], x[:, 2] = 0.0, 0.1, x[:, 3]
    assert cv.cka(x, x, kernel, debiased) == pytest.approx(1.0, abs=1e-12)


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1), wide=st.booleans(), kernel=KERNELS, debiased=st.booleans())
def test_rotation_scale_and_shift_change_nothing(
    seed: int, wide: bool, kernel: str, debiased: bool
) -> None:
    rng = np.random.default_rng(seed)
    width = 20 if wide else 5
    x, y = rng.standard_normal((15, width)), rng.standard_normal((15, 4))
    y[:, 0] += x[:, 0]
    turned = x @ np.linalg.qr(rng.standard_normal((width, width)))[0]
    base = cv.cka(x, y, kernel, debiased)
    moved = cv.cka(1e-160 * (turned + 3.0), y, kernel, debiased)
    assert moved == pytest.approx(base, abs=1e-10)
    assert cv.cka(1e200 * x, y, kernel, debiased) == pytest.approx(base, abs=1e-10)
    assert cv.cka(y, x, kernel, debiased) == pytest.approx(base, abs=1e-12)


def test_debiased_value_of_independent_networks_is_near_zero_and_may_be_negative() -> None:
    rng = np.random.default_rng(0)
    values = [
        cv.cka(rng.standard_normal((40, 60)), rng.standard_normal((40, 60)), debiased=True)
        for _ in range(20)
    ]
    assert abs(float(np.mean(values))) < 0.02
    assert min(values) < 0.0


@pytest.mark.parametrize("n_examples", [3, 30])
def test_network_of_far_less_variance_than_the_other(n_examples: int) -> None:
    x = np.random.default_rng(3).standard_normal((n_examples, 4))
    y = np.ones((n_examples, 4))
    y[:, 0] += 1e-6 * x[:, 0]
    expected = reference.cka(x, x[:, :1], "linear", False)
    assert cv.cka(x, y) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("debiased", [False, True])
def test_networks_without_variance(kernel: str, debiased: bool) -> None:
    x = np.random.default_rng(1).standard_normal((9, 3))
    with pytest.warns(cv.DeadUnitWarning, match="`y` has 2 constant or dead units"):
        assert cv.cka(x, np.full((9, 2), 0.1), kernel, debiased) == 0.0


@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    n_examples=st.integers(8, 40),
    batch_size=st.integers(4, 45),
    widths=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    kernel=KERNELS,
)
def test_batches_follow_the_twin(
    seed: int, n_examples: int, batch_size: int, widths: tuple[int, int], kernel: str
) -> None:
    rng = np.random.default_rng(seed)
    x, y = (rng.standard_normal((n_examples, width)) + 2.0 for width in widths)
    y[:, 0] += x[:, 0]
    literal = reference.minibatch_cka(x, y, batch_size, kernel)
    ours = cv.cka(x, y, kernel, batch_size=batch_size)
    assert ours == pytest.approx(literal, abs=1e-7)  # four examples leave little in a batch
    if batch_size >= n_examples:
        assert ours == pytest.approx(cv.cka(x, y, kernel, debiased=True), abs=1e-12)


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1), wide=st.booleans(), kernel=KERNELS)
def test_batches_of_a_network_with_itself(seed: int, wide: bool, kernel: str) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((30, 20 if wide else 6)).astype("f4")
    x[:, 0], x[:, 1], x[:, 2] = 0.0, 0.1, x[:, 3]
    x[:8] = 0.5  # a batch without variance
    assert cv.cka(x, x, kernel, batch_size=8) == pytest.approx(1.0, abs=1e-12)
    other = rng.standard_normal((30, 5))
    literal = reference.minibatch_cka(x[8:].astype("f8"), other[8:], 8, "linear")
    if kernel == "linear":  # the batch adds to the second network's own HSIC only
        own = [reference.unbiased_hsic(b @ b.T, b @ b.T) for b in (other[:8], other[8:16],
                                                                  other[16:24], other[24:])]  # fmt: skip
        share = np.sqrt(sum(own[1:]) / sum(own))
        assert cv.cka(x, other, batch_size=8) == pytest.approx(literal * share, abs=1e-9)


def test_batches_estimate_what_all_examples_give() -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((4000, 30))
    y = x @ rng.standard_normal((30, 20)) + 8.0 * rng.standard_normal((4000, 20))
    whole = cv.cka(x, y, debiased=True)
    assert cv.cka(x, y, batch_size=50) == pytest.approx(whole, abs=0.02)


def test_unbiased_hsic_of_a_network_with_itself_is_no_nan() -> None:
    """Exactly 0 in theory for one example that differs; rounding may take it below."""
    rng = np.random.default_rng(6)
    for n_examples in (4, 5, 9, 33):
        x = np.full((n_examples, 7), 0.1)
        x[0] = rng.standard_normal(7)
        for debiased in ({"debiased": True}, {"batch_size": n_examples}):
            for kernel in ("linear", "rbf"):
                assert cv.cka(x, x, kernel, **debiased) == 0.0
                other = rng.standard_normal((n_examples, 3))
                assert cv.cka(x, other, kernel, **debiased) == 0.0


def test_no_unbiased_estimate_where_all_examples_are_equally_alike() -> None:
    assert cv.cka(np.eye(6), np.eye(6), debiased=True) == 0.0


def test_more_than_half_of_the_pairs_alike() -> None:
    x = np.zeros((10, 2))
    x[0] = 1.0
    assert cv.cka(x, x, "rbf") == pytest.approx(1.0, abs=1e-12)


X = np.arange(12.0).reshape(4, 3) ** 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cv.cka(X, X[:3]), ValueError, "as many examples as `x`, got 3 and 4"),
        (lambda: cv.cka(X, X, "poly"), ValueError, "`kernel` must be one of 'linear', 'rbf', got"),
        (lambda: cv.cka(X[:3], X[:3], debiased=True), ValueError, "at least 4 examples, got 3"),
        (lambda: cv.cka(X[:1], X[:1]), ValueError, "at least 2 examples"),
        (lambda: cv.cka(X, X, bandwidth=0.0), ValueError, "`bandwidth` must be positive, got 0.0"),
        (lambda: cv.cka(X, X, bandwidth="a"), TypeError, "`bandwidth` must be a real number"),  # type: ignore[arg-type]
        (lambda: cv.cka(X, X, batch_size=3), ValueError, "`batch_size` must be at least 4, got 3"),
        (lambda: cv.cka(X, X, batch_size=8.0), TypeError, "`batch_size` must be a whole number"),  # type: ignore[arg-type]
        (lambda: cv.cka(X[:3], X[:3], batch_size=8), ValueError, "at least 4 examples, got 3"),
        (lambda: cv.cka(X, X, debiased=1), TypeError, "`debiased` must be True or False, got 1"),  # type: ignore[arg-type]
        (lambda: cv.cka(X, X * np.nan), ValueError, "`y` must be finite"),
        (lambda: cv.cka(X + np.inf, X), ValueError, "`x` must be finite"),
        (lambda: cv.cka(X, X * 1j), TypeError, "`y` must be real"),
        (lambda: cv.cka(X, X.astype(object)), ValueError, "array of numbers"),
        (lambda: cv.cka(X, X[0]), ValueError, "two-dimensional"),
        (lambda: cv.cka(X, 1.0), ValueError, "two-dimensional"),
        (lambda: cv.cka(X[:, :0], X), ValueError, "must not be empty"),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
