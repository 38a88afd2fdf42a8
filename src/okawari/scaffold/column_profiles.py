"""Profiles of a table's columns: numbers, times, words or none of these, as the checks read them.

Independent of cases and tasks; `okawari.scaffold.infer` builds a case from the profiles.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from okawari.case import ARRIVED
from okawari.data.time_format import ISO, parse_times
from okawari.scaffold.value_kinds import (
    DAMAGED_SHARE,
    NO_HINTS,
    Hints,
    are_mixed_codes,
    are_padded,
    drop_markers,
    drop_missing,
    find_times,
    is_mostly,
)
from okawari.schema.columns import NAME
from okawari.schema.words import spell_label

Kind = Literal["numbers", "times", "words", "mixed", "other", "nothing"]

MAX_WORDS = 30
"""Most different words that count as labels; more are names or free text."""
_RESERVED = {ARRIVED, "row", "reason"}
"""Names that Okawari uses itself in tables of records and of refused rows."""
EMPTY_SHARE = 0.95
"""Largest share of empty fields in an input; with more of them, there is nothing to learn from the column."""
_IDENTIFIER = re.compile(r"(^|[^a-z])(id|ids|uuid|guid|key|nr|no|number|num|code|ref|reference|index)$")
_TRUTHS = {"true", "false"}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One column. `source_name` is its name in the table, `name` its name in a case; `words` are its first different
    words, sorted, at most `MAX_WORDS + 1`. `n_damaged` values, missing ones included, are not of its kind; `example` is
    one that is not missing. `missing_words` are texts that mean an empty field here. `quantiles` of numbers are those
    at 5, 10, 50 and 90 %. A column of codes holds words that could be read as numbers, such as 00501.
    `time_format` reads times; `two_ways` are formats between which nothing in the column decides, `example` a value.
    """

    source_name: str
    name: str
    kind: Kind
    n_rows: int
    n_missing: int
    n_damaged: int
    n_different: int
    words: tuple[str, ...] = ()
    low: float = np.nan
    high: float = np.nan
    n_not_positive: int = 0
    is_whole: bool = False
    quantiles: tuple[float, float, float, float] = (np.nan, np.nan, np.nan, np.nan)
    is_codes: bool = False
    missing_words: tuple[str, ...] = ()
    time_format: str = ISO
    two_ways: tuple[str, ...] = ()
    example: str = ""

    @property
    def is_constant(self) -> bool:
        """Whether it has fewer than two different values."""
        return self.n_different < 2

    @property
    def n_unreadable(self) -> int:
        """Values that are neither missing nor of its kind."""
        return self.n_damaged - self.n_missing

    @property
    def is_boolean(self) -> bool:
        """Whether it holds truth values, True and False."""
        return self.kind == "words" and {word.lower() for word in self.words} <= _TRUTHS

    @property
    def is_identifier(self) -> bool:
        """Whether it names rows: all its texts differ, or its numbers do and its name says so."""
        is_unique = self.n_different == self.n_rows - self.n_damaged > 2
        is_named = bool(_IDENTIFIER.search(self.source_name.strip().lower()))
        if self.kind == "numbers":
            return self.is_whole and is_named and (is_unique or self.n_different > MAX_WORDS)
        return self.kind == "words" and is_unique

    @property
    def is_amount(self) -> bool:
        """Whether its numbers look like amounts or counts: none is below 0, and they come near it.

        They come near it if one is 0, or if the lowest twentieth is below half of the median.
        """
        return self.low >= 0 and (self.low == 0 or self.quantiles[0] <= 0.5 * self.quantiles[2])

    @property
    def is_skewed(self) -> bool:
        """Whether all its numbers are above 0 and skewed to the right, less so in logarithms.

        Skewed: the distance from the median to the 90 % quantile is at least 1.6 times that to the 10 % quantile. It is
        1 for a normal distribution and 1.9 for the exponential of one with a standard deviation of 0.5.
        """
        if self.kind != "numbers" or self.n_not_positive or self.n_different <= MAX_WORDS:
            return False
        _, low, middle, high = self.quantiles
        skew, logged = _measure_skew(low, middle, high), _measure_skew(*np.log([low, middle, high]))
        return skew >= _SKEW and max(logged, 1 / logged) < skew

    @property
    def is_row_number(self) -> bool:
        """Whether it looks like a row number: whole numbers without repeat or gap."""
        counted = self.n_rows - self.n_damaged
        return self.is_whole and self.n_different == counted > 2 and self.high - self.low == counted - 1


_SKEW = 1.6


def _measure_skew(low: float, middle: float, high: float) -> float:
    """Distance of the higher quantile from the median, in units of that of the lower one."""
    return float((high - middle) / max(middle - low, 1e-12 * abs(middle) + 1e-300))


def profile_table(table: pd.DataFrame, hints: Hints = NO_HINTS) -> tuple[Profile, ...]:
    """Profiles of all columns, in their order, with numbers and times as `hints` states them."""
    names = name_columns([str(given) for given in table.columns])
    return tuple(_profile(table[given], name, hints) for given, name in zip(table.columns, names, strict=True))


def name_columns(source_names: Sequence[str]) -> list[str]:
    """Valid names for a case, each unique: valid names stay, other names keep their letters and digits.

    Example:
        >>> name_columns(["units", "Unit Price", "unit_price", "2024", "Größe", "%"])
        ['units', 'unit_price_2', 'unit_price', 'column_2024', 'grosse', 'column_6']
    """
    fits = [bool(NAME.match(name)) and name not in _RESERVED for name in source_names]
    taken = {name for name, is_fit in zip(source_names, fits, strict=True) if is_fit}
    names: list[str] = []
    for number, (name, is_fit) in enumerate(zip(source_names, fits, strict=True), start=1):
        names.append(name if is_fit else _find_free(_clean(name) or f"column_{number}", taken))
        taken.add(names[-1])
    return names


def _clean(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:34]
    if words in _RESERVED:
        return f"{words}_told"
    return words if not words or words[0].isalpha() else f"column_{words}"[:34]


def _find_free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _profile(values: pd.Series, name: str, hints: Hints) -> Profile:
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    source_name, kept = str(values.name), drop_missing(values, hints)
    kept, markers = drop_markers(kept, hints)
    counts: dict[str, Any] = {
        "n_rows": len(values), "n_missing": len(values) - len(kept), "missing_words": markers,
    }  # fmt: skip
    if kept.empty:
        return Profile(
            source_name=source_name, name=name, kind="nothing", n_damaged=len(values), n_different=0, **counts
        )
    kind, read, found = _read(kept, hints)
    odd = kept[read.isna()]
    spelled: dict[str, Any] = {"words": _list_words(kept[read.notna()])} if kind in ("numbers", "words") else {}
    return Profile(
        source_name=source_name,
        name=name,
        kind=kind,
        n_damaged=len(values) - int(read.notna().sum()),
        **{"example": "" if odd.empty else str(odd.iloc[0]), **counts, **spelled, **found},
    )


def _read(kept: pd.Series, hints: Hints) -> tuple[Kind, pd.Series, dict[str, Any]]:
    """The kind of some values, the values as that kind (missing if they are not of it), and their statistics."""
    if are_padded(kept) and not hints.states_times(kept):
        return _describe_codes(kept)
    times = find_times(kept, hints)
    if times.is_time:
        read = parse_times(kept, times.format, hints.zone)
        found = {"n_different": int(read.nunique()), "time_format": times.format, "two_ways": times.two_ways}
        return "times", read, {**found, "example": str(kept.iloc[0])} if times.two_ways else found
    numbers = hints.read_numbers(kept)
    if is_mostly(numbers):
        return "numbers", numbers, _summarize_numbers(numbers.dropna())
    if are_mixed_codes(kept, numbers):
        return _describe_codes(kept)
    return _classify_words(kept, numbers)


def _describe_codes(kept: pd.Series) -> tuple[Kind, pd.Series, dict[str, Any]]:
    return "words", kept, {"n_different": int(kept.map(spell_label).nunique()), "is_codes": True}


def _summarize_numbers(numbers: pd.Series) -> dict[str, Any]:
    return {
        "n_different": int(numbers.nunique()),
        "low": float(numbers.min()),
        "high": float(numbers.max()),
        "n_not_positive": int((numbers <= 0).sum()),
        "is_whole": bool((numbers % 1 == 0).all()),
        "quantiles": tuple(float(each) for each in numbers.quantile([0.05, 0.1, 0.5, 0.9])),
    }


def _classify_words(kept: pd.Series, numbers: pd.Series) -> tuple[Kind, pd.Series, dict[str, Any]]:
    """The kind of values that are no numbers or times: words, unless too many are numbers or some are not text."""
    is_text = kept.map(lambda value: isinstance(value, (str, bool, np.bool_))).astype(bool)
    if not is_text.all():
        kind: Kind = "mixed" if is_text.any() or numbers.notna().any() else "other"
        return kind, numbers, {"n_different": 0}
    if numbers.notna().mean() > DAMAGED_SHARE:
        return "mixed", numbers, {"n_different": 0}
    return "words", kept, {"n_different": int(kept.map(spell_label).nunique())}


def _list_words(kept: pd.Series) -> tuple[str, ...]:
    words = list(dict.fromkeys(map(spell_label, kept.drop_duplicates())))[: MAX_WORDS + 1]
    return tuple(sorted(words, key=lambda word: (_to_number(word), word)))


def _to_number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return 0.0
