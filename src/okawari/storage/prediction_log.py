"""The log of the service's predictions and of their outcomes.

An outcome that is sent again with another value corrects the first one: both are stored, and the newest counts. The
newest is the one that the service received last; within one request, the last one in the list. An outcome that repeats
the newest value adds nothing. An outcome names its prediction by id and index, or by the user's own key
(`okawari.storage.keyed_outcomes`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from okawari.case import Case
from okawari.errors import NotYet
from okawari.schema.columns import find_words
from okawari.settings import load_settings
from okawari.storage import journal
from okawari.storage.answered import Answered, find_by_id, find_by_key
from okawari.storage.keyed_outcomes import is_keyed, pick_prediction, record_refused
from okawari.storage.table_schemas import KEYS, SCHEMAS
from okawari.storage.tables import Change, find_rows, load_or_empty, merge_rows, rewrite_table

Row = dict[str, Any]
_ASKED = ("id", "index", "step", "target")
"""Columns that name the number whose true value an outcome is."""
_SEGMENTS = "segments"
"""Note of a commit: names of the segments whose outcomes it stored."""


@dataclass(frozen=True)
class Received:
    """One line of the journal and the name of its segment."""

    segment: str
    row: Row


def absorb_journal(case_name: str) -> dict[str, int]:
    """Move the closed segments of the service's journal into the tables; returns the number of lines of each kind.

    One process at a time absorbs the journal of a case. Segments are deleted after their rows are merged; after a crash
    in between, the next call finds their rows in the table and adds nothing.
    """
    folder = journal_dir(case_name)
    if not folder.is_dir():
        return {"predictions": 0, "outcomes": 0}
    with journal.hold_absorption(folder):
        return {
            "predictions": _absorb(case_name, "predictions", _merge_predictions),
            "outcomes": _absorb(case_name, "outcomes", _merge_outcomes),
        }


def _absorb(case_name: str, kind: journal.Kind, merge: Callable[[str, list[Received]], None]) -> int:
    segments = [each for each in journal.list_segments(journal_dir(case_name), kind) if each.closed]
    received = [Received(segment.name, row) for segment in segments for row in segment.rows()]
    if received:
        merge(case_name, received)
    for segment in segments:
        segment.path.unlink(missing_ok=True)
    return len(received)


def _merge_predictions(case_name: str, received: list[Received]) -> None:
    unique = {(each.row["id"], each.row["index"]): each.row for each in received}
    rows = _rows_to_arrow(list(unique.values()), SCHEMAS["predictions"])
    merge_rows(case_name, "predictions", Change(rows=rows, keys=KEYS["predictions"]))


def _merge_outcomes(case_name: str, received: list[Received]) -> None:
    """Add the outcomes that are new or corrections. The commit names the segments, which are then known as absorbed."""
    received = _resolve_keys(case_name, received)

    def choose(stored: pd.DataFrame, notes: Mapping[str, str]) -> pa.Table:
        absorbed = set(json.loads(notes.get(_SEGMENTS, "[]")))
        rows = [each.row for each in received if each.segment not in absorbed]
        return _rows_to_arrow(_drop_repeated(rows, stored), SCHEMAS["outcomes"])

    rows = _rows_to_arrow([each.row for each in received], SCHEMAS["outcomes"])
    notes = {_SEGMENTS: json.dumps(sorted({each.segment for each in received}))}
    merge_rows(case_name, "outcomes", Change(rows=rows, keys=KEYS["outcomes"], notes=notes, choose=choose))


def _resolve_keys(case_name: str, received: list[Received]) -> list[Received]:
    """The outcomes with the id and index of their prediction; those whose key has none are recorded as refused."""
    keys = {each.row["key"] for each in received if is_keyed(each.row)}
    if not keys:
        return received
    answered = find_by_key(case_name, journal_dir(case_name), keys)
    known, refused = [], []
    for each in received:
        if not is_keyed(each.row):
            known.append(each)
        elif (found := pick_prediction(each.row, answered)) is None:
            refused.append((each.segment, each.row))
        else:
            known.append(Received(each.segment, {**each.row, "id": found.id, "index": found.index}))
    if refused:
        record_refused(case_name, refused)
    return known


def _drop_repeated(rows: list[Row], stored: pd.DataFrame) -> list[Row]:
    """The rows, in their order, whose value is not the newest one of their key already."""
    known = stored.sort_values("seq")[[*_ASKED, "value", "label"]].itertuples(index=False, name=None)
    newest = {tuple(key): _find_truth(value, label) for *key, value, label in known}
    new = []
    for row in rows:
        key, truth = tuple(row.get(name) for name in _ASKED), _find_truth(row["value"], row.get("label"))
        if newest.get(key) != truth:
            newest[key] = truth
            new.append(row)
    return new


def record_predictions(case_name: str, rows: Sequence[Row]) -> None:
    """Store predictions that were computed outside the service; those that are stored already stay as they are.

    Args:
        case_name: the case that answered.
        rows: the columns of the table `predictions`, with `at` as ISO 8601 text.
    """
    journal_dir(case_name).mkdir(parents=True, exist_ok=True)  # `find_prediction` searches the cases that have one
    content = _rows_to_arrow(rows, SCHEMAS["predictions"])
    merge_rows(case_name, "predictions", Change(rows=content, keys=KEYS["predictions"]))


def record_outcomes(case_name: str, rows: Sequence[Row]) -> None:
    """Store outcomes through the journal, so that they are ordered among those that the service receives.

    Args:
        case_name: the case that answered.
        rows: id and index, or key; step, target ("" if the case has one), value, `at` as ISO 8601 text, and case.
    """
    writer = journal.Journal(journal_dir(case_name), "outcomes")
    writer.append(rows)
    writer.close()
    absorb_journal(case_name)


def find_recorded(case_name: str, ids: Collection[str]) -> set[tuple[str, int]]:
    """Id and index of all predictions on record that have one of these ids."""
    return find_by_id(case_name, journal_dir(case_name), ids)


def find_keyed(case_name: str, keys: Collection[str]) -> dict[str, list[Answered]]:
    """The predictions on record of each of the user's own keys that has any, oldest first."""
    return find_by_key(case_name, journal_dir(case_name), keys)


def _find_truth(value: float | None, label: str | None) -> float | str | None:
    return value if label is None else label


def store_labels(case_name: str, case: Case | None) -> None:
    """Add the columns that state of version 2 lacks; where the case is given, places of labels become words.

    The journal of the service may hold further outcomes with places, which are read by the case's words when they are
    judged.
    """
    spell = _Speller({} if case is None else _list_labels(case))
    rewrite_table(case_name, "predictions", lambda rows: _convert(rows, "predictions", spell.predicted))
    rewrite_table(case_name, "outcomes", lambda rows: _convert(rows, "outcomes", spell.sent))


def add_columns(case_name: str) -> None:
    """Add the columns that stored predictions lack, without values."""
    rewrite_table(case_name, "predictions", lambda rows: _convert(rows, "predictions", lambda row: row))


def _list_labels(case: Case) -> dict[str, tuple[str, ...]]:
    """The labels of each target that an outcome may name; "" for the only target."""
    targets = {target.name: target for target in case.task.named_targets} or {"": case.target}
    return {name: target.labels for name, target in targets.items() if find_words([target])}


@dataclass(frozen=True)
class _Speller:
    labels: Mapping[str, tuple[str, ...]]

    def predicted(self, row: Row) -> Row:
        labels = self.labels.get("")
        if labels is None or len(row["mean"]) != len(labels):
            return row
        return {**row, "label": labels[max(range(len(labels)), key=row["mean"].__getitem__)]}

    def sent(self, row: Row) -> Row:
        labels, value = self.labels.get(row["target"]), row["value"]
        if labels is None or value is None or not 0 <= value < len(labels):
            return row
        return {**row, "value": None, "label": labels[int(value)]}


def _convert(
    rows: pa.Table, table: Literal["predictions", "outcomes"], spell: Callable[[Row], Row]
) -> tuple[pa.Table, Mapping[str, str]] | None:
    schema = SCHEMAS[table]
    if not set(schema.names) - set(rows.column_names):
        return None
    added = [{**dict.fromkeys(schema.names), **row} for row in rows.to_pylist()]
    return pa.Table.from_pylist([spell(row) for row in added], schema=schema), {}


def load_predictions(case_name: str) -> pd.DataFrame:
    """All absorbed predictions, oldest first."""
    return load_or_empty(case_name, "predictions").sort_values("at").reset_index(drop=True)


def load_outcomes(case_name: str) -> pd.DataFrame:
    """The absorbed outcomes that count: the newest of each (id, index, step, target), in order of arrival."""
    return load_outcome_history(case_name).drop_duplicates(list(_ASKED), keep="last").reset_index(drop=True)


def load_outcome_history(case_name: str) -> pd.DataFrame:
    """All absorbed outcomes with those that were corrected later, in order of arrival."""
    return load_or_empty(case_name, "outcomes").sort_values("seq").reset_index(drop=True)


def find_prediction(prediction_id: str, index: int = 0) -> dict[str, Any]:
    """One prediction by its id, from the tables or, if it is only seconds old, from the journal.

    Raises:
        NotYet: no case has such a prediction.
    """
    for case_name in list_stored_cases():
        for row in _find_absorbed(case_name, prediction_id) or _find_journalled(case_name, prediction_id):
            if row["index"] == index:
                return {**row, "case": case_name}
    raise NotYet(
        f"There is no prediction {prediction_id!r} with index {index}; an id is the `id` field of an answer of the "
        "service. Use the id and an index of such an answer."
    )


def journal_dir(case_name: str) -> Path:
    """Folder of the case's journal."""
    return load_settings().state_dir / "journal" / case_name


def list_stored_cases() -> list[str]:
    """Names of the cases that have a journal."""
    folder = load_settings().state_dir / "journal"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _find_absorbed(case_name: str, prediction_id: str) -> list[dict[str, Any]]:
    return find_rows(case_name, "predictions", "id", prediction_id)


def _find_journalled(case_name: str, prediction_id: str) -> list[dict[str, Any]]:
    segments = journal.list_segments(journal_dir(case_name), "predictions")
    return [row for segment in segments for row in segment.rows() if row["id"] == prediction_id]


def _rows_to_arrow(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    parsed = [{**row, "at": datetime.fromisoformat(row["at"])} for row in rows]
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in parsed], schema=schema)
