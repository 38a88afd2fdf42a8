"""Missing values as values: what the graph has for them, for records and for a series with gaps, in every family."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from bentos.dictionaries import encode_words
from bentos.errors import Refused
from bentos.requests import Reader
from okawari.case import ARRIVED, Case, Change, Classify, Column, Forecast, Gate, LogRatio, Regress
from okawari.dataset.arrays import find_levels, to_array
from okawari.dataset.feature_frame import compute_feature_frame, find_missing
from okawari.dataset.splits import split_windows
from okawari.dataset.steps import lay_out_steps
from okawari.dataset.windows import cut_windows, last_window
from okawari.errors import InvalidInput
from okawari.evaluation.candidates import fit_contender
from okawari.graph.build import build_graph
from okawari.graph.feature_graph import compute_features
from okawari.graph.imputation_stage import read_medians
from okawari.graph.inference import Graph
from okawari.graph.quantizer import build_variants
from okawari.models.constant import Constant
from okawari.models.cores import ConstantCore, TorchCore
from okawari.models.fit_context import no_progress
from okawari.models.level_series import join_levels
from okawari.models.linear import Linear
from okawari.models.random_walk import RandomWalk
from okawari.models.sarima import Sarima
from okawari.models.seasonal_naive import SeasonalNaive
from okawari.schema.imputation import Imputation, fill_forward
from okawari.training.recipe_checks import check_recipe


class Gaps:
    """Daily visits with a week in them; every seventh day or so is missing."""

    def read(self, until: object = None) -> pd.DataFrame:
        random = np.random.default_rng(5)
        day = np.arange(500)
        visits = 100 + 20 * np.sin(day * 2 * np.pi / 7) + random.normal(0, 1, 500)
        frame = pd.DataFrame({"date": pd.date_range("2023-01-02", periods=500), "visits": visits, "rain": visits / 7})
        return frame[(random.random(500) > 0.05) | (day == 0) | (day == 499)].reset_index(drop=True)


SERIES = Case(
    name="gaps", title="Visits", source=Gaps(), frequency="D", columns=(Column(name="visits"), Column(name="rain")),
    features=(
        Change(name="visits_change", column="visits"),
        LogRatio(name="wet", numerator="rain", denominator="rain", lag=1),
    ),
    task=Forecast(target="visits", history=14, horizon=2, learns="difference"),
    candidates=(RandomWalk(),), gate=Gate(holdout=60, calibration=60),
)  # fmt: skip
FLAGGED = replace(SERIES, columns=(Column(name="visits"), Column(name="rain", missing="allow")))


class Holes:
    """Records of which a tenth lacks an age and a tenth a plan; those without an age are dearer."""

    def read(self, until: object = None) -> pd.DataFrame:
        random = np.random.default_rng(6)
        age, plan = random.normal(40, 8, 600), random.choice(["free", "paid"], 600)
        lacks_age, lacks_plan = random.random(600) < 0.1, random.random(600) < 0.1
        cost = age + 30 * (plan == "paid") + 50 * lacks_age + random.normal(0, 1, 600)
        frame = pd.DataFrame({"age": np.where(lacks_age, np.nan, age), "plan": plan, "cost": cost})
        frame["plan"] = frame["plan"].astype(object).mask(lacks_plan, None)
        return frame.assign(dear=np.where(cost > 60, "yes", "no"))


RECORDS = Case(
    name="holes", title="Costs", source=Holes(), time=ARRIVED,
    columns=(Column(name="age", missing="allow"), Column(name="plan", labels=("free", "paid"), missing="allow")),
    task=Regress(target=Column(name="cost")), candidates=(Constant(),), gate=Gate(holdout=100, calibration=100),
)  # fmt: skip
LABELS = replace(RECORDS, task=Classify(target=Column(name="dear", labels=("no", "yes"))))


def _stamped(case: Case) -> pd.DataFrame:
    return lay_out_steps(case.layout.stamp_records(case.source.read(), case.time), case)


def _carry(levels_N: np.ndarray, first: float) -> np.ndarray:
    known = first
    return np.array([known := value if not np.isnan(value) else known for value in levels_N])


@pytest.mark.parametrize("n", [1, 2, 3, 14, 15, 16, 17, 100, 1000])
def test_a_series_of_any_length_is_carried_forward(n: int) -> None:
    random = np.random.default_rng(n)
    x_NF = np.where(random.random((n, 2)) < 0.6, np.nan, random.uniform(1, 9, (n, 2)))
    if n == 1:
        x_NF = np.vstack([x_NF, x_NF])
    filled_NF = np.column_stack([_carry(x_NF[:, 0], 5.0), _carry(x_NF[:, 1], 3.0)])
    z_NK = compute_features(FLAGGED, x_NF[None], Imputation((5.0, 3.0)))[0]
    np.testing.assert_allclose(z_NK[:, 0], np.diff(filled_NF[:, 0]), atol=1e-6)
    np.testing.assert_allclose(z_NK[:, 1], np.diff(np.log(filled_NF[:, 1])), atol=1e-6)
    np.testing.assert_array_equal(z_NK[:, 2], np.isnan(x_NF[1:, 1]))
    np.testing.assert_array_equal(fill_forward(x_NF.T, 5.0)[0], filled_NF[:, 0])


def test_a_window_is_answered_alike_alone_and_beside_windows_with_gaps() -> None:
    windows = cut_windows(_stamped(SERIES), SERIES)
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(13 * 2, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2)
    )
    content = build_graph(TorchCore(network), SERIES, None, windows.imputation)
    has_gap_B = np.isnan(windows.x_BTF).any(axis=(1, 2))
    assert has_gap_B.any() and not has_gap_B.all()
    variants = build_variants(content).contents
    assert list(variants) == ["fp32", "uint8", "int8"]
    for each in ("fp32", "uint8"):  # int8 scales a batch by its largest feature
        graph = Graph.load(variants[each])
        together, complete = graph.answer(windows.x_BTF).mean_BH, graph.answer(windows.x_BTF[~has_gap_B]).mean_BH
        np.testing.assert_allclose(complete, together[~has_gap_B], rtol=1e-6)
    eight_bits = Graph.load(variants["int8"]).answer(windows.x_BTF).mean_BH
    np.testing.assert_allclose(eight_bits, Graph.load(content).answer(windows.x_BTF).mean_BH, rtol=0.05)


def test_the_level_is_the_last_known_one() -> None:
    x_1TF = last_window(_stamped(SERIES), SERIES).copy()
    x_1TF[0, -3:, 0] = np.nan
    answer = Graph.load(build_graph(ConstantCore(np.array([1.0, 2.0])), SERIES, None)).answer(x_1TF)
    np.testing.assert_array_equal(answer.mean_BH[0], x_1TF[0, -4, 0] + [1.0, 2.0])
    assert find_levels(x_1TF, SERIES) == [x_1TF[0, -4, 0]]


def test_windows_without_a_level_or_a_truth_are_left_out_and_others_kept() -> None:
    frame = _stamped(SERIES)
    windows, visits = cut_windows(frame, SERIES), frame["visits"].to_numpy()
    usable = [t for t in range(13, len(frame) - 2) if not np.isnan(visits[t : t + 3]).any()]
    assert windows.place_B is not None and windows.place_B.tolist() == usable
    assert np.isnan(windows.x_BTF).any() and np.isfinite(windows.z_BSK).all() and np.isfinite(windows.r_BH).all()
    np.testing.assert_array_equal(windows.w_BT[:, -1], 0)


def test_medians_come_from_the_training_part() -> None:
    for case in (FLAGGED, RECORDS):
        windows = cut_windows(_stamped(case), case)
        train = split_windows(windows, case).train
        assert windows.imputation is not None
        if case is RECORDS:
            assert windows.imputation.medians[0] == np.nanmedian(train.x_BTF[:, 0, 0])
        else:
            known = _stamped(case)["rain"].to_numpy()[: train.place_B[-1] + 1]  # type: ignore[index]
            assert windows.imputation.medians[1] == np.nanmedian(known)


def test_a_record_has_medians_no_word_and_indicators() -> None:
    x_B1F = np.array([[[np.nan, 1.0]], [[30.0, np.nan]], [[31.0, 0.0]]])
    z_BK = compute_features(RECORDS, x_B1F, Imputation((40.0, np.nan)))[:, 0]
    np.testing.assert_array_equal(z_BK, [[40, 0, 1, 1, 0], [30, 0, 0, 0, 1], [31, 1, 0, 0, 0]])
    assert RECORDS.n_features == 5


def test_sarima_reads_the_series_with_its_gaps() -> None:
    frame = _stamped(SERIES)
    joined_N = join_levels(cut_windows(frame, SERIES))
    first = next(t for t in range(13, len(frame)) if not np.isnan(frame["visits"].to_numpy()[t : t + 3]).any()) - 13
    np.testing.assert_array_equal(joined_N, frame["visits"].to_numpy()[first : first + len(joined_N)])


@pytest.mark.parametrize(
    ("case", "recipe"),
    [
        (SERIES, RandomWalk()), (SERIES, SeasonalNaive(season=7)),
        (SERIES, Sarima(order=(0, 1, 1), seasonal_order=(0, 0, 0, 0))),
        (FLAGGED, Linear()), (RECORDS, Linear()), (RECORDS, Constant()), (LABELS, Linear()),
    ],
    ids=lambda each: each.name,
)  # fmt: skip
def test_simple_families_keep_the_contract_with_gaps(case: Case, recipe: RandomWalk) -> None:
    assert check_recipe(recipe, case).signed == (case.name,)


def test_an_indicator_is_learnt() -> None:
    split = split_windows(cut_windows(_stamped(RECORDS), RECORDS), RECORDS)
    scores = fit_contender(Linear(), RECORDS, split, no_progress).scores
    assert scores.loss < 8  # 50 for a missing age, 30 for a plan: without indicators at least 15


def test_a_gap_that_is_not_allowed_names_the_column() -> None:
    frame = Gaps().read().assign(rain=np.nan)
    with pytest.raises(InvalidInput, match=r"Column rain holds nan in row 0 .*missing='allow'"):
        to_array(frame, replace(SERIES, frequency=None))


def test_a_graph_of_allowed_gaps_needs_its_medians() -> None:
    with pytest.raises(InvalidInput, match=r"allows missing values in \['rain'\]"):
        build_graph(ConstantCore(np.zeros(2)), FLAGGED, None)


@pytest.mark.parametrize("case", [FLAGGED, RECORDS], ids=["series", "records"])
def test_a_graph_carries_its_medians(case: Case) -> None:
    windows = cut_windows(_stamped(case), case)
    core = ConstantCore(np.zeros(case.task.width))
    labels = Graph.load(build_graph(core, case, None, windows.imputation)).labels
    assert windows.imputation is not None
    found = read_medians(labels, case)
    assert found is not None
    np.testing.assert_array_equal(found.medians, windows.imputation.medians)
    renamed = replace(case.columns[0], name="other")
    if case is RECORDS:
        assert read_medians(labels, replace(case, columns=(renamed, *case.columns[1:]))) is None
    assert read_medians({}, case) is None


def test_a_window_without_any_level_is_refused() -> None:
    frame = _stamped(SERIES)
    frame.loc[len(frame) - 14 :, "visits"] = np.nan
    with pytest.raises(InvalidInput, match="no level to forecast from"):
        last_window(frame, SERIES)


def test_drift_reads_features_without_gaps_and_where_they_were() -> None:
    frame = _stamped(FLAGGED)
    assert compute_feature_frame(frame, FLAGGED)[["visits_change", "wet"]].notna().all().all()
    np.testing.assert_array_equal(find_missing(frame, FLAGGED)["rain"], frame["rain"].isna())
    frame.loc[[40, 41, 90], "rain"] = np.nan
    drawn = compute_feature_frame(frame, FLAGGED)
    has_reading = frame["visits"].notna() | frame["rain"].notna()
    assert list(drawn) == ["date", "visits_change", "wet", "rain missing", "missing steps"]
    assert drawn["rain missing"].sum() == (has_reading & frame["rain"].isna()).sum() > 0
    assert drawn["missing steps"].sum() == (~has_reading).sum() > 0
    records = _stamped(RECORDS)
    assert compute_feature_frame(records, RECORDS)["age"].notna().all()
    assert find_missing(records, RECORDS)["plan"].sum() == records["plan"].isna().sum() > 0


def test_null_is_an_answerable_question_where_the_case_says_so() -> None:
    question = Reader(RECORDS).read_question(
        b'{"instances": [{"age": null, "plan": null}, {"age": 3, "plan": "paid"}]}'
    )
    known = encode_words(question.x_BTF, question.words, RECORDS)
    np.testing.assert_array_equal(known[:, 0], [[np.nan, np.nan], [3, 1]])
    closed = replace(RECORDS, columns=tuple(replace(column, missing="refuse") for column in RECORDS.columns))
    with pytest.raises(Refused):
        Reader(closed).read_question(b'{"instances": [{"age": null, "plan": "paid"}]}')
    assert "null" in str(Reader(RECORDS).predict_type.json_schema())


def test_a_request_starts_from_the_last_known_level() -> None:
    allowing = replace(SERIES, columns=(Column(name="visits", missing="allow"), Column(name="rain")))
    reader, body = Reader(allowing), [{"visits": 3.0 + day, "rain": 1.0} for day in range(14)]
    body[-1]["visits"] = None  # type: ignore[assignment]
    assert reader.read_question(json.dumps({"instances": [body]}).encode()).levels == [15.0]
    empty = [{**reading, "visits": None} for reading in body]
    with pytest.raises(Refused, match="has no visits in its newest 14 records"):
        reader.read_question(json.dumps({"instances": [empty]}).encode())
