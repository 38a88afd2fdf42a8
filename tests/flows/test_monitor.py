from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from flows.ingest import ingest
from flows.monitor import monitor
from monitoring.drift import measure_drift
from okawari import events
from okawari.case import Case
from okawari.dataset.feature_frame import compute_feature_frame
from okawari.loop.widths import compute_widths
from okawari.registry import runs, versions
from okawari.settings import load_settings
from okawari.storage import decision_log, prediction_log, quarantine, snapshots
from okawari.storage.journal import Journal
from okawari.storage.width_factors import find_factor_file, load_stored
from tests.flows.conftest import LAST_DAY, Heard

JANUARY_2008 = date(2008, 1, 31)


def test_without_readings_there_is_nothing_to_watch(fresh: Case, heard: Heard) -> None:
    assert monitor("small") == {}
    assert heard() == []


def test_readings_without_a_champion_are_told_as_an_event(fresh: Case, heard: Heard) -> None:
    ingest("small", until=date(2001, 12, 31))
    assert monitor("small") == {"performance": "no champion"}
    event = heard()[-1]
    [verdict] = decision_log.load_decisions("small", kind="performance")
    assert event.event == events.CHAMPION_MISSED
    assert event.resource["okawari.trace"] == verdict["id"]
    assert event.payload == {"reason": verdict["reason"]}


def test_a_champion_on_its_own_snapshot_has_nothing_to_be_held_against(trained: Case, heard: Heard) -> None:
    assert monitor("small") == {"drift": "not enough data", "performance": "not enough data"}
    assert heard() == []


def test_january_2008_drifts_and_leaves_a_report_a_record_and_an_event(trained: Case, heard: Heard) -> None:
    ingest("small", until=JANUARY_2008)
    assert monitor("small")["drift"] == "drifted"

    [verdict] = decision_log.load_decisions("small", kind="drift")
    assert (verdict["snapshot_version"], verdict["model_version"]) == (1, "1")
    assert any(column["drifted"] for column in verdict["facts"]["columns"])
    event = heard()[-1]
    assert event.event == events.DRIFT_DETECTED
    assert event.resource["okawari.trace"] == verdict["id"]
    assert event.payload == {"reason": verdict["reason"], "snapshot": 1, "version": "1"}
    report = load_settings().reports_dir / "small" / "drift.html"
    assert _load_monitoring_artefact("drift.html") == report.read_bytes()
    assert verdict["reason"].split(":")[0] in report.read_text()


def test_the_same_verdict_is_neither_recorded_nor_told_nor_drawn_again(trained: Case, heard: Heard) -> None:
    ingest("small", until=JANUARY_2008)
    _journal_answers(trained, days=60, factor=1.2)
    first = monitor("small")
    before = len(decision_log.load_decisions("small", 100)), len(heard())
    assert monitor("small") == first
    assert (len(decision_log.load_decisions("small", 100)), len(heard())) == before
    _load_monitoring_artefact("drift.html")  # one run of `monitoring`, and no second one


def _load_monitoring_artefact(path: str) -> bytes:
    client = MlflowClient(load_settings().mlflow_base)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id], "tags.`okawari.kind` = 'monitoring'")
    assert {"distance_log_range", "p_log_range"} <= set(run.data.metrics)
    return runs.load_file(run.info.run_id, path)


@pytest.fixture
def quiet(trained: Case) -> pd.DataFrame:
    """Thirty readings that go on as 2007 was: autumn's moves once more, from the last known level."""
    known = snapshots.load_readings(trained)
    prices = ["open", "high", "low", "close"]
    again = known.iloc[-90:-60].copy()
    again[prices] *= known["close"].iloc[-1] / known["close"].iloc[-91]
    again["volume"] *= known["volume"].iloc[-1] / known["volume"].iloc[-91]
    again["date"] = pd.bdate_range(start=LAST_DAY, periods=31)[1:].astype("datetime64[ns]")
    return again.reset_index(drop=True)


def test_corrupted_rows_raise_no_drift(trained: Case, quiet: pd.DataFrame, heard: Heard) -> None:
    corrupted = quiet.assign(high=quiet["low"] * 0.5, volume=quiet["volume"] * 50)
    path = Path("together.csv").resolve()
    pd.concat([corrupted.head(2), quiet]).to_csv(path, index=False)
    ingest("small", file=path)

    assert monitor("small")["drift"] == "stable"
    assert quarantine.count_quarantined(trained) == 4  # two days of it are holidays of the exchange
    assert [event.event for event in heard()] == [events.DATA_INGESTED]
    assert _would_drift(trained, corrupted)  # so it is the quality check that kept the alarm silent


def test_a_delivery_of_which_half_is_corrupted_is_held_and_raises_no_drift(
    trained: Case, quiet: pd.DataFrame, heard: Heard
) -> None:
    corrupted = quiet.assign(high=quiet["low"] * 0.5, volume=quiet["volume"] * 50)
    path = Path("together.csv").resolve()
    pd.concat([corrupted, quiet]).to_csv(path, index=False)
    before = snapshots.snapshot_number(trained)
    assert ingest("small", file=path)["state"] == "held"
    assert snapshots.snapshot_number(trained) == before and quarantine.count_quarantined(trained) == 0
    assert [event.event for event in heard()] == [events.DATA_HELD]


def _would_drift(case: Case, rows: pd.DataFrame) -> bool:
    """Whether these rows raise drift where nothing checks them first."""
    features = compute_feature_frame(pd.concat([snapshots.load_readings(case, 0), rows]), case)
    columns = [feature.name for feature in case.features]
    verdict = measure_drift(
        features[columns].iloc[: -len(rows)].tail(750), features[columns].tail(len(rows)), case.drift
    )
    return verdict.verdict == "drifted"


def test_a_broken_promise_is_found_in_the_journal_and_told(trained: Case, heard: Heard) -> None:
    _journal_answers(trained, days=60, factor=1.2)
    assert monitor("small") == {"drift": "not enough data", "performance": "degraded"}
    [verdict] = decision_log.load_decisions("small", kind="performance")
    [event] = heard()
    assert event.event == events.PERFORMANCE_DEGRADED
    assert event.resource["okawari.trace"] == verdict["id"]
    assert event.resource["okawari.told"] == "no"
    assert event.payload == {"reason": verdict["reason"], "snapshot": 0, "version": "1"}


def test_a_promise_that_broke_because_the_data_moved_asks_for_no_second_training(trained: Case, heard: Heard) -> None:
    ingest("small", until=JANUARY_2008)
    _journal_answers(trained, days=60, factor=1.2)
    assert monitor("small") == {"drift": "drifted", "performance": "degraded"}
    told = {event.event: event.resource["okawari.told"] for event in heard()}
    assert (told[events.DRIFT_DETECTED], told[events.PERFORMANCE_DEGRADED]) == ("no", "yes")
    [drift] = decision_log.load_decisions("small", kind="drift")
    [performance] = decision_log.load_decisions("small", kind="performance")
    assert performance["cause"] == drift["id"]


def test_answers_that_keep_their_promise_are_left_alone(trained: Case, heard: Heard) -> None:
    _journal_answers(trained, days=60, factor=1.0)
    assert monitor("small")["performance"] == "good"
    assert heard() == []


def test_outcomes_outside_of_their_intervals_widen_them_once(trained: Case, heard: Heard) -> None:
    champion = versions.load_champion("small")
    assert champion is not None
    assert load_stored("small", "1", champion.graph_sha256) is None
    _journal_answers(trained, days=60, factor=1.0, half=0.003)
    monitor("small")
    first = load_stored("small", "1", champion.graph_sha256)
    assert first is not None and first.name == "1.1"
    assert first.n_outcomes_H == (59, 58, 57)  # the newest readings have no successors yet
    assert all(factor > 2 for factor in first.factor_H)

    monitor("small")  # the same outcomes, as after a killed run
    assert load_stored("small", "1", champion.graph_sha256) == first
    find_factor_file("small", "1").unlink()
    monitor("small")
    assert load_stored("small", "1", champion.graph_sha256) == first


def test_answers_by_widened_intervals_do_not_widen_them_again(trained: Case, heard: Heard) -> None:
    champion = versions.load_champion("small")
    assert champion is not None
    _journal_answers(trained, days=60, factor=1.0, half=0.01, width_factor=[4.0, 4.0, 4.0])
    served = compute_widths(trained, champion, snapshots.load_readings(trained))
    prediction_log.absorb_journal("small")
    widened = compute_widths(trained, champion, snapshots.load_readings(trained))
    assert served.factor_H == (1.0,) * 3
    assert all(factor > 2 for factor in widened.factor_H)  # scores of the calibrated width, a quarter of the served one


def _journal_answers(case: Case, *, days: int, factor: float, half: float = 0.1, **more: object) -> None:
    """What a service would have journalled: `factor` times the last known level, for the newest days."""
    readings = snapshots.load_readings(case).tail(days)
    journal = Journal(prediction_log.journal_dir(case.name), "predictions")
    journal.append([{**_answer(row, factor, half), **more} for row in readings.itertuples()])
    journal.close()


def _answer(row: object, factor: float, half: float) -> dict[str, object]:
    level, steps = float(row.close), np.full(3, float(row.close) * factor)  # type: ignore[attr-defined]
    at = row.date  # type: ignore[attr-defined]
    return {
        "id": f"{at:%Y%m%d}".rjust(32, "0"),
        "index": 0,
        "case": "small",
        "at": f"{at:%Y-%m-%d}T22:00:00+00:00",
        "as_of": f"{at:%Y-%m-%d}",
        "level": level,
        "mean": steps.tolist(),
        "lower": (steps * (1 - half)).tolist(),
        "upper": (steps * (1 + half)).tolist(),
        "version": "1",
        "graph_sha256": "0" * 64,
        "variant": "fp32",
        "input_sha256": "0" * 64,
        "source": "predict",
    }
