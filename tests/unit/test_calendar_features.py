"""Calendar features: right for the step that they describe, and the same for training, service and scoring."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bentos.errors import Refused
from bentos.requests import Reader
from okawari.case import Case, Change, Column, Forecast, Gate, Holiday, Hour, Month, Weekday
from okawari.clients.prediction_service import to_instances
from okawari.data.files import TableFile
from okawari.dataset.calendar_features import compute_calendar
from okawari.dataset.feature_frame import compute_feature_frame
from okawari.dataset.splits import split_windows
from okawari.dataset.steps import lay_out_steps
from okawari.dataset.windows import cut_windows, last_window
from okawari.errors import InvalidInput
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph, require_fit
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.forest import RandomForest
from okawari.models.random_walk import RandomWalk
from okawari.schema.calendar import to_utc
from okawari.scoring.questions import build_questions, choose_questions

CASE = Case(
    name="visits", title="Visits", source=TableFile(Path("visits.csv"), time="day"), time="day", frequency="D",
    zone="Europe/Berlin", columns=(Column(name="visits", minimum=0),),
    features=(Weekday(), Change(name="change", column="visits"), Month(ahead=0), Holiday(country="DE", ahead=2)),
    task=Forecast(target="visits", history=10, horizon=1, learns="difference"),
    candidates=(RandomWalk(),), gate=Gate(holdout=60, calibration=60),
)  # fmt: skip
PARTS = [f"weekday_{day}" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")]
PARTS += ["month_sin", "month_cos", "holiday"]


def _draw(n: int = 400, missing_share: float = 0.14) -> pd.DataFrame:
    """Seeded visits that drop on Sundays and on holidays of Germany, over two changes of clocks."""
    random = np.random.default_rng(2)
    local = pd.date_range("2023-03-01", periods=n)
    day = to_utc(local.to_numpy(dtype="datetime64[ns]"), "Europe/Berlin")
    kept = random.random(n) >= missing_share
    kept[[0, -1]] = True
    visits = 60 - 40 * (local.dayofweek == 6) + random.normal(0, 1, n)
    return pd.DataFrame({"day": day, "visits": visits})[kept].reset_index(drop=True)


def _measure(case: Case, local: str) -> dict[str, float]:
    times = to_utc(np.array([local], dtype="datetime64[ns]"), case.zone)
    names = [column.name for column in case.input_columns[len(case.columns) :]]
    return dict(zip(names, compute_calendar(times, case)[0].tolist(), strict=True))


def test_features_describe_the_step_ahead_in_the_zone_of_the_data() -> None:
    assert [column.name for column in CASE.input_columns] == ["visits", *PARTS]
    saturday = _measure(CASE, "2023-03-25")  # clocks change on Sunday, and 2023-03-24T23:00 is a Friday in UTC
    assert [saturday[part] for part in PARTS[:7]] == [0, 0, 0, 0, 0, 0, 1]
    assert saturday["month_sin"] == pytest.approx(np.sin(2 * np.pi * 2 / 12))  # March is the third month
    assert _measure(CASE, "2023-12-23")["holiday"] == 1  # 25 December in two days
    assert _measure(CASE, "2023-12-25")["holiday"] == 0
    hourly = replace(CASE, frequency="h", features=(Hour(), *CASE.features[1:2]))
    assert _measure(hourly, "2023-07-01T05:00")["hour_sin"] == pytest.approx(1)  # 06:00 is a quarter of the day


def test_training_service_and_scoring_read_the_same_numbers() -> None:
    stored = _draw()
    laid_out = lay_out_steps(stored, CASE)
    assert laid_out["visits"].isna().sum() > 40
    windows = cut_windows(laid_out, CASE)
    asked, rows = build_questions(stored, CASE, choose_questions(CASE))
    scored = dict(zip(stored["day"].iloc[rows], asked, strict=True))
    reader = Reader(CASE)
    for place in range(0, len(windows), 7):
        at = pd.Timestamp(windows.at_B[place])
        known = stored[stored["day"] <= at]
        body = json.dumps({"instances": to_instances(CASE, [known])})
        np.testing.assert_array_equal(reader.read_question(body.encode()).x_BTF[0], windows.x_BTF[place])
        np.testing.assert_array_equal(last_window(laid_out[laid_out["day"] <= at], CASE)[0], windows.x_BTF[place])
        np.testing.assert_array_equal(scored[at], windows.x_BTF[place])
    assert not np.isnan(windows.x_BTF[:, :, 1:]).any()  # missing steps have a weekday too


def test_a_forest_learns_the_weekday_of_the_next_step() -> None:
    case = replace(CASE, features=(Weekday(), Change(name="change", column="visits")))
    split = split_windows(cut_windows(lay_out_steps(_draw(missing_share=0.0), case), case), case)
    model = RandomForest(n_trees=40, lags=1).fit(TrainingData(split.train, split.validation, seed=1), no_progress)
    graph = Graph.load(build_graph(model.core(), case, None))
    require_fit(graph, case)
    assert graph.labels["inputs"] == ",".join(["visits", *PARTS[:7]])
    true_B = split.holdout.true_BH[:, 0]
    error_B, naive_B = graph.answer(split.holdout.x_BTF).mean_BH[:, 0] - true_B, split.holdout.level_B - true_B
    assert np.mean(error_B**2) < 0.2 * np.mean(naive_B**2)
    plain = replace(case, features=case.own_features)
    with pytest.raises(InvalidInput, match="Its graph takes the columns"):
        require_fit(graph, plain)


def test_drift_leaves_calendar_features_out() -> None:
    assert list(compute_feature_frame(lay_out_steps(_draw(), CASE), CASE)) == ["day", "change", "missing steps"]


def test_a_request_without_times_is_refused() -> None:
    body = json.dumps({"instances": [[{"visits": 1.0}] * 10]}).encode()
    with pytest.raises(
        Refused, match=r"instances\[0\] has no times; case visits reads weekday, month, holiday of them"
    ):
        Reader(CASE).read_question(body)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frequency": None}, r"no frequency, and \['weekday', 'holiday'\] describe steps ahead"),
        ({"features": (*CASE.features, Month(ahead=0))}, "Rename it"),
    ],
)
def test_features_that_a_case_cannot_have_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(CASE, **settings)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"Holiday\.country of holiday is 'Mars'"):
        Holiday(country="Mars")
    with pytest.raises(InvalidInput, match=r"Weekday\.ahead of weekday is -1"):
        Weekday(ahead=-1)
