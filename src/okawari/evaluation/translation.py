"""Questions and answers between two dictionaries of one case, so that graphs of both are compared on the same rows.

Shapes: B windows, T readings, F columns, H columns of an answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.case import Case
from okawari.graph.inference import Answer
from okawari.schema.columns import find_words

Values = NDArray[Any]


def translate_questions(x_BTF: Values, case: Case, other: Case) -> Values:
    """Questions with the places of the words of `case`, as questions with those of `other`.

    A word that `other` does not have gets the place of unknown words. A missing value stays NaN.
    """
    translated_BTF = x_BTF.copy()
    for column in find_words(case.columns):
        place = case.column_names.index(column.name)
        translated_BTF[..., place] = translate_places(
            x_BTF[..., place], column.labels, other.column(column.name).labels
        )
    return translated_BTF


def translate_places(places: Values, words: tuple[str, ...], other: tuple[str, ...]) -> Values:
    """Places in `words` as places in `other`."""
    known = {word: place for place, word in enumerate(other)}
    table = np.array([*(known.get(word, len(other)) for word in words), len(other)], dtype=np.float64)
    is_missing = np.isnan(places)
    found: Values = table[np.where(is_missing, 0, places).astype(np.int64)]
    found[is_missing] = np.nan
    return found


def translate_answer(answer: Answer, case: Case, other: Case) -> Answer:
    """An answer in the labels of `case`, as one in the labels of `other`."""
    mean_BH = _translate(answer.mean_BH, case, other)
    lower_BH = None if answer.lower_BH is None else _translate(answer.lower_BH, case, other)
    upper_BH = None if answer.upper_BH is None else _translate(answer.upper_BH, case, other)
    return replace(answer, mean_BH=mean_BH, lower_BH=lower_BH, upper_BH=upper_BH)


def _translate(values_BH: Values, case: Case, other: Case) -> Values:
    pairs = zip(case.task.heads, other.task.heads, strict=True)
    return np.concatenate([own.translate(values_BH[:, own.columns], head) for own, head in pairs], axis=1)
