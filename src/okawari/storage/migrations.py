"""The steps that convert the state folder from one version of its layout to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from okawari.case import Case
from okawari.contract.case_words import start_contract
from okawari.errors import InvalidInput, OkawariError
from okawari.settings import load_settings
from okawari.storage.contracts import to_rows
from okawari.storage.prediction_log import add_columns, store_labels
from okawari.storage.snapshots import store_words
from okawari.storage.state_version import explain_version, read_state_version, write_state_version
from okawari.storage.tables import is_stored, rewrite_table, start_table


@dataclass(frozen=True)
class Migration:
    """A migration in progress: the state folder, how a case is loaded by its name, and where sentences go."""

    folder: Path
    load_case: Callable[[str], Case]
    say: Callable[[str], None] = print


Step = Callable[[Migration], None]


def number_records(given: Migration) -> None:
    """Version 1 to 2: the rows of decisions and outcomes get numbers, in the order of their times."""
    for case_name in _list_cases():
        rewrite_table(case_name, "decisions", _number)
        rewrite_table(case_name, "outcomes", _number)


def _number(rows: pa.Table) -> tuple[pa.Table, Mapping[str, str]] | None:
    if "seq" in rows.column_names:
        return None
    return rows.sort_by("at").append_column("seq", pa.array(range(1, len(rows) + 1), pa.int64())), {}


def spell_labels(given: Migration) -> None:
    """Version 2 to 3: labels that were stored as places become words, and a contract keeps the order of the words.

    The places were those of the case file when they were stored, which is not recorded, so they are read by the case
    file of now.
    """
    for case_name in _list_cases():
        try:
            case: Case | None = given.load_case(case_name)
        except OkawariError as unknown:
            given.say(
                f"{case_name}: its case file cannot be loaded ({unknown}), so its labels stay numbers until the next "
                "ingest, which reads them by the case file of then."
            )
            case = None
        store_labels(case_name, case)
        if case is not None and is_stored(case_name, "readings"):
            _spell(case, given)


def _spell(case: Case, given: Migration) -> None:
    start_table(case.name, "contracts", to_rows(start_contract(case)))
    if store_words(case):
        given.say(
            f"{case.name}: its stored labels were converted to words by the case file as it is now. If its "
            "list of labels was changed after the data was stored, restore the state folder from a copy, restore the "
            "list, and migrate again."
        )


def name_widths(given: Migration) -> None:
    """Version 3 to 4: predictions name the widths of their intervals; those on record have the calibrated ones."""
    for case_name in _list_cases():
        add_columns(case_name)


def _list_cases() -> list[str]:
    stored = {path.name for path in Path(load_settings().data_base).glob("*") if path.is_dir()}
    return sorted(stored | set(load_settings().case_names))


STEPS: tuple[Step, ...] = (number_records, spell_labels, name_widths)
"""Step n migrates a state folder from version n + 1 to n + 2."""


def migrate_state(
    load_case: Callable[[str], Case], steps: tuple[Step, ...] = STEPS, say: Callable[[str], None] = print
) -> tuple[int, int]:
    """Migrate the state folder to this version, step by step; returns the versions before and after.

    The mark is written after each step, so a killed migration continues with the interrupted step.

    Args:
        load_case: loads a case by its name, because stored labels are read by the case file.
        steps: the steps, of which the first converts version 1.
        say: called with each sentence about what was converted.

    Raises:
        InvalidInput: the state has no version, or is newer than this program.
    """
    folder, newest = load_settings().state_dir, len(steps) + 1
    found = read_state_version(folder)
    if found is None or not 1 <= found <= newest:
        raise InvalidInput(explain_version(folder, found))
    for version in range(found, newest):
        steps[version - 1](Migration(folder, load_case, say))
        write_state_version(folder, version + 1)
    return found, newest
