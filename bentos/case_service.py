"""The service of one case: it reads a request, calls the runner, writes the journal and formats the answer.

Shapes: B instances, H steps ahead.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from bentos.batching import Answered, Runner
from bentos.body_limits import find_body_limits
from bentos.dictionaries import find_unknown
from bentos.errors import Refused, cut_text
from bentos.known_labels import KnownLabels
from bentos.large_bodies import LargeBodies
from bentos.metrics import ServingMetrics
from bentos.recent_readings import RecentReadings
from bentos.requests import Question, Reader
from bentos.responses import format_prediction
from bentos.schemas import describe_case
from okawari.case import Case
from okawari.contract.case_words import extend_words
from okawari.dataset.arrays import find_levels, format_time
from okawari.dataset.windows import last_window
from okawari.models.windows import Values
from okawari.schema.columns import find_words
from okawari.security.answer_ids import AnswerIds
from okawari.storage.disk_faults import DiskFault
from okawari.storage.journal import Journal, Kind, Row

Source = Literal["predict", "forecast"]

_TURN = 64
"""Instances or outcomes that are handled before other requests have a turn: 1 ms."""

_log = logging.getLogger("bentoml.okawari")


async def _take_turns(count: int) -> AsyncIterator[range]:
    """The places 0 to `count - 1` in parts; other requests run in between."""
    for start in range(0, count, _TURN):
        if start:
            await asyncio.sleep(0)
        yield range(start, min(start + _TURN, count))


def _name_best(case: Case, mean_H: list[float]) -> str | None:
    """The most probable label of the only head; None for numbers and for several heads."""
    head, *others = case.task.heads
    return None if others else head.name_best(mean_H)


@dataclass(frozen=True)
class Reply:
    """An answer before formatting: its id, its numbers and the question."""

    id: str
    answered: Answered
    question: Question
    x_BTF: Values
    """The windows as the model took them."""


class CaseService:
    """Answers the requests for one case."""

    def __init__(self, case: Case, runner: Runner, journal_dir: Path, large_bodies: LargeBodies | None = None) -> None:
        self.case, self.runner, self.reader = case, runner, Reader(case)
        self.limits = find_body_limits(case)
        self._large_bodies = large_bodies or LargeBodies()
        self._recent, self._step_times = RecentReadings(case), case.step_times
        self._ids = AnswerIds(case.name)
        self._journals: dict[Kind, Journal] = {
            "predictions": Journal(journal_dir / case.name, "predictions"),
            "outcomes": Journal(journal_dir / case.name, "outcomes"),
        }
        self._facts = describe_case(case)
        self._metrics = ServingMetrics()
        self._labels = KnownLabels(case)

    async def predict(self, body: bytes | bytearray) -> dict[str, Any]:
        """Answer the instances of a predict request."""
        if len(body) > self.limits.small:
            question = await self._large_bodies.read_question(self.case, body)
        else:
            question = self.reader.read_question(body)
        return await self._answer(question, "predict")

    async def forecast(self) -> dict[str, Any]:
        """Answer from the newest readings: the ingested ones or, if there are none, those packaged with the model."""
        model = self.runner.require_model()
        recent, source = await self._recent.load(model)
        own = extend_words(model.case, recent.tail(self.case.history))
        x_BTF, newest = last_window(recent, own), recent.iloc[-1]
        as_of = next((format_time(newest[name]) for name in self.case.time_columns), None)
        words = {each.name: each.labels for each in find_words(own.columns)}
        levels = find_levels(x_BTF, self.case)
        question = Question(x_BTF=x_BTF, levels=levels, as_of=[as_of], words=words)
        return {**await self._answer(question, "forecast"), "source": source, "stale": self._recent.stale}

    async def record_outcomes(self, body: bytes | bytearray) -> int:
        """Journal the true values of an outcomes request; returns how many.

        Raises:
            Refused: the request is not valid, or an id or index is not of an answer that was issued for this case.
                An unknown key is not refused here: `okawari.storage.prediction_log` finds it when it joins the outcome.
        """
        if len(body) > self.limits.small:
            outcomes = await self._large_bodies.read_outcomes(self.case, body)
        else:
            outcomes = self.reader.read_outcomes(body)
        async for places in _take_turns(len(outcomes)):
            for place in places:
                self._require_issued(outcomes[place], place)
        await self._require_known(outcomes)
        shared = {"step": 1, "target": "", "at": datetime.now(UTC).isoformat(), "case": self.case.name}
        async for places in _take_turns(len(outcomes)):
            self._record("outcomes", [{**shared, **outcomes[place]} for place in places])
        return len(outcomes)

    def describe(self) -> dict[str, Any]:
        """The case as `GET /cases` returns it."""
        served = self.runner.served
        facts = self._facts if served.current is None else describe_case(served.current.case)
        return {
            "name": self.case.name,
            "title": self.case.title,
            "ready": served.current is not None,
            "model": served.current.describe() if served.current else None,
            "previous": served.previous.describe() if served.previous else None,
            "refused": served.refused,
            "interval_refused": served.interval_refused,
            **facts,
        }

    def close(self) -> None:
        """Close the journal's segments."""
        self._large_bodies.close()
        for journal in self._journals.values():
            journal.close()

    async def _answer(self, question: Question, source: Source) -> dict[str, Any]:
        question = replace(question, times=self._step_times.list_after_texts(question.as_of))
        answered = await self.runner.answer(question)
        reply = Reply(self._ids.issue(len(question.x_BTF)), answered, question, question.encode(answered.model.case))
        self._metrics.count_new_words(self.case.name, find_unknown(question.words, answered.model.case))
        predictions: list[dict[str, Any]] = []
        async for places in _take_turns(len(question.x_BTF)):
            predictions += [format_prediction(answered.model.case, answered, question, place) for place in places]
            self._record("predictions", self._write(reply, source, places))
        return {"id": reply.id, "model": reply.answered.model.describe(), "predictions": predictions}

    async def _require_known(self, outcomes: Sequence[Row]) -> None:
        """Refuse a label that nothing knows: it is a typing error, or a label that a delivery has to bring first."""
        sent = [None if row.get("target") else row["label"] for row in outcomes]
        models = [model.case for model in self.runner.served.hot]
        unknown = await self._labels.find_unknown((label for label in sent if label is not None), models)
        if unknown:
            place = next(place for place, label in enumerate(sent) if label in unknown)
            raise Refused(
                f"outcomes[{place}].value is {json.dumps(cut_text(str(sent[place])), ensure_ascii=False)}; "
                f"{self.case.target.name} has never had this label. Correct it, or ingest a reading with it first.",
                ("outcomes", place, "value"),
            )

    def _require_issued(self, outcome: Row, place: int) -> None:
        if "key" in outcome:
            return
        n_instances = self._ids.count_instances(outcome["id"])
        if n_instances is None:
            raise Refused(
                f"outcomes[{place}].id is {outcome['id']}; no answer of {self.case.name} has it. Send the id of an "
                "answer unchanged, to the case and installation that gave it.",
                ("outcomes", place, "id"),
            )
        if outcome["index"] >= n_instances:
            raise Refused(
                f"outcomes[{place}].index is {outcome['index']}; the answer has {n_instances} instances, counted from "
                "0. Correct it.",
                ("outcomes", place, "index"),
            )

    def _write(self, reply: Reply, source: Source, places: range) -> list[Row]:
        answered, question, manifest = reply.answered, reply.question, reply.answered.model.manifest
        factor = answered.model.factor
        shared = {
            "version": manifest.version,
            "graph_sha256": manifest.graph_sha256,
            "variant": manifest.variant,
            "source": source,
            "width_factor": None if factor is None else list(factor.factor_H),
            "interval_version": answered.model.interval_version,
        }
        at = datetime.now(UTC).isoformat()
        return [
            {
                "id": reply.id,
                "index": index,
                "case": self.case.name,
                "at": at,
                "as_of": question.as_of[index],
                "times": question.times[index],
                "level": question.levels[index],
                "mean": answered.mean_BH[index].tolist(),
                "lower": None if answered.lower_BH is None else answered.lower_BH[index].tolist(),
                "upper": None if answered.upper_BH is None else answered.upper_BH[index].tolist(),
                "label": _name_best(answered.model.case, answered.mean_BH[index].tolist()),
                "input_sha256": hashlib.sha256(reply.x_BTF[index].tobytes()).hexdigest(),
                "key": question.find_key(index),
                **shared,
            }
            for index in places
        ]

    def _record(self, kind: Kind, rows: list[Row]) -> None:
        """Append to the journal. If that fails (a full disk), outcomes raise; for predictions it is only logged.

        Raises:
            DiskFault: the outcomes could not be stored.
        """
        try:
            self._journals[kind].append(rows)
        except OSError as failed:
            if kind == "outcomes":
                _log.error("%d outcomes of %s were refused: %s", len(rows), self.case.name, failed)
                raise DiskFault(
                    "The outcomes could not be stored: the service's disk fails. Send them again."
                ) from failed
            _log.exception("%d predictions of %s were not journaled", len(rows), self.case.name)
