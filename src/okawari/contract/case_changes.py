"""The case file against the contract: columns that came, went or were renamed, and meanings that stay. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from okawari.case import Case, Column
from okawari.contract.contract import ColumnMeaning, Contract
from okawari.errors import InvalidInput
from okawari.schema.columns import BOOLEANS


def require_meaning(case: Case, contract: Contract | None) -> None:
    """Check that each column of a case means what it meant when its values were stored.

    Raises:
        InvalidInput: a column changed between numbers and words, to truth values, or its unit; the message says what to
            do.
    """
    conflicts = [] if contract is None else list(_list_conflicts(case, contract))
    if conflicts:
        raise InvalidInput(
            f"The case file of {case.name} changes the meaning of stored columns: {'; '.join(conflicts)}. Stored "
            "values keep their meaning: restore these columns in the case file, or give the changed ones new names."
        )


def _list_conflicts(case: Case, contract: Contract) -> Iterator[str]:
    for column in case.known_columns:
        known = contract.find(column.name)
        if known is not None:
            yield from _compare(column, known)


def _compare(column: Column, known: ColumnMeaning) -> Iterator[str]:
    if column.kind != known.kind:
        yield f"{column.name} holds {known.kind}s in the table and {column.kind}s in the case file"
    elif known.unit and column.unit and known.unit != column.unit:
        yield f"{column.name} is in {known.unit} in the table and in {column.unit} in the case file"
    elif column.boolean and (others := [word for word in known.words if word not in BOOLEANS]):
        yield f"{column.name} holds the words {', '.join(others)} in the table and truth values in the case file"


def describe_changes(case: Case, contract: Contract | None) -> list[str]:
    """Sentences about what the case file has changed since the contract: columns added, dropped or probably renamed,
    and labels removed.
    """
    if contract is None:
        return []
    stored = {column.name: column for column in contract.columns}
    added = [column for column in case.known_columns if column.name not in stored]
    dropped = [column for name, column in stored.items() if name not in case.known_names]
    return [
        *(_describe_added(column) for column in added),
        *(_describe_dropped(column, added) for column in dropped),
        *(sentence for column in case.known_columns for sentence in _describe_removed(column, stored)),
    ]


def _describe_added(column: Column) -> str:
    return f"{column.name} is new: the rows that are stored already lack it, and count as rows with an empty field"


def _describe_dropped(column: ColumnMeaning, added: list[Column]) -> str:
    gone = f"the case no longer has {column.name}; its stored values are kept"
    alike = [each.name for each in added if _is_alike(each, column)]
    renamed = " or ".join(alike)
    rename = f"; if it is {renamed} now, keep its name and rename the column where the source is read" if alike else ""
    return f"{gone}{rename}"


def _describe_removed(column: Column, stored: Mapping[str, ColumnMeaning]) -> Iterator[str]:
    """The labels of the first case file that this one lacks; words that were learned later stand in no case file."""
    known = stored.get(column.name)
    first = known.words[: known.n_first] if known is not None else ()
    removed = [word for word in first if word not in column.labels]
    if removed:
        yield (
            f"the case file no longer names {', '.join(map(repr, removed))} among the labels of {column.name}; the "
            "stored words keep their places and meaning"
        )


def _is_alike(column: Column, known: ColumnMeaning) -> bool:
    if known.kind != "word":
        return column.kind == known.kind and column.unit == known.unit
    return bool(set(column.labels) & set(known.words))
