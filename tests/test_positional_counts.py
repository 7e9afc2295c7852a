"""Joint counts by positional population count: the definition's, and those of scattered increments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import convergent as cv
from convergent import _core
from tests.reference import mutual_information as twin

Codes = NDArray[np.uint8]
Nats = NDArray[np.float64]

BLOCK = 4096  # examples whose rows are made at a time
LISTED = 16 * BLOCK  # examples that are listed at a time


def draw_codes(seed: int, n_units: int, n_examples: int, n_codes: int) -> Codes:
    """Draw codes (n_units, n_examples): even, skewed, sparse, constant, few or high codes, copies."""
    generator = np.random.default_rng(seed)
    codes = np.empty((n_units, n_examples), dtype=np.uint8)
    for unit in codes:
        kind = generator.integers(0, 7)
        unit[:] = generator.integers(0, n_codes, n_examples)
        if kind == 1:
            unit[generator.random(n_examples) < 0.8] = generator.integers(0, n_codes)
        elif kind == 2:
            unit[:] = np.minimum(generator.geometric(0.4, n_examples) - 1, n_codes - 1)
        elif kind == 3:
            unit[:] = generator.integers(0, n_codes)
        elif kind == 4:
            unit[:] = np.where(unit % 2, n_codes - 1, n_codes // 2)
        elif kind == 5:
            unit[:] = codes[0]
        elif kind == 6:
            unit[:] = np.sort(unit)
    return codes


def count(x: Codes, y: Codes, n_codes: tuple[int, int], how: str, **arguments: Any) -> Nats:
    miller_madow = arguments.get("miller_madow", False)
    n_threads = arguments.get("n_threads", 1)
    return _core.kernels.mutual_information(x, y, *n_codes, miller_madow, n_threads, how)


def by_bincount(a: Codes, b: Codes) -> float:
    joint = np.bincount(a.astype(np.intp) * 256 + b, minlength=65536).reshape(256, 256) / a.size
    used = joint > 0
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    return float(np.sum(joint[used] * np.log(joint[used] / product[used])))


def assert_counts(x: Codes, y: Codes, n_codes: tuple[int, int]) -> None:
    result = count(x, y, n_codes, "positional")
    expected = [[by_bincount(a, b) for b in y] for a in x]
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(result, count(x, y, n_codes, "scatter"))
    np.testing.assert_array_equal(result.T, count(y, x, n_codes[::-1], "positional"))


@pytest.mark.usefixtures("level")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    n_x=st.integers(1, 9),
    n_y=st.integers(1, 40),
    n_examples=st.integers(1, 90),
    n_codes_x=st.sampled_from([1, 2, 3, 21, 129, 255, 256]),
    n_codes_y=st.sampled_from([1, 2, 5, 21, 66, 129]),
)
def test_agrees_with_the_definition(
    seed: int, n_x: int, n_y: int, n_examples: int, n_codes_x: int, n_codes_y: int
) -> None:
    x = draw_codes(seed, n_x, n_examples, n_codes_x)
    y = draw_codes(seed + 1, n_y, n_examples, n_codes_y)
    result = count(x, y, (n_codes_x, n_codes_y), "positional")
    corrected = count(x, y, (n_codes_x, n_codes_y), "positional", miller_madow=True)
    for i, a in enumerate(x.tolist()):
        for j, b in enumerate(y.tolist()):
            assert result[i, j] == pytest.approx(twin.from_codes(a, b), abs=1e-12)
            assert corrected[i, j] == pytest.approx(twin.miller_madow(a, b), abs=1e-12)


@pytest.mark.usefixtures("level")
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    n_examples=st.sampled_from(
        [15, 16, 17, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3, 3 * BLOCK - 1]
    ),
    n_codes=st.sampled_from([(21, 21), (2, 2), (2, 40), (255, 3), (128, 129)]),
    n_x=st.sampled_from([1, 3, 5]),
    n_y=st.sampled_from([1, 4, 29]),
)
def test_any_number_of_blocks(
    seed: int, n_examples: int, n_codes: tuple[int, int], n_x: int, n_y: int
) -> None:
    x = draw_codes(seed, n_x, n_examples, n_codes[0])
    y = draw_codes(seed + 1, n_y, n_examples, n_codes[1])
    assert_counts(x, y, n_codes)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("n_examples", [LISTED - 1, LISTED, LISTED + 1, 2 * LISTED + 4099])
def test_more_examples_than_are_listed_at_a_time(n_examples: int) -> None:
    # Counts beyond 2^16 among them: of two codes, the rarer one has almost half of the examples.
    x = draw_codes(7, 3, n_examples, 21)
    x[1] = np.random.default_rng(8).random(n_examples) < 0.49
    y = draw_codes(9, 30, n_examples, 21)
    y[17] = x[1]
    assert_counts(x, y, (21, 21))


@pytest.mark.usefixtures("level")
def test_counts_beyond_24_bits() -> None:
    n_examples = 2**25 + 2**24 + 77
    x = np.zeros((1, n_examples), dtype=np.uint8)
    x[0, : 2**24 + 9] = 1
    y = np.zeros((1, n_examples), dtype=np.uint8)
    y[0, 5 : 2**24 + 70] = 3
    np.testing.assert_array_equal(count(x, y, (2, 4), "positional"), count(x, y, (2, 4), "scatter"))


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize(("n_codes", "n_units"), [(17, 33), (20, 28), (129, 9), (128, 6)])
def test_groups_of_units_that_fill_their_512_bits(n_codes: int, n_units: int) -> None:
    # 32 units of 16 bits fill a group, 27 of 19 need one more bit than there is.
    generator = np.random.default_rng(18)
    y = generator.permuted(np.tile(np.arange(n_codes, dtype=np.uint8), (n_units, 3)), axis=1)
    x = draw_codes(19, 3, 3 * n_codes, 4)
    assert_counts(x, y, (4, n_codes))


@pytest.mark.usefixtures("level")
def test_units_in_one_bin() -> None:
    x = draw_codes(10, 4, BLOCK + 5, 21)
    dead = np.full_like(x, 20)
    dead[1] = 0
    dead[2] = 7
    for a, b in [(x, dead), (dead, x), (dead, dead)]:
        result = count(a, b, (21, 21), "positional")
        assert (result == 0).all()
        assert not np.signbit(result).any()


def test_every_level_and_thread_count_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    # 133 units of x are several tiles, 61 of y several groups; one thread's tiles differ from those of many.
    x = draw_codes(11, 133, BLOCK + 700, 21)
    y = draw_codes(12, 61, BLOCK + 700, 33)
    expected = count(x, y, (21, 33), "scatter")
    for name in _core.supported_levels():
        monkeypatch.setattr(_core, "kernels", _core.load_level(name))
        for n_threads in (1, 2, 3, 64):
            result = count(x, y, (21, 33), "positional", n_threads=n_threads)
            np.testing.assert_array_equal(result, expected)
            result = count(y, x, (33, 21), "positional", n_threads=n_threads)
            np.testing.assert_array_equal(result.T, expected)


@pytest.mark.usefixtures("level")
def test_many_examples_in_several_threads() -> None:
    x = draw_codes(13, 70, LISTED + 300, 5)
    y = draw_codes(14, 9, LISTED + 300, 5)
    expected = count(x, y, (5, 5), "scatter")
    for n_threads in (1, 2):
        result = count(x, y, (5, 5), "positional", n_threads=n_threads)
        np.testing.assert_array_equal(result, expected)


def test_the_cheaper_way_is_chosen() -> None:
    choose = _core.kernels.counts_by_position
    many = draw_codes(15, 64, 5000, 21)
    assert choose(many, many, 21, 21)
    assert not choose(many[:1], many[:1], 21, 21)
    assert not choose(draw_codes(16, 64, 5000, 255), draw_codes(16, 64, 5000, 255), 255, 255)


def test_too_many_codes_to_be_counted_by_position() -> None:
    wide = np.arange(130, dtype=np.uint8)[np.newaxis]
    with pytest.raises(ValueError, match="too many codes to be counted by position"):
        count(wide, wide, (130, 130), "positional")
    narrow = np.minimum(wide, 128)
    assert count(wide, narrow, (130, 130), "positional")[0, 0] == pytest.approx(
        twin.from_codes(wide[0].tolist(), narrow[0].tolist()), abs=1e-12
    )
    with pytest.raises(ValueError, match="counting must be cheapest, scatter or positional"):
        count(wide, wide, (130, 130), "fastest")


def test_activations_are_counted_by_position_too() -> None:
    generator = np.random.default_rng(17)
    x = generator.standard_normal((6000, 3)) @ generator.standard_normal((3, 50))
    x = np.maximum(x + generator.standard_normal(x.shape), 0)
    binned_x, binned_y = cv.bin_units(x[:, :30]), cv.bin_units(x[:, 20:])
    codes = [np.ascontiguousarray(binned.codes.T) for binned in (binned_x, binned_y)]
    assert _core.kernels.counts_by_position(codes[0], codes[1], 21, 21)
    result = cv.mutual_information(binned_x, binned_y)
    np.testing.assert_array_equal(result, count(codes[0], codes[1], (21, 21), "scatter"))
    expected = [[by_bincount(a, b) for b in codes[1][::7]] for a in codes[0][::7]]
    np.testing.assert_allclose(result[::7, ::7], expected, rtol=0, atol=1e-12)
