"""Figures of groups and branches of units show the patches of their members."""

from __future__ import annotations

import numpy as np
import pytest

import convergent as cv

pytest.importorskip("matplotlib")


from matplotlib.patches import FancyBboxPatch

from convergent.report import figures
from convergent.report.figures.patch_blocks import blocks_drawn
from tests.picture_blocks import (
    assert_shows,
    blocks_by_row,
    patches_of,
    result_of,
    words_in_line,
)


def test_groups_show_members_of_both_networks_best_first() -> None:
    first, second = patches_of("first", 8), patches_of("second", 7, units=[0, 1, 2, 3, 4, 6])
    result = result_of(
        "unit_groups",
        labels_x=[0, 1, 1, 2, 0, 1, 3, 3],
        labels_y=[1, 0, 1, 0, 2, 3, 1],
        between=[0.4, 0.7, 0.1, 0.9],
        within=[0.5, 0.8, 0.2, 0.6],
    )
    figure = figures.group_pictures(result, first, second, n_groups=2, n_units=2)
    (row,) = blocks_by_row(figure)  # of group 3, unit 5 of `second` has no picture
    assert_shows(row[:2] + row[4:6], first, [1, 2, 0, 4])
    assert_shows(row[2:4] + row[6:], second, [0, 2, 1, 3])
    assert words_in_line(figure, "group") == ["group 1", "group 0"]
    assert words_in_line(figure, "between") == [
        "between 0.70, within 0.80, 3 + 3 units",
        "between 0.40, within 0.50, 2 + 2 units",
    ]
    assert words_in_line(figure, "+") == ["+ 1", "+ 1"]
    boxes = [box for box in figure.axes[0].patches if isinstance(box, FancyBboxPatch)]
    for box, blocks in zip(boxes, (row[:2], row[4:6])):
        left, width = box.get_x(), box.get_width()
        assert left < blocks[0].get_extent()[0] < blocks[1].get_extent()[1] < left + width
    assert len(boxes) == 2


TREE = {
    "labels_x": [0, 0, 0, 1, 2, 3, 4],
    "labels_y": [0, 1, 2, 2, 3, 4],
    "between": [0.9, 0.8, 0.7, 0.6, 0.5],
    "within": [0.9, 0.9, 0.9, 0.9, 0.9],
    "splits": [(5, 2), (5, 6), (6, 0), (6, 3), (7, 1), (7, 4)],
}


def test_a_split_group_is_a_tree_with_its_parts_at_the_leaves() -> None:
    first, second = patches_of("first", 7), patches_of("second", 6)
    figure = figures.group_tree_pictures(result_of("unit_groups", **TREE), first, second, n_units=2)
    top, middle, bottom = blocks_by_row(figure)  # below node 5: group 2, then 0 and 3 of node 6
    for row, of_first, of_second in (
        (top, [4], [2, 3]),
        (middle, [0, 1], [0]),
        (bottom, [5], [4]),
    ):
        assert_shows(row[: len(of_first)], first, of_first)
        assert_shows(row[len(of_first) :], second, of_second)
    assert words_in_line(figure, "group ") == ["group 2", "group 0", "group 3"]
    assert words_in_line(figure, "between") == ["between 0.70", "between 0.90", "between 0.60"]
    assert words_in_line(figure, "+") == ["+ 1"]
    assert words_in_line(figure, "3 groups") == ["3 groups"]
    lines = [np.array(line.get_xydata()) for line in figure.axes[0].lines]
    heights = [np.mean([row[0].get_extent()[2:]]) for row in (top, middle, bottom)]
    ends = sorted(line[-1, 1] for line in lines if line[-1, 0] == max(of[-1, 0] for of in lines))
    assert len(ends) == 3
    assert np.abs(np.array(ends) - heights).max() < 0.1


def test_a_tree_of_a_chosen_group_with_few_leaves() -> None:
    first, second = patches_of("first", 7), patches_of("second", 6)
    result = result_of("unit_groups", **TREE)
    figure = figures.group_tree_pictures(result, first, second, root=5, n_groups=1)
    assert words_in_line(figure, "group ") == ["group 0"]
    assert words_in_line(figure, "3 groups") == ["3 groups,\n2 not shown"]
    figure = figures.group_tree_pictures(result, first, second, root=7)
    assert words_in_line(figure, "group ") == ["group 1", "group 4"]
    figure = figures.group_tree_pictures(result, first, second, root=3)
    assert blocks_drawn(figure) == []


def test_branches_of_the_tree_show_their_units_in_its_order() -> None:
    """Three units and two that share strong weights, far from all others: the branches that are enlarged."""
    weights = np.zeros((6, 7))  # rows: units of `first`
    weights[np.ix_([5, 2], [3, 0])] = [[0.9, 0.8], [0.7, 0.75]]
    weights[np.ix_([1, 4, 0], [6])] = [[0.9], [0.6], [0.5]]
    tree = cv.unit_tree(weights)
    result = result_of(
        "unit_tree", linkage=tree.linkage, leaves=tree.leaves, network=tree.network,
        merge_similarity=tree.merge_similarity)  # fmt: skip
    first, second = patches_of("first", 6), patches_of("second", 7)
    rows = blocks_by_row(figures.tree_region_pictures(result, first, second))
    shown = []
    for row in rows:
        places = [str(image.get_gid()).removeprefix("pixels of ").split(", unit ") for image in row]
        for image, (name, unit) in zip(row, places):
            assert_shows([image], {"first": first, "second": second}[name], [int(unit)])
        shown.append([(name, int(unit)) for name, unit in places])
    expected = [{("first", 5), ("second", 3), ("first", 2), ("second", 0)}]
    expected += [{("first", 1), ("second", 6), ("first", 4), ("first", 0)}]
    assert sorted(map(sorted, shown)) == sorted(map(sorted, expected))
    order = [("first", k) if k < 6 else ("second", k - 6) for k in tree.leaves.tolist()]
    for units in shown:
        start = order.index(units[0])
        assert order[start : start + len(units)] == units
