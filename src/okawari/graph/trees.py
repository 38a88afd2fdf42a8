"""Trees as a small ONNX model: forests of scikit-learn by skl2onnx, boosters of XGBoost by onnxmltools, tables of trees
(LightGBM) by this module.

Only the trees are taken from the converters' output. Their names, versions and documentation are dropped, so equal
trees give equal bytes. Features and thresholds are float32: skl2onnx rounds scikit-learn's float64 thresholds towards
the side that sends every float32 number down the same branch. Leaf values are added in float32 here and in float64 by
scikit-learn.

Shapes: B windows (dynamic), S feature steps, K features, L newest steps, H columns of an answer; everything float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.graph.stages import (
    ML_DOMAIN,
    ML_OPSET,
    OPSET,
    Constants,
    build_stage,
    newest_row,
    require_shape,
    shares_to_logits,
)
from okawari.models.cores import TreesCore
from okawari.models.tree_tables import TreeTable

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor
    from xgboost import Booster

_UNREAD = {"nodes_hitrates"}
"""Attributes with the hit rates of nodes in training; inference does not read them."""


def build_trees_stage(core: TreesCore, case: Case) -> onnx.ModelProto:
    """Build the stage from `z` [B, S, K] to `r` [B, H]: the newest `core.lags` steps as a row, trees, scaling of r.

    Raises:
        InvalidInput: the trees were fitted for another horizon, or read more steps than the case's windows have.
    """
    steps, n_features, horizon = case.n_feature_steps, case.n_features, case.task.width
    for name, values in (("r_mean_H", core.r_mean_H), ("r_std_H", core.r_std_H), ("is_share_H", core.is_share_H)):
        require_shape(f"TreesCore.{name}", values, (horizon,))
    if core.lags > steps:
        raise InvalidInput(f"TreesCore.lags is {core.lags}; a window has {steps} feature steps. Fit it for this case.")
    ensembles = _list_ensembles(core.trees, core.lags * n_features)
    sums = [f"said_{number}" for number in range(len(ensembles))]
    taking, taken_constants = newest_row(core.lags, n_features, "flat")
    giving, given_constants = shares_to_logits("grown", "r", core.is_share_H)
    nodes = [
        *taking,
        *(_plain_ensemble(node, "flat", name) for node, name in zip(ensembles, sums, strict=True)),
        helper.make_node("Concat", sums, ["said"], axis=1),
        helper.make_node("Mul", ["said", "r_std"], ["spread"]),
        helper.make_node("Add", ["spread", "r_mean"], ["grown"]),
        *giving,
    ]
    constants: Constants = {
        **taken_constants, **given_constants,
        "r_std": core.r_std_H.astype(np.float32), "r_mean": core.r_mean_H.astype(np.float32),
    }  # fmt: skip
    taken, given = {"z": ("B", steps, n_features)}, {"r": ("B", horizon)}
    return build_stage("trees", nodes, taken, given, constants, with_ml=True)


def _list_ensembles(
    trees: RandomForestRegressor | tuple[Booster, ...] | TreeTable, n_inputs: int
) -> list[onnx.NodeProto]:
    """The TreeEnsembleRegressor of the forest, of each booster, or of a table.

    There is one booster for each column, because onnxmltools 1.16 adds all trees of a booster with several targets to
    the first target.
    """
    if isinstance(trees, TreeTable):
        return [_write_table(trees)]
    if isinstance(trees, tuple):
        return [_convert_booster(booster, n_inputs) for booster in trees]
    return [_convert_forest(trees, n_inputs)]


def _write_table(table: TreeTable) -> onnx.NodeProto:
    is_leaf_N = table.feature_N < 0
    return helper.make_node(
        "TreeEnsembleRegressor",
        ["flat"],
        ["grown"],
        domain=ML_DOMAIN,
        n_targets=len(table.base_H),
        aggregate_function="SUM",
        post_transform="NONE",
        base_values=table.base_H.tolist(),
        nodes_treeids=table.tree_N.tolist(),
        nodes_nodeids=table.node_N.tolist(),
        nodes_featureids=np.maximum(table.feature_N, 0).tolist(),
        nodes_modes=np.where(is_leaf_N, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_values=table.threshold_N.tolist(),
        nodes_truenodeids=table.yes_N.tolist(),
        nodes_falsenodeids=table.no_N.tolist(),
        nodes_missing_value_tracks_true=np.zeros(len(is_leaf_N), dtype=np.int64).tolist(),
        target_treeids=table.leaf_tree_M.tolist(),
        target_nodeids=table.leaf_node_M.tolist(),
        target_ids=table.leaf_column_M.tolist(),
        target_weights=table.leaf_weight_M.tolist(),
    )


def _convert_forest(forest: RandomForestRegressor, n_inputs: int) -> onnx.NodeProto:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    types = [("flat", FloatTensorType([None, n_inputs]))]
    return _pick_ensemble(
        to_onnx(forest, initial_types=types, target_opset={"": OPSET, ML_DOMAIN: ML_OPSET}, name="forest")
    )


def _convert_booster(booster: Booster, n_inputs: int) -> onnx.NodeProto:
    from onnxmltools.convert.common.data_types import FloatTensorType
    from onnxmltools.convert.xgboost import convert

    types = [("flat", FloatTensorType([None, n_inputs]))]
    return _pick_ensemble(convert(booster, name="booster", initial_types=types, target_opset=15))


def _pick_ensemble(model: onnx.ModelProto) -> onnx.NodeProto:
    [ensemble] = [node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor"]
    assert len(model.graph.node) == 1, "the converter must write the ensemble as its only node"
    return ensemble


def _plain_ensemble(node: onnx.NodeProto, taken: str, given: str) -> onnx.NodeProto:
    """The trees as a node with our own names, without the attributes that inference does not read."""
    plain: dict[str, Any] = {
        each.name: helper.get_attribute_value(each) for each in node.attribute if each.name not in _UNREAD
    }
    return helper.make_node("TreeEnsembleRegressor", [taken], [given], domain=ML_DOMAIN, **plain)
