"""`cv.unit_groups`: against loops and every partition, planted groups, and the conv1 spectrum."""

from __future__ import annotations

import dataclasses
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

import convergent as cv
from convergent.measures import group_splits
from convergent.measures.similarity_graph import similarity_graph
from tests.reference import unit_groups as reference

Matrix = NDArray[Any]
Blocks = tuple[Matrix, Matrix, Matrix]

SLOW = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def correlation_blocks(draw: st.DrawFn) -> Blocks:
    """Tenths, so that ties, units without edges, components and duplicated units are common."""
    n_x, n_y = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    low = draw(st.sampled_from([-10, -3, 3]))
    n_units = n_x + n_y
    upper = draw(arrays(np.int64, (n_units, n_units), elements=st.integers(low, 10)))
    whole = np.triu(upper, 1)
    combined = (whole + whole.T) / 10.0 + np.eye(n_units)
    copied = draw(st.integers(0, n_units - 1))
    if draw(st.booleans()):
        combined[0], combined[:, 0] = combined[copied], combined[:, copied]
        combined[0, 0] = 1.0
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    combined = combined.astype(dtype)
    return combined[:n_x, :n_x], combined[:n_x, n_x:], combined[n_x:, n_x:]


def combined_groups(groups: cv.UnitGroups) -> list[list[int]]:
    n_x = groups.labels_x.size
    members = [groups.members(group) for group in range(groups.n_groups)]
    return [[*x.tolist(), *(y + n_x).tolist()] for x, y in members]


def assert_consistent(groups: cv.UnitGroups, blocks: Blocks, threshold: float) -> None:
    """Everything that follows from the labels."""
    weights = reference.edge_weights(*blocks, threshold)
    parts = reference.components(weights)
    isolated = sorted(part[0] for part in parts if len(part) == 1)
    n_x = blocks[1].shape[0]
    assert groups.isolated_x.tolist() == [p for p in isolated if p < n_x]
    assert groups.isolated_y.tolist() == [p - n_x for p in isolated if p >= n_x]
    assert groups.n_components == len(parts)
    values = np.linalg.eigvalsh(reference.laplacian(weights))
    np.testing.assert_allclose(groups.eigenvalues, values, rtol=0.0, atol=1e-10)
    units = combined_groups(groups)
    assert sorted([*chain(*units), *isolated]) == list(range(sum(blocks[1].shape)))
    assert groups.order.tolist() == [*chain(*units), *isolated]
    assert all(units)
    for group, (x, y) in enumerate(map(groups.members, range(groups.n_groups))):
        assert groups.sizes[group].tolist() == [x.size, y.size]
        between, within = reference.means(*blocks, x.tolist(), y.tolist())
        assert groups.between[group] == pytest.approx(between, abs=1e-6)
        assert groups.within[group] == pytest.approx(within, abs=1e-6)
    assert np.all(np.diff(groups.between) <= 0.0)
    labels = np.concatenate([groups.labels_x, groups.labels_y])
    assert np.flatnonzero(labels < 0).tolist() == isolated


@SLOW
@given(blocks=correlation_blocks(), data=st.data())
def test_groups_are_the_best_partition_of_the_embedding(
    blocks: Blocks, data: st.DataObject
) -> None:
    threshold = data.draw(st.sampled_from([0.0, 0.25, 0.45]))
    weights = reference.edge_weights(*blocks, threshold)
    parts = [part for part in reference.components(weights) if len(part) > 1]
    connected = sorted(chain(*parts))
    if not connected:
        groups = cv.unit_groups(*blocks, threshold=threshold)
        assert groups.n_groups == 0
        assert_consistent(groups, blocks, threshold)
        return
    n_groups = data.draw(st.integers(1, len(connected)))
    groups = cv.unit_groups(*blocks, n_groups, threshold=threshold)
    assert_consistent(groups, blocks, threshold)
    assert groups.n_groups == groups.n_first == n_groups
    found = combined_groups(groups)
    if n_groups < len(parts):
        by_size = sorted(parts, key=len, reverse=True)
        sizes = sorted(len(group) for group in found)
        kept = [len(part) for part in by_size[: n_groups - 1]]
        assert sizes == sorted([*kept, len(connected) - sum(kept)])
        return
    for group in found:
        assert any(set(group) <= set(part) for part in parts)
    inner = weights[np.ix_(connected, connected)]
    products = reference.embedding_products(inner, n_groups)
    places = [[connected.index(unit) for unit in group] for group in found]
    best = min(
        reference.cost(products, each) for each in reference.partitions(len(connected), n_groups)
    )
    assert reference.cost(products, places) <= best + 1e-6


@given(blocks=correlation_blocks(), threshold=st.sampled_from([0.0, 0.25, 0.45]))
def test_number_of_groups_follows_the_largest_step(blocks: Blocks, threshold: float) -> None:
    groups = cv.unit_groups(*blocks, threshold=threshold)
    weights = reference.edge_weights(*blocks, threshold)
    parts = [part for part in reference.components(weights) if len(part) > 1]
    connected = sorted(chain(*parts))
    if connected:
        inner = weights[np.ix_(connected, connected)]
        values = np.linalg.eigvalsh(reference.laplacian(inner))
        assert groups.n_groups == reference.gap_count(values, parts)
    assert_consistent(groups, blocks, threshold)


@SLOW
@given(blocks=correlation_blocks(), alpha=st.sampled_from([0.01, 0.3, 0.5, 1.0]))
def test_splits_make_a_tree(blocks: Blocks, alpha: float) -> None:
    groups = cv.unit_groups(*blocks, threshold=0.25, alpha=alpha)
    assert_consistent(groups, blocks, 0.25)
    assert_tree(groups)
    limit = max(alpha * sum(blocks[1].shape), 1.0)
    assert groups.sizes.sum(axis=1).max(initial=0) <= limit
    for node, _ in groups.splits:
        assert sum(units.size for units in groups.members(node)) > limit


def assert_tree(groups: cv.UnitGroups) -> None:
    children = [int(child) for _, below in groups.splits for child in below]
    assert len(children) == len(set(children))
    n_nodes = groups.n_groups + len(groups.splits)
    assert groups.n_first == n_nodes - len(children)
    for place, (node, below) in enumerate(groups.splits):
        assert node == groups.n_groups + place
        assert all(child < groups.n_groups or child > node for child in below.tolist())
        for side in (0, 1):
            inside = np.concatenate([groups.members(int(child))[side] for child in below])
            assert groups.members(node)[side].tolist() == sorted(inside.tolist())


def planted(sizes: list[tuple[int, int]], seed: int = 0) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Units that follow the signal of their group, in random order, with each one's group."""
    random = np.random.default_rng(seed)
    signals = random.standard_normal((400, len(sizes)))
    networks = []
    for side in (0, 1):
        group = np.repeat(np.arange(len(sizes)), [size[side] for size in sizes])
        group = random.permutation(group)
        networks.append(
            (group, signals[:, group] + 0.5 * random.standard_normal((400, group.size)))
        )
    (group_x, x), (group_y, y) = networks
    return group_x, x, group_y, y


def blocks_of(x: Matrix, y: Matrix) -> Blocks:
    return cv.correlation(x), cv.correlation(x, y), cv.correlation(y)


EVEN, UNEVEN = [(3, 3), (4, 2), (1, 5), (6, 0), (2, 4)], [(3, 4), (5, 2), (1, 1), (6, 0), (2, 6)]


@pytest.mark.parametrize(("sizes", "n_groups"), [(EVEN, None), (EVEN, 5), (UNEVEN, 5)])
def test_planted_groups_are_found(sizes: list[tuple[int, int]], n_groups: int | None) -> None:
    group_x, x, group_y, y = planted(sizes)
    groups = cv.unit_groups(*blocks_of(x, y), n_groups)
    assert groups.n_groups == 5
    of_planted = {(int(a), int(b)) for a, b in zip(group_x, groups.labels_x)}
    of_planted |= {(int(a), int(b)) for a, b in zip(group_y, groups.labels_y)}
    assert len(of_planted) == 5
    # The group of one network comes last, with nothing between.
    assert groups.sizes[-1].tolist() == [6, 0]
    assert groups.between[-1] == 0.0
    assert groups.within[-1] > 0.75


@pytest.mark.parametrize("seed", range(4))
def test_order_of_units_does_not_matter(seed: int) -> None:
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((60, 8)) @ random.standard_normal((8, 30))
    x, y = mixed[:, :13], mixed[:, 13:]
    order_x, order_y = random.permutation(13), random.permutation(17)
    groups = cv.unit_groups(*blocks_of(x, y), 7, alpha=0.1)
    other = cv.unit_groups(*blocks_of(x[:, order_x], y[:, order_y]), 7, alpha=0.1)
    own_number = np.concatenate([order_x, 13 + order_y])
    moved = {frozenset(own_number[group].tolist()) for group in combined_groups(other)}
    assert moved == {frozenset(group) for group in combined_groups(groups)}
    again = cv.unit_groups(*blocks_of(x, y), 7, alpha=0.1)
    np.testing.assert_array_equal(again.order, groups.order)
    assert [node for node, _ in again.splits] == [node for node, _ in groups.splits]


def test_real_conv1_correlations(golden: Path) -> None:
    with np.load(golden / "cl_conv1_spectral.npz") as stored:
        combined, spectrum = stored["J"], stored["eig_tau"]
        threshold, n_components = float(stored["tau"]), int(stored["n_components_tau"])
    blocks = combined[:96, :96], combined[:96, 96:], combined[96:, 96:]
    groups = cv.unit_groups(*blocks, 40, threshold=threshold)
    np.testing.assert_allclose(groups.eigenvalues, spectrum, rtol=0.0, atol=1e-8)
    assert groups.n_components == n_components
    # Unit 2 has the weakest match of all, too (Figure S1).
    assert groups.isolated_x.tolist() == [2]
    assert groups.isolated_y.tolist() == []
    assert groups.n_groups == 40
    assert_consistent(groups, blocks, threshold)
    # The best pair of units is in one group.
    assert groups.labels_x[34] == groups.labels_y[48]


def test_large_groups_of_conv1_are_split(golden: Path) -> None:
    with np.load(golden / "cl_conv1_spectral.npz") as stored:
        combined = stored["J"]
    blocks = combined[:96, :96], combined[:96, 96:], combined[96:, 96:]
    groups = cv.unit_groups(*blocks, 40, alpha=0.05)
    assert groups.n_first == 40 < groups.n_groups
    assert groups.sizes.sum(axis=1).max() <= 0.05 * 192
    assert_tree(groups)
    assert_consistent(groups, blocks, 0.2)


def test_a_component_that_the_first_groups_leave_whole_is_split() -> None:
    """As many groups as components: the zero eigenvectors alone could not part the large one."""
    _, x, _, y = planted([(6, 6), (6, 6), (2, 2)])
    blocks = blocks_of(x, y)
    joined = blocks[0].copy()
    strangers = np.abs(joined) < 0.5
    joined[strangers] = 0.0
    between = np.where(np.abs(blocks[1]) < 0.5, 0.0, blocks[1])
    within = np.where(np.abs(blocks[2]) < 0.5, 0.0, blocks[2])
    groups = cv.unit_groups(joined, between, within, 2, alpha=0.5)
    assert groups.n_first == 2
    assert sorted(groups.sizes.sum(axis=1).tolist()) == [4, 12, 12]


def test_limit_of_a_split_is_reached_exactly() -> None:
    """0.29 * 100 is a little less than 29 in floating point."""
    _, x, _, y = planted([(29, 0), (0, 29), (21, 21)])
    groups = cv.unit_groups(*blocks_of(x, y), 3, threshold=0.5, alpha=0.29)
    assert [29, 0] in groups.sizes.tolist()
    assert [0, 29] in groups.sizes.tolist()
    assert groups.sizes.sum(axis=1).max() == 29
    assert_tree(groups)


def test_a_weak_edge_joins_two_parts_without_mixing() -> None:
    """An eigenvalue of 1e-15 stands beside the zero; its eigenvector still tells the parts."""
    c_xy = np.kron(np.eye(2), np.ones((2, 2)))
    c_xy[0, 3] = 1e-15
    groups = cv.unit_groups(np.eye(4)[:4, :4], c_xy, np.eye(4), 2, threshold=0.0)
    assert groups.n_components == 1
    assert groups.labels_x.tolist() == groups.labels_y.tolist() == [0, 0, 1, 1]


def test_duplicated_units_stay_together() -> None:
    _, x, _, y = planted([(3, 2), (2, 3), (4, 1)])
    groups = cv.unit_groups(*blocks_of(np.hstack([x, x]), np.hstack([y, x])), 3)
    np.testing.assert_array_equal(groups.labels_x[:9], groups.labels_x[9:])
    np.testing.assert_array_equal(groups.labels_x[:9], groups.labels_y[6:])


def test_units_that_are_all_alike() -> None:
    """No number of groups is better than another; a limit parts them all the same."""
    ones = np.ones((3, 3))
    groups = cv.unit_groups(ones, ones, ones)
    assert groups.n_groups == 1
    assert groups.between.tolist() == groups.within.tolist() == [1.0]
    parted = cv.unit_groups(ones, ones, ones, alpha=0.5)
    assert parted.sizes.sum(axis=1).max() <= 3
    assert parted.n_first == 1


@pytest.mark.parametrize("alpha", [None, 0.1])
def test_no_edges_at_all(alpha: float | None) -> None:
    groups = cv.unit_groups(np.eye(2), np.zeros((2, 3)), np.eye(3), alpha=alpha)
    assert groups.n_groups == groups.n_first == 0
    assert groups.sizes.shape == (0, 2)
    assert groups.between.shape == groups.within.shape == (0,)
    assert groups.order.tolist() == [0, 1, 2, 3, 4]
    assert groups.n_components == 5
    with pytest.raises(ValueError, match="`group` must be a group, got 0 and there is none"):
        groups.members(0)
    with pytest.raises(ValueError, match="at most the number of units with an edge, 0 at"):
        cv.unit_groups(np.eye(2), np.zeros((2, 3)), np.eye(3), 1)


def test_dead_units_belong_to_no_group() -> None:
    c_xy = np.array([[0.0, 0.0], [0.0, 0.9]])
    groups = cv.unit_groups(np.diag([0.0, 1.0]), c_xy, np.diag([0.0, 1.0]))
    assert groups.labels_x.tolist() == groups.labels_y.tolist() == [-1, 0]
    assert repr(groups) == "UnitGroups(1 groups of 2 + 2 units, 2 without an edge)"
    with pytest.raises(ValueError, match="`group` must be between 0 and 0, got 1"):
        groups.members(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        groups.n_groups = 3  # type: ignore[misc]


def test_one_pair_is_one_group() -> None:
    groups = cv.unit_groups([[1.0]], [[0.3]], [[1.0]])
    assert groups.n_groups == 1
    np.testing.assert_allclose(groups.eigenvalues, [0.0, 0.6], atol=1e-15)


GOOD = np.eye(3) * 0.5 + 0.5


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"c_xx": np.eye(2)}, ValueError, "`c_xx` must have as many units as `c_xy` has rows.* 2"),
        ({"c_yy": np.eye(4)}, ValueError, "`c_yy` must .* `c_xy` has columns, got 4 and 3"),
        ({"c_xx": np.ones((3, 2))}, ValueError, r"`c_xx` must be square, got shape \(3, 2\)"),
        ({"c_yy": np.tri(3)}, ValueError, "`c_yy` must be symmetric, .* differ by up to 1$"),
        ({"c_xx": GOOD * np.nan}, ValueError, "`c_xx` must be finite, got 9 NaN"),
        ({"c_xy": GOOD * np.inf}, ValueError, "`c_xy` must be finite, got 9 NaN"),
        ({"c_xy": GOOD[0]}, ValueError, "`c_xy` must be a non-empty matrix"),
        ({"c_xy": GOOD + 1j}, TypeError, "`c_xy` must be real"),
        ({"n_groups": 7}, ValueError, "units with an edge, 6 at threshold 0.2, got 7"),
        ({"n_groups": 0}, ValueError, "`n_groups` must be at least 1, got 0"),
        ({"n_groups": 2.0}, TypeError, "`n_groups` must be a whole number, got 2.0"),
        ({"threshold": -0.1}, ValueError, "`threshold` must be at least 0, got -0.1"),
        ({"threshold": np.nan}, ValueError, "`threshold` must be finite, got nan"),
        ({"alpha": 0.0}, ValueError, r"`alpha` must lie in \(0, 1\], got 0.0"),
        ({"alpha": 1.5}, ValueError, r"`alpha` must lie in \(0, 1\], got 1.5"),
        ({"seed": -1}, ValueError, "`seed` must be between 0 and 4294967295, got -1"),
        ({"seed": None}, TypeError, "`seed` must be a whole number, got None"),
    ],
)
def test_bad_input_is_refused(
    changed: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments = {"c_xx": GOOD, "c_xy": GOOD, "c_yy": GOOD} | changed
    with pytest.raises(error, match=message):
        cv.unit_groups(**arguments)


def test_a_correlation_at_the_threshold_is_no_edge() -> None:
    assert cv.unit_groups([[1.0]], [[0.25]], [[1.0]], threshold=0.25).n_groups == 0
    assert cv.unit_groups([[1.0]], [[0.25]], [[1.0]], threshold=0.2499).n_groups == 1


def test_rounding_makes_no_edge_of_one_direction() -> None:
    """A matrix that is symmetric up to rounding counts as its mean with its transpose."""
    c_xx = [[1.0, 0.25 + 1e-7], [0.25 - 3e-7, 1.0]]
    groups = cv.unit_groups(c_xx, np.zeros((2, 1)), [[1.0]], threshold=0.25)
    assert groups.isolated_x.tolist() == [0, 1]


def test_an_eigenspace_is_taken_whole() -> None:
    """All eigenvalues of a complete graph but the first are equal: no two of them are a basis."""
    graph = similarity_graph(np.ones((5, 5)) - np.eye(5))
    assert graph.embedding(1).shape == (5, 1)
    np.testing.assert_allclose(graph.embedding(2) @ graph.embedding(2).T, np.eye(5), atol=1e-12)


def test_equal_rows_weigh_as_many_as_they_are() -> None:
    """Counted once each, the rows 0 and 1 are nearest; ten times, 2.1 is cheaper to add to 1."""
    points = np.array([[0.0]] * 10 + [[1.0]] * 10 + [[2.1]])
    found = [part.tolist() for part in group_splits.parts(points, 2, 0)]
    assert sorted(found) == [list(range(10)), list(range(10, 21))]
