"""Reads a table of true values and records them as outcomes. The service need not run.

A row names its prediction by `id` and `index` (0, if left out), or by the user's own key in the column that the case
names. `value` holds the true value; the column may also have the name of the case's only target. `step` counts the
steps ahead of a forecast (1, if left out), and `target` is the name of one of several targets. Further columns are
ignored.

Every row is checked: its prediction is on record, and its value is one that the target may have. Refused rows have a
reason each; the others are recorded through the journal, as the service does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.case import Case, Column
from okawari.data.chunked_reader import Chunk, find_format, read_chunks, read_names
from okawari.data.file_format import FileFormat
from okawari.data.files import expect_format, find_source_names
from okawari.data.number_format import parse_numbers
from okawari.errors import InvalidInput, require
from okawari.schema.keys import read_key
from okawari.scoring.row_keys import read_keys
from okawari.storage import prediction_log
from okawari.storage.answered import Answered
from okawari.storage.keyed_outcomes import explain_unknown_key
from okawari.storage.reading_rows import know_words

CHUNK_ROWS = 65_536
MOST_REASONS = 1000
"""Reasons that are returned; further refused rows are only counted."""

Row = dict[str, Any]


@dataclass
class Recorded:
    """What became of a table's rows; `reasons` are those of the first `MOST_REASONS` refused rows, by row number."""

    rows: int = 0
    accepted: int = 0
    refused: int = 0
    reasons: dict[int, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """The outcome as one sentence with its numbers."""
        return f"{self.accepted} of {self.rows} outcomes accepted, {self.refused} refused"


@dataclass(frozen=True)
class _Known:
    """The predictions on record that the rows of a chunk name."""

    by_id: set[tuple[str, int]]
    ids: set[str]
    by_key: Mapping[str, list[Answered]]


def record_file(case: Case, source: Path) -> Recorded:
    """Record the true values of a table. To record a table twice adds nothing; another value corrects the first one.

    Args:
        case: the case that answered.
        source: a table that `okawari.data.chunked_reader` reads.

    Raises:
        InvalidInput: the file is no table, or has no column that names a prediction or none with the value.
    """
    format = find_format(source, expect_format(case)).format
    columns = _find_columns(case, source, read_names(source, format))
    prediction_log.absorb_journal(case.name)
    done = Recorded()
    for chunk in read_chunks(source, list(columns), size=CHUNK_ROWS, source_names=columns, format=format):
        outcomes, reasons = _judge(case, chunk, format)
        if outcomes:
            prediction_log.record_outcomes(case.name, outcomes)
        done.rows += len(chunk)
        done.accepted += len(outcomes)
        done.refused += len(reasons)
        left = MOST_REASONS - len(done.reasons)
        done.reasons |= {number: reasons[number] for number in sorted(reasons)[:left]}
    return done


def _find_columns(case: Case, source: Path, names: list[str]) -> dict[str, str]:
    """The columns to read: the name of each in the file, by its name here."""
    found = {**{name: name for name in names}, **find_source_names(names, case.source)}
    if "value" not in found and not case.task.named_targets and case.target.name in found:
        found["value"] = found[case.target.name]
    wanted = ("id", "index", "step", "target", "value", *filter(None, (case.key,)))
    columns = {name: found[name] for name in wanted if name in found}
    by = ["id", *filter(None, (case.key,))]
    require(
        any(name in columns for name in by),
        f"{source} has the columns {names}; an outcome names its prediction in the column {' or '.join(by)}. Add it"
        + ("." if case.key else ", or declare a key of your own: Case(key=...)."),
    )
    truth = "value" if case.task.named_targets else f"value (or {case.target.name})"
    require("value" in columns, f"{source} has the columns {names}; the true value is in {truth}. Add or rename it.")
    return columns


def _judge(case: Case, chunk: Chunk, format: FileFormat) -> tuple[list[Row], dict[int, str]]:
    """The outcomes of the valid rows, and the reasons of the others by row number."""
    rows, reasons = chunk.rows, dict(chunk.broken)
    keys, unfit = read_keys(rows, case)
    truths, wrong = _read_truths(know_words(case), rows, format)
    known = _load_known(case, rows, keys)
    at, outcomes = datetime.now(UTC).isoformat(), []
    records: list[Row] = rows.to_dict("records")  # type: ignore[assignment]
    for number, row in zip(map(int, rows.index), records, strict=True):
        try:
            _refuse(unfit.get(number))
            outcome = {**_name_prediction(case, row, keys.get(number), known), **_name_step(case, row)}
            _refuse(wrong.get(number))
        except InvalidInput as refused:
            reasons[number] = str(refused)
        else:
            outcomes.append({**outcome, **truths[number], "at": at, "case": case.name})
    return outcomes, reasons


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise InvalidInput(reason)


def _load_known(case: Case, rows: pd.DataFrame, keys: Mapping[int, str]) -> _Known:
    ids = {each for each in rows["id"].tolist() if isinstance(each, str)} if "id" in rows else set()
    by_id = prediction_log.find_recorded(case.name, ids) if ids else set()
    by_key = prediction_log.find_keyed(case.name, set(keys.values())) if keys else {}
    return _Known(by_id, {each for each, _ in by_id}, by_key)


def _name_prediction(case: Case, row: Mapping[str, Any], key: str | None, known: _Known) -> Row:
    """Id and index, or the key; a row that has both is named by its id."""
    answer_id = row.get("id")
    if isinstance(answer_id, str) and answer_id:
        index = _read_whole(row, "index", 0)
        if (answer_id, index) in known.by_id:
            return {"id": answer_id, "index": index}
        if answer_id in known.ids:
            raise InvalidInput(f"index is {index}; the answer {answer_id} has no such instance")
        raise InvalidInput(f"id is {answer_id[:60]}; no answer of {case.name} on record has it")
    if key is None:
        raise InvalidInput(f"{' and '.join(['id', *filter(None, (case.key,))])} missing; a row names its prediction")
    if key not in known.by_key:
        raise InvalidInput(explain_unknown_key(case.name, key))
    return {"key": key}


def _name_step(case: Case, row: Mapping[str, Any]) -> Row:
    """The step and the target of an outcome, as the service records them."""
    step, most = _read_whole(row, "step", 1), case.task.n_steps or 1
    require(1 <= step <= most, f"step is {step}; it is at least 1 and at most {most}")
    return {"step": step, "target": _read_target(case, row)}


def _read_target(case: Case, row: Mapping[str, Any]) -> str:
    names = [each.name for each in case.task.named_targets]
    if not names:
        return ""
    came = row.get("target")
    require(came in names, f"target is {came!r}; it is one of {', '.join(names)}")
    return str(came)


def _read_whole(row: Mapping[str, Any], name: str, default: int) -> int:
    """A column of whole numbers; the default where the table or the row has none."""
    value = row.get(name)
    try:
        text = read_key(None if value is pd.NA else value)
        return default if text is None else int(text)
    except ValueError:  # an `InvalidInput` is one, too
        raise InvalidInput(f"{name} is {value!r}; it is a whole number") from None


# --- true values --------------------------------------------------------------------------------------------------


def _read_truths(case: Case, rows: pd.DataFrame, format: FileFormat) -> tuple[dict[int, Row], dict[int, str]]:
    """The true values as they are stored (`value` or `label`), and the reasons of the rows whose value is none."""
    truths: dict[int, Row] = {}
    reasons: dict[int, str] = {}
    for column, values in _split_targets(case, rows):
        found = column.parse(values, partial(parse_numbers, format=format))
        is_fit = _is_fit(column, found)
        for number, raw, truth, fits in zip(map(int, values.index), values.tolist(), found, is_fit, strict=True):
            if fits:
                truths[number] = column.split_truth(truth)
            else:
                came = "missing" if pd.isna(raw) or raw == "" else repr(raw)
                reasons[number] = f"value is {came}; {column.allowed}"
    return truths, reasons


def _split_targets(case: Case, rows: pd.DataFrame) -> list[tuple[Column, pd.Series]]:
    """The values of each target."""
    named = case.task.named_targets
    if not named or "target" not in rows:
        return [(case.target, rows["value"])] if not named else []
    return [(target, rows["value"][rows["target"] == target.name]) for target in named]


def _is_fit(column: Column, found: pd.Series) -> NDArray[np.bool_]:
    """Whether each parsed value is one that the column may have: a number in its bounds, or one of its words."""
    if column.labels:
        return found.isin(column.labels).to_numpy(dtype=bool)
    numbers: NDArray[np.float64] = parse_numbers(found).to_numpy(dtype=np.float64)
    fits: NDArray[np.bool_] = found.notna().to_numpy(dtype=bool, copy=True) & ~np.isinf(numbers)
    limits = ((column.above, np.greater), (column.minimum, np.greater_equal), (column.maximum, np.less_equal))
    for bound, compare in limits:
        if bound is not None:
            fits &= compare(numbers, bound)
    return fits & (numbers % 1 == 0) if column.integer else fits
