"""Regression trees as plain arrays, independent of the library that has grown them.

Shapes: N nodes of all trees, M weights of leaves, H columns of an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class TreeTable:
    """Trees over a row of float32 numbers; the answer is `base_H` plus the weights of the reached leaves.

    A node goes on to `yes_N` where its feature is at most its threshold, else to `no_N`; both are places among the
    nodes of its tree. Leaves have the feature -1. A weight adds to one column of the answer at one leaf.
    """

    tree_N: Whole
    node_N: Whole
    feature_N: Whole
    threshold_N: NDArray[np.float32]
    yes_N: Whole
    no_N: Whole
    leaf_tree_M: Whole
    leaf_node_M: Whole
    leaf_column_M: Whole
    leaf_weight_M: NDArray[np.float32]
    base_H: NDArray[np.float32]


@dataclass(frozen=True)
class Node:
    """A node of one tree; a leaf has the feature -1 and a value, other nodes a threshold and two places."""

    feature: int
    threshold: float = 0.0
    yes: int = 0
    no: int = 0
    value: float = 0.0


def build_table(trees: list[tuple[list[Node], NDArray[np.float64]]], base_H: Array) -> TreeTable:
    """The table of trees, each with the share `spread_H` of its leaves' values that every column gets."""
    rows = [(tree, place, node) for tree, (nodes, _) in enumerate(trees) for place, node in enumerate(nodes)]
    weights = [
        (tree, place, column, node.value * trees[tree][1][column])
        for tree, place, node in rows
        if node.feature < 0
        for column in np.flatnonzero(trees[tree][1])
    ]
    columns = list(zip(*weights, strict=True)) or [(), (), (), ()]
    return TreeTable(
        tree_N=_whole(tree for tree, _, _ in rows),
        node_N=_whole(place for _, place, _ in rows),
        feature_N=_whole(node.feature for _, _, node in rows),
        threshold_N=round_down(np.array([node.threshold for _, _, node in rows])),
        yes_N=_whole(node.yes for _, _, node in rows),
        no_N=_whole(node.no for _, _, node in rows),
        leaf_tree_M=_whole(columns[0]),
        leaf_node_M=_whole(columns[1]),
        leaf_column_M=_whole(columns[2]),
        leaf_weight_M=np.array(columns[3], dtype=np.float32),
        base_H=base_H.astype(np.float32),
    )


def _whole(values: Any) -> Whole:
    return np.array(list(values), dtype=np.int64)


def round_down(threshold_N: Array) -> NDArray[np.float32]:
    """The largest float32 numbers that are at most these; a float32 number is at most the one where it is at most the
    other, so rounding sends no row down another branch.
    """
    near_N = threshold_N.astype(np.float32)
    return np.where(near_N > threshold_N, np.nextafter(near_N, np.float32(-np.inf)), near_N)


def read_light_gbm(tree: Mapping[str, Any]) -> list[Node]:
    """The nodes of one tree of LightGBM, as its `dump_model` has them."""
    nodes: list[Node | None] = []
    waiting: list[tuple[Mapping[str, Any], int]] = [(tree["tree_structure"], 0)]
    nodes.append(None)
    while waiting:
        found, place = waiting.pop()
        if "split_feature" not in found:
            nodes[place] = Node(feature=-1, value=found["leaf_value"])
            continue
        assert found["decision_type"] == "<=", "features are numbers, none of them a category"
        yes, no = len(nodes), len(nodes) + 1
        nodes += [None, None]
        waiting += [(found["left_child"], yes), (found["right_child"], no)]
        nodes[place] = Node(feature=found["split_feature"], threshold=found["threshold"], yes=yes, no=no)
    return list(_filled(nodes))


def _filled(nodes: list[Node | None]) -> Iterator[Node]:
    for node in nodes:
        assert node is not None, "every child has been visited"
        yield node
