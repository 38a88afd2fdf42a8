"""The words of a case's columns: the dictionary that a contract or a graph has, applied to a case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pandas as pd

from okawari.case import Case
from okawari.contract.contract import ColumnMeaning, Contract
from okawari.schema.columns import Column, find_words

Words = Mapping[str, tuple[str, ...]]
"""The words of each labelled column, by its name, in the order of their places."""


def list_words(case: Case) -> dict[str, tuple[str, ...]]:
    """The words that a case names for its labelled columns."""
    return {column.name: column.labels for column in find_words(case.known_columns)}


def read_words(contract: Contract | None) -> dict[str, tuple[str, ...]]:
    """The words of a contract's columns; empty without a contract."""
    return {} if contract is None else {column.name: column.words for column in contract.columns if column.words}


def apply_words(case: Case, words: Words) -> Case:
    """The case with these words in these places; a column without an entry keeps its own.

    Words that the case names and the dictionary does not follow at the end.
    """
    named = list_words(case)
    return know_words(case, {name: _extend(words.get(name, ()), named[name]) for name in named})


def know_words(case: Case, words: Words) -> Case:
    """The case with exactly these words, such as those of a graph; a column without an entry keeps its own."""
    columns = tuple(column.know_words(words.get(column.name, column.labels)) for column in case.columns)
    return replace(case, columns=columns, task=case.task.know_words(words))


def _extend(words: tuple[str, ...], further: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*words, *further)))


def extend_words(case: Case, readings: pd.DataFrame) -> Case:
    """The case with the further words of these readings at the end of its labels, in the order of appearance."""
    named = list_words(case)
    return know_words(case, {name: _extend(named[name], _list_new(case, name, readings)) for name in named})


def _list_new(case: Case, name: str, readings: pd.DataFrame) -> Iterable[str]:
    return case.column(name).list_new(readings[name]) if name in readings else ()


def know_contract(case: Case, contract: Contract) -> Case:
    """The case with the words of its contract, and the number of words that each column had at first."""
    known = apply_words(case, read_words(contract))
    n_first = {column.name: column.n_first for column in contract.columns}
    columns = tuple(column.count_first(n_first.get(column.name, 0)) for column in known.columns)
    return replace(known, columns=columns, task=known.task.count_first(n_first))


def allow_missing(case: Case, readings: pd.DataFrame) -> Case:
    """The case whose columns of records allow missing values where these readings have any."""
    return replace(case, columns=case.layout.allow_missing(case.columns, readings))


def learn_words(contract: Contract, case: Case, readings: pd.DataFrame) -> Contract:
    """The contract with the words of the case and of these readings at the end, in the order of appearance.

    Columns that the contract lacks are added. A word keeps its place for ever, whatever the case file says later.
    """
    known = extend_words(apply_words(case, read_words(contract)), readings)
    for column in known.known_columns:
        meaning = contract.find(column.name) or _start_column(case.column(column.name))
        contract = contract.with_column(meaning.learn_words(column.labels))
    return contract


def start_contract(case: Case) -> Contract:
    """The first version of a case's contract, from its declaration alone."""
    columns = tuple(_start_column(column) for column in case.known_columns)
    return Contract(case=case.name, columns=columns)


def _start_column(column: Column) -> ColumnMeaning:
    return ColumnMeaning(
        name=column.name,
        kind=column.kind,
        unit=column.unit,
        words=column.labels,
        n_first=len(column.labels),
        missing_words=column.missing_words,
        allows_missing=column.missing == "allow",
    )
