"""Columns of dates: their features are the same for training, service and scoring, and a model learns from them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bentos.errors import Refused
from bentos.requests import Reader
from bentos.schemas import show_predict_body
from okawari.case import ARRIVED, AtLeast, Case, Change, Column, Forecast, Gate, Regress
from okawari.clients.prediction_service import to_instances
from okawari.contract.case_changes import require_meaning
from okawari.contract.case_words import start_contract
from okawari.data.files import TableFile
from okawari.data.validation import check_readings
from okawari.dataset.arrays import to_array
from okawari.dataset.feature_frame import compute_feature_frame
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph, require_fit
from okawari.models.constant import Constant
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.forest import RandomForest
from okawari.models.random_walk import RandomWalk
from okawari.scoring.job import Model, score_file
from okawari.storage import snapshots
from okawari.storage.contracts import load_contract
from okawari.storage.delivery_log import pack_rows, unpack_rows

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CASE = Case(
    name="stays", title="Price of a night", source=TableFile(Path("stays.csv")), time=ARRIVED, zone="Europe/Berlin",
    columns=(
        Column(name="arrival", date=True, missing="allow"),
        Column(name="area", minimum=0),
        Column(name="view", labels=("sea", "yard")),
    ),
    task=Regress(target=Column(name="price", minimum=0)), candidates=(Constant(),),
    gate=Gate(holdout=300, calibration=100),
)  # fmt: skip
PARTS = [f"arrival_weekday_{day}" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")]
PARTS = ["arrival_month_sin", "arrival_month_cos", *PARTS]


def _draw(n: int = 1500) -> pd.DataFrame:
    """Seeded stays, as in a file: dear in summer and on weekends; some arrivals are not known."""
    random = np.random.default_rng(5)
    day = pd.Timestamp("2022-01-01") + pd.to_timedelta(random.integers(0, 900, n), unit="D")
    season = 30 * np.cos(2 * np.pi * (day.month - 7) / 12) + 25 * (day.dayofweek >= 4)
    area = random.integers(20, 60, n).astype(float)
    raw = pd.DataFrame({
        "arrival": day.strftime("%Y-%m-%d"), "area": area, "view": random.choice(["sea", "yard"], n),
        "price": 100 + season + 0.2 * area + random.normal(0, 4, n),
    })  # fmt: skip
    raw.loc[::50, "arrival"] = ""
    return raw


def _ingest(raw: pd.DataFrame) -> snapshots.Ingested:
    checked = check_readings(raw, CASE, NOW)
    return snapshots.record_readings(CASE, checked.good, checked.refused, NOW)


def _measure(*arrivals: str) -> pd.DataFrame:
    raw = pd.DataFrame({"arrival": arrivals, "area": 30.0, "view": "sea", "price": 1.0})
    names = [column.name for column in CASE.input_columns]
    return pd.DataFrame(to_array(check_readings(raw, CASE, NOW).good, CASE), columns=names)


def test_a_date_becomes_the_year_the_month_and_the_weekday_of_its_zone() -> None:
    assert [column.name for column in CASE.input_columns] == ["arrival_year", "area", "view", *PARTS]
    sunday = _measure("2024-03-31").iloc[0]  # its midnight is 2024-03-30T23:00 in UTC
    assert (sunday["arrival_year"], sunday["arrival_weekday_sun"], sunday[PARTS[2:]].sum()) == (2024, 1, 1)
    assert sunday["arrival_month_sin"] == pytest.approx(np.sin(2 * np.pi * 2 / 12))
    eve, new_year = _measure("2023-12-31T22:59Z", "2023-12-31T23:00Z")["arrival_year"]
    assert (eve, new_year) == (2023, 2024)
    assert _measure("2024-01-01", "").iloc[1][["arrival_year", *PARTS]].isna().all()


def test_dates_are_stored_as_times_and_read_back(home: Path) -> None:
    raw = _draw(200)
    assert _ingest(raw).new_rows == 200
    assert _ingest(raw.sample(frac=1, random_state=1)).new_rows == 0
    stored = snapshots.load_readings(CASE)
    expected = check_readings(raw, CASE, NOW).good
    pd.testing.assert_frame_equal(stored[list(CASE.known_names)], expected)
    assert stored["arrival"].dtype == "datetime64[ns]" and stored["arrival"].isna().sum() == 4
    contract = load_contract("stays")
    assert contract is not None and contract.find("arrival").kind == "date"  # type: ignore[union-attr]
    pd.testing.assert_frame_equal(unpack_rows(pack_rows(stored), ARRIVED), stored)
    measured = snapshots.measure_snapshot(CASE, snapshots.snapshot_number(CASE))  # type: ignore[arg-type]
    assert measured == snapshots.load_snapshot(CASE)


def test_a_date_column_that_is_new_is_missing_in_older_rows(home: Path) -> None:
    older = replace(CASE, columns=CASE.columns[1:])
    raw = _draw(50)
    checked = check_readings(raw, older, NOW)
    snapshots.record_readings(older, checked.good, checked.refused, NOW)
    stored = snapshots.load_readings(CASE)
    assert stored["arrival"].isna().all() and stored["arrival"].dtype == "datetime64[ns]"


def test_dates_stay_dates(home: Path) -> None:
    _ingest(_draw(50))
    number = replace(CASE, columns=(Column(name="arrival"), *CASE.columns[1:]))
    with pytest.raises(InvalidInput, match="arrival holds dates in the table and numbers in the case file"):
        snapshots.load_readings(number)
    with pytest.raises(InvalidInput, match="arrival holds numbers in the table and dates in the case file"):
        require_meaning(CASE, start_contract(number))


def test_a_row_without_a_readable_date_is_refused() -> None:
    raw = _draw(5)
    raw.loc[2, "arrival"] = "soon"
    assert check_readings(raw, CASE, NOW).refused["reason"].tolist() == ["arrival is 'soon', not a time"]
    strict = replace(CASE, columns=(Column(name="arrival", date=True), *CASE.columns[1:]))
    assert check_readings(raw, strict, NOW).refused["reason"].tolist()[0] == "arrival is missing"


def test_dates_in_files_are_written_as_the_times_of_the_source() -> None:
    german = replace(CASE, source=TableFile(Path("stays.csv"), time_format="%d.%m.%Y"))
    raw = _draw(5).assign(arrival="02.10.2023")
    good = check_readings(raw, german, NOW).good
    assert good["arrival"].tolist() == [pd.Timestamp("2023-10-01T22:00")] * 5


def test_a_model_learns_month_and_weekday_and_service_and_scoring_answer_alike(home: Path, tmp_path: Path) -> None:
    _ingest(_draw())
    windows = cut_windows(snapshots.load_readings(CASE), CASE)
    split = split_windows(windows, CASE)
    data = TrainingData(split.train, split.validation, seed=1)
    model = RandomForest(n_trees=60, lags=1).fit(data, no_progress)
    content = build_graph(model.core(), CASE, None, windows.imputation)
    graph = Graph.load(content)
    require_fit(graph, CASE)
    true_B = split.holdout.true_BH[:, 0]
    error_B = graph.answer(split.holdout.x_BTF).mean_BH[:, 0] - true_B
    baseline_B = Constant().fit(data, no_progress).predict(split.holdout)[:, 0] - true_B
    assert np.mean(error_B**2) < 0.15 * np.mean(baseline_B**2)
    other = replace(CASE, columns=(Column(name="arrival", missing="allow"), *CASE.columns[1:]))
    with pytest.raises(InvalidInput, match="Its graph takes"):
        require_fit(graph, other)

    asked = _draw(40).drop(columns="price")
    good = check_readings(asked, CASE, NOW, with_target=False).good
    x_BF = to_array(good, CASE)
    body = json.dumps({"instances": to_instances(CASE, [good])}).encode()
    np.testing.assert_array_equal(Reader(CASE).read_question(body).encode(CASE)[:, 0], x_BF)
    asked.to_csv(tmp_path / "in.csv", index=False)
    score_file(CASE, Model("1", graph), tmp_path / "in.csv", tmp_path / "out.csv")
    scored = pd.read_csv(tmp_path / "out.csv")
    np.testing.assert_allclose(scored.filter(like="mean").iloc[:, 0], graph.answer(x_BF[:, None]).mean_BH[:, 0])


def test_a_parquet_file_of_dates_is_scored_as_its_texts(tmp_path: Path) -> None:
    good = check_readings(_draw(60), CASE, NOW).good
    windows = cut_windows(good.assign(**{ARRIVED: pd.date_range("2024", periods=60)}), CASE)
    data = TrainingData(windows, windows, seed=1)
    core = RandomForest(n_trees=5, lags=1).fit(data, no_progress).core()
    graph = Graph.load(build_graph(core, CASE, None, windows.imputation))
    raw = _draw(60)
    raw.to_csv(tmp_path / "in.csv", index=False)
    raw.assign(arrival=pd.to_datetime(raw["arrival"])).to_parquet(tmp_path / "in.parquet")
    for ending in ("csv", "parquet"):
        scored = score_file(CASE, Model("1", graph), tmp_path / f"in.{ending}", tmp_path / f"{ending}.csv")
        assert (scored.answered, scored.refused) == (60, 0)
    text, made = (pd.read_csv(tmp_path / f"{ending}.csv").filter(like="mean") for ending in ("csv", "parquet"))
    pd.testing.assert_frame_equal(text, made)


@pytest.mark.parametrize("value", ["soon", "", 20240101, "1492-01-01", "2024-02-30"])
def test_a_request_with_another_value_than_a_date_is_refused(value: Any) -> None:
    body = json.dumps({"instances": [{"arrival": value, "area": 1, "view": "sea"}]}).encode()
    with pytest.raises(Refused, match=r"instances\[0\]\.arrival is .*; arrival is a date or a time, ISO 8601"):
        Reader(CASE).read_question(body)


def test_a_request_may_lack_a_date_that_the_case_allows_to_be_missing() -> None:
    body = json.dumps({"instances": [{"arrival": None, "area": 1, "view": "sea"}]}).encode()
    assert np.isnan(Reader(CASE).read_question(body).x_BTF[0, 0, [0, *range(3, 12)]]).all()
    assert show_predict_body(CASE)["instances"][0]["arrival"] == "2013-03-01"
    Reader(CASE).read_question(json.dumps(show_predict_body(CASE)).encode())


def test_drift_leaves_dates_out() -> None:
    good = check_readings(_draw(50), CASE, NOW).good.assign(**{ARRIVED: pd.date_range("2024", periods=50)})
    assert list(compute_feature_frame(good, CASE)) == [ARRIVED, "area", "view"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minimum": 0}, "a date has none of these"),
        ({"labels": ("a", "b")}, "a date has none of these"),
        ({"name": "a" * 27}, "use at most 26"),
    ],
)
def test_a_date_column_has_no_other_kind(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Column(**{"name": "arrival", "date": True, **settings})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rules": (AtLeast(greater="area", smaller="arrival"),)}, "compares the dates"),
        ({"task": Regress(target=Column(name="left", date=True))}, "predict a number or a label"),
        ({"columns": (*CASE.columns, Column(name="arrival_year"))}, "Rename it"),
    ],
)
def test_a_case_uses_dates_as_inputs_alone(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(CASE, **settings)


def test_a_series_has_no_dates() -> None:
    with pytest.raises(InvalidInput, match="is a series with dates"):
        Case(
            name="visits", title="Visits", source=TableFile(Path("visits.csv"), time="day"), time="day",
            columns=(Column(name="visits"), Column(name="opened", date=True)),
            features=(Change(name="change", column="visits"),),
            task=Forecast(target="visits", history=10, horizon=1), candidates=(RandomWalk(),),
        )  # fmt: skip
