"""The newest data report, in a sandboxed frame."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from ui.markup import render
from ui.pages.formats import format_moment
from ui.pages.wording import name_rows
from ui.view_model import Facts

_NO_REPORT = (
    "No report yet. The monitor writes one each time it compares new readings with the training data of the champion."
)


def write_report(facts: Facts) -> str:
    """The report's frame; a message if there is none, or if it is outside the reports folder."""
    report = facts.state.report if facts.state else None
    if report is None or not report.resolve().is_relative_to(facts.links.reports.resolve()):
        return render("empty", text=_NO_REPORT)
    return render("report", address=_address(report, facts), caption=_describe(facts))


def _describe(facts: Facts) -> str:
    """The caption: what the report compares, and whether its version is still the champion."""
    state = facts.state
    verdict = state.reported if state else None
    if state is None or verdict is None:
        return "This report is older than the recorded verdicts; the next report replaces it."
    rows, version = name_rows(facts.case.layout), verdict["model_version"]
    caption = (
        f"New {rows} of snapshot {verdict['snapshot_version']} compared with the training data of version {version}, "
        f"{format_moment(verdict['at'])}."
    )
    if not state.is_past(verdict) or state.champion is None:
        return caption
    return f"{caption} Version {state.champion['version']} is the champion now and has no report yet."


def _address(report: Path, facts: Facts) -> str:
    """The file is rewritten in place, so the verdict's id in the address makes the browser load the new content."""
    verdict = (facts.state.reported if facts.state else None) or {}
    return f"/gradio_api/file={quote(str(report.resolve()))}?verdict={quote(str(verdict.get('id', '')))}"
