"""Deliveries through the ingest flow: held, accepted, discarded, waiting, and killed in the middle."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flows.ingest import ingest
from flows.publish import emit
from flows.reconcile import reconcile
from okawari import events
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.errors import CasesFailed, InvalidInput
from okawari.loop import deliveries, lessons
from okawari.loop.deliveries import accept_delivery, discard_delivery
from okawari.loop.facts import is_settled
from okawari.loop.status import read_state
from okawari.storage import decision_log, delivery_log, snapshots
from okawari.storage.contracts import load_contract
from okawari.storage.delivery_log import State
from tests.flows.conftest import Heard

END_2001 = date(2001, 12, 31)
PRICES = ["open", "high", "low", "close"]


@pytest.fixture
def later(fresh: Case) -> pd.DataFrame:
    """The case's readings of January to March 2002; those before are ingested."""
    ingest("small", until=END_2001)
    frame = fresh.source.read(date(2002, 3, 31))
    return frame[frame["date"] > "2001-12-31"].reset_index(drop=True)


def _write(frame: pd.DataFrame, name: str = "readings.csv") -> Path:
    path = Path(name).resolve()
    frame.to_csv(path, index=False)
    return path


def _in_cents(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{name: frame[name] * 100 for name in PRICES})


def _list_states() -> list[tuple[str, str]]:
    return [(each.id, str(each.state)) for each in reversed(delivery_log.load_deliveries("small"))]


def _accept(delivery: str) -> None:
    accept_delivery("small", delivery, "ada@laptop", datetime.now(UTC), emit)


def _discard(delivery: str) -> None:
    discard_delivery("small", delivery, "ada@laptop", datetime.now(UTC), emit)


def test_sixty_days_in_cents_are_held_and_change_nothing(fresh: Case, later: pd.DataFrame, heard: Heard) -> None:
    before, contract = snapshots.load_snapshot(fresh), load_contract("small")
    done = ingest("small", file=_write(_in_cents(later)))

    assert (done["delivery"], done["state"]) == ("d-0002", "held")
    assert snapshots.load_snapshot(fresh) == before and load_contract("small") == contract
    [verdict, _] = decision_log.load_decisions("small")
    assert (verdict["kind"], verdict["action"]) == ("quality", "held")
    assert (
        "open goes from" in verdict["reason"]
        and "high, low, close move as far" in verdict["reason"]
        and "okawari accept small d-0002" in verdict["reason"]
    )
    [event] = heard()[-1:]
    assert (event.event, event.payload["delivery"]) == (events.DATA_HELD, "d-0002")
    assert event.resource["okawari.trace"] == verdict["id"]
    held = read_state("small").held
    assert held is not None and "okawari discard small d-0002" in held


def test_the_same_file_again_is_neither_queued_nor_announced_again(
    fresh: Case, later: pd.DataFrame, heard: Heard
) -> None:
    for _ in range(3):
        ingest("small", file=_write(_in_cents(later)))
    assert _list_states() == [("d-0001", "accepted"), ("d-0002", "held")]
    assert [event.event for event in heard()].count(events.DATA_HELD) == 1
    assert len(decision_log.load_decisions("small")) == 2


def test_an_accepted_delivery_is_stored_and_its_level_is_not_held_again(
    fresh: Case, later: pd.DataFrame, heard: Heard
) -> None:
    ingest("small", file=_write(_in_cents(later[:40])))
    _accept("d-0002")
    newest = snapshots.load_readings(fresh)
    assert newest["close"].iloc[-1] == pytest.approx(later["close"][39] * 100)
    person, *_ = decision_log.load_decisions("small", kind="delivery")
    assert (person["action"], person["facts"]["by"]) == ("accept", "ada@laptop")
    assert heard()[-1].event == events.DATA_INGESTED

    done = ingest("small", file=_write(_in_cents(later)))
    assert done["new"] == len(later) - 40
    assert read_state("small").held is None


def test_a_discarded_delivery_stays_out_and_what_else_the_source_brings_is_stored(
    fresh: Case, later: pd.DataFrame, heard: Heard
) -> None:
    bad = pd.concat([later[:30], _in_cents(later[30:40])])
    ingest("small", file=_write(bad))
    _discard("d-0002")
    assert heard()[-1].event == events.DATA_DISCARDED
    assert snapshots.load_readings(fresh)["date"].max() == pd.Timestamp("2001-12-31")

    done = ingest("small", file=_write(later))
    assert done["new"] == len(later)  # the corrected rows, and those that were right before
    assert ingest("small", file=_write(bad))["new"] == 0
    _accept("d-0002")  # a person may change their mind
    assert delivery_log.find_delivery("small", "d-0002").state == State.ACCEPTED


def test_later_deliveries_wait_and_are_judged_in_their_order(fresh: Case, later: pd.DataFrame, heard: Heard) -> None:
    ingest("small", file=_write(_in_cents(later[:5])))
    first = ingest("small", file=_write(later[5:10]))
    ingest("small", file=_write(_in_cents(later[10:15])))
    assert first["state"] == "waiting"
    assert [state for _, state in _list_states()] == ["accepted", "held", "waiting", "waiting"]
    with pytest.raises(InvalidInput, match=r"d-0003 .* waits behind d-0002"):
        _accept("d-0003")

    _discard("d-0002")
    assert [state for _, state in _list_states()] == ["accepted", "discarded", "accepted", "held"]
    stored = snapshots.load_readings(fresh)
    assert stored["date"].max() == later["date"][9]
    ingested = [event.payload["new"] for event in heard() if event.event == events.DATA_INGESTED]
    assert ingested == [5]


def test_a_growing_source_that_is_read_each_night_queues_only_what_is_new(fresh: Case, later: pd.DataFrame) -> None:
    bad = pd.concat([later[:10], _in_cents(later[10:20]), later[20:]])
    for rows in (20, 25, 30):
        ingest("small", file=_write(bad[:rows]))
    counts = [each.rows for each in reversed(delivery_log.load_deliveries("small"))]
    assert counts == [460, 20, 5, 5]
    _discard("d-0002")
    # Without the discarded rows, the level is the usual one again.
    assert [state for _, state in _list_states()] == ["accepted", "discarded", "accepted", "accepted"]


def test_300_revised_rows_in_cents_are_held(fresh: Case, heard: Heard) -> None:
    history = fresh.source.read(END_2001)
    ingest("small", until=END_2001)
    done = ingest("small", file=_write(pd.concat([history[:100], _in_cents(history[100:400]), history[400:]])))
    assert done["state"] == "held"
    reason = decision_log.load_decisions("small")[0]["reason"]
    assert (
        "open goes from" in reason
        and "close, volume move as far" not in reason
        and "300 of 460 stored readings (65%) are revised" in reason
    )


def test_a_new_edition_replaces_the_history_once_if_it_is_declared(fresh: Case, heard: Heard) -> None:
    history = fresh.source.read(END_2001)
    ingest("small", until=END_2001)
    shifted = history.assign(volume=(history["volume"] * (1.2 + history.index % 5 / 10)).round())
    assert ingest("small", file=_write(shifted))["state"] == "held"
    _discard("d-0002")
    other = shifted.assign(volume=shifted["volume"] + 1)
    done = ingest("small", file=_write(other), new_edition=True)
    assert done["revised"] == 460
    assert "declared as a new edition" in decision_log.load_decisions("small")[0]["reason"]


def test_adjusted_prices_of_the_whole_history_are_a_new_edition(fresh: Case, heard: Heard) -> None:
    history = fresh.source.read(date(2002, 1, 31))
    ingest("small", until=END_2001)
    halved = history.assign(**{name: history[name] / 2 for name in PRICES}, volume=history["volume"] * 2)
    done = ingest("small", file=_write(halved))
    assert (done["revised"], done["new"]) == (460, len(history) - 460)
    reason = decision_log.load_decisions("small")[0]["reason"]
    assert "the whole history is rescaled" in reason and "close by 0.5 to 0.5" in reason


def test_a_file_that_is_cut_within_its_last_line_is_held(fresh: Case, later: pd.DataFrame) -> None:
    path = _write(later[:10])
    path.write_text(path.read_text()[:-3])
    done = ingest("small", file=path)
    assert done["state"] == "held"
    assert "ends within its last line" in decision_log.load_decisions("small")[0]["reason"]


def test_a_crash_of_a_fifth_in_a_day_is_stored(fresh: Case, later: pd.DataFrame) -> None:
    fallen = later.assign(**{name: later[name].where(later.index < 20, later[name] * 0.78) for name in PRICES})
    assert ingest("small", file=_write(fallen))["new"] == len(later)


class Killed(BaseException):
    """The process dies here."""


def _die(*_: Any, **__: Any) -> None:
    raise Killed


STEPS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "before the readings": lambda patch: patch.setattr(snapshots, "store_readings", _die),
    "before the contract": lambda patch: patch.setattr(deliveries, "learn_delivery", _die),
    "after the contract": lambda patch: patch.setattr(deliveries, "_announce", _die),
    "before the state": lambda patch: patch.setattr(delivery_log, "record_delivery", _die),
    "before the waiting one": lambda patch: patch.setattr(deliveries, "settle_deliveries", _die),
}


@pytest.mark.parametrize("step", STEPS)
def test_an_acceptance_that_dies_is_finished_by_the_next_one(
    fresh: Case, later: pd.DataFrame, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest("small", file=_write(_in_cents(later[:20])))
    ingest("small", file=_write(_in_cents(later[20:30])))
    with monkeypatch.context() as patch:
        STEPS[step](patch)
        with pytest.raises(Killed):
            _accept("d-0002")
    _accept("d-0002")
    assert [state for _, state in _list_states()] == ["accepted", "accepted", "accepted"]
    stored = snapshots.load_readings(fresh)
    assert (len(stored), stored["date"].is_unique) == (490, True)
    contract = load_contract("small")
    assert contract is not None and contract.usual["refused_of"] == 490
    assert len(decision_log.load_decisions("small", kind="delivery")) == 1


def test_reconcile_judges_what_a_killed_decision_left_waiting(trained: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    later = trained.source.read(date(2008, 2, 29))
    later = later[later["date"] > "2007-12-31"].reset_index(drop=True)
    ingest("small", file=_write(_in_cents(later[:5])))
    ingest("small", file=_write(later[5:10]))
    with monkeypatch.context() as patch:
        patch.setattr(deliveries, "settle_deliveries", _die)
        with pytest.raises(Killed):
            _discard("d-0002")
    assert _list_states()[-1] == ("d-0003", "waiting")
    with suppress(CasesFailed):  # its later steps need deployments
        reconcile("small", grace_s=0)
    assert _list_states()[-1] == ("d-0003", "accepted")


def test_a_held_delivery_requests_no_training_and_no_monitoring(trained: Case, heard: Heard) -> None:
    settled = is_settled(trained)
    later = trained.source.read(date(2008, 2, 29))
    ingest("small", file=_write(_in_cents(later[later["date"] > "2007-12-31"])))
    assert [event.event for event in heard()] == [events.DATA_HELD]
    assert is_settled(trained) == settled
    assert lessons.ensure_contract(trained) == load_contract("small")


def _spoil(frame: pd.DataFrame, place: int = 10) -> pd.DataFrame:
    """One reading in cents."""
    spoilt = frame.copy()
    spoilt.loc[place, PRICES] *= 100
    return spoilt


@pytest.mark.parametrize("decided_first", [True, False])
def test_a_corrected_file_is_taken_whole_after_the_damaged_one_was_discarded(
    fresh: Case, later: pd.DataFrame, heard: Heard, decided_first: bool
) -> None:
    before = len(snapshots.load_readings(fresh))
    assert ingest("small", file=_write(_spoil(later), "spoilt.csv"))["state"] == "held"
    if decided_first:
        _discard("d-0002")
        assert ingest("small", file=_write(later, "corrected.csv"))["new"] == len(later)
    else:
        assert ingest("small", file=_write(later, "corrected.csv"))["state"] == "waiting"
        _discard("d-0002")
    assert len(snapshots.load_readings(fresh)) == before + len(later)


def test_a_file_without_the_damaged_row_corrects_too_and_the_damaged_one_again_does_not(
    fresh: Case, later: pd.DataFrame, heard: Heard
) -> None:
    spoilt = _write(_spoil(later), "spoilt.csv")
    ingest("small", file=spoilt)
    _discard("d-0002")
    assert ingest("small", file=spoilt)["new"] == 0
    assert ingest("small", file=_write(later.drop(index=10), "shorter.csv"))["new"] == len(later) - 1


def test_a_correction_that_waits_revises_only_what_it_corrects(fresh: Case, later: pd.DataFrame, heard: Heard) -> None:
    ingest("small", file=_write(_spoil(later), "spoilt.csv"))
    ingest("small", file=_write(later, "corrected.csv"))
    _accept("d-0002")
    newest = next(row for row in decision_log.load_decisions("small", 20) if row["kind"] == "quality")
    assert newest["facts"]["revised"] == 1, newest["reason"]


def test_the_state_says_that_a_delivery_was_discarded_and_a_new_column_is_named_once(
    fresh: Case, later: pd.DataFrame, heard: Heard
) -> None:
    ingest("small", file=_write(_spoil(later), "spoilt.csv"))
    _discard("d-0002")
    quality = read_state("small").quality
    assert quality is not None and quality["verdict"] == "delivery discarded"
    for n, expected in ((20, True), (40, False)):
        ingest("small", file=_write(later.head(n).assign(venue="XNAS"), f"{n}.csv"))
        quality = read_state("small").quality
        assert quality is not None and ("does not use venue" in quality["reason"]) is expected, quality["reason"]


PLANS = """
from pathlib import Path

from okawari.case import ARRIVED, Case, Classify, Column
from okawari.data.files import TableFile
from okawari.models.constant import Constant

CASE = Case(
    name="plans", title="Plans", source=TableFile(Path({path!r}), time=None), time=ARRIVED, columns=({columns}),
    task=Classify(target=Column(name="outcome", labels=("left", "stayed"))), candidates=(Constant(),),
)
"""
PLAN, FEE = 'Column(name="plan", labels=("basic", "plus")), ', 'Column(name="fee", missing="allow"), '


def _draw_plans(n: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    fee, outcome = random.uniform(5, 60, n).round(4), random.choice(["left", "stayed"], n)
    return pd.DataFrame({"plan": random.choice(["basic", "plus"], n), "fee": fee, "outcome": outcome})


def _declare_plans(columns: str) -> None:
    text = PLANS.format(path=str(Path("plans.csv").resolve()), columns=columns)
    (Path(os.environ["OKAWARI_CASES_DIR"]) / "plans.py").write_text(text)
    load_case.cache_clear()


def test_a_repaired_file_of_records_is_taken_whole_and_a_held_one_outlives_a_new_column(
    fresh: Case, heard: Heard
) -> None:
    _write(_draw_plans(300, 1), "plans.csv")
    _declare_plans(PLAN + FEE)
    ingest("plans")
    right = _draw_plans(60, 2)
    broken = right.assign(plan=np.where(np.arange(60) < 40, "", right["plan"]))
    assert ingest("plans", file=_write(broken, "broken.csv"))["state"] == "held"
    discard_delivery("plans", "d-0002", "ada@laptop", datetime.now(UTC), emit)
    assert ingest("plans", file=_write(broken, "broken.csv"))["new"] == 0
    assert ingest("plans", file=_write(right, "right.csv"))["new"] == 60

    _declare_plans(PLAN + FEE + 'Column(name="age", missing="allow"), ')
    again = _draw_plans(300, 1).assign(age=50.0)  # the records of the first file, with their ages
    assert ingest("plans", file=_write(again, "again.csv"))["new"] == 0
    more = _draw_plans(60, 3).assign(age=40.0)
    assert ingest("plans", file=_write(more, "more.csv"))["new"] == 60
    accept_delivery("plans", "d-0002", "ada@laptop", datetime.now(UTC), emit)
    assert delivery_log.find_delivery("plans", "d-0002").state == State.ACCEPTED
