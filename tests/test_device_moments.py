"""The joint moments on a torch device: the same as on the host."""

from __future__ import annotations

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
from convergent.nets.device_moments import DeviceMoments

Matrix = NDArray[Any]
WIDTHS = [4, 3]
BLOCK = 4096
PAIRS = ((0, 0), (0, 1), (1, 1))


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU that torch can use")
    return str(request.param)


def activations(n_examples: int) -> list[Matrix]:
    """Related units, among them dead, constant and duplicated ones and one far from zero."""
    random = np.random.default_rng(0)
    x = random.standard_normal((n_examples, 4))
    y = np.maximum(x[:, :3] + random.standard_normal((n_examples, 3)), 0.0)
    x[:, 1], x[:, 2], y[:, 0] = 0.0, 0.1, x[:, 3]
    y[:, 2] += 1e6
    return [x, y]


def tensors(networks: list[Matrix], device: str) -> list[torch.Tensor]:
    return [torch.tensor(network, device=device) for network in networks]


def assert_same(ours: cv.Moments, theirs: cv.Moments) -> None:
    tolerance = 1e-9
    assert (ours.widths, ours.n_examples) == (theirs.widths, theirs.n_examples)
    np.testing.assert_allclose(ours.mean(), theirs.mean(), rtol=tolerance, atol=tolerance)
    for i in (0, 1):
        np.testing.assert_array_equal(ours.dead_units(i), theirs.dead_units(i))
    for i, j in PAIRS:
        a, b = (moments.cross_product(i, j) for moments in (ours, theirs))
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.abs(b).max()))
    if ours.n_examples > 1:
        for i, j in PAIRS:
            np.testing.assert_allclose(
                ours.correlation(i, j), theirs.correlation(i, j), rtol=0, atol=tolerance
            )


@pytest.mark.parametrize("n_examples", [1, 2, 3, 50, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 7])
def test_same_as_on_the_host(n_examples: int, device: str) -> None:
    networks = activations(n_examples)
    ours = DeviceMoments(WIDTHS, device).update(tensors(networks, device))
    assert_same(ours.to_moments(), cv.Moments(WIDTHS).update(networks))


def test_constant_and_dead_units_are_exact(device: str) -> None:
    networks = activations(2 * BLOCK + 9)
    moments = DeviceMoments(WIDTHS, device).update(tensors(networks, device)).to_moments()
    assert moments.mean(0)[1:3].tolist() == [0.0, 0.1]
    np.testing.assert_array_equal(moments.cross_product(0, 1)[1:3], 0.0)
    assert moments.dead_units(0).tolist() == [1, 2]


def test_offsets_and_drifts_do_not_cancel(device: str) -> None:
    random = np.random.default_rng(1)
    x = random.standard_normal((5 * BLOCK, 3))
    x[:, 2] += x[:, 0]
    shifted = DeviceMoments([3], device).update(tensors([x + 1e6], device)).to_moments()
    exact = np.corrcoef(x.T)
    np.testing.assert_allclose(shifted.correlation(0, 0), exact, rtol=0, atol=1e-9)
    x += np.linspace(-1e5, 1e5, len(x))[:, np.newaxis]
    drifting = DeviceMoments([3], device).update(tensors([x], device)).to_moments()
    np.testing.assert_allclose(drifting.covariance(0, 0), np.cov(x.T), rtol=1e-12)


def test_offset_far_beyond_the_spread(device: str) -> None:
    """Ten digits of sixteen are the offset's; the other six must survive the merging of blocks."""
    x = 1e6 + 1e-4 * np.random.default_rng(2).standard_normal((5 * BLOCK, 3))
    x[:, 2] += x[:, 0] - 1e6
    moments = DeviceMoments([3], device).update(tensors([x], device)).to_moments()
    expected = np.corrcoef((x - 1e6).T)
    np.testing.assert_allclose(moments.correlation(0, 0), expected, rtol=0, atol=1e-9)


LONG = [network.astype(np.float32) for network in activations(3 * BLOCK)]


@given(cuts=st.lists(st.integers(1, 3 * BLOCK - 1), max_size=6))
@settings(deadline=None, max_examples=8)
def test_any_batches(cuts: list[int]) -> None:
    whole = DeviceMoments(WIDTHS, "cpu").update(tensors(LONG, "cpu")).to_moments()
    streamed = DeviceMoments(WIDTHS, "cpu")
    for a, b in pairwise(sorted({0, 3 * BLOCK, *cuts})):
        batch = tensors([network[a:b] for network in LONG], "cpu")
        assert streamed.update(batch) is streamed
        streamed.to_moments()  # which leaves the stream as it was
    assert streamed.n_examples == 3 * BLOCK
    found = streamed.to_moments()
    np.testing.assert_array_equal(found.mean(), whole.mean())
    for i, j in PAIRS:
        np.testing.assert_array_equal(found.cross_product(i, j), whole.cross_product(i, j))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int64", "bool"])
def test_any_dtype_and_memory_order(dtype: str, device: str) -> None:
    networks = [
        tensor.clamp(-100, 100).to(getattr(torch, dtype))
        for tensor in tensors(activations(BLOCK + 50), device)
    ]
    exact = [network.to(torch.float64) for network in networks]
    expected = cv.Moments(WIDTHS).update([network.cpu().numpy() for network in exact])
    strided = [network.T.contiguous().T for network in networks]
    for given_tensors in (networks, strided):
        ours = DeviceMoments(WIDTHS, device).update(given_tensors).to_moments()
        assert_same(ours, expected)


def test_tensors_of_another_device_and_with_gradients(device: str) -> None:
    networks = activations(50)
    parameters = [torch.tensor(network, requires_grad=True) for network in networks]
    moments = DeviceMoments(WIDTHS, device).update(parameters)
    assert not moments._products.requires_grad
    assert_same(moments.to_moments(), cv.Moments(WIDTHS).update(networks))


def test_merge_with_the_host(device: str) -> None:
    networks = activations(2 * BLOCK + 9)
    parts = [[network[rows] for network in networks] for rows in (slice(5000), slice(5000, None))]
    ours = DeviceMoments(WIDTHS, device).update(tensors(parts[0], device)).to_moments()
    ours.merge(cv.Moments(WIDTHS).update(parts[1]))
    assert_same(ours, cv.Moments(WIDTHS).update(networks))
    empty = DeviceMoments(WIDTHS, device).to_moments()
    assert empty.n_examples == 0
    assert_same(empty.merge(ours), ours)


GOOD = torch.ones(5, 2)
BAD = torch.tensor([[1.0, 2.0, float("nan")]] * 4 + [[1.0, float("inf"), 3.0]])


@pytest.mark.parametrize(
    ("activations", "error", "message"),
    [
        ([GOOD], ValueError, "`activations` must hold 2 networks, got 1"),
        ([GOOD.numpy(), GOOD], TypeError, r"`activations\[0\]` must be a tensor, got ndarray"),
        ([GOOD, GOOD], ValueError, r"`activations\[1\]` must have 3 units, got 2"),
        ([GOOD, torch.ones(4, 3)], ValueError, "as many examples as `activations.0.`, got 4 and 5"),
        ([GOOD * 1j, torch.ones(5, 3)], TypeError, "must be real, got complex values"),
        ([GOOD, BAD], ValueError, "must be finite, got 5 NaN or infinite values, the first in un"),
        (
            [GOOD, torch.full((5, 3), -1e141, dtype=torch.float64)],
            ValueError,
            r"`activations\[1\]` must be below 1e\+140 in magnitude",
        ),
    ],
)
def test_bad_activations(activations: Any, error: type[Exception], message: str) -> None:
    moments = DeviceMoments([2, 3], "cpu")
    with pytest.raises(error, match=message):
        moments.update(activations)
    assert moments.n_examples == moments._n_pending == 0


def test_bad_devices_and_widths() -> None:
    with pytest.raises(
        ValueError, match=r"must have float64, which mps has not; use convergent.Mo"
    ):
        DeviceMoments([2], "mps")
    with pytest.raises(ValueError, match=r"`widths\[1\]` must be at least 1, got 0"):
        DeviceMoments([2, 0], "cpu")
    text = repr(DeviceMoments([2, 3], "cpu"))
    assert text == "DeviceMoments(widths=[2, 3], device='cpu', n_examples=0)"
