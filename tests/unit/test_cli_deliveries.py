"""The commands `okawari deliveries`, `accept` and `discard` on a real installation without servers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.cli.answers import show_answer
from okawari.cli.deliveries import require_settled
from okawari.clients import orchestrator
from okawari.clients.wire import AnyPrediction, ForecastAnswer
from okawari.data.validation import check_readings
from okawari.errors import DataRefused, DeliveryHeld, InvalidInput
from okawari.local.checks import examine
from okawari.loop.arrivals import Origin
from okawari.loop.deliveries import Taken, take_delivery
from okawari.policy.decision import Verdict
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from okawari.storage.delivery_log import describe_stale, pack_rows, unpack_rows

if TYPE_CHECKING:
    from tests.conftest import Said

Call = Callable[..., "Said"]
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def ignore(name: str, case: Case, payload: Mapping[str, Any], *, trace: str) -> None:
    """No server listens."""


def take(raw: pd.DataFrame, name: str = "prices.csv") -> Taken:
    case = load_case("aapl")
    checked = check_readings(raw, case, NOW)
    return take_delivery(case, checked.good, checked.refused, Origin(source=name), NOW, ignore)


@pytest.fixture
def held(home: Path) -> pd.DataFrame:
    """Prices until the end of 2001 are stored; those of January 2002 arrived in cents. Gives the right ones."""
    frame = load_case("aapl").source.read(date(2002, 2, 28))
    take(frame[frame["date"] < "2002"])
    later = frame[frame["date"] >= "2002"].reset_index(drop=True)
    cents = later[:20].assign(**{name: later[name] * 100 for name in ("open", "high", "low", "close")})
    taken = take(cents)
    assert taken.decision is not None and taken.decision.action == Verdict.HELD
    return later


def test_the_list_has_each_delivery_with_its_state_and_reason(held: pd.DataFrame, call: Call) -> None:
    said = call("deliveries", "aapl")
    assert said.code == 0
    assert "d-0002" in said.out and "held" in said.out and "open goes from" in said.out
    newest, first = json.loads(call("deliveries", "aapl", "--json").out)
    assert (newest["id"], newest["state"], newest["rows"]) == ("d-0002", "held", 20)
    assert (first["id"], first["state"], first["verdict"]) == ("d-0001", "accepted", "accepted")


def test_accept_stores_the_rows_and_names_the_person_and_the_effect(held: pd.DataFrame, call: Call) -> None:
    said = call("accept", "aapl", "D-0002")
    assert said.code == 0, said.err
    assert "aapl: delivery d-0002 is stored (20 rows)" in said.out
    assert snapshots.load_stored(load_case("aapl"))["close"].iloc[-1] == pytest.approx(held["close"][19] * 100)
    [person] = decision_log.load_decisions("aapl", kind="delivery")
    assert "@" in person["facts"]["by"] and "which was held: open goes from" in person["reason"]
    again = call("accept", "aapl", "d-0002")
    assert again.code == 0 and len(decision_log.load_decisions("aapl", kind="delivery")) == 1


def test_discard_leaves_the_rows_out_and_shows_what_waits(held: pd.DataFrame, call: Call) -> None:
    take(held[20:25])
    said = call("discard", "aapl", "d-0002")
    assert said.code == 0, said.err
    assert "delivery d-0002 is discarded; its 20 rows are left out of later reads as well" in said.out
    assert snapshots.load_stored(load_case("aapl"))["date"].max() == held["date"][24]
    refused = call("discard", "aapl", "d-0003")
    assert refused.code == 1 and "d-0003 of case aapl is stored already" in refused.err


def test_an_unknown_delivery_is_a_failure_that_names_the_open_ones(held: pd.DataFrame, call: Call) -> None:
    said = call("accept", "aapl", "d-0042")
    assert said.code == 1
    assert "Case aapl has no delivery d-0042; open ones: d-0002" in said.err


def test_a_held_delivery_shows_in_doctor_forecast_and_exit_code(
    held: pd.DataFrame, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    [finding] = [each for each in examine(load_settings()) if each.subject == "deliveries of aapl"]
    assert "d-0002 of 2026-11-20 is held" in finding.seen and "okawari accept aapl d-0002" in finding.advice
    with pytest.raises(DeliveryHeld, match=r"okawari discard aapl d-0002") as raised:
        require_settled("aapl")
    assert (raised.value.exit_code, DataRefused.exit_code, InvalidInput.exit_code) == (3, 4, 1)
    stale = describe_stale("aapl")
    assert stale == "delivery d-0002 of 2026-11-20 is held"
    model = dict.fromkeys(("case", "version", "candidate", "variant", "graph_sha256", "run_id", "trained_until"), "x")
    said = {"as_of": "2001-12-31", "unit": "USD", "level": 1.0, "mean": [1.0], "interval": None, "note": "none"}
    answer = ForecastAnswer[AnyPrediction].model_validate(
        {
            "id": "i",
            "model": {**model, "snapshot_version": 0},
            "predictions": [said],
            "source": "ingested",
            "stale": stale,
        }
    )
    show_answer(answer)
    assert f"stale: {stale}" in capsys.readouterr().out


def test_what_ended_a_run_is_known_by_the_type_of_its_error() -> None:
    def make(message: str) -> orchestrator.Run:
        return orchestrator.Run("i", "ingest small", "FAILED", message, {}, False)

    failed = "Flow run encountered an exception: "
    assert orchestrator.name_error(make(f"{failed}InvalidInput: the table lacks ['close']")) == "InvalidInput"
    assert orchestrator.name_error(make(f"{failed}SourceUnavailable: there is no file")) == "SourceUnavailable"
    assert orchestrator.name_error(make("cancelled by hand")) == ""


def test_rows_with_words_and_gaps_are_kept_as_they_are() -> None:
    rows = pd.DataFrame({"at": pd.to_datetime(["2024-01-01", "2024-01-02"]), "x": [1.5, None], "plan": ["pro", None]})
    rows = rows.astype({"at": "datetime64[ns]"})
    pd.testing.assert_frame_equal(unpack_rows(pack_rows(rows), "at"), rows)
