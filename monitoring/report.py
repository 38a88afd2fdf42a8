"""The page a person opens: an Evidently report with the very numbers of the drift verdict. Only home of evidently.

Our tests are registered *in* Evidently, and each column's threshold is handed over, so its FAIL or SUCCESS per
column is the verdict's. Evidently costs seconds to import, so nothing imports it before a report is asked for, and
it is told not to phone home before it is.
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
    """The page would contradict the verdict: a bug of ours, never the user's."""


@dataclass(frozen=True)
class DriftReport:
    """A drawn report. `html` is one file that needs no network; `statuses` holds the drift status of each column."""

    html: str
    statuses: Mapping[str, bool]
    p_values: Mapping[str, float]

    def save(self, path: Path) -> Path:
        """Write the page, making its folder where needed; the file is there whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        unfinished.write_text(self.html, encoding="utf-8")
        return unfinished.replace(path)


def build_report(reference: pd.DataFrame, current: pd.DataFrame, verdict: DriftVerdict, *, title: str) -> DriftReport:
    """Draw the report of a verdict from the same two samples it was measured on, both oldest row first.

    Raises:
        NotYet: the verdict is "not enough data", so there is nothing to draw.
        InvalidInput: the samples cannot be compared.
        ReportMismatch: Evidently's statuses or p-values differ from the verdict's.
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
    return Report(metrics, include_tests=True).run(*samples)  # current first: Evidently cannot tell them apart


@cache
def register_tests() -> None:
    """Teach Evidently our tests, once per process: `block_ks` and `two_sample_ks` for numbers, `chi2_contingency` for
    categories.

    Evidently's own `chisquare` takes the reference for exact; on two samples of equal size it alarms on about 4 of
    10 quiet columns at a nominal 5 %. The contingency test knows that both are samples.
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
    with warnings.catch_warnings():  # its web server, which nobody starts here, imports deprecated names
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("evidently")


def _test_numbers(
    test: Test, reference: pd.Series, current: pd.Series, _kind: Any, threshold: float
) -> tuple[float, bool]:
    p_value = TESTS[test](reference.to_numpy(float), current.to_numpy(float))[1]
    return p_value, p_value <= threshold


def _test_categories(reference: pd.Series, current: pd.Series, _kind: Any, threshold: float) -> tuple[float, bool]:
    """Two-sample chi-square on the table of counts; categories are compared as they are, missing ones left out."""
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
    """Put title and verdict on top of Evidently's page, which has neither."""
    templates = Environment(autoescape=True, undefined=StrictUndefined)
    header = templates.from_string(_HEADER).render(title=title, verdict=verdict)
    before, body, after = page.partition("<body>")
    if not body:
        raise ReportMismatch(
            "Evidently's page has no <body> to put the verdict in; use a version of Evidently that has."
        )
    return before + body + header + after
