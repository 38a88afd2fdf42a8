"""The columns that batch scoring writes.

The output has one row for each good row with enough good rows before it. Of a series:

    as_of               time of the row that is answered from, UTC
    level               the target's value in that row
    mean_1 ... mean_H   the answer, one column a step ahead, in the target's unit
    lower_1, upper_1 .. the interval, where the model has one

Several targets at once have, after `as_of` and `level`, their own columns instead:

    acceleration, acceleration_lower, acceleration_upper   a number and its interval, in its unit
    trend, trend_falling, trend_stable ..                  the most probable label, and the probability of each

Of records, `row` is the number of the row in the input (1 is the first below the header), and then:

    mean, lower, upper  the number and its interval, in the target's unit
    label, p_<label> .. or the most probable label, and the probability of each

All end with

    model_version       version in the registry
    graph_sha256        digest of the graph's bytes

and `out.refused.csv` the others: `row` (1 is the first below the header), the columns as they came, `reason`.

Shapes: N answers, M numbers of a graph, its outputs side by side.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.case import Case
from okawari.graph.inference import Graph
from okawari.schema.heads import Head
from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout
from okawari.scoring.checkpoint import Layout


def name_answers(case: Case, graph: Graph, numbers_NM: NDArray[np.floating[Any]]) -> pd.DataFrame:
    """The graph's numbers under the names of the columns that are written, labels as words."""
    return pd.DataFrame({name: _read(numbers_NM, said) for name, said in _list_columns(case, graph).items()})


def _read(numbers_NM: NDArray[np.floating[Any]], said: int | Head) -> NDArray[Any]:
    if isinstance(said, int):
        return numbers_NM[:, said]
    words: NDArray[Any] = np.array(said.labels, dtype=object)[numbers_NM[:, said.columns].argmax(axis=1)]
    return words


def _list_columns(case: Case, graph: Graph) -> dict[str, int | Head]:
    """Each column of an answer, and which number of the graph it holds or which head's most probable label."""
    outputs = graph.labels.get("outputs", "mean").split(",")
    return case.task.name_answers({name: place * case.task.width for place, name in enumerate(outputs)})


def lay_out_answers(case: Case, graph: Graph) -> Layout:
    """Names and types of the output's columns."""
    said = {name: "float" if isinstance(said, int) else "string" for name, said in _list_columns(case, graph).items()}
    return {**_name_rows(case.layout), **said, "model_version": "string", "graph_sha256": "string"}


@singledispatch
def _name_rows(layout: DataLayout) -> Layout:
    """The columns that say which row an answer belongs to, with their types."""
    raise NotImplementedError(f"There is no output for {type(layout).__name__}.")


_name_rows.register(SeriesLayout, lambda layout: {"as_of": "timestamp[ns]", "level": "double"})
_name_rows.register(RecordLayout, lambda layout: {"row": "int64"})


def identify_rows(case: Case, asked: pd.DataFrame) -> dict[str, Any]:
    """The values of those columns for good rows, indexed by their number in the file."""
    known: dict[str, Any] = {"row": asked.index}
    if case.level_index is not None:
        known |= {"as_of": asked[case.time], "level": asked[case.target.name]}
    return {name: known[name] for name in _name_rows(case.layout)}


def lay_out_refused(case: Case) -> Layout:
    """Names and types of the columns of the refused rows, all as text."""
    return {"row": "int64", **dict.fromkeys(case.question_names, "string"), "reason": "string"}
