"""The columns that batch scoring writes.

The output has one row for each good row with enough good rows before it. Of a series:

    as_of               time of the row that is answered from, UTC
    level               the target's value in that row
    mean_1 ... mean_H   the answer, one column a step ahead, in the target's unit
    lower_1, upper_1 .. the interval, where the model has one

Of records, `row` is the number of the row in the input (1 is the first below the header), and then:

    mean, lower, upper  the number and its interval, in the target's unit
    label, p_<label> .. or the most probable label, and the probability of each

Both end with

    model_version       version in the registry
    graph_sha256        digest of the graph's bytes

and `out.refused.csv` the others: `row` (1 is the first below the header), the columns as they came, `reason`.
"""

from __future__ import annotations

from okawari.case import Case
from okawari.graph import Graph
from okawari.parts import Layout


def name_numbers(case: Case, graph: Graph) -> list[str]:
    """Names of the graph's numbers, in the order in which they stand side by side."""
    if case.target.labels:
        return [f"p_{label}" for label in case.target.labels]
    parts = graph.labels.get("outputs", "mean").split(",")
    steps = [f"_{step}" for step in range(1, case.task.width + 1)] if case.is_series else [""]
    return [f"{part}{step}" for part in parts for step in steps]


def lay_out_answers(case: Case, graph: Graph) -> Layout:
    """Names and types of the output's columns."""
    known = {"as_of": "timestamp[ns]", "level": "double"} if case.is_series else {"row": "int64"}
    label = {"label": "string"} if case.target.labels else {}
    numbers = dict.fromkeys(name_numbers(case, graph), "float")
    return {**known, **label, **numbers, "model_version": "string", "graph_sha256": "string"}


def lay_out_refused(case: Case) -> Layout:
    """Names and types of the columns of the refused rows, all as text."""
    return {"row": "int64", **dict.fromkeys(case.question_names, "string"), "reason": "string"}
