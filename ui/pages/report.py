"""The newest data report, in a sandboxed frame."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from ui.markup import render
from ui.pages.formats import format_moment
from ui.pages.wording import name_rows
from ui.view_model import Facts

_NO_REPORT = (
    "No report yet. The monitor writes one each time it compares new readings with those that the champion was "
    "trained on."
)


def write_report(facts: Facts) -> str:
    """The report's frame; a sentence where there is none or where it lies outside the reports folder."""
    report = facts.state.report if facts.state else None
    if report is None or not report.resolve().is_relative_to(facts.links.reports.resolve()):
        return render("empty", text=_NO_REPORT)
    return render("report", address=_address(report, facts), caption=_describe(facts))


def _describe(facts: Facts) -> str:
    """What the report compares, and whether that is still the champion."""
    state = facts.state
    verdict = state.reported if state else None
    if state is None or verdict is None:
        return "This report is older than the records that the page reads; the next one replaces it."
    rows, version = name_rows(facts.case.layout), verdict["model_version"]
    told = f"New {rows} of snapshot {verdict['snapshot_version']} against those that version {version} was trained on, "
    told += f"{format_moment(verdict['at'])}."
    if not state.is_past(verdict) or state.champion is None:
        return told
    return f"{told} Version {state.champion['version']} is the champion since; its first report is still to come."


def _address(report: Path, facts: Facts) -> str:
    """The file is rewritten in place; the verdict's id makes the browser load the new one."""
    verdict = (facts.state.reported if facts.state else None) or {}
    return f"/gradio_api/file={quote(str(report.resolve()))}?verdict={quote(str(verdict.get('id', '')))}"
