"""Scored rows as predictions on record, so that their outcomes can be sent: by id and index, or by the user's own key.

The rows of a chunk are recorded before its part is committed. Their ids are derived from the job's nonce and the number
of a row, so a job that was killed in between gives the rows the same ids again, and nothing is recorded twice.

Shapes: N answered rows, M numbers of a graph: its outputs side by side, each as wide as an answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.case import Case
from okawari.dataset.arrays import format_time
from okawari.security.answer_ids import AnswerIds
from okawari.storage.prediction_log import record_predictions

ID_COLUMNS = {"id": "string", "index": "int64"}
"""Columns of the output that name the prediction of a row."""
_SOURCE = "score"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answered rows: the readings that were asked, indexed by row number, the answers, and the questions."""

    rows: pd.DataFrame
    numbers_NM: NDArray[np.floating[Any]]
    questions: Sequence[NDArray[np.floating[Any]]]
    keys: Mapping[int, str]


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Records the answers of one job. `outputs` are the names of the graph's outputs; `made_by` names the model.

    The case has the labels of the graph's dictionary.
    """

    case: Case
    nonce: str
    outputs: tuple[str, ...]
    made_by: Mapping[str, str]
    """`version`, `graph_sha256` and `variant`."""

    def record(self, answers: Answers) -> pd.DataFrame:
        """Record the answers; returns the id and index of each row."""
        named = list(self._name_rows([int(number) for number in answers.rows.index]))
        if named:
            record_predictions(self.case.name, list(self._describe(answers, named)))
        return pd.DataFrame(named, columns=list(ID_COLUMNS), index=answers.rows.index)

    def _name_rows(self, numbers: list[int]) -> Iterator[tuple[str, int]]:
        """Ids of as many rows as a request of the service may hold, because an outcome's index is limited by that."""
        ids, size = AnswerIds(self.case.name), self.case.serving.max_instances
        for start in range(0, len(numbers), size):
            part = numbers[start : start + size]
            part_id = ids.derive(self.nonce, part[0], len(part))
            yield from ((part_id, index) for index in range(len(part)))

    def _describe(self, answers: Answers, named: Sequence[tuple[str, int]]) -> Iterator[dict[str, Any]]:
        rows, case = answers.rows, self.case
        # A microsecond apart, so that the last one of several rows with one key is the newest.
        first_at = datetime.now(UTC) - timedelta(microseconds=len(rows))
        as_of = [format_time(time) for name in case.time_columns for time in rows[name]]
        times = case.step_times.list_after_texts(as_of)
        levels = [] if case.level_index is None else rows[case.target.name].astype(float).tolist()
        for place, (number, (answer_id, index)) in enumerate(zip(map(int, rows.index), named, strict=True)):
            yield {
                "id": answer_id,
                "index": index,
                "case": case.name,
                "at": (first_at + timedelta(microseconds=place)).isoformat(),
                "as_of": as_of[place] if as_of else None,
                "times": times[place] if times else None,
                "level": levels[place] if levels else None,
                **(numbers := self._split(answers.numbers_NM[place])),
                "label": self._name_best(numbers["mean"] or []),
                **self.made_by,
                "input_sha256": hashlib.sha256(answers.questions[place].tobytes()).hexdigest(),
                "source": _SOURCE,
                "key": answers.keys.get(number),
            }

    def _split(self, numbers_M: NDArray[np.floating[Any]]) -> dict[str, list[float] | None]:
        """The numbers of one row, by output; bounds are None without interval."""
        width = self.case.task.width
        parts = {name: numbers_M[place * width :][:width].tolist() for place, name in enumerate(self.outputs)}
        return {name: parts.get(name) for name in ("mean", "lower", "upper")}

    def _name_best(self, mean: list[float]) -> str | None:
        """The most probable label of the only head; None for numbers and for several heads."""
        head, *others = self.case.task.heads
        return None if others else head.name_best(mean)
