"""The drift report: an Evidently page with the numbers of the drift verdict. Only home of evidently.

The tests of `monitoring.drift` are registered in Evidently with the threshold of each column, so FAIL or SUCCESS of a
column equals the verdict. Importing Evidently takes seconds, so it is imported when a report is drawn, with its
telemetry switched off.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined

from monitoring.drift import TESTS, DriftVerdict, Test, check_features, newest_rows
from okawari.errors import NotYet, OkawariError

_HEADER = """<header style="font-family: system-ui, sans-serif; max-width: 1200px; margin: 0 auto; padding: 24px">
<h1 style="font-weight: 500; margin: 0 0 8px">{{ title }}</h1>
<p style="margin: 0 0 4px"><strong>{{ verdict.verdict }}</strong>: {{ verdict.reason }}</p>
<p style="margin: 0; opacity: 0.7">{{ verdict.n_current }} current rows
against {{ verdict.n_reference }} reference rows.</p>
</header>"""


class ReportMismatch(OkawariError):
    """The report contradicts the verdict: a bug in Okawari, not an input error."""


@dataclass(frozen=True)
class DriftReport:
    """A drawn report. `html` is one self-contained file; `statuses` holds the drift status of each column."""

    html: str
    statuses: Mapping[str, bool]
    p_values: Mapping[str, float]

    def save(self, path: Path) -> Path:
        """Write the page atomically; its folder is created if needed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        unfinished.write_text(self.html, encoding="utf-8")
        return unfinished.replace(path)


def build_report(reference: pd.DataFrame, current: pd.DataFrame, verdict: DriftVerdict, *, title: str) -> DriftReport:
    """Draw the report of a verdict from the samples that it was measured on, both oldest row first.

    Raises:
        NotYet: the verdict is "not enough data".
        InvalidInput: the samples cannot be compared.
        ReportMismatch: statuses or p-values of Evidently differ from the verdict.
    """
    if not verdict.columns:
        raise NotYet(f"No report can be drawn: {verdict.reason} Draw one when the verdict is drifted or stable.")
    check_features(reference, current)
    snapshot = _run_evidently(*newest_rows(reference, current), verdict)
    statuses, p_values = _read_statuses(snapshot), _read_p_values(snapshot)
    _check_agreement(statuses, p_values, verdict)
    page = _add_header(snapshot.get_html_str(as_iframe=False), title, verdict)
    return DriftReport(page, statuses, p_values)


def _run_evidently(reference: pd.DataFrame, current: pd.DataFrame, verdict: DriftVerdict) -> Any:
    register_tests()
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    words = [column.column for column in verdict.columns if column.test == "contingency"]
    numbers = [column.column for column in verdict.columns if column.test != "contingency"]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=words)
    samples = [
        Dataset.from_pandas(_lay_out(frame, numbers, words), data_definition=definition)
        for frame in (current, reference)
    ]
    metrics = [
        ValueDrift(column=column.column, method=column.test, threshold=column.alarm_level) for column in verdict.columns
    ]
    return Report(metrics, include_tests=True).run(*samples)  # Evidently expects the current sample first


def _lay_out(frame: pd.DataFrame, numbers: list[str], words: list[str]) -> pd.DataFrame:
    kinds = {**dict.fromkeys(numbers, "float64"), **dict.fromkeys(words, "object")}
    return frame[[*numbers, *words]].astype(kinds).reset_index(drop=True)


@cache
def register_tests() -> None:
    """Register the tests in Evidently, once per process: two for numbers, and `contingency` for words.

    `chisquare` of Evidently treats the reference as exact; on two samples of equal size it alarms on about 4 of 10
    columns without drift at a nominal 5%. The contingency test treats both as samples.
    """
    _import_evidently()
    from evidently.legacy.calculations.stattests import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    numbers = StatTest("block_ks", "block-calibrated K-S p_value", [ColumnType.Numerical])
    records = StatTest("two_sample_ks", "2-sample K-S p_value", [ColumnType.Numerical])
    words = StatTest("contingency", "2-sample contingency p_value", [ColumnType.Categorical])
    register_stattest(numbers, partial(_test_numbers, "block_ks"))
    register_stattest(records, partial(_test_numbers, "two_sample_ks"))
    register_stattest(words, _test_words)


def _import_evidently() -> None:
    os.environ["DO_NOT_TRACK"] = "1"
    with warnings.catch_warnings():  # its web server, unused here, imports deprecated names
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("evidently")


def _test_numbers(
    test: Test, reference: pd.Series, current: pd.Series, _kind: Any, threshold: float
) -> tuple[float, bool]:
    p_value = TESTS[test](reference.to_numpy(float), current.to_numpy(float))[1]
    return p_value, p_value <= threshold


def _test_words(reference: pd.Series, current: pd.Series, _kind: Any, threshold: float) -> tuple[float, bool]:
    p_value = TESTS["contingency"](reference.to_numpy(dtype=object), current.to_numpy(dtype=object))[1]
    return p_value, p_value <= threshold


def _read_statuses(snapshot: Any) -> dict[str, bool]:
    tests = ((test["metric_config"]["params"]["column"], test["status"].value) for test in snapshot.dict()["tests"])
    return {column: status == "FAIL" for column, status in tests}


def _read_p_values(snapshot: Any) -> dict[str, float]:
    return {metric["config"]["column"]: float(metric["value"]) for metric in snapshot.dict()["metrics"]}


def _check_agreement(statuses: Mapping[str, bool], p_values: Mapping[str, float], verdict: DriftVerdict) -> None:
    for column in verdict.columns:
        drawn = statuses.get(column.column), p_values.get(column.column, np.nan)
        if drawn[0] is not column.drifted or not np.isclose(drawn[1], column.p_value, rtol=1e-9):
            raise ReportMismatch(
                f"Column {column.column}: the report says drifted={drawn[0]} at p {drawn[1]:.6g}, the verdict "
                f"drifted={column.drifted} at p {column.p_value:.6g}; they must agree. Give build_report the samples "
                "that the verdict was measured on; if they are, report this as a bug."
            )


def _add_header(page: str, title: str, verdict: DriftVerdict) -> str:
    """Insert title and verdict at the top of the page of Evidently."""
    templates = Environment(autoescape=True, undefined=StrictUndefined)
    header = templates.from_string(_HEADER).render(title=title, verdict=verdict)
    before, body, after = page.partition("<body>")
    if not body:
        raise ReportMismatch(
            "Evidently's page has no <body>, where the verdict is inserted; install the pinned version of Evidently."
        )
    return before + body + header + after
