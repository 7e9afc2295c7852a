"""The triangular factor on a torch device: the same as on the host."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("torch")

import torch

import convergent as cv
from convergent.nets import device_factor
from convergent.nets.device_factor import DeviceFactor
from convergent.statistics import Factor

Matrix = NDArray[np.float64]
WIDTHS = [6, 5, 4]
BLOCK = 4096


pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU that torch can use")
    return str(request.param)


def plain(n_examples: int) -> list[Matrix]:
    """Independent units with a mean, the networks with causes in common."""
    random = np.random.default_rng(0)
    causes = random.standard_normal((n_examples, 5))
    return [
        causes @ random.standard_normal((5, width))
        + 0.3 * random.standard_normal((n_examples, width))
        + 0.5
        for width in WIDTHS
    ]


def duplicated(networks: list[Matrix]) -> None:
    networks[1][:, 0] = networks[0][:, 2]


def dead(networks: list[Matrix]) -> None:
    networks[0][:, 1] = networks[2][:, 0] = 0.0


def constant(networks: list[Matrix]) -> None:
    networks[0][:, 0], networks[2][:, 3] = 1.0, 7.0


def close(networks: list[Matrix]) -> None:
    """Closer than a Gram matrix can tell."""
    networks[1][:, 0] = networks[0][:, 2] + 1e-10 * networks[1][:, 0]


def partly_duplicated(networks: list[Matrix]) -> None:
    networks[1][: 3 * BLOCK // 2, 0] = networks[0][: 3 * BLOCK // 2, 2]


def partly_dead(networks: list[Matrix]) -> None:
    networks[1][: 3 * BLOCK // 2] = 0.0


def dead_and_duplicated(networks: list[Matrix]) -> None:
    dead(networks)
    duplicated(networks)


def any_scale(networks: list[Matrix]) -> None:
    for network, scale in zip(networks, (1e-200, 1e300, 1.0)):
        network *= scale


def squares_underflow(networks: list[Matrix]) -> None:
    """Not to zero, but to numbers of few digits."""
    networks[0] *= 1e-160


def as_is(networks: list[Matrix]) -> None:
    """Nothing to change."""


def tensors(networks: list[Any], device: str) -> list[torch.Tensor]:
    return [torch.tensor(network, device=device) for network in networks]


def scaled(triangle: Matrix) -> tuple[Matrix, Matrix]:
    """A triangle's columns, scaled to norm 1, and their norms."""
    largest = np.abs(triangle).max(axis=0)
    columns = triangle / np.where(largest > 0, largest, 1.0)
    norms = np.linalg.norm(columns, axis=0)
    return columns / np.where(norms > 0, norms, 1.0), norms * largest


def assert_same(ours: Factor, theirs: Factor) -> None:
    assert (ours.widths, ours.n_examples) == (theirs.widths, theirs.n_examples)
    for center in (False, True):
        (a, a_norms), (b, b_norms) = (
            scaled(factor.triangle(center=center)) for factor in (ours, theirs)
        )
        np.testing.assert_allclose(a_norms, b_norms, rtol=1e-12)
        assert np.array_equal(a_norms == 0.0, b_norms == 0.0)
        np.testing.assert_allclose(a.T @ a, b.T @ b, rtol=0, atol=1e-12)


def matches(factor: Factor) -> list[tuple[list[int], list[int]]]:
    found = []
    for center in (False, True):
        matcher = cv.SubspaceMatcher.from_factor(
            factor.triangle([0, 1], center=center),
            factor.widths[0],
            n_examples=factor.n_examples,
            dead_units="match",
        )
        for match in matcher.max_match([0.0, 1e-11, 0.1, 0.3, 0.5, 0.8]):
            found.append((match.x.tolist(), match.y.tolist()))
    return found


ALL_GRAM, ALL_TRIANGLE, BOTH = (True, False), (False, True), (True, True)


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        (as_is, ALL_GRAM),
        (dead, ALL_GRAM),
        (partly_dead, ALL_GRAM),
        (duplicated, ALL_TRIANGLE),
        (dead_and_duplicated, ALL_TRIANGLE),
        (constant, ALL_TRIANGLE),
        (close, ALL_TRIANGLE),
        (any_scale, ALL_TRIANGLE),
        (squares_underflow, ALL_TRIANGLE),
        (partly_duplicated, BOTH),
    ],
)
def test_same_as_on_the_host(
    change: Callable[[list[Matrix]], None], paths: tuple[bool, bool], device: str
) -> None:
    networks = plain(5 * BLOCK + 100)
    change(networks)
    factor = DeviceFactor(WIDTHS, device).update(tensors(networks, device))
    used = bool(factor._gram.any()), bool(factor._triangle.any())
    assert used == paths
    ours, theirs = factor.to_factor(), Factor(WIDTHS).update(networks)
    assert_same(ours, theirs)
    assert matches(ours) == matches(theirs)


@pytest.mark.parametrize("n_examples", [1, 3, 15, 16, BLOCK, BLOCK + 1])
def test_few_examples(n_examples: int, device: str) -> None:
    networks = plain(n_examples)
    ours = DeviceFactor(WIDTHS, device).update(tensors(networks, device)).to_factor()
    assert_same(ours, Factor(WIDTHS).update(networks))


def test_distances_beyond_the_gram_matrix_survive(device: str) -> None:
    random = np.random.default_rng(2)
    x = random.standard_normal((3 * BLOCK, 2))
    y = x[:, :1] + 1e-10 * x[:, 1:]
    ours = DeviceFactor([1, 1], device).update(tensors([x[:, :1], y], device)).to_factor()
    expected = 1e-10 * abs(np.linalg.qr(x)[1][1, 1])
    np.testing.assert_allclose(ours.triangle()[1, 1], expected, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int64", "bool"])
def test_any_dtype_and_memory_order(dtype: str, device: str) -> None:
    networks = [tensor.to(getattr(torch, dtype)) for tensor in tensors(plain(BLOCK + 50), device)]
    exact = [network.to(torch.float64) for network in networks]
    expected = DeviceFactor(WIDTHS, device).update(exact).to_factor().triangle()
    strided = [network.T.contiguous().T for network in networks]
    for given_tensors in (networks, strided):
        ours = DeviceFactor(WIDTHS, device).update(given_tensors).to_factor()
        np.testing.assert_array_equal(ours.triangle(), expected)
    host = Factor(WIDTHS).update([network.cpu().numpy() for network in exact])
    np.testing.assert_allclose(
        expected.T @ expected, host.triangle().T @ host.triangle(), rtol=1e-10
    )


def test_tensors_of_another_device_and_with_gradients(device: str) -> None:
    networks = plain(50)
    parameters = [torch.tensor(network, requires_grad=True) for network in networks]
    factor = DeviceFactor(WIDTHS, device).update(parameters)
    assert not factor._rows.requires_grad
    assert_same(factor.to_factor(), Factor(WIDTHS).update(networks))


LONG = plain(3 * BLOCK)
partly_duplicated(LONG)


@given(cuts=st.lists(st.integers(1, 3 * BLOCK - 1), max_size=6))
@settings(deadline=None, max_examples=8)
def test_any_batches(cuts: list[int]) -> None:
    whole = DeviceFactor(WIDTHS, "cpu").update(tensors(LONG, "cpu")).to_factor()
    streamed = DeviceFactor(WIDTHS, "cpu")
    for a, b in pairwise(sorted({0, 3 * BLOCK, *cuts})):
        batch = tensors([network[a:b] for network in LONG], "cpu")
        assert streamed.update(batch) is streamed
        streamed.to_factor()  # which leaves the stream as it was
    assert streamed.n_examples == whole.n_examples == 3 * BLOCK
    np.testing.assert_array_equal(streamed.to_factor().triangle(), whole.triangle())


def test_blocks_grow_with_the_columns(device: str) -> None:
    """Blocks of more than the least number of rows, several of them."""
    random = np.random.default_rng(3)
    networks = [random.standard_normal((9_000, width)).astype(np.float32) for width in (560, 480)]
    networks[1][:, 7] = networks[0][:, 7]
    factor = DeviceFactor([560, 480], device).update(tensors(networks, device))
    assert len(factor._rows) == 4 * 1041
    assert_same(factor.to_factor(), Factor([560, 480]).update(networks))


def test_merge_with_the_host(device: str) -> None:
    networks = plain(2 * BLOCK + 9)
    parts = [[network[rows] for network in networks] for rows in (slice(5000), slice(5000, None))]
    ours = DeviceFactor(WIDTHS, device).update(tensors(parts[0], device)).to_factor()
    ours.merge(Factor(WIDTHS).update(parts[1]))
    assert_same(ours, Factor(WIDTHS).update(networks))
    empty = DeviceFactor(WIDTHS, device).to_factor()
    assert empty.n_examples == 0
    assert_same(empty.merge(ours), ours)


def checked_blocks(monkeypatch: pytest.MonkeyPatch, passes: Callable[[int], bool]) -> list[int]:
    """The blocks of 40 that are checked when block i would pass as `passes` says."""
    current, checked = 0, []

    def check(rows: torch.Tensor) -> torch.Tensor | None:
        checked.append(current)
        return rows.T @ rows if passes(current) else None

    monkeypatch.setattr(device_factor, "_well_conditioned_gram", check)
    factor = DeviceFactor([2], "cpu")
    block = torch.tensor(np.random.default_rng(0).standard_normal((BLOCK, 2)))
    for _ in range(40):
        factor.update([block])
        current += 1
    np.testing.assert_allclose(factor.to_factor().triangle(), gram_root(block, 40), rtol=1e-10)
    return checked


def gram_root(block: torch.Tensor, times: int) -> Matrix:
    rows = block.numpy()
    return np.linalg.cholesky(times * rows.T @ rows).T


def test_failed_checks_become_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked_blocks(monkeypatch, lambda block: True) == list(range(40))
    assert checked_blocks(monkeypatch, lambda block: False) == [0, 2, 6, 14, 30]
    assert checked_blocks(monkeypatch, lambda block: block not in (0, 2, 8)) == [
        *(0, 2, 6, 7, 8),
        *range(10, 40),
    ]


GOOD = torch.ones(5, 2)


@pytest.mark.parametrize(
    ("activations", "error", "message"),
    [
        ([], ValueError, "`activations` must hold 2 networks, got 0"),
        ([GOOD], ValueError, "`activations` must hold 2 networks, got 1"),
        ([GOOD.numpy(), GOOD], TypeError, r"`activations\[0\]` must be a tensor, got ndarray"),
        ([GOOD, GOOD], ValueError, r"`activations\[1\]` must have 3 units, got 2"),
        ([GOOD, torch.ones(4, 3)], ValueError, "as many examples as `activations.0.`, got 4 and 5"),
        ([GOOD, torch.ones(5)], ValueError, r"must be two-dimensional .*, got shape \(5,\)"),
        ([GOOD[:0], torch.ones(0, 3)], ValueError, r"`activations\[0\]` must not be empty"),
        ([GOOD * 1j, torch.ones(5, 3)], TypeError, "must be real, got complex values"),
        (
            [GOOD, torch.tensor([[1.0, 2.0, float("nan")]] * 4 + [[1.0, float("inf"), 3.0]])],
            ValueError,
            r"`activations\[1\]` must be finite, got 5 NaN or infinite values, the first in unit 1",
        ),
    ],
)
def test_bad_activations(activations: Any, error: type[Exception], message: str) -> None:
    factor = DeviceFactor([2, 3], "cpu")
    with pytest.raises(error, match=message):
        factor.update(activations)
    assert factor.n_examples == factor._n_pending == 0


def test_bad_devices_and_widths() -> None:
    with pytest.raises(ValueError, match="`device` must have float64, which mps has not; use conv"):
        DeviceFactor([2], "mps")
    with pytest.raises(ValueError, match=r"`widths\[1\]` must be at least 1, got 0"):
        DeviceFactor([2, 0], "cpu")
    text = repr(DeviceFactor([2, 3], "cpu"))
    assert text == "DeviceFactor(widths=[2, 3], device='cpu', n_examples=0)"
