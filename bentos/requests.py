"""Parse the body of a request into graph inputs, or raise an error that names the fault.

Shapes: B windows, T readings, F columns. Faulty requests raise here, before they can reach a batch of several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatch
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from bentos.date_columns import DateColumns
from bentos.dictionaries import WordCollector, Words, encode_words
from bentos.errors import Location, Refused, explain, format_location
from bentos.own_keys import name_prediction, take_keys
from bentos.schemas import build_outcomes_type, build_predict_type
from bentos.window_times import WindowTimes
from okawari.case import AtLeast, Case, Column
from okawari.dataset.arrays import find_levels, is_absent
from okawari.models.windows import Values
from okawari.schema.calendar import Times, format_local
from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout

Record = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """Windows `x_BTF`. For a series, `levels` and `as_of` are the target's value and the time of each last record,
    in UTC as ISO 8601. `times` has the times of the steps ahead of each; it is empty before they are found.
    `x_BTF` holds a word as its place in the question's own `words`; `encode` gives the places of a model's dictionary.

    `keys` holds the user's own key of each instance, None where it has none; it is empty for a question without keys.
    """

    x_BTF: Values
    levels: list[float | None]
    as_of: list[str | None]
    keys: Sequence[str | None] = ()
    words: Words = field(default_factory=dict)
    times: Sequence[Sequence[str] | None] = ()

    def find_key(self, index: int) -> str | None:
        """The user's own key of an instance."""
        return self.keys[index] if self.keys else None

    def encode(self, case: Case) -> Values:
        """The windows with the places of the words in the labels of `case`: a model's case, with its dictionary."""
        return encode_words(self.x_BTF, self.words, case)


class Reader:
    """Reads the requests of one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.predict_type = build_predict_type(case)
        self.outcomes_type = build_outcomes_type(case)
        self._pick = itemgetter(*case.column_names)
        self._targets = case.task.named_targets
        self._times = WindowTimes(case)
        self._dates = DateColumns(case)

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
        times = [self._times.read(window, index) for index, window in enumerate(windows)]
        values_BTF = np.stack([self._read_window(window, index, times[index]) for index, window in enumerate(windows)])
        as_of = [None if found is None else format_local(found[-1]) for found in times]
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
        collector = WordCollector(self.case)
        encoded, further = self._dates.encode([collector.encode(record) for record in records])
        values_BF = self._to_array(encoded)
        for rule in self.case.rules:
            self._check_rule(rule, values_BF, ("instances",))
        nothing: list[None] = [None] * len(records)
        values_B1F = np.concatenate([values_BF, *further], axis=1)[:, None]
        _require_range(values_B1F, self.case, lambda index, _, name: ("instances", index, name))
        return Question(values_B1F, [*nothing], [*nothing], words=collector.words)

    def _to_array(self, records: list[Record]) -> NDArray[np.float64]:
        """The records' numbers [n, F]."""
        return np.array([self._pick(record) for record in records], dtype=np.float64).reshape(len(records), -1)

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

    def _read_window(self, window: list[Record], index: int, times: Times | None) -> NDArray[np.float64]:
        """The newest `history` steps [T, F]; the rules between columns hold in all readings."""
        values = self._to_array(window)
        for rule in self.case.rules:
            self._check_rule(rule, values, ("instances", index))
        laid_out, history = self._times.lay_out(values, times), self.case.history
        if len(laid_out) < history:
            steps = "" if len(laid_out) == len(values) else f" that cover {len(laid_out)} steps"
            raise Refused(
                f"instances[{index}] has {len(values)} records{steps}; it takes at least {history}. Send more, oldest "
                "first.",
                ("instances", index),
            )
        return self._times.append_calendar(laid_out[-history:], times, index)

    def _check_rule(self, rule: AtLeast, values: NDArray[np.float64], location: Location) -> None:
        names = self.case.column_names
        greater, smaller = values[:, names.index(rule.greater)], values[:, names.index(rule.smaller)]
        broken = np.flatnonzero(~rule.holds(greater, smaller))
        if broken.size:
            row = int(broken[0])
            raise Refused(
                f"{format_location((*location, row))} has {rule.greater} {greater[row]:.15g} and {rule.smaller} "
                f"{smaller[row]:.15g}; {rule.greater} is never below {rule.smaller}. Correct the record.",
                (*location, row, rule.greater),
            )


@singledispatch
def _read(layout: DataLayout, reader: Reader, instances: list[Any]) -> Question:
    raise NotImplementedError(f"No parser is defined for {type(layout).__name__}; register it here.")


_read.register(SeriesLayout, lambda layout, reader, instances: reader.read_windows(instances))
_read.register(RecordLayout, lambda layout, reader, instances: reader.read_records(instances))


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
