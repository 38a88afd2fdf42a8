"""The words of questions and models: a question is encoded by the dictionary of the model that answers it.

A question holds each word as its place among the question's own words, because the model that will answer it is not
known when it is read: a swap may come in between.

Shapes: B windows, T readings, F columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.case import Case
from okawari.evaluation.translation import translate_places
from okawari.schema.columns import find_words

Words = Mapping[str, tuple[str, ...]]
"""The words of a question by column; the question holds places in these."""
Values = NDArray[Any]


class WordCollector:
    """Collects the words of a question, and gives each its place among them."""

    def __init__(self, case: Case) -> None:
        self._columns = find_words(case.columns)
        self._places: dict[str, dict[str, float]] = {column.name: {} for column in self._columns}

    def encode(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record with places; a missing word is NaN."""
        words = {column.name: column.read_json(record[column.name]) for column in self._columns}
        return {**record, **{name: self._find_place(name, word) for name, word in words.items()}}

    def _find_place(self, name: str, word: str | None) -> float:
        places = self._places[name]
        return float("nan") if word is None else places.setdefault(word, float(len(places)))

    @property
    def words(self) -> dict[str, tuple[str, ...]]:
        """The collected words by column."""
        return {name: tuple(places) for name, places in self._places.items()}


def encode_words(x_BTF: Values, words: Words, case: Case) -> Values:
    """A question's windows with the places of its words in the labels of `case`; unknown words get the place after."""
    if not words:
        return x_BTF
    encoded_BTF = x_BTF.copy()
    for name, own in words.items():
        place = case.column_names.index(name)
        encoded_BTF[..., place] = translate_places(x_BTF[..., place], own, case.column(name).labels)
    return encoded_BTF


def find_unknown(words: Words, case: Case) -> dict[str, tuple[str, ...]]:
    """By column, the words of a question that are not labels of `case`; columns without such words are left out."""
    unknown = {name: _subtract(own, case.column(name).labels) for name, own in words.items()}
    return {name: strange for name, strange in unknown.items() if strange}


def _subtract(words: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    places = frozenset(known)
    return tuple(word for word in words if word not in places)


def list_unknown(x_BTF: Values, words: Words, case: Case, index: int) -> dict[str, str]:
    """By column, the unknown word of one instance, in its last reading."""
    unknown = find_unknown(words, case)
    found = {name: x_BTF[index, -1, case.column_names.index(name)] for name in unknown}
    told = {name: words[name][int(place)] for name, place in found.items() if not np.isnan(place)}
    return {name: word for name, word in told.items() if word in unknown[name]}


def write_note(unknown: Mapping[str, str]) -> str:
    """A sentence about the unknown words of an instance."""
    named = ", ".join(f"{name} {word!r}" for name, word in unknown.items())
    return f"The model does not know {named}; it answered as for any word that it has not learned."
