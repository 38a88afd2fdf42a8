"""Shares are written by one function, so that no message says 85 % where another one says 85%."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HOME = ROOT / "src/okawari/formats.py"
FILES = sorted(
    path
    for folder in ("src", "ui", "bentos", "flows", "monitoring")
    for path in (ROOT / folder).rglob("*.py")
    if path != HOME
)
PERCENT_FORMAT = re.compile(r"\{[^{}\n]*:[^{}\n]*[0-9]%\}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_module_formats_percents(path: Path) -> None:
    found = [match[0] for match in PERCENT_FORMAT.finditer(path.read_text(encoding="utf-8"))]
    assert [each for each in found if not each.startswith("{y:")] == []  # the template of a Plotly chart


def test_the_home_is_found_by_the_same_pattern() -> None:
    assert "{abs(share):.{digits}%}" in HOME.read_text(encoding="utf-8")
    assert PERCENT_FORMAT.search('f"{share:.1%}"') and PERCENT_FORMAT.search('f"{gain:+.2%}"')
