"""What the page draws from facts: numbers, words for what is missing, and no markup from outside."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from okawari.case import Case, Forecast
from okawari.clients.orchestrator import Run
from okawari.clients.wire import AnyPrediction, CaseInfo, ForecastAnswer, IntervalInfo, ModelInfo, Prediction
from okawari.loop.status import LoopState
from okawari.policy.standing import Bar, Identity, Ruling, Standing
from okawari.security.api_keys import KeyScope, create_key
from okawari.settings import Settings, adopt_settings
from okawari.storage.delivery_log import Delivery, State
from okawari.storage.snapshots import Snapshot
from tests.browser.edges import ANY_CASE
from ui import view_model
from ui.pages.chart import draw_ahead, draw_history
from ui.pages.header import write_header, write_links, write_trouble
from ui.pages.loop import write_cards, write_decisions
from ui.pages.outlook import write_ahead_caption, write_heading, write_history_caption, write_outlook
from ui.pages.report import write_report
from ui.pages.retraining import write_refusal, write_run
from ui.pages.steps import lay_out_steps
from ui.view_model import Facts, Links, load_facts, load_links

EVIL = '<img src=x onerror="alert(1)">'
LINKS = Links(prefect="http://p", mlflow="http://m", service="http://s", reports=Path("/state/reports"))
MODEL = ModelInfo(
    case="aapl", version="7", candidate="lstm", variant="uint8", graph_sha256="ab", run_id="c" * 32,
    snapshot_version=0, trained_until="2001-12-30",
)  # fmt: skip
BAND = IntervalInfo(coverage_share=0.9, measured_share=None, lower=[9.0, 8.0, 7.0], upper=[11.0, 12.0, 13.0])
AT = "2026-11-20T10:05:00+00:00"
VERDICT: dict[str, Any] = {
    "id": "v1", "at": AT, "verdict": "stable", "reason": "calm", "facts": {}, "snapshot_version": 3,
    "model_version": "7",
}  # fmt: skip
SEVEN = Identity(version="7", candidate="lstm", graph_sha256="ab", snapshot_digest="cd")


def _rule(action: str, version: str, reason: str, by: str = "ada@laptop") -> Ruling:
    """A person's ruling."""
    at = datetime.fromisoformat(AT)
    return Ruling(id="p1", kind="person", action=action, version=version, reason=reason, at=at, facts={"by": by})


EVIL_RULING = _rule(EVIL, EVIL, EVIL, by=EVIL)
EVIL_BAR = Bar(identity=replace(SEVEN, version=EVIL, candidate=EVIL), ruling=EVIL_RULING)
PAGES = (
    lambda facts: write_header(facts, "<svg></svg>"),
    write_trouble,
    write_links,
    write_heading,
    write_outlook,
    write_history_caption,
    write_ahead_caption,
    write_cards,
    write_decisions,
    write_report,
)


@pytest.fixture
def bare(small_case: Case) -> Facts:
    return Facts(case=small_case, links=LINKS)


@pytest.fixture
def full(bare: Facts, readings: pd.DataFrame) -> Facts:
    recent = readings.tail(250).reset_index(drop=True)
    said = Prediction(
        as_of=str(recent["date"].iloc[-1].date()), unit="USD", level=10.0,
        mean=[10.1, 10.2, 10.3], interval=BAND, note=None, times=["2002-01-02", "2002-01-03", "2002-01-04"],
    )  # fmt: skip
    forecast = ForecastAnswer[AnyPrediction](id="f", model=MODEL, predictions=[said], source="ingested")
    champion = {
        "version": "7",
        "candidate": "lstm",
        "variant": "uint8",
        "loss_name": "RMSE",
        "loss": 1.234,
        "skill_share": 0.0231,
    }
    snapshot = Snapshot(version=3, digest="e" * 64, rows=3270, first_at="2000-03-01", last_at="2001-12-31")
    state = LoopState(
        case="aapl", title="Apple closing price", snapshot=snapshot,
        quarantined=2, champion=champion, quality=VERDICT, drift=VERDICT, performance=VERDICT,
        decision={**VERDICT, "kind": "retrain", "action": "skip"}, request=None,
        report=Path("/state/reports/aapl/drift.html"), reported=VERDICT,
    )  # fmt: skip
    served = CaseInfo.model_validate({**ANY_CASE, "ready": True, "model": MODEL})
    decisions = ({"at": VERDICT["at"], "kind": "promotion", "action": "promote", "reason": "better"},)
    return replace(bare, recent=recent, state=state, served=served, forecast=forecast, decisions=decisions)


def _say(facts: Facts, **changed: Any) -> Facts:
    """The same facts with another first prediction."""
    assert facts.forecast is not None
    said = facts.forecast.predictions[0].model_copy(update=changed)
    return replace(facts, forecast=facts.forecast.model_copy(update={"predictions": [said]}))


def test_every_part_can_be_written_from_nothing(bare: Facts) -> None:
    for write in PAGES:
        assert isinstance(write(bare), str)
    assert draw_history(bare) is None
    assert draw_ahead(bare) is None


def _evil_answer(full: Facts, model: ModelInfo) -> ForecastAnswer[AnyPrediction]:
    said = _say(full, interval=None, note=EVIL, unit=EVIL).forecast
    assert said is not None
    return said.model_copy(update={"model": model})


def test_markup_from_outside_is_shown_and_never_interpreted(full: Facts) -> None:
    assert full.state is not None
    assert full.forecast is not None
    assert full.served is not None
    evil = dict.fromkeys(("version", "candidate", "variant", "graph_sha256", "trained_until"), EVIL)
    model = MODEL.model_copy(update=evil)
    told = ("id", "at", "verdict", "reason", "kind", "action", "snapshot_version", "model_version")
    verdict: dict[str, Any] = dict.fromkeys(told, EVIL)
    columns = [{"column": EVIL, "p_value": 0.5, "drifted": False}]
    state = replace(
        full.state,
        champion={
            "version": EVIL,
            "candidate": EVIL,
            "variant": EVIL,
            "loss_name": EVIL,
            "loss": 1.0,
            "skill_share": 0.1,
        },
        snapshot=Snapshot(version=1, digest=EVIL, rows=1, first_at=EVIL, last_at=EVIL),
        drift={**verdict, "facts": {"columns": columns}},
        quality=verdict,
        performance={**verdict, "model_version": f"{EVIL}7"},
        decision=verdict,
        request=verdict,
        reported={**verdict, "model_version": "7"},
        standing=Standing(pin=EVIL_RULING, person=EVIL_RULING, waiting=EVIL_RULING, bars=(EVIL_BAR,)),
        put_back=verdict,
    )
    facts = replace(
        full,
        case=replace(full.case, title=EVIL),
        state=state,
        decisions=(verdict,),
        served=full.served.model_copy(update={"model": model, "refused": EVIL}),
        forecast=_evil_answer(full, model),
        trouble=(EVIL,),
        links=replace(LINKS, prefect=EVIL, service=EVIL),
    )
    run = Run(id=EVIL, name=EVIL, state=EVIL, message=EVIL, parameters={}, automated=False)
    written = [write(facts) for write in PAGES] + [write_run(run, EVIL), write_refusal(ValueError(EVIL))]
    assert not [text for text in written if "<img" in text or 'x onerror="' in text]
    assert "&lt;img" in "".join(written)


@pytest.mark.parametrize(
    ("standing", "approval", "told"),
    [
        (Standing(), False, []),
        (Standing(), True, ["Nothing waits"]),
        (
            Standing(waiting=_rule("await approval", "9", "RMSE 1.1 is better; it waits"), pin=None),
            True,
            ["Version 9 waits for approval", "RMSE 1.1 is better; it waits."],
        ),
        (
            Standing(pin=_rule("pin", "7", "audit"), person=_rule("pin", "7", "audit")),
            False,
            ["Version 7 is pinned", "by ada@laptop, 20 Nov 2026, 10:05 UTC", "Version pinned, by ada@laptop", "Audit."],
        ),
        (
            Standing(person=_rule("roll back", "6", "wrong"), bars=(Bar(identity=SEVEN, ruling=_rule("", "6", "")),)),
            False,
            ["Rolled back", "Barred: version 7", "Wrong."],
        ),
    ],
)
def test_a_card_shows_what_persons_have_decided_and_have_to_decide(
    full: Facts, standing: Standing, approval: bool, told: list[str]
) -> None:
    assert full.state is not None
    case = replace(full.case, gate=replace(full.case.gate, approval=approval))
    cards = write_cards(replace(full, case=case, state=replace(full.state, standing=standing)))
    assert ("A person&#39;s decisions" in cards) is bool(told)
    assert [text for text in told if text not in cards] == []


def test_a_card_says_that_the_alias_was_put_back(full: Facts) -> None:
    assert full.state is not None
    row = {**VERDICT, "kind": "repair", "action": "put back", "reason": "the alias was deleted by hand"}
    cards = write_cards(replace(full, state=replace(full.state, put_back=row)))
    assert "Champion alias put back" in cards and "The alias was deleted by hand." in cards


def test_the_heading_names_model_and_coverage(full: Facts) -> None:
    heading = write_heading(full)
    assert "<b>lstm</b> version 7 (uint8), trained on readings until 30 Dec 2001" in heading
    assert "contain 90% of the true values" in heading


def test_a_forecast_without_interval_draws_no_band_and_says_so(full: Facts) -> None:
    assert full.forecast is not None
    facts = _say(full, interval=None, note="This model has no calibrated interval.")
    assert "<b>No interval:</b> This model has no calibrated interval." in write_heading(facts)
    assert "no interval" in write_outlook(facts)
    figure = draw_ahead(facts)
    assert figure is not None
    assert [trace.name for trace in figure.data] == ["reading", "forecast"]


def test_the_band_starts_at_the_last_value_and_follows_the_interval(full: Facts) -> None:
    figure = draw_ahead(full)
    assert figure is not None
    band = next(trace for trace in figure.data if trace.name == "interval")
    assert list(band.x) == [0, 1, 2, 3, 3, 2, 1, 0]
    assert list(band.y) == [10.0, 11.0, 12.0, 13.0, 7.0, 8.0, 9.0, 10.0]


def test_hovering_reads_in_dollars_with_the_day(full: Facts) -> None:
    figure = draw_ahead(full)
    assert figure is not None
    texts = [row[0] for row in next(trace for trace in figure.data if trace.name == "forecast").customdata]
    assert texts[1] == "Step 1, Wed 2 Jan 2002<br><b>$10.10</b><br>90% interval: $9.00 to $11.00"
    assert texts[0] == "Last known, 31 Dec 2001<br><b>$10.00</b>"


def test_the_long_chart_shows_every_reading_it_was_given(full: Facts) -> None:
    figure = draw_history(full)
    assert figure is not None
    assert full.recent is not None
    assert list(figure.data[0].y) == full.recent["close"].tolist()
    assert "250 readings" in write_history_caption(full)


def test_a_forecast_alone_is_drawn_where_no_readings_are_at_hand(full: Facts) -> None:
    figure = draw_ahead(replace(full, recent=None))
    assert figure is not None
    assert [trace.name for trace in figure.data] == ["interval", "forecast"]


def test_a_forecast_older_than_the_readings_starts_where_it_was_made(full: Facts) -> None:
    assert full.forecast is not None
    assert full.recent is not None
    made_at = full.recent["date"].iloc[-4]
    facts = _say(full, as_of=str(made_at.date()))
    figure = draw_ahead(facts)
    assert figure is not None
    assert figure.data[0].customdata[-1][0].endswith(f"{made_at.day} {made_at:%b %Y}")
    assert facts.forecast is not None
    assert lay_out_steps(facts.forecast.predictions[0]).start == made_at


def test_steps_are_named_by_the_times_of_the_answer(full: Facts) -> None:
    facts = _say(full, as_of="2023-12-31", times=["2024-01-31", "2024-02-29"], mean=[11.0, 12.0], interval=None)
    assert facts.forecast is not None
    steps = lay_out_steps(facts.forecast.predictions[0])
    assert steps.days == [pd.Timestamp(day) for day in ("2023-12-31", "2024-01-31", "2024-02-29")]
    history = draw_history(facts)
    assert history is not None
    assert list(history.data[-1].x) == steps.days
    ahead = draw_ahead(facts)
    assert ahead is not None
    assert "Step 2, Thu 29 Feb 2024<br><b>$12.00</b>" in ahead.data[-1].customdata[2][0]
    assert "Thu 29 Feb 2024" in write_outlook(facts)


def test_steps_without_times_have_no_invented_days(full: Facts) -> None:
    why = "The case has no frequency, so the times of the steps are not known."
    facts = _say(full, times=None, times_note=why)
    history, ahead = draw_history(facts), draw_ahead(facts)
    assert history is not None and ahead is not None
    assert [trace.name for trace in history.data] == ["reading"]
    assert ahead.data[-1].customdata[1][0].startswith("Step 1<br>")
    assert why in write_ahead_caption(facts)


def test_times_of_a_zone_are_shown_as_its_clocks_show_them(full: Facts) -> None:
    facts = _say(
        full, as_of="2024-05-01T23:00:00+02:00", times=["2024-05-02T00:00:00+02:00"], mean=[11.0], interval=None
    )
    assert facts.forecast is not None
    assert lay_out_steps(facts.forecast.predictions[0]).days == [
        pd.Timestamp("2024-05-01 23:00"),
        pd.Timestamp("2024-05-02"),
    ]


@pytest.mark.parametrize(("level", "changes"), [(10.0, ("+0.10 units", "+0.30 units")), (0.0, ("+10.10 ", "+10.30 "))])
def test_a_difference_is_told_in_its_unit_and_growth_as_a_share(
    level: float, changes: tuple[str, str], full: Facts
) -> None:
    assert isinstance(full.case.task, Forecast)
    differences = replace(full.case, task=replace(full.case.task, learns="difference"))
    facts = replace(_say(full, level=level, unit="units"), case=differences)
    outlook = write_outlook(facts)
    assert all(change in outlook for change in changes) and "%" not in outlook
    assert "+1.00% · $9.00 to $11.00" in write_outlook(full)


def test_cards_show_snapshot_champion_and_skill(full: Facts) -> None:
    cards = write_cards(full)
    for text in ("Version 3", "3,270", "31 Dec 2001", "eeeeeeeeee<", "lstm", "7, uint8", "$1.23", "+2.3%", "2 rows"):
        assert text in cards
    assert "Gain on random walk" in cards


def test_the_drift_card_names_the_features_that_moved_first(full: Facts) -> None:
    assert full.state is not None
    columns = [
        {"column": "log_return", "p_value": 0.41, "drifted": False},
        {"column": "log_range", "p_value": 0.0004, "drifted": True},
    ]
    drift = {**VERDICT, "verdict": "drifted", "facts": {"columns": columns}}
    cards = write_cards(replace(full, state=replace(full.state, drift=drift)))
    assert "p &lt; 0.001, drifted" in cards
    assert cards.index("log range") < cards.index("log return")


def test_the_performance_card_compares_coverage_with_the_promise(full: Facts) -> None:
    assert full.state is not None
    found = {"rmse": 1.5, "n": 120, "coverage_share": 0.84, "promised_share": 0.9}
    cards = write_cards(replace(full, state=replace(full.state, performance={**VERDICT, "facts": found})))
    assert "$1.50 on 120 outcomes" in cards
    assert "84%, promised 90%" in cards


def test_a_champion_that_does_not_serve_yet_is_told(full: Facts) -> None:
    assert full.state is not None
    assert full.state.champion is not None
    state = replace(full.state, champion={**full.state.champion, "version": "8"})
    assert "Serving version 7, champion is 8" in write_header(replace(full, state=state), "")
    assert "champion is" not in write_header(full, "")


@pytest.mark.parametrize("state", ["outside", "/etc/passwd", "/state/reports/../mlflow.db"])
def test_a_report_outside_its_folder_is_not_framed(full: Facts, state: str) -> None:
    assert full.state is not None
    assert "iframe" not in write_report(replace(full, state=replace(full.state, report=Path(state))))


def test_a_new_verdict_gives_the_report_a_new_address(full: Facts) -> None:
    assert full.state is not None
    later = replace(full, state=replace(full.state, reported={**VERDICT, "id": "v2"}))
    assert 'sandbox="allow-scripts"' in write_report(full)
    assert write_report(full) != write_report(later)


def test_a_report_and_verdicts_of_a_past_champion_say_so(full: Facts) -> None:
    assert full.state is not None and full.state.champion is not None
    caption = "New readings of snapshot 3 compared with the training data of version 7"
    assert caption in write_report(full) and "champion now" not in write_report(full)
    assert "a past champion" not in write_cards(full)
    later = replace(full, state=replace(full.state, champion={**full.state.champion, "version": "8"}))
    assert f"{caption}, " in write_report(later) and "Version 8 is the champion now" in write_report(later)
    assert write_cards(later).count("7, a past champion") == 2


def test_a_skipped_training_does_not_hide_how_the_last_one_ended(full: Facts) -> None:
    assert full.state is not None
    ended = {**VERDICT, "kind": "promotion", "action": "promote", "reason": "59 against 61."}
    skipped = {**VERDICT, "kind": "retrain", "action": "skip", "reason": "only 0 new readings"}
    cards = write_cards(replace(full, state=replace(full.state, decision=ended, request=skipped)))
    assert "New champion promoted" in cards and "59 against 61. Since then: only 0 new readings" in cards


@pytest.mark.parametrize(
    ("state", "words"),
    [("RUNNING", "is running"), ("COMPLETED", "has finished"), ("FAILED", "failed: no memory"), ("PAUSED", "paused")],
)
def test_a_run_is_told_in_words(state: str, words: str) -> None:
    run = Run(id="r1", name="calm-heron", state=state, message="no memory", parameters={}, automated=False)
    text = write_run(run, "/open/prefect")
    assert words in text
    assert 'href="/open/prefect?path=/runs/flow-run/r1"' in text


def test_a_registry_that_does_not_answer_costs_the_champion_alone(home: Path, free_port: int) -> None:
    adopt_settings(Settings(mlflow_port=free_port, service_port=free_port))
    facts = load_facts("aapl")
    assert facts.state is not None and facts.state.champion is None
    assert any(f"No MLflow server answers at http://127.0.0.1:{free_port}" in said for said in facts.trouble)
    cards = write_cards(facts)
    assert "The model registry could not be read" in cards and "Nothing has been ingested" in cards


@pytest.mark.fault
def test_a_case_that_cannot_be_loaded_is_named_on_the_page_of_the_others(home: Path, free_port: int) -> None:
    folder = home.parent / "own"
    folder.mkdir()
    (folder / "broken.py").write_text("x = 1\nCASE = (\n")
    adopt_settings(Settings(mlflow_port=free_port, service_port=free_port, cases="broken,aapl", cases_dir=folder))
    view_model._load_facts.cache_clear()  # tabs share the facts of the last three seconds
    notices = write_trouble(load_facts("aapl"))
    assert "Case broken is not served" in notices and "broken.py, line 2" in notices


def test_links_have_the_prefix_of_the_proxy(home: Path) -> None:
    adopt_settings(Settings(root_path="/models", ui_root_path="/okawari"))
    links = load_links()
    assert (links.prefect, links.mlflow, links.service) == ("/okawari/open/prefect", "/okawari/open/mlflow", "/models")


def test_a_person_can_sign_out_where_keys_are_needed(home: Path, bare: Facts) -> None:
    assert "Sign out" not in write_links(replace(bare, links=load_links()))
    create_key("ana", [KeyScope.READ])
    assert 'href="/sign-out"' in write_links(replace(bare, links=load_links()))


def test_a_held_delivery_is_an_amber_notice_with_its_sentence_and_the_two_commands(full: Facts) -> None:
    assert full.state is not None and full.forecast is not None
    assert "stale" not in write_header(full, "<svg></svg>")
    held = Delivery(
        number=7, source="prices.csv", state=State.HELD, verdict="held", rows=60, digest="d",
        reason="close goes from 132.5 to 13,250 <b>", at=datetime(2026, 11, 20, tzinfo=UTC),
    )  # fmt: skip
    waiting = replace(held, number=8, key="other", state=State.WAITING)
    state = replace(full.state, deliveries=(held, waiting))
    assert state.held is not None
    stale = full.forecast.model_copy(update={"stale": "delivery d-0007 of 2026-11-20 is held"})
    facts = replace(full, state=state, forecast=stale, trouble=(state.held,))
    notice = write_trouble(facts)
    assert "Delivery d-0007 is held: close goes from 132.5 to 13,250 &lt;b&gt;. d-0008 waits behind it." in notice
    assert "okawari accept aapl d-0007" in notice and "okawari discard aapl d-0007" in notice
    assert "ok-notice" in notice
    assert 'ok-wait">Forecast is stale: delivery d-0007 of 2026-11-20 is held' in write_header(facts, "<svg></svg>")
    quality = {**VERDICT, "kind": "quality", "verdict": "held"}
    assert "ok-alert" in write_cards(replace(facts, state=replace(state, quality=quality)))
