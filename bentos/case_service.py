"""The service of one case: it reads a request, calls the runner, writes the journal and formats the answer.

Shapes: B instances, H steps ahead.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from bentos.batching import Answered, Runner
from bentos.recent_readings import RecentReadings
from bentos.requests import Question, Reader
from bentos.responses import format_prediction
from bentos.schemas import describe_case
from okawari.case import Case
from okawari.dataset.arrays import format_time
from okawari.dataset.windows import last_window
from okawari.storage.disk_faults import DiskFault
from okawari.storage.journal import Journal, Kind, Row

Source = Literal["predict", "forecast"]

_log = logging.getLogger("bentoml.okawari")


@dataclass(frozen=True)
class Reply:
    """An answer before formatting: its id, its numbers and the question."""

    id: str
    answered: Answered
    question: Question


class CaseService:
    """Answers the requests for one case."""

    def __init__(self, case: Case, runner: Runner, journal_dir: Path) -> None:
        self.case, self.runner, self.reader = case, runner, Reader(case)
        self._recent = RecentReadings(case)
        self._journals: dict[Kind, Journal] = {
            "predictions": Journal(journal_dir / case.name, "predictions"),
            "outcomes": Journal(journal_dir / case.name, "outcomes"),
        }
        self._facts = describe_case(case)

    async def predict(self, body: bytes) -> dict[str, Any]:
        """Answer the instances of a predict request."""
        return await self._answer(self.reader.read_question(body), "predict")

    async def forecast(self) -> dict[str, Any]:
        """Answer from the newest readings: the ingested ones or, if there are none, those packaged with the model."""
        recent, source = await self._recent.load(self.runner.require_model())
        x_BTF, newest = last_window(recent, self.case), recent.iloc[-1]
        as_of = next((format_time(newest[name]) for name in self.case.time_columns), None)
        column = self.case.task.series_column
        level = None if column is None else float(newest[column])
        question = Question(x_BTF=x_BTF, levels=[level], as_of=[as_of])
        return {**await self._answer(question, "forecast"), "source": source}

    def record_outcomes(self, body: bytes) -> int:
        """Journal the true values of an outcomes request; returns how many."""
        outcomes = self.reader.read_outcomes(body)
        shared = {"step": 1, "target": "", "at": datetime.now(UTC).isoformat(), "case": self.case.name}
        self._record("outcomes", [{**shared, **outcome} for outcome in outcomes])
        return len(outcomes)

    def describe(self) -> dict[str, Any]:
        """The case as `GET /cases` returns it."""
        served = self.runner.served
        return {
            "name": self.case.name,
            "title": self.case.title,
            "ready": served.current is not None,
            "model": served.current.describe() if served.current else None,
            "previous": served.previous.describe() if served.previous else None,
            "refused": served.refused,
            **self._facts,
        }

    def close(self) -> None:
        """Close the journal's segments."""
        for journal in self._journals.values():
            journal.close()

    async def _answer(self, question: Question, source: Source) -> dict[str, Any]:
        reply = Reply(uuid.uuid4().hex, await self.runner.answer(question.x_BTF), question)
        indices = range(len(question.x_BTF))
        predictions = [format_prediction(self.case, reply.answered, question, index) for index in indices]
        self._record("predictions", self._write(reply, source))
        return {"id": reply.id, "model": reply.answered.model.describe(), "predictions": predictions}

    def _write(self, reply: Reply, source: Source) -> list[Row]:
        answered, question, manifest = reply.answered, reply.question, reply.answered.model.manifest
        shared = {
            "version": manifest.version,
            "graph_sha256": manifest.graph_sha256,
            "variant": manifest.variant,
            "source": source,
        }
        at = datetime.now(UTC).isoformat()
        return [
            {
                "id": reply.id,
                "index": index,
                "case": self.case.name,
                "at": at,
                "as_of": question.as_of[index],
                "level": question.levels[index],
                "mean": answered.mean_BH[index].tolist(),
                "lower": None if answered.lower_BH is None else answered.lower_BH[index].tolist(),
                "upper": None if answered.upper_BH is None else answered.upper_BH[index].tolist(),
                "input_sha256": hashlib.sha256(question.x_BTF[index].tobytes()).hexdigest(),
                **shared,
            }
            for index in range(len(question.x_BTF))
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
