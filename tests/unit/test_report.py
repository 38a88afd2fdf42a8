"""The report: the page a person opens and the verdict carry the same numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitoring.drift import DriftVerdict, measure_drift
from monitoring.report import ReportMismatch, build_report, register_tests
from okawari.case import Drift
from okawari.errors import NotYet

RULE = Drift()


@pytest.fixture(scope="module")
def samples() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Column `moved` shifts by two standard deviations, `small` by nearly one, `still` by none."""
    rng = np.random.default_rng(5)
    reference = pd.DataFrame(rng.standard_normal((750, 3)), columns=["moved", "still", "small"])
    current = pd.DataFrame(rng.standard_normal((60, 3)), columns=["moved", "still", "small"])
    return reference, current.add([2.0, 0.0, 0.9])


def judge(samples: tuple[pd.DataFrame, pd.DataFrame], rule: Drift = RULE) -> DriftVerdict:
    return measure_drift(*samples, rule)


def test_evidently_says_per_column_what_the_verdict_says(samples: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    verdict = judge(samples)
    report = build_report(*samples, verdict, title="AAPL")
    assert report.statuses == {"moved": True, "still": False, "small": True}
    assert report.p_values == {column.column: pytest.approx(column.p_value) for column in verdict.columns}


def test_the_minimum_effect_holds_in_the_report_too(samples: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    distances = {column.column: column.distance for column in judge(samples).columns}
    between = (distances["moved"] + distances["small"]) / 2
    verdict = judge(samples, replace(RULE, min_effect=between))
    assert distances["small"] < between < distances["moved"]
    assert build_report(*samples, verdict, title="AAPL").statuses == {"moved": True, "still": False, "small": False}


@pytest.mark.slow
def test_report_and_verdict_agree_on_series_of_every_kind() -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(rng.standard_normal((780, 4)).cumsum(axis=0), columns=list("abcd"))
        frame = frame.assign(b=rng.integers(0, 2, 780), c=frame["c"].diff().fillna(0), d=1.0)
        pair = frame.iloc[:750], frame.iloc[750:]
        verdict = judge(pair)
        assert build_report(*pair, verdict, title="any").statuses == {
            column.column: column.drifted for column in verdict.columns
        }


def test_more_rows_than_are_drawn_still_give_the_same_numbers() -> None:
    rng = np.random.default_rng(3)
    pair = pd.DataFrame({"a": rng.standard_normal(9000)}), pd.DataFrame({"a": rng.standard_normal(1500) + 0.2})
    report = build_report(*pair, judge(pair), title="large")
    assert report.p_values["a"] == pytest.approx(judge(pair).columns[0].p_value)


def test_the_page_shows_title_and_verdict_and_no_foreign_markup(
    samples: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    verdict = judge(samples)
    report = build_report(*samples, verdict, title="<script>alert(1)</script>")
    path = report.save(tmp_path / "reports" / "drift.html")
    page = path.read_text(encoding="utf-8")
    assert page == report.html
    assert "&lt;script&gt;alert(1)" in page and "<script>alert(1)" not in page
    assert verdict.reason in page
    assert [entry.name for entry in path.parent.iterdir()] == ["drift.html"]


def test_a_report_that_would_contradict_its_verdict_is_not_drawn(samples: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    verdict = judge(samples)
    turned = replace(verdict, columns=tuple(replace(each, drifted=not each.drifted) for each in verdict.columns))
    with pytest.raises(ReportMismatch, match="Column still: the report says drifted=False"):
        build_report(*samples, turned, title="wrong")
    with pytest.raises(ReportMismatch, match="samples that the verdict was measured on"):
        build_report(samples[0], samples[1] + 1, verdict, title="other samples")


def test_without_a_verdict_there_is_no_report(samples: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    few = samples[0], samples[1].head(5)
    with pytest.raises(NotYet, match="5 current rows"):
        build_report(*few, judge(few), title="too early")


def test_the_contingency_test_judges_categories_inside_evidently() -> None:
    register_tests()
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    rng = np.random.default_rng(0)
    definition = DataDefinition(categorical_columns=["same", "other"])
    frames = [
        pd.DataFrame({"same": rng.choice(list("abcde"), 500), "other": other}) for other in (["x", "y"] * 250, "x")
    ]
    data = [Dataset.from_pandas(frame, data_definition=definition) for frame in frames]
    metrics = [ValueDrift(column=name, method="contingency", threshold=0.001) for name in ("same", "other")]
    tests = Report(metrics, include_tests=True).run(*data).dict()["tests"]
    assert [test["status"].value for test in tests] == ["SUCCESS", "FAIL"]


def test_words_are_drawn_with_the_numbers_of_the_verdict() -> None:
    random = np.random.default_rng(5)
    old = pd.DataFrame({"plan": random.choice(["a", "b", "(missing)"], 400), "fee": random.normal(size=400)})
    new = pd.DataFrame({"plan": random.choice(["a", "c"], 80), "fee": random.normal(size=80)})
    old.loc[:40, "fee"] = np.nan
    verdict = measure_drift(old, new, Drift(), in_order=False)
    report = build_report(old, new, verdict, title="words")  # raises if Evidently computes other numbers
    assert report.statuses == {"plan": True, "fee": False}


@pytest.mark.slow
def test_importing_the_report_module_imports_no_evidently_and_drawing_opens_no_connection() -> None:
    code = """
import socket, sys
def refuse(*args, **kwargs):
    raise AssertionError(f"a connection was tried: {args}")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import numpy as np, pandas as pd
import monitoring.report as report
assert "evidently" not in sys.modules
from monitoring.drift import measure_drift
from okawari.case import Drift
old, new = (pd.DataFrame({"a": np.random.default_rng(n).standard_normal(n)}) for n in (750, 60))
page = report.build_report(old, new, measure_drift(old, new, Drift()), title="offline")
assert "evidently" in sys.modules and len(page.html) > 100_000
"""
    environment = {name: value for name, value in os.environ.items() if name != "DO_NOT_TRACK"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
