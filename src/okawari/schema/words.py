"""How words are spelled: values of any type as words, and truth values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

_TRUTHS = {"false": "false", "true": "true", "0": "false", "1": "true"}


def read_boolean(word: str | None) -> str | None:
    """A truth value as files write it: True, false, 1 or 0; any other word is unchanged, and is no truth value."""
    return word if word is None else _TRUTHS.get(word.lower(), word)


def spell_words(values: pd.Series, missing_words: Sequence[str] = ()) -> pd.Series:
    """Values of any type as words (object): `str`, or None for a missing value, an empty text or a missing word.

    >>> spell_words(pd.Series(["00501", "NA", "", None])).tolist()
    ['00501', 'NA', None, None]
    """
    spelt = {"": None, **dict.fromkeys(missing_words)}
    is_missing = values.isna().to_numpy()
    words: list[str | None] = []
    for value, missing in zip(values.tolist(), is_missing, strict=True):
        word = None if missing else spell_label(value)
        words.append(None if word is None else spelt.get(word, word))
    return pd.Series(words, index=values.index, dtype=object)


def spell_label(value: object) -> str:
    """A label as a word. Texts stay as they are; the number 3.0 is the word "3", as a column with gaps holds it."""
    is_whole = isinstance(value, (float, np.floating)) and np.isfinite(value) and value == value // 1
    return str(int(value)) if is_whole else str(value).strip()  # type: ignore[call-overload]
