"""The page and the terminal on records: one number with its interval, or one label with its probabilities."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from okawari.cases.loader import load_case
from okawari.cli.answers import show_answer
from okawari.clients.wire import AnyPrediction, Bounds, Estimate, ForecastAnswer, Label, ModelInfo
from tests.browser.edges import name_case
from ui.pages.chart import draw_ahead, draw_history
from ui.pages.outlook import write_ahead_caption, write_heading, write_history_caption, write_outlook
from ui.view_model import Facts, Links

LINKS = Links(prefect="http://p", mlflow="http://m", service="http://s", reports=Path("/state/reports"))
NUMBER = Estimate(
    unit="points",
    value=120.5,
    interval=Bounds(coverage_share=0.9, measured_share=0.83, lower=60.0, upper=180.0),
    note=None,
)
LABEL = Label(label="south", probabilities={"north": 0.1, "south": 0.7, "west": 0.15, "east": 0.05})


def _answer(case: str, said: AnyPrediction) -> ForecastAnswer[AnyPrediction]:
    model = ModelInfo.model_validate(name_case(case, "7")["model"])
    return ForecastAnswer[AnyPrediction](id="f" * 32, model=model, predictions=[said], source="ingested")


def _facts(name: str, said: AnyPrediction, target: list[float] | list[str]) -> Facts:
    case = load_case(name)
    recent = pd.DataFrame({case.target.name: target, case.time: pd.Timestamp("2012-12-04")})
    return Facts(case=case, links=LINKS, recent=recent, forecast=_answer(name, said))


@pytest.fixture
def patient() -> Facts:
    return _facts("diabetes", NUMBER, [50.0, 100.0, 150.0])


@pytest.fixture
def point() -> Facts:
    return _facts("blobs", LABEL, ["north_east", "north_east", "south_west"])


def test_a_number_is_shown_with_its_interval(patient: Facts) -> None:
    assert "120.50 points" in write_outlook(patient) and "60.00 points to 180.00 points" in write_outlook(patient)
    heading = write_heading(patient)
    assert "Answer for the newest record by <b>lstm</b>" in heading
    assert "trained on records that had arrived by 4 Dec 2012." in heading
    assert "The interval is meant to contain 90% of the true values; it contained 83% of the held-out ones." in heading
    assert draw_ahead(patient) is None and write_ahead_caption(patient) == ""


def test_a_number_is_drawn_among_the_others(patient: Facts) -> None:
    figure = draw_history(patient)
    assert figure is not None
    assert list(figure.data[0].x) == [50.0, 100.0, 150.0]
    assert [shape.x0 for shape in figure.layout.shapes] == [120.5]
    assert "The last 3 records: " in write_history_caption(patient)


def test_a_label_is_shown_with_the_three_most_probable(point: Facts) -> None:
    tiles = write_outlook(point)
    answers = [tiles.index(f"<strong>{label}</strong>") for label in ("south", "west", "north")]
    assert answers == sorted(answers) and "<strong>east" not in tiles
    assert "70.0%" in tiles
    assert "interval" not in write_heading(point)
    assert "Probabilities" in write_ahead_caption(point)


def test_labels_are_drawn_with_the_answer_marked_and_counted(point: Facts) -> None:
    ahead, history = draw_ahead(point), draw_history(point)
    assert ahead is not None and history is not None
    (bars,) = ahead.data
    assert list(bars.y) == [0.1, 0.7, 0.15, 0.05]
    assert bars.marker.color[1] != bars.marker.color[0] == bars.marker.color[2]
    (counts,) = history.data
    assert list(counts.x) == list(point.case.target.labels)
    assert list(counts.y)[:3] == [2, 0, 1]


@pytest.mark.parametrize(("said", "row"), [(NUMBER, ["0", "120.5", "60", "180"]), (LABEL, ["0", "south", "0.7"])])
def test_the_terminal_shows_a_row_for_each_record(
    said: AnyPrediction, row: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    show_answer(_answer("blobs", said))
    out = capsys.readouterr().out
    assert row in [line.split() for line in out.splitlines()]
    assert f"okawari explain {'f' * 32}:0 for the first" in out
