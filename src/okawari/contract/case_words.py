"""The words of a case's columns: the dictionary that a contract or a graph has, applied to a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from okawari.case import Case
from okawari.contract.contract import ColumnMeaning, Contract
from okawari.schema.columns import Column
from okawari.schema.tasks.record import RecordTask

Words = Mapping[str, tuple[str, ...]]
"""The words of each labelled column, by its name, in the order of their places."""


def list_words(case: Case) -> dict[str, tuple[str, ...]]:
    """The words that a case names for its labelled columns."""
    return {column.name: column.labels for column in case.known_columns if column.labels}


def read_words(contract: Contract | None) -> dict[str, tuple[str, ...]]:
    """The words of a contract's columns; empty without a contract."""
    return {} if contract is None else {column.name: column.words for column in contract.columns if column.words}


def apply_words(case: Case, words: Words) -> Case:
    """The case with these words in these places; a column without an entry keeps its own.

    Words that the case names and the dictionary does not follow at the end.
    """
    columns = tuple(_apply(column, words) for column in case.columns)
    task = case.task
    if isinstance(task, RecordTask):
        task = replace(task, target=_apply(task.target, words))
    return replace(case, columns=columns, task=task)


def _apply(column: Column, words: Words) -> Column:
    if not column.labels or column.name not in words:
        return column
    return replace(column, labels=tuple(dict.fromkeys((*words[column.name], *column.labels))))


def start_contract(case: Case) -> Contract:
    """The first version of a case's contract, from its declaration alone."""
    columns = tuple(_start_column(column) for column in case.known_columns)
    return Contract(case=case.name, columns=columns)


def _start_column(column: Column) -> ColumnMeaning:
    return ColumnMeaning(
        name=column.name,
        kind="word" if column.labels else "number",
        unit=column.unit,
        words=column.labels,
        missing_words=column.missing_words,
        allows_missing=column.missing == "allow",
    )
