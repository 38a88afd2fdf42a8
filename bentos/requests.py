"""Parse the body of a request into graph inputs, or raise an error that names the fault.

Shapes: B windows, T readings, F columns. Faulty requests raise here, before they can reach a batch of several.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import singledispatch
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from bentos.errors import Location, Refused, explain, format_location
from bentos.own_keys import name_prediction, take_keys
from bentos.schemas import build_outcomes_type, build_predict_type
from okawari.case import AtLeast, Case, Column
from okawari.dataset.arrays import find_levels, is_absent
from okawari.models.windows import Values
from okawari.schema.columns import find_words
from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout
from okawari.schema.time_order import find_disorder

Record = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """Windows `x_BTF`. For a series, `levels` and `as_of` are the target's value and the time of each last record.

    `keys` holds the user's own key of each instance, None where it has none; it is empty for a question without keys.
    """

    x_BTF: Values
    levels: list[float | None]
    as_of: list[str | None]
    keys: Sequence[str | None] = ()

    def find_key(self, index: int) -> str | None:
        """The user's own key of an instance."""
        return self.keys[index] if self.keys else None


class Reader:
    """Reads the requests of one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.predict_type = build_predict_type(case)
        self.outcomes_type = build_outcomes_type(case)
        self._pick = itemgetter(*case.column_names)
        self._label_indices = _map_labels(case.known_columns)
        self._targets = case.task.named_targets

    def read_question(self, body: bytes | bytearray) -> Question:
        """Parse a predict request.

        Raises:
            Refused: it is not valid JSON, a field is missing, or a value is not valid for this case.
        """
        request = self._parse(self.predict_type, body)
        keys = take_keys(self.case, request) if self.case.key else ()
        return replace(_read(self.case.layout, self, request["instances"]), keys=keys)

    def read_windows(self, windows: list[list[Record]]) -> Question:
        """Convert windows of a series to a question."""
        as_of = [self._check_times(window, index) for index, window in enumerate(windows)]
        values_BTF = np.stack([self._read_window(window, index) for index, window in enumerate(windows)])
        levels = find_levels(values_BTF, self.case)
        self._require_levels(levels)
        _require_range(values_BTF, self.case, lambda index, row, name: ("instances", index, row, name))
        return Question(values_BTF, levels, as_of)

    def _require_levels(self, levels: Sequence[float | None]) -> None:
        absent = next((index for index, level in enumerate(levels) if is_absent(level)), None)
        if absent is not None:
            raise Refused(
                f"instances[{absent}] has no {self.case.target.name} in its newest {self.case.history} records; a "
                "forecast starts from the last one. Send at least one.",
                ("instances", absent),
            )

    def read_records(self, records: list[Record]) -> Question:
        """Convert records to a question."""
        values_BF = self._to_array(records)
        for rule in self.case.rules:
            self._check_rule(rule, values_BF, ("instances",))
        nothing: list[None] = [None] * len(records)
        values_B1F = values_BF[:, None]
        _require_range(values_B1F, self.case, lambda index, _, name: ("instances", index, name))
        return Question(values_B1F, [*nothing], [*nothing])

    def _to_array(self, records: list[Record]) -> NDArray[np.float64]:
        """The records' numbers [n, F]; a label is its index."""
        if self._label_indices:
            records = [self._encode_labels(record) for record in records]
        return np.array([self._pick(record) for record in records], dtype=np.float64).reshape(len(records), -1)

    def _encode_labels(self, record: Record) -> Record:
        return {
            **record,
            **{
                name: None if record[name] is None else indices[record[name]]
                for name, indices in self._label_indices.items()
                if name in record
            },
        }

    def read_outcomes(self, body: bytes | bytearray) -> list[Record]:
        """Parse an outcomes request; raises like `read_question`."""
        outcomes: list[Record] = self._parse(self.outcomes_type, body)["outcomes"]
        if self.case.key:
            outcomes = [name_prediction(self.case, outcome, place) for place, outcome in enumerate(outcomes)]
        return [self._read_outcome(outcome) for outcome in outcomes]

    def _read_outcome(self, outcome: Record) -> Record:
        """The outcome with a number as `value` or a word as `label`, and with its target's name if targets have one."""
        if not self._targets:
            return _encode_value(outcome, self.case.target)
        name = outcome.pop("target")
        target = next(each for each in self._targets if each.name == name)
        return {**_encode_value(outcome, target), "target": name}

    def _parse(self, adapter: TypeAdapter[Any], body: bytes | bytearray) -> Any:
        try:
            return adapter.validate_json(body)
        except ValidationError as error:
            raise explain(error, self.case, body) from error

    def _read_window(self, window: list[Record], index: int) -> NDArray[np.float64]:
        """The newest `history` readings [T, F]; the rules between columns hold in all of them."""
        values = self._to_array(window)
        for rule in self.case.rules:
            self._check_rule(rule, values, ("instances", index))
        return values[-self.case.history :]

    def _check_rule(self, rule: AtLeast, values: NDArray[np.float64], location: Location) -> None:
        names = self.case.column_names
        greater, smaller = values[:, names.index(rule.greater)], values[:, names.index(rule.smaller)]
        broken = np.flatnonzero(~rule.holds(greater, smaller))
        if broken.size:
            row = int(broken[0])
            raise Refused(
                f"{format_location((*location, row))} has {rule.greater} {greater[row]:g} and {rule.smaller} "
                f"{smaller[row]:g}; {rule.greater} is never below {rule.smaller}. Correct the record.",
                (*location, row, rule.greater),
            )

    def _check_times(self, window: list[Record], index: int) -> str | None:
        """Time of the last record; None where no record has one."""
        name = self.case.time
        texts = [record.get(name) for record in window]
        if all(text is None for text in texts):
            return None
        times = [self._read_time(text, index, row) for row, text in enumerate(texts)]
        if len({time.utcoffset() is None for time in times}) > 1:
            raise Refused(
                f"Some times of instances[{index}] have a time zone and some have none; give it in all or in none.",
                ("instances", index),
            )
        late = find_disorder(np.array(times, dtype=object))
        if late is not None:
            raise Refused(
                f"instances[{index}][{late}].{name} is {texts[late]}, after {texts[late - 1]}; records go from the "
                "oldest to the newest, each time once. Sort them.",
                ("instances", index, late, name),
            )
        return texts[-1]

    def _read_time(self, text: str | None, index: int, row: int) -> datetime:
        name = self.case.time
        try:
            return datetime.fromisoformat(text or "")
        except ValueError as error:
            came = f"is {text[:40]!r}" if text else "is missing"
            raise Refused(
                f"instances[{index}][{row}].{name} {came}; it is an ISO 8601 time such as 2013-03-01, in every record "
                "of an instance or in none. Correct it or leave it out.",
                ("instances", index, row, name),
            ) from error


@singledispatch
def _read(layout: DataLayout, reader: Reader, instances: list[Any]) -> Question:
    raise NotImplementedError(f"No parser is defined for {type(layout).__name__}; register it here.")


_read.register(SeriesLayout, lambda layout, reader, instances: reader.read_windows(instances))
_read.register(RecordLayout, lambda layout, reader, instances: reader.read_records(instances))


def _map_labels(columns: Sequence[Column]) -> dict[str, Mapping[str, float]]:
    """The index of each label, by column."""
    return {
        column.name: {label: float(place) for place, label in enumerate(column.labels)}
        for column in find_words(columns)
    }


def _encode_value(outcome: Record, target: Column) -> Record:
    return {**outcome, **target.split_truth(outcome["value"])}


def _require_range(values_BTF: Values, case: Case, locate: Callable[[int, int, str], Location]) -> None:
    """Raise `Refused` for a value outside the range of features, which are float32."""
    with np.errstate(over="ignore", under="ignore"):
        narrow_BTF = values_BTF.astype(np.float32)
    lost = np.argwhere(np.isinf(narrow_BTF) | ((narrow_BTF == 0) & (values_BTF != 0)))
    if lost.size:
        index, row, column = (int(number) for number in lost[0])
        name = case.column_names[column]
        location = locate(index, row, name)
        raise Refused(
            f"{format_location(location)} is {values_BTF[index, row, column]:g}; the model computes with "
            "magnitudes from 1e-38 to 3e38. Check its unit.",
            location,
        )
