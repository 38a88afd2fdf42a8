"""The steps that convert the state folder from one version of its layout to the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from okawari.errors import InvalidInput
from okawari.settings import load_settings
from okawari.storage.state_version import explain_version, read_state_version, write_state_version
from okawari.storage.tables import add_columns, add_sequence

Step = Callable[[Path], None]


def number_records(folder: Path) -> None:
    """Version 1 to 2: the rows of decisions and outcomes get numbers, in the order of their times."""
    for case_name in _list_cases():
        add_sequence(case_name, "decisions")
        add_sequence(case_name, "outcomes")


def add_keys(folder: Path) -> None:
    """Version 2 to 3: predictions get a column for the user's own key; it is empty in the rows so far."""
    for case_name in _list_cases():
        add_columns(case_name, "predictions")


def _list_cases() -> list[str]:
    """The cases with tables, and those of the settings, whose tables may be elsewhere than in a folder."""
    stored = {path.name for path in Path(load_settings().data_base).glob("*") if path.is_dir()}
    return sorted(stored | set(load_settings().case_names))


STEPS: tuple[Step, ...] = (number_records, add_keys)
"""Step n migrates a state folder from version n + 1 to n + 2."""


def migrate_state(steps: tuple[Step, ...] = STEPS) -> tuple[int, int]:
    """Migrate the state folder to this version, step by step; returns the versions before and after.

    The mark is written after each step, so a killed migration continues with the interrupted step.

    Raises:
        InvalidInput: the state has no version, or is newer than this program.
    """
    folder, newest = load_settings().state_dir, len(steps) + 1
    found = read_state_version(folder)
    if found is None or not 1 <= found <= newest:
        raise InvalidInput(explain_version(folder, found))
    for version in range(found, newest):
        steps[version - 1](folder)
        write_state_version(folder, version + 1)
    return found, newest
