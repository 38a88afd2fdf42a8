"""The newest data report, in a sandboxed frame."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from ui.markup import render
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
    return render("report", address=_address(report, facts))


def _address(report: Path, facts: Facts) -> str:
    """The file is rewritten in place; the verdict's id makes the browser load the new one."""
    verdict = (facts.state.drift if facts.state else None) or {}
    return f"/gradio_api/file={quote(str(report.resolve()))}?verdict={quote(str(verdict.get('id', '')))}"
