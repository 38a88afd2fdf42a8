"""What a check of the installation found: its subject, how bad it is, what was seen and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is. A problem keeps something from working; a warning may become one."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "PROBLEM"


@dataclass(frozen=True)
class Finding:
    """One line of `okawari doctor`; `advice` is empty where nothing is to be done."""

    subject: str
    level: Level
    seen: str
    advice: str = ""


def note_ok(subject: str, seen: str) -> Finding:
    """A finding that is as it should be."""
    return Finding(subject, Level.OK, seen)


def note_warning(subject: str, seen: str, advice: str) -> Finding:
    """A finding that may become a problem."""
    return Finding(subject, Level.WARNING, seen, advice)


def note_problem(subject: str, seen: str, advice: str) -> Finding:
    """A finding that keeps something from working."""
    return Finding(subject, Level.PROBLEM, seen, advice)
