"""The rehearsal: an end-to-end test of the loop on real drift, with all real parts and no human help.

It ingests readings up to a day, trains a champion and waits until it serves. Then it ingests later months one by one
and requests a forecast for every new day; events start all further work. Meanwhile a second thread sends requests.
Results are saved in the state folder, so that a killed rehearsal can continue.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, TypeVar

import pandas as pd

from okawari.case import Case
from okawari.clients import orchestrator, prediction_service
from okawari.clients.orchestrator import Run
from okawari.errors import OkawariError, ServerUnreachable
from okawari.evaluation.ground_truth import match_truth
from okawari.evaluation.metrics import interval_coverage, rmse
from okawari.loop.facts import gather_loop, read_serving
from okawari.policy.decision import Kind, Verdict
from okawari.policy.repair import decide_repairs
from okawari.polling import poll, retry_for
from okawari.registry import versions
from okawari.settings import load_settings
from okawari.simulation.checks import Link, Month, judge_rehearsal
from okawari.simulation.load_generator import LoadGenerator
from okawari.storage import decision_log, prediction_log, snapshots

Show = Callable[[str], None]
Result = TypeVar("Result")

_WAIT_S = 240.0
_RESTART_S = 90.0
_POLL_S = 1.0
_RUNS_SEEN = 20
_REMEDY = "see the Prefect page and the logs of the servers."


class LinkBroken(OkawariError, RuntimeError):
    """A step of the loop did not finish in time."""


@dataclass
class Rehearsal:
    """One rehearsal of one case. The first champion learns from readings up to `start`; `until` is the last day."""

    case: Case
    show: Show
    start: date = date(2007, 12, 31)
    until: date = date(2008, 12, 31)
    months: list[Month] = field(default_factory=list)

    def run(self) -> list[Link]:
        """Run all remaining months and return every claim with its evidence."""
        self._load()
        history = self.case.source.read(self.until)
        self._prepare()
        with LoadGenerator(self.case.name) as load:
            for month in self._list_months(history):
                self._run_month(month, history, load)
        return judge_rehearsal(self.case, self.months, load)

    # --- first champion -------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Train the first champion and wait until it serves; after a kill, finish the interrupted steps."""
        name = self.case.name
        if snapshots.snapshot_number(self.case) is None:
            self._run_flow("ingest", {"case": name, "until": self.start.isoformat()})
        if versions.load_champion(name) is None:
            self._run_flow("train", {"case": name, "cause": "missing", "reason": "the first training of a rehearsal"})
        self._settle()
        self._await_serving()

    def _settle(self) -> None:
        """Run `reconcile` until nothing is left to repair."""
        _await(self._repair, f"The loop still needs repairs after {_WAIT_S:.0f} s of `reconcile`; {_REMEDY}")

    def _repair(self) -> bool:
        """Run `reconcile` if a repair is due and no flow is active; returns whether nothing is left to do."""
        active = _retry(lambda: orchestrator.list_active_flows(self.case.name))
        with prediction_service.Client() as client:
            serving = _retry(lambda: read_serving(client, self.case.name))
        loop = gather_loop(self.case, serving=serving, active=active)
        if active:
            return False
        if not decide_repairs(loop, grace_s=0):  # the events of a killed rehearsal are lost
            return True
        self._run_flow("reconcile", {"case": self.case.name, "grace_s": 0})
        return False

    # --- one month ------------------------------------------------------------------------------------------------

    def _list_months(self, history: pd.DataFrame) -> list[pd.Period]:
        snapshot = snapshots.load_snapshot(self.case)
        assert snapshot is not None
        days = history[self.case.time]
        new = days[days > pd.Timestamp(snapshot.last_at)]
        return list(new.dt.to_period("M").unique())

    def _run_month(self, month: pd.Period, history: pd.DataFrame, load: LoadGenerator) -> None:
        started, name, failed_before = time.monotonic(), self.case.name, len(load.failures)
        days = history[history[self.case.time].dt.to_period("M") == month]
        ids = self._request_forecasts(days, history)
        before = {run.id for run in _retry(lambda: orchestrator.list_runs("monitor", limit=_RUNS_SEEN))}
        self._run_flow("ingest", {"case": name, "until": f"{month.end_time:%Y-%m-%d}"})
        self._await_new("monitor", before)
        trainings = self._await_trainings()
        self._await_serving()
        swap_s = self._measure_swap(load) if trainings else None
        failed, seconds = len(load.failures) - failed_before, time.monotonic() - started
        timing = {"swap_s": swap_s, "seconds": seconds, "failed_requests": failed}
        self._record_month(month, ids, trainings, timing)

    def _request_forecasts(self, days: pd.DataFrame, history: pd.DataFrame) -> list[str]:
        """Request a forecast of each day from the readings before it, before the day is ingested; returns the ids."""
        ids = []
        with prediction_service.Client() as client:
            for row in days.index:
                window = history.iloc[row - self.case.history : row]
                instances = prediction_service.to_instances(self.case, [window])
                ids.append(_retry(partial(client.predict, self.case.name, instances)).id)
        return ids

    def _await_trainings(self) -> list[Run]:
        """Wait for the trainings that this month's verdicts started by their events, and return them."""
        snapshot = snapshots.snapshot_number(self.case)
        asked = [
            row["id"]
            for kind, action in ((Kind.DRIFT, Verdict.DRIFTED), (Kind.PERFORMANCE, Verdict.DEGRADED))
            for row in decision_log.load_decisions(self.case.name, 3, kind=kind)
            if row["action"] == action and row["snapshot_version"] == snapshot and row["cause"] is None
        ]
        return [self._await_training(verdict) for verdict in asked]

    def _await_training(self, verdict: str) -> Run:
        def look() -> Run | None:
            runs = _retry(lambda: orchestrator.list_runs("train", limit=_RUNS_SEEN))
            caused = [run for run in runs if run.parameters.get("cause_id") == verdict]
            return caused[0] if caused and caused[0].ended else None

        message = f"Verdict {verdict} led to no finished training within {_WAIT_S:.0f} s; {_REMEDY}"
        return orchestrator.require_success(_await(look, message))

    def _await_new(self, flow: str, known: set[str]) -> None:
        def look() -> Run | None:
            found = _retry(lambda: orchestrator.list_runs(flow, limit=_RUNS_SEEN))
            new = [run for run in found if run.id not in known]
            return new[0] if new and all(run.ended for run in new) else None

        message = f"The ingest's event led to no finished {flow} run within {_WAIT_S:.0f} s; {_REMEDY}"
        orchestrator.require_success(_await(look, message))

    def _await_serving(self) -> None:
        """Wait until the champion serves."""
        champion = versions.load_champion(self.case.name)
        assert champion is not None
        version = champion.version

        def is_served() -> bool:
            serving = _retry(lambda: prediction_service.load_serving(self.case.name))
            return serving is not None and serving.version == version

        message = f"Version {version} is the champion, but the service did not load it in {_WAIT_S:.0f} s; {_REMEDY}"
        _await(is_served, message, every_s=_POLL_S / 4)

    def _measure_swap(self, load: LoadGenerator) -> float | None:
        """Seconds from the newest promotion to the first answer by its version; None if nothing was promoted."""
        newest = decision_log.load_decisions(self.case.name, 1, kind=Kind.PROMOTION)[0]
        if newest["action"] != "promote":
            return None
        version = newest["model_version"]
        first = poll(lambda: load.versions.get(version), every_s=_POLL_S / 4, timeout_s=_WAIT_S)
        return None if first is None else (first - newest["at"]).total_seconds()

    # --- results --------------------------------------------------------------------------------------------------

    def _record_month(self, month: pd.Period, ids: list[str], trainings: list[Run], timing: Mapping[str, Any]) -> None:
        prediction_log.absorb_journal(self.case.name)
        champion, snapshot = versions.load_champion(self.case.name), snapshots.load_snapshot(self.case)
        serving = prediction_service.load_serving(self.case.name)
        assert champion is not None
        assert snapshot is not None
        assert serving is not None
        own = self._match_truth(month)
        seen = Month(
            month=str(month),
            ended_at=f"{datetime.now(UTC):%H:%M:%S}",
            snapshot=snapshot.version,
            asked=len(ids),
            rmse=rmse(own["truth"], own["prediction"]),
            coverage=interval_coverage(own["truth"], own["lower"], own["upper"]),
            drift=self._newest(Kind.DRIFT, snapshot.version),
            performance=self._newest(Kind.PERFORMANCE, snapshot.version),
            trainings=len(trainings),
            gate=self._newest(Kind.PROMOTION, snapshot.version) if trainings else "-",
            champion=f"{champion.version} {champion.candidate}",
            serving=str(serving.version),
            **timing,
            prediction_id=ids[-1],
        )
        self.months.append(seen)
        self._save()
        self.show(f"{self.case.name}: {seen.month}: drift {seen.drift}, gate {seen.gate}, serving {seen.serving}")

    def _match_truth(self, month: pd.Period) -> pd.DataFrame:
        """The month's predictions with their truth."""
        name = self.case.name
        pairs = match_truth(
            self.case,
            prediction_log.load_predictions(name),
            prediction_log.load_outcomes(name),
            snapshots.load_readings(self.case),
        )
        first_day = pd.Timestamp(month.start_time) - pd.Timedelta(days=5)
        return pairs[(pairs["as_of"] >= first_day) & (pairs["as_of"] <= month.end_time)]

    def _newest(self, kind: str, snapshot: int) -> str:
        found = [
            r for r in decision_log.load_decisions(self.case.name, 5, kind=kind) if r["snapshot_version"] == snapshot
        ]
        return str(found[0]["action"]) if found else "-"

    def _run_flow(self, flow: str, parameters: Mapping[str, Any]) -> Run:
        run = _retry(lambda: orchestrator.start_run(flow, parameters))
        return orchestrator.require_success(
            _retry(lambda: orchestrator.follow_run(run.id, self.show, timeout_s=_WAIT_S))
        )

    def _save(self) -> None:
        path = load_settings().state_dir / "rehearsal.json"
        written = path.with_suffix(".part")
        written.write_text(json.dumps([asdict(month) for month in self.months], indent=1))
        written.replace(path)

    def _load(self) -> None:
        path = load_settings().state_dir / "rehearsal.json"
        if path.is_file():
            self.months = [Month(**row) for row in json.loads(path.read_text())]
            self.show(f"{self.case.name}: continuing after {len(self.months)} finished months")


def _retry(call: Callable[[], Result]) -> Result:
    """The call's result, retried while a server restarts."""
    return retry_for(call, errors=(ServerUnreachable,), every_s=0.5, timeout_s=_RESTART_S)


def _await(look: Callable[[], Result | None], message: str, *, every_s: float = _POLL_S) -> Result:
    """The first result of `look` that is true.

    Raises:
        LinkBroken: there is none within `_WAIT_S`; `message` is its text.
    """
    found = poll(look, every_s=every_s, timeout_s=_WAIT_S)
    if found is None:
        raise LinkBroken(message)
    return found
