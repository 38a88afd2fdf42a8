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
from scipy import stats

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

    names = [column.column for column in verdict.columns]
    definition = DataDefinition(numerical_columns=names)
    samples = [
        Dataset.from_pandas(frame[names].astype(float).reset_index(drop=True), data_definition=definition)
        for frame in (current, reference)
    ]
    metrics = [
        ValueDrift(column=column.column, method=verdict.test, threshold=column.alarm_level)
        for column in verdict.columns
    ]
    return Report(metrics, include_tests=True).run(*samples)  # Evidently expects the current sample first


@cache
def register_tests() -> None:
    """Register the tests in Evidently, once per process: `block_ks` and `two_sample_ks` for numbers, `chi2_contingency`
    for categories.

    `chisquare` of Evidently treats the reference as exact; on two samples of equal size it alarms on about 4 of 10
    columns without drift at a nominal 5%. The contingency test treats both as samples.
    """
    _import_evidently()
    from evidently.legacy.calculations.stattests import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    numbers = StatTest("block_ks", "block-calibrated K-S p_value", [ColumnType.Numerical])
    records = StatTest("two_sample_ks", "2-sample K-S p_value", [ColumnType.Numerical])
    categories = StatTest("chi2_contingency", "2-sample chi-square p_value", [ColumnType.Categorical])
    register_stattest(numbers, partial(_test_numbers, "block_ks"))
    register_stattest(records, partial(_test_numbers, "two_sample_ks"))
    register_stattest(categories, _test_categories)


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


def _test_categories(reference: pd.Series, current: pd.Series, _kind: Any, threshold: float) -> tuple[float, bool]:
    """Two-sample chi-square on the table of counts; missing categories are left out."""
    counts = pd.DataFrame({"reference": reference.value_counts(), "current": current.value_counts()}).fillna(0)
    if len(counts) < 2:
        return 1.0, False
    p_value = float(stats.chi2_contingency(counts.to_numpy(), correction=False).pvalue)
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
