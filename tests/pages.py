"""Code blocks of the documentation, which tests run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (?P<path>cases/\w+\.py)\n")
"""First line of a block that is a file of a user's own."""


def find_blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """Code blocks of a page: the line on which each begins, and its text."""
    text = page.read_text()
    for found in BLOCK.finditer(text):
        if found["language"] == language:
            yield text.count("\n", 0, found.start("text")) + 1, found["text"]


def write_file(text: str, folder: Path) -> bool:
    """Write a block that names its file below the folder. Returns whether it names one."""
    named = FILE.match(text)
    if named is None:
        return False
    path = folder / named["path"]
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return True
