"""The page and the terminal on several targets at once: tiles, charts, captions, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from okawari.case import Anticipate
from okawari.cases.loader import load_case
from okawari.cli.answers import show_answer
from okawari.clients.prediction_service import Client, UnknownAnswer
from okawari.clients.wire import (
    AnyPrediction,
    Bounds,
    Estimate,
    ForecastAnswer,
    Label,
    ModelInfo,
    Outlook,
    PredictAnswer,
)
from okawari.loop.status import LoopState
from tests.browser.edges import Edge
from ui.pages.chart import choose_shown, draw_ahead, draw_history
from ui.pages.loop import write_cards
from ui.pages.outlook import write_ahead_caption, write_heading, write_history_caption, write_outlook
from ui.view_model import Facts, Links

CPI = load_case("cpi")
TASK = CPI.task
assert isinstance(TASK, Anticipate)
EVIL = '<img src=x onerror="alert(1)">'
LINKS = Links(prefect="http://p", mlflow="http://m", service="http://s", reports=Path("/state/reports"))
LINEAGE = {"case": "cpi", "run_id": "c" * 32, "snapshot_version": 0}
MODEL = {"version": "7", "candidate": "lstm", "variant": "uint8", "graph_sha256": "ab", "trained_until": "2009-09-30"}
BODY: dict[str, Any] = {
    "id": "f" * 32,
    "model": {**LINEAGE, **MODEL},
    "source": "ingested",
    "predictions": [{
        "as_of": "2009-09-30", "unit": "1982-84 = 100", "level": 216.385,
        "heads": {
            "trend": {"label": "rising", "probabilities": {"falling": 0.2, "stable": 0.1, "rising": 0.7}},
            "acceleration": {
                "unit": "pp", "value": 0.28, "note": None,
                "interval": {"coverage_share": 0.9, "measured_share": None, "lower": -1.31, "upper": 1.87},
            },
            "regime": {"label": "low", "probabilities": {"low": 0.988, "moderate": 0.011, "high": 0.001}},
        },
    }],
}  # fmt: skip


def _label(label: str, **shares: float) -> Label:
    return Label(label=label, probabilities=shares)


def _number(interval: Bounds | None) -> Estimate:
    note = None if interval else "This model has no calibrated interval."
    return Estimate(unit="pp", value=0.28, interval=interval, note=note)


OUTLOOK = Outlook(
    as_of="2009-09-30", unit="1982-84 = 100", level=216.385,
    heads={
        "trend": _label("rising", falling=0.2, stable=0.1, rising=0.7),
        "acceleration": _number(Bounds(coverage_share=0.9, measured_share=None, lower=-1.31, upper=1.87)),
        "regime": _label("low", low=0.988, moderate=0.011, high=0.001),
    },
)  # fmt: skip


def _answer(heads: dict[str, Any]) -> ForecastAnswer[AnyPrediction]:
    """The service's answer with these heads."""
    said = OUTLOOK.model_copy(update={"heads": heads})
    model = ModelInfo.model_validate({**LINEAGE, **MODEL})
    return ForecastAnswer[AnyPrediction](id="f", model=model, predictions=[said], source="ingested")


@pytest.fixture
def facts() -> Facts:
    recent = CPI.source.read().tail(60).reset_index(drop=True)
    return replace(Facts(case=CPI, links=LINKS), recent=recent, forecast=_answer(OUTLOOK.heads))


def _narrow(facts: Facts, *names: str) -> Facts:
    """The same with these targets alone."""
    heads = {name: OUTLOOK.heads[name] for name in names}
    targets = tuple(target for target in TASK.targets if target.name in names)
    case = replace(CPI, task=replace(TASK, targets=targets))
    return replace(facts, case=case, forecast=_answer(heads))


# --- tiles and captions -------------------------------------------------------------------------------------------


def test_every_target_has_a_tile_with_its_answer(facts: Facts) -> None:
    tiles = write_outlook(facts)
    assert tiles.count('class="ok-tile"') == 3
    for told in (
        "Trend",
        "rising",
        "rising 70% · falling 20% · stable 10%",
        "0.28 pp",
        "−1.31 pp to 1.87 pp",
        "Regime",
    ):
        assert told in tiles


def test_the_heading_names_model_and_coverage(facts: Facts) -> None:
    heading = write_heading(facts)
    assert "Forecast by <b>lstm</b> version 7 (uint8), trained on readings until 30 Sep 2009." in heading
    assert "The interval is meant to contain 90% of the true values." in heading


def test_a_number_without_interval_says_so(facts: Facts) -> None:
    bare = replace(facts, forecast=_answer({**OUTLOOK.heads, "acceleration": _number(None)}))
    assert "<b>No interval:</b> This model has no calibrated interval." in write_heading(bare)
    assert "no interval" in write_outlook(bare)


def test_labels_alone_promise_no_interval_and_numbers_alone_draw_no_probabilities(facts: Facts) -> None:
    assert "interval" not in write_heading(_narrow(facts, "trend", "regime"))
    numbers = _narrow(facts, "acceleration")
    assert draw_ahead(numbers) is None
    assert "Probabilities" not in write_ahead_caption(numbers)


def test_captions_say_what_is_drawn(facts: Facts) -> None:
    assert "The last 60 readings: growth over 4 readings, %, and the bounds of regime" in write_history_caption(facts)
    assert "Probabilities" in write_ahead_caption(facts)
    alone = write_history_caption(_narrow(facts, "acceleration"))
    assert "change of growth over 1 reading, pp" in alone and "bounds" not in alone


def test_markup_from_outside_is_shown_and_never_interpreted(facts: Facts) -> None:
    bare = _number(None).model_copy(update={"unit": EVIL, "note": EVIL})
    evil = _answer({EVIL: _label(EVIL, **{EVIL: 1.0}), "n": bare})
    written = [write(replace(facts, forecast=evil)) for write in (write_heading, write_outlook, write_ahead_caption)]
    assert "<img" not in "".join(written) and "&lt;img" in "".join(written)


# --- charts -------------------------------------------------------------------------------------------------------


def test_the_probabilities_of_all_targets_stand_side_by_side_with_the_answers_marked(facts: Facts) -> None:
    figure = draw_ahead(facts)
    assert figure is not None
    (bars,) = figure.data
    assert list(bars.x[0]) == ["trend"] * 3 + ["regime"] * 3
    assert list(bars.x[1]) == ["falling", "stable", "rising", "low", "moderate", "high"]
    assert list(bars.y) == [0.2, 0.1, 0.7, 0.988, 0.011, 0.001]
    accent, ink = bars.marker.color[2], bars.marker.color[0]
    assert list(bars.marker.color) == [ink, ink, accent, accent, ink, ink]


def test_the_long_chart_shows_growth_with_a_line_for_each_bound(facts: Facts) -> None:
    figure = draw_history(facts)
    assert figure is not None and facts.recent is not None
    (line,) = figure.data
    regime = choose_shown(TASK)
    assert regime.name == "regime"
    assert list(line.y) == regime.measure(facts.recent["cpi"].to_numpy())[4:].tolist()
    assert list(line.x) == facts.recent["date"].tolist()[4:]
    assert [shape.y0 for shape in figure.layout.shapes] == [3.1, 5.9]
    assert ["moderate" in note.text or "high" in note.text for note in figure.layout.annotations] == [True, True]


def test_a_number_is_drawn_without_bounds(facts: Facts) -> None:
    figure = draw_history(_narrow(facts, "acceleration"))
    assert figure is not None and not figure.layout.shapes


def test_the_error_of_one_target_is_in_its_own_unit(facts: Facts) -> None:
    champion = {
        "version": "7", "candidate": "lstm", "variant": "fp32", "loss_name": "RMSE", "loss": 3.3, "skill_share": 0.1,
    }  # fmt: skip
    state = LoopState(
        case="cpi", title="US inflation", snapshot=None, quarantined=0, champion=champion, quality=None, drift=None,
        performance=None, decision=None, request=None, report=None, reported=None,
    )  # fmt: skip
    assert "3.3 pp" in write_cards(replace(_narrow(facts, "acceleration"), state=state)).replace("3.30", "3.3")


# --- the service's answer -----------------------------------------------------------------------------------------


@pytest.fixture
def service() -> Iterator[Edge]:
    edge = Edge()
    yield edge
    edge.close()


def test_an_answer_of_several_targets_is_read_target_by_target(service: Edge) -> None:
    service.answers["POST /cpi/forecast"] = (200, BODY)
    with Client(service.url) as client:
        (found,) = client.forecast("cpi").predictions
    assert isinstance(found, Outlook)
    assert (found.level, found.unit) == (216.385, "1982-84 = 100")
    assert found.heads == OUTLOOK.heads


@pytest.mark.parametrize("heads", [{"trend": {}}, {"trend": 3}, [1]])
def test_an_unknown_form_of_heads_names_the_service(service: Edge, heads: Any) -> None:
    service.answers["POST /cpi/forecast"] = (200, {**BODY, "predictions": [{**BODY["predictions"][0], "heads": heads}]})
    with (
        Client(service.url) as client,
        pytest.raises(UnknownAnswer, match=f"{service.url} answered in an unknown form"),
    ):
        client.forecast("cpi")


# --- the terminal -------------------------------------------------------------------------------------------------


def test_the_terminal_shows_an_answer_in_a_row_for_each_target(capsys: pytest.CaptureFixture[str]) -> None:
    show_answer(PredictAnswer[AnyPrediction].model_validate(BODY))
    out = capsys.readouterr().out
    assert "lstm version 7, after 2009-09-30" in out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "trend rising rising 70.0%, falling 20.0%, stable 10.0%" in lines
    assert "acceleration 0.28 pp 90% interval -1.31 to 1.87" in lines
    assert f"okawari explain {'f' * 32}" in out


def test_the_terminal_tells_where_a_number_has_no_interval(capsys: pytest.CaptureFixture[str]) -> None:
    number = {"unit": "pp", "value": 0.28, "interval": None, "note": "This model has no calibrated interval."}
    body = {**BODY, "predictions": [{**BODY["predictions"][0], "heads": {"acceleration": number}}]}
    show_answer(PredictAnswer[AnyPrediction].model_validate(body))
    assert "no interval" in capsys.readouterr().out
