"""`cv.unit_tree`: against the greedy algorithm in loops, and the authors' learned mappings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy.cluster import hierarchy

import convergent as cv
from tests.reference import unit_tree as reference

Matrix = NDArray[Any]

# Tenths, so that ties, zero rows and duplicated rows are common; some weights exceed 1.
WEIGHTS = st.builds(
    lambda whole, dtype, order: np.array(whole / 10.0, dtype=dtype, order=order),
    arrays(
        np.int64, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=st.integers(-8, 14)
    ),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from(["C", "F"]),
)
MAPS = [("conv1_0to1_1e-2.6", 189), ("conv2_0to1_1e-3", 508)]


def merged_sets(merges: list[reference.Merge]) -> list[frozenset[frozenset[int]]]:
    return [frozenset([first, second]) for first, second, _ in merges]


def assert_consistent(tree: cv.UnitTree, weights: Matrix) -> None:
    """Everything that follows from the linkage."""
    n_leaves = sum(weights.shape)
    blocks = reference.block_matrix(weights)
    assert tree.n_rows == weights.shape[0]
    assert tree.network.tolist() == [0] * weights.shape[0] + [1] * weights.shape[1]
    assert sorted(tree.leaves.tolist()) == list(range(n_leaves))
    expected = [[blocks[i, j] for j in tree.leaves] for i in tree.leaves]
    np.testing.assert_array_equal(tree.similarity, expected)
    merges = reference.clusters_of(tree.linkage)
    for (first, second, distance), similarity in zip(merges, tree.merge_similarity):
        average = reference.average(blocks, first, second)
        assert similarity == pytest.approx(average, abs=1e-12)
        assert distance == pytest.approx(tree.peak - average, abs=1e-12)
        # A cluster is a run of leaves, or the tree could not be drawn over the matrix.
        places = sorted(tree.leaves.tolist().index(i) for i in first | second)
        assert places == list(range(places[0], places[0] + len(places)))
    assert np.all(np.diff(tree.linkage[:, 2]) >= 0.0)
    assert np.all(tree.linkage[:, 2] >= 0.0)
    assert tree.joined_share == pytest.approx(reference.joined_share(weights, merges))


@given(weights=WEIGHTS)
def test_every_merge_is_the_largest_that_is_left(weights: Matrix) -> None:
    """With ties the order is open, so each merge is judged where it stands."""
    tree = cv.unit_tree(weights)
    assert_consistent(tree, weights)
    blocks = reference.block_matrix(weights)
    clusters = [frozenset([i]) for i in range(sum(weights.shape))]
    for first, second, _ in reference.clusters_of(tree.linkage):
        best = max(
            reference.average(blocks, a, b) for a in clusters for b in clusters if a is not b
        )
        assert reference.average(blocks, first, second) == pytest.approx(best, abs=1e-12)
        clusters = [c for c in clusters if c not in (first, second)] + [first | second]


@given(seed=st.integers(0, 2**31), n_rows=st.integers(1, 7), n_columns=st.integers(1, 7))
def test_merges_equal_the_loops(seed: int, n_rows: int, n_columns: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.05, 3.0, (n_rows, n_columns))
    tree = cv.unit_tree(weights)
    expected = reference.merges(weights)
    assert merged_sets(reference.clusters_of(tree.linkage)) == merged_sets(expected)
    np.testing.assert_allclose(tree.merge_similarity, [value for *_, value in expected], atol=1e-12)


@pytest.mark.parametrize(("name", "n_certain"), MAPS)
def test_the_authors_maps(golden: Path, name: str, n_certain: int) -> None:
    """The stored trees have the predicting network first: its units are the columns there."""
    with np.load(golden / "cl_mapping.npz") as stored:
        weights = stored[name]
    with np.load(golden / "cl_hac.npz") as stored:
        keys = ("linkage", "similarity", "leaves")
        linkage, similarity, leaves = (stored[f"{name}_{key}"] for key in keys)
    tree = cv.unit_tree(weights.T)
    np.testing.assert_array_equal(tree.linkage[:, [0, 1, 3]], linkage[:, [0, 1, 3]])
    np.testing.assert_allclose(tree.linkage[:, 2], linkage[:, 2], rtol=0.0, atol=1e-14)
    np.testing.assert_allclose(tree.merge_similarity, similarity, rtol=0.0, atol=1e-14)
    np.testing.assert_array_equal(tree.leaves, leaves)
    # As they are, with targets first: the same sets as far as their averages are not rounding noise.
    straight = cv.unit_tree(weights)
    n_units = weights.shape[0]
    other = [
        frozenset(frozenset((unit + n_units) % (2 * n_units) for unit in side) for side in merge)
        for merge in merged_sets(reference.clusters_of(straight.linkage))
    ]
    assert other[:n_certain] == merged_sets(reference.clusters_of(linkage))[:n_certain]
    # "Most parents of leaf clusters contain one unit from Net1 and one from Net2."
    assert tree.joined_share > 0.9


def test_units_that_predict_each_other_pair_up() -> None:
    weights = np.diag([0.9, 0.8, 0.7]) + 0.01
    tree = cv.unit_tree(weights)
    assert tree.joined_share == 1.0
    assert {frozenset(map(int, row[:2])) for row in tree.linkage[:3]} == {
        frozenset((0, 3)),
        frozenset((1, 4)),
        frozenset((2, 5)),
    }


def test_weights_above_one_move_the_peak_only() -> None:
    """A larger peak changes no merge, and SciPy's own functions take the linkage."""
    weights = np.random.default_rng(3).uniform(-0.5, 1.0, (6, 9))
    small, large = cv.unit_tree(weights), cv.unit_tree(4.0 * weights)
    assert small.peak == 1.0
    assert large.peak == 4.0 * weights.max()
    assert merged_sets(reference.clusters_of(small.linkage)) == merged_sets(
        reference.clusters_of(large.linkage)
    )
    np.testing.assert_allclose(large.merge_similarity, 4.0 * small.merge_similarity, atol=1e-12)
    drawn = hierarchy.dendrogram(large.linkage, no_plot=True)
    assert drawn["leaves"] == large.leaves.tolist()


def test_no_weights_at_all() -> None:
    tree = cv.unit_tree(np.zeros((3, 2)))
    np.testing.assert_array_equal(tree.merge_similarity, np.zeros(4))
    assert_consistent(tree, np.zeros((3, 2)))


def test_one_unit_each() -> None:
    tree = cv.unit_tree([[-0.5]])
    assert tree.linkage.tolist() == [[0.0, 1.0, 1.5, 2.0]]
    assert tree.joined_share == 1.0


def test_tree_keeps_its_own_weights() -> None:
    weights = np.array([[0.5, 0.1]])
    tree = cv.unit_tree(weights)
    weights[:] = 7.0
    assert tree.similarity.max() == 1.0
    assert repr(tree) == "UnitTree(1 + 2 units, joined_share=1.000)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        tree.peak = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([[np.nan, 1.0]], ValueError, "`weights` must be finite, got 1 NaN or infinite values"),
        ([[np.inf, 1.0]], ValueError, "`weights` must be finite, got 1 NaN or infinite values"),
        (np.empty((0, 3)), ValueError, r"`weights` must be a non-empty matrix, got .*\(0, 3\)"),
        ([0.5, 0.1], ValueError, r"`weights` must be a non-empty matrix, got shape \(2,\)"),
        ([[1j]], TypeError, "`weights` must be real, got complex"),
        ([["a"]], ValueError, "`weights` must be an array of numbers"),
    ],
)
def test_bad_weights_are_refused(weights: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cv.unit_tree(weights)
