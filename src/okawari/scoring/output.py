"""The columns that batch scoring writes.

The output has one row for each valid row with enough valid rows before it. For a series:

    as_of               time of the row, UTC
    level               value of the target in that row
    mean_1 ... mean_H   the answer, one column per step ahead, in the unit of the target
    lower_1, upper_1 .. the interval, if the model has one
    time_1 ... time_H   time of each step, in the zone of the data (ISO 8601), if the case has a frequency

With several targets, `time_1` is the time of the next reading, and the columns before it are:

    acceleration, acceleration_lower, acceleration_upper   a number and its interval, in its unit
    trend, trend_falling, trend_stable ..                  the most probable label, and the probability of each

For records, `row` is the number of the row in the input (1 is the first below the header), followed by:

    mean, lower, upper  the number and its interval, in the unit of the target
    label, p_<label> .. or the most probable label, and the probability of each label; the label of a target of truth
                        values is a truth value in Parquet, and true or false in CSV

If the case names a key of the user's own (`Case.key`), its column follows the ones that identify the row; it is empty
where the row has none. All tables end with

    model_version       version in the registry
    graph_sha256        SHA-256 of the graph
    id, index           name of the recorded prediction, for its outcome; only with --journal

`out.refused.csv` holds the refused rows: `row` (1 is the first below the header), the columns as read, `reason`.

Shapes: N answers, M numbers of a graph: its outputs side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.case import Case
from okawari.errors import require
from okawari.graph.inference import Graph
from okawari.schema.heads import Head
from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout
from okawari.scoring.checkpoint import Layout
from okawari.scoring.recorder import ID_COLUMNS


def name_answers(case: Case, graph: Graph, numbers_NM: NDArray[np.floating[Any]]) -> pd.DataFrame:
    """The numbers of the graph under the names of the output columns; labels as words."""
    return pd.DataFrame({name: _read(numbers_NM, column) for name, column in _list_columns(case, graph).items()})


def _read(numbers_NM: NDArray[np.floating[Any]], column: int | Head) -> NDArray[Any]:
    if isinstance(column, int):
        return numbers_NM[:, column]
    labels = np.array([column.write_json(word) for word in column.labels], dtype=object)
    best: NDArray[Any] = labels[numbers_NM[:, column.columns].argmax(axis=1)]
    return best


def _list_columns(case: Case, graph: Graph) -> dict[str, int | Head]:
    """For each answer column, the position of its number in the graph's outputs, or the head of its label."""
    outputs = graph.labels.get("outputs", "mean").split(",")
    return case.task.name_answers({name: place * case.task.width for place, name in enumerate(outputs)})


def lay_out_answers(case: Case, graph: Graph, *, journal: bool = False) -> Layout:
    """Names and types of the output's columns.

    Raises:
        InvalidInput: the case's key has the name of another column.
    """
    types = {name: _name_type(column) for name, column in _list_columns(case, graph).items()}
    times = dict.fromkeys(_name_times(case), "string")
    own = {**_name_rows(case.layout), **types, **times, "model_version": "string", "graph_sha256": "string"}
    require(
        case.key not in own,
        f"Case.key is {case.key!r}, and the output has a column of that name; give the key another name.",
    )
    keys = {name: "string" for name in (case.key,) if name}
    return {**_name_rows(case.layout), **keys, **own, **(ID_COLUMNS if journal else {})}


def _name_type(column: int | Head) -> str:
    return "double" if isinstance(column, int) else "bool" if column.is_truth else "string"


def _name_times(case: Case) -> list[str]:
    return [] if case.calendar is None else [f"time_{step}" for step in range(1, case.horizon + 1)]


def name_step_times(case: Case, asked: pd.DataFrame) -> dict[str, list[str]]:
    """The times of the steps after each row, by column; empty without a calendar."""
    names = _name_times(case)
    if not names:
        return {}
    times_BH = case.step_times.list_after(asked[case.time].to_numpy(dtype="datetime64[ns]"))
    return {name: [(times_H or [""] * len(names))[place] for times_H in times_BH] for place, name in enumerate(names)}


@singledispatch
def _name_rows(layout: DataLayout) -> Layout:
    """The columns that identify the row of an answer, with their types."""
    raise NotImplementedError(f"No row columns are defined for {type(layout).__name__}; register them here.")


_name_rows.register(SeriesLayout, lambda layout: {"as_of": "timestamp[ns]", "level": "double"})
_name_rows.register(RecordLayout, lambda layout: {"row": "int64"})


def identify_rows(
    case: Case, asked: pd.DataFrame, keys: Mapping[int, str], levels: Sequence[float | None]
) -> dict[str, Any]:
    """The values of these columns, and of the key, for valid rows, indexed by their number in the file.

    `levels` has the last known level of each row's window.
    """
    known: dict[str, Any] = {"row": asked.index}
    if case.level_index is not None:
        known |= {"as_of": asked[case.time], "level": levels}
    own = {case.key: [keys.get(int(number)) for number in asked.index]} if case.key else {}
    return {**{name: known[name] for name in _name_rows(case.layout)}, **own}


def lay_out_refused(case: Case) -> Layout:
    """Names and types of the columns of the refused rows, all as text."""
    own = filter(None, (case.key,))
    return {"row": "int64", **dict.fromkeys([*case.question_names, *own], "string"), "reason": "string"}
