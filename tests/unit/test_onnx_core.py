"""A user's function in ONNX: what fits through it, and what is refused with what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

import okawari
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.graph import function_import
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph, parse_model
from okawari.graph.quantizer import build_variants
from okawari.models.windows import WindowSet
from okawari.recipe import ONNX_OPSETS, OnnxCore, Progress, TrainingData, flatten_lags, to_logits
from okawari.training.drawn_cases import draw_records, draw_series

STEPS, FEATURES, HORIZON = 11, 3, 3
"""Feature steps, features and horizon of the small case."""

# --- recipes of three libraries -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fitted:
    """What scikit-learn fitted, on the newest `lags` feature steps."""

    estimator: Any
    lags: int
    shares: bool
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> np.ndarray:
        row_BN = flatten_lags(windows.z_BSK, self.lags)
        if not self.shares:
            return self.estimator.predict(row_BN).reshape(len(windows), -1).astype(np.float32)
        shares_BC = self.estimator.predict_proba(row_BN)
        return to_logits(shares_BC, np.ones(shares_BC.shape[1], dtype=bool)).astype(np.float32)

    def core(self) -> OnnxCore:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType

        taken = [("row", FloatTensorType([None, self.estimator.n_features_in_]))]
        options = {id(self.estimator): {"zipmap": False}} if self.shares else None
        model = to_onnx(self.estimator, initial_types=taken, target_opset=dict(ONNX_OPSETS), options=options)
        if self.shares:
            return OnnxCore(model.SerializeToString(), output="probabilities", labels_as="shares")
        return OnnxCore(model.SerializeToString())


@dataclass(frozen=True)
class FromSklearn:
    """A recipe of any estimator of scikit-learn."""

    make: Callable[[], Any] = field(repr=False)  # the text of a function has an address in memory
    lags: int = 1
    shares: bool = False
    name: str = "from_sklearn"

    def fit(self, data: TrainingData, progress: Progress) -> Fitted:
        row_BN, r_BH = flatten_lags(data.train.z_BSK, self.lags), data.train.r_BH
        return Fitted(self.make().fit(row_BN, r_BH.argmax(axis=1) if self.shares else r_BH), self.lags, self.shares)

    def describe(self) -> dict[str, Any]:
        return {"recipe": "FromSklearn", "lags": self.lags}


def _scaled_ridge() -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), Ridge())


def _neighbours() -> Any:
    from sklearn.neighbors import KNeighborsRegressor

    return KNeighborsRegressor(n_neighbors=3)


def _gradient_boosting() -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=10, random_state=0)


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


@dataclass(frozen=True)
class FromTorch:
    """A recipe of an untrained torch network over whole windows of features."""

    name: str = "from_torch"

    def fit(self, data: TrainingData, progress: Progress) -> TorchFitted:
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(data.seed)
            steps, n_features = data.train.z_BSK.shape[1:]
            return TorchFitted(
                torch.nn.Sequential(
                    torch.nn.Flatten(), torch.nn.Linear(steps * n_features, data.train.r_BH.shape[1]), torch.nn.Tanh()
                )
            )

    def describe(self) -> dict[str, Any]:
        return {"recipe": "FromTorch"}


@dataclass(frozen=True)
class TorchFitted:
    network: Any
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> np.ndarray:
        import torch

        with torch.no_grad():
            return np.asarray(self.network(torch.from_numpy(windows.z_BSK)).numpy(), dtype=np.float32)

    def core(self) -> OnnxCore:
        import torch

        n_inputs = self.network[1].in_features
        example = torch.zeros(2, n_inputs // 2, 2) if n_inputs == 2 else torch.zeros(2, STEPS, n_inputs // STEPS)
        program = torch.onnx.export(
            self.network.eval(), (example,), dynamo=True, opset_version=ONNX_OPSETS[""], verbose=False,
            dynamic_shapes=({0: torch.export.Dim("B")},),
        )  # fmt: skip
        return OnnxCore(program.model_proto.SerializeToString())


@pytest.mark.parametrize(
    ("recipe", "signed"),
    [
        (FromSklearn(_scaled_ridge), {"drawn_series", "drawn_records"}),
        (FromSklearn(_scaled_ridge, lags=5), {"drawn_series"}),
        (FromSklearn(_neighbours), {"drawn_series", "drawn_records"}),
        (FromSklearn(_logistic, shares=True), {"drawn_records"}),
        (FromSklearn(_gradient_boosting, shares=True), {"drawn_records"}),
        pytest.param(FromTorch(), {"drawn_series", "drawn_records"}, marks=pytest.mark.slow),
    ],
    ids=lambda each: each.make.__name__.strip("_") if isinstance(each, FromSklearn) else None,
)
def test_what_other_libraries_fit_keeps_the_contract_as_an_function_import(recipe: Any, signed: set[str]) -> None:
    for case in (draw_series(), draw_records()):
        if case.name in signed:
            assert okawari.check_recipe(recipe, case).signed == (case.name,)


# --- functions written by hand ------------------------------------------------------------------------------------

FLOAT = TensorProto.FLOAT


def _write(
    nodes: list[Any],
    taken: tuple[int | str | None, ...] = ("B", STEPS, FEATURES),
    given: tuple[int | str | None, ...] = ("B", HORIZON),
    *,
    weights: Mapping[str, np.ndarray] | None = None,
    types: tuple[int, int] = (FLOAT, FLOAT),
    opset: int = 20,
    others: tuple[tuple[str, int], ...] = (),
    functions: list[Any] | None = None,
) -> bytes:
    """A function from `x` to `y`."""
    graph = helper.make_graph(
        nodes,
        "by_hand",
        [helper.make_tensor_value_info("x", types[0], taken)],
        [helper.make_tensor_value_info("y", types[1], given)],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid(*each) for each in (("", opset), *others)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions or []).SerializeToString()


FIRST = [helper.make_node("Slice", ["x", "zero", "three", "one"], ["y"])]
"""The first three numbers of a row."""
LOGARITHM = [
    helper.make_node("Slice", ["x", "zero", "three", "one"], ["some"]),
    helper.make_node("Log", ["some"], ["y"]),
]
BOUNDS = {name: np.array([value]) for name, value in (("zero", 0), ("three", 3), ("one", 1), ("eight", 8))}


@pytest.fixture
def windows(small_case: Case, readings: pd.DataFrame) -> WindowSet:
    return cut_windows(readings, small_case)[:6]


def _answer(core: OnnxCore, case: Case, windows: WindowSet) -> np.ndarray:
    """What the graph says, as moves from the last level."""
    mean_BH = Graph.load(build_graph(core, case, None)).answer(windows.x_BTF).mean_BH.astype(np.float64)
    return np.log(mean_BH / windows.level_B[:, None])


@pytest.mark.parametrize(
    ("core", "expect"),
    [
        (OnnxCore(_write(FIRST, ("B", STEPS * FEATURES), weights=BOUNDS)), lambda w: w.z_BSK[:, 0, :3]),
        (OnnxCore(_write(FIRST, ("B", 2 * FEATURES), weights=BOUNDS)), lambda w: w.z_BSK[:, -2, :3]),
        (OnnxCore(_write(FIRST, (None, None), weights=BOUNDS)), lambda w: w.z_BSK[:, 0, :3]),
        (OnnxCore(_write(FIRST, ("B", 12), weights=BOUNDS), reads="w"), lambda w: w.w_BT[:, :3]),
        (OnnxCore(_write(LOGARITHM, ("B", 12), weights=BOUNDS), reads="levels"), lambda w: np.log(w.levels_BT[:, :3])),
    ],
    ids=["whole row", "newest two steps", "free width", "w", "levels"],
)
def test_a_function_reads_what_it_declares(
    core: OnnxCore, expect: Callable[[WindowSet], np.ndarray], small_case: Case, windows: WindowSet
) -> None:
    np.testing.assert_allclose(_answer(core, small_case, windows), expect(windows), atol=2e-6)


def test_an_older_operator_set_is_brought_to_ours(small_case: Case, windows: WindowSet) -> None:
    # Before opset 18, ReduceMean had its axes as an attribute.
    nodes = [helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0),
             helper.make_node("Slice", ["mean", "zero", "three", "one"], ["y"])]  # fmt: skip
    core = OnnxCore(_write(nodes, weights=BOUNDS, opset=13))
    np.testing.assert_allclose(_answer(core, small_case, windows), windows.z_BSK.mean(axis=1)[:, :3], atol=2e-6)


def test_a_branch_may_read_weights_from_outside(small_case: Case, windows: WindowSet) -> None:
    inner = [
        helper.make_graph([helper.make_node("Add", ["first", name], [f"{name}_out"])], name, [],
                          [helper.make_tensor_value_info(f"{name}_out", FLOAT, ("B", HORIZON))])
        for name in ("small", "large")
    ]  # fmt: skip
    nodes = [
        helper.make_node("Slice", ["x", "zero", "three", "one"], ["first"]),
        helper.make_node("If", ["yes"], ["y"], then_branch=inner[0], else_branch=inner[1]),
    ]
    weights = {**BOUNDS, "small": np.float32([0.01]), "large": np.float32([9]), "yes": np.array(True)}
    core = OnnxCore(_write(nodes, ("B", STEPS * FEATURES), weights=weights))
    np.testing.assert_allclose(_answer(core, small_case, windows), windows.z_BSK[:, 0, :3] + 0.01, atol=2e-6)


def test_functions_inside_the_model_are_put_where_they_are_called(small_case: Case, windows: WindowSet) -> None:
    opsets = [helper.make_opsetid("", 20)]
    double = helper.make_function("mine", "Double", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], opsets)
    nodes = [helper.make_node("Slice", ["x", "zero", "three", "one"], ["first"]),
             helper.make_node("Double", ["first"], ["y"], domain="mine")]  # fmt: skip
    content = _write(nodes, ("B", 12), weights=BOUNDS, others=(("mine", 1),), functions=[double])
    np.testing.assert_allclose(
        _answer(OnnxCore(content, reads="w"), small_case, windows), 2 * windows.w_BT[:, :3], atol=2e-6
    )


def test_names_and_notes_of_an_exporter_leave_no_trace(small_case: Case) -> None:
    one = parse_model(_write(FIRST, ("B", 12), weights=BOUNDS))
    other = parse_model(_write(FIRST, ("B", 12), weights=BOUNDS))
    other.graph.input[0].name = other.graph.node[0].input[0] = "another"
    other.graph.node[0].name, other.graph.node[0].doc_string = "node_7", "/home/me/model.py"
    graphs = [build_graph(OnnxCore(each.SerializeToString(), reads="w"), small_case, None) for each in (one, other)]
    assert graphs[0] == graphs[1] and b"model.py" not in graphs[1]


def test_large_weights_of_a_function_are_quantized_like_ours(small_case: Case, windows: WindowSet) -> None:
    noise = np.random.default_rng(0)
    weights = {"weight": noise.normal(0, 0.01, (33, 400)).astype(np.float32),
               "out": noise.normal(0, 0.01, (400, HORIZON)).astype(np.float32)}  # fmt: skip
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "out"], ["y"]),
    ]
    variants = build_variants(build_graph(OnnxCore(_write(nodes, ("B", 33), weights=weights)), small_case, None))
    assert set(variants.contents) == {"fp32", "uint8", "int8"}
    one, other = (Graph.load(variants.contents[name]).answer(windows.x_BTF).mean_BH for name in ("fp32", "uint8"))
    np.testing.assert_allclose(other, one, rtol=1e-3)


def test_a_linear_function_of_the_second_domain_is_not_taken_for_trees(
    small_case: Case, readings: pd.DataFrame
) -> None:
    split = cut_windows(readings, small_case)
    model = FromSklearn(_scaled_ridge).fit(TrainingData(split, split, seed=1), lambda *_: None)
    reason = build_variants(build_graph(model.core(), small_case, None)).reason
    assert reason is not None and "it has no weights" in reason


# --- what is refused ----------------------------------------------------------------------------------------------

ROW = ("B", 12)
FIXED = [
    helper.make_node("Reshape", ["x", "shape"], ["flat"]),
    helper.make_node("Slice", ["flat", "zero", "three", "one"], ["y"]),
]


def _keep_outside() -> bytes:
    model = parse_model(_write(FIRST, ROW, weights=BOUNDS))
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    return model.SerializeToString()


def _add_input() -> bytes:
    model = parse_model(_write(FIRST, ROW, weights=BOUNDS))
    model.graph.input.append(helper.make_tensor_value_info("more", FLOAT, ("B", 1)))
    return model.SerializeToString()


def _add_output() -> bytes:
    model = parse_model(_write(FIRST, ROW, weights=BOUNDS))
    model.graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, ("B",)))
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no model", "not an ONNX model"),
        (_keep_outside(), "in other files"),
        (_add_input(), r"inputs \['x', 'more'\]; it takes one"),
        (_add_output(), r"output is None; the function has the outputs \['y', 'label'\]"),
        (
            _write(FIRST, ROW, weights=BOUNDS, types=(TensorProto.DOUBLE, FLOAT)),
            "'x' of the function is of type .*DOUBLE",
        ),
        (
            _write(FIRST, ROW, weights=BOUNDS, types=(FLOAT, TensorProto.INT64)),
            "'y' of the function is of type .*INT64",
        ),
        (_write(FIRST, (4, 12), weights=BOUNDS), r"'x' of the function has shape \[4, 12\]"),
        (_write(FIRST, ROW, (4, 3), weights=BOUNDS), r"'y' of the function has shape \[4, 3\]"),
        (_write(FIRST, ("B", 13), weights=BOUNDS), r"shape \[13\]; case aapl has \[12\]"),
        (_write(FIRST, weights=BOUNDS), r"shape \[11, 3\]; case aapl has \[12\]"),
        (
            _write([helper.make_node("Mine", ["x"], ["y"], domain="com.mine")], ROW, others=(("com.mine", 1),)),
            r"uses \['com.mine.Mine'\]",
        ),
        (_write([helper.make_node("Nothing", ["x"], ["y"])], ROW), "Nothing, which ai.onnx 20 does not have"),
        (_write(FIRST, ROW, weights=BOUNDS, opset=99), "uses opset 99; the newest supported is"),
        (
            _write([helper.make_node("RMSNormalization", ["x", "s"], ["y"])], ROW, opset=23),
            "RMSNormalization, which ai.onnx 20",
        ),
        (
            _write(FIRST, ROW, weights=BOUNDS | {"three": np.array([4])}),
            r"shapes \[\(1, 4\), \(3, 4\)\]; the case needs",
        ),
        (_write(FIXED, ROW, weights=BOUNDS | {"shape": np.array([1, 12])}), "ONNX Runtime does not run the function"),
        (
            _write(FIXED, ROW, weights=BOUNDS | {"shape": np.array([1, -1])}),
            r"windows with shapes \[\(1, 3\), \(1, 3\)\]; the case needs \[\(1, 3\), \(3, 3\)\]",
        ),
    ],
)
def test_what_cannot_be_part_of_a_graph_is_refused(content: bytes, told: str, small_case: Case) -> None:
    with pytest.raises(InvalidInput, match=told):
        build_graph(OnnxCore(content, reads="w"), small_case, None)


def test_a_row_that_is_no_whole_number_of_steps_is_refused(small_case: Case) -> None:
    with pytest.raises(InvalidInput, match=r"shape \[7\]; case aapl has \[11, 3\], or \[L \* 3\] in one row"):
        build_graph(OnnxCore(_write(FIRST, ("B", 7), weights=BOUNDS)), small_case, None)


def test_an_operator_whose_attributes_have_changed_is_refused(small_case: Case) -> None:
    node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", classes_strings=["a"])
    with pytest.raises(InvalidInput, match=r"uses \['LabelEncoder'\] of ai.onnx.ml 1, which differ in version 3"):
        build_graph(OnnxCore(_write([node], ROW, others=(("ai.onnx.ml", 1),)), reads="w"), small_case, None)


def test_records_have_no_levels_to_read() -> None:
    with pytest.raises(InvalidInput, match=r"'w'; case blobs has no series with levels\. Use 'z'"):
        build_graph(OnnxCore(_write(FIRST, ROW, weights=BOUNDS), reads="w"), load_case("blobs"), None)


def test_a_function_that_is_too_large_is_refused(small_case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_import, "LARGEST_BYTES", 100)
    with pytest.raises(InvalidInput, match=r"MiB; a core has at most 0\. Fit a smaller model"):
        build_graph(OnnxCore(_write(FIRST, ROW, weights=BOUNDS), reads="w"), small_case, None)


def test_a_core_takes_bytes() -> None:
    with pytest.raises(InvalidInput, match="of type ModelProto; it takes the bytes"):
        OnnxCore(parse_model(_write(FIRST, ROW, weights=BOUNDS)))
