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
from okawari.data.number_format import parse_numbers
from okawari.data.time_format import ISO, parse_times
from okawari.data.time_recognition import recognise_times
from okawari.schema.columns import NAME, spell_label

Kind = Literal["numbers", "times", "words", "mixed", "other", "nothing"]

DAMAGED_SHARE = 0.05
"""Largest share of damaged values in a column; the checks refuse such rows one by one. With more of them, the column is
of another kind."""
MAX_WORDS = 30
"""Most different words that count as labels; more are names or free text."""
_RESERVED = {ARRIVED, "row", "reason"}
"""Names that Okawari uses itself in tables of records and of refused rows."""
EMPTY_SHARE = 0.95
"""Largest share of empty fields in an input; with more of them, there is nothing to learn from the column."""
MISSING_MARKERS = ("na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "unknown", "?", "-", "--", ".", "..")
"""Texts, in lower case, that mean an empty field among numbers or times; among words they are words."""
_PADDED = re.compile(r"0\d+")
_DIGITS = re.compile(r"\d+")
_CODE = re.compile(r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9./_-]*")
_PADDED_SHARE = 0.01
"""Smallest share of values with a leading zero by which digits of different lengths are codes."""
_IDENTIFIER = re.compile(r"(^|[^a-z])(id|ids|uuid|guid|key|nr|no|number|num|code|ref|reference|index)$")
_TRUTHS = {"true", "false"}
_SLASHED = re.compile(r"^\s*(\d{1,2})[./-](\d{1,2})[./-](?:\d{4}|\d{2})\b")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One column. `source_name` is its name in the table, `name` its name in a case; `words` are its first different
    words, sorted, at most `MAX_WORDS + 1`. `n_damaged` values, missing ones included, are not of its kind; `example` is
    one that is not missing. `missing_words` are texts that mean an empty field here. `quantiles` of numbers are those
    at 5, 10, 50 and 90 %. A column of codes holds words that could be read as numbers, such as 00501.
    `ambiguous_time` is a time that can be read in two ways.
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
    ambiguous_time: str = ""
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


def profile_table(table: pd.DataFrame) -> tuple[Profile, ...]:
    """Profiles of all columns, in their order."""
    names = name_columns([str(given) for given in table.columns])
    return tuple(_profile(table[given], name) for given, name in zip(table.columns, names, strict=True))


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


def _profile(values: pd.Series, name: str) -> Profile:
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    source_name, kept = str(values.name), _drop_missing(values)
    kept, markers = _drop_markers(kept)
    counts: dict[str, Any] = {
        "n_rows": len(values), "n_missing": len(values) - len(kept), "missing_words": markers,
    }  # fmt: skip
    if kept.empty:
        return Profile(
            source_name=source_name, name=name, kind="nothing", n_damaged=len(values), n_different=0, **counts
        )
    kind, read, found = _read(kept)
    odd = kept[read.isna()]
    spelled: dict[str, Any] = {"words": _list_words(kept[read.notna()])} if kind in ("numbers", "words") else {}
    return Profile(
        source_name=source_name,
        name=name,
        kind=kind,
        n_damaged=len(values) - int(read.notna().sum()),
        example="" if odd.empty else str(odd.iloc[0]),
        **counts,
        **spelled,
        **found,
    )


def _read(kept: pd.Series) -> tuple[Kind, pd.Series, dict[str, Any]]:
    """The kind of some values, the values as that kind (missing if they are not of it), and their statistics."""
    numbers = parse_numbers(kept)
    numbers = numbers.where(np.isfinite(numbers))
    if _are_padded(kept):
        return _describe_codes(kept)
    if _is_mostly(numbers):
        return "numbers", numbers, _summarize_numbers(numbers.dropna())
    format = find_time_format(kept)
    times = parse_times(kept, format)
    if _is_mostly(times):
        return "times", times, {"n_different": int(times.nunique()), "ambiguous_time": _find_ambiguous_time(kept)}
    if _are_mixed_codes(kept, numbers):
        return _describe_codes(kept)
    return _classify_words(kept, numbers)


def find_time_format(values: pd.Series) -> str:
    """The format of some times; the first one, if they read in two ways, and ISO 8601 if none fits."""
    found = recognise_times(values)
    return found.format or next(iter(found.two_ways), ISO)


def _describe_codes(kept: pd.Series) -> tuple[Kind, pd.Series, dict[str, Any]]:
    return "words", kept, {"n_different": int(kept.map(spell_label).nunique()), "is_codes": True}


def _drop_missing(values: pd.Series) -> pd.Series:
    kept = values[values.notna()]
    if kept.dtype.kind != "O":
        return kept
    return kept[~kept.map(lambda value: isinstance(value, str) and not value.strip()).astype(bool)]


def _drop_markers(kept: pd.Series) -> tuple[pd.Series, tuple[str, ...]]:
    """The values without markers of missing values, and these markers; unchanged unless the others are no words."""
    is_text = kept.map(lambda value: isinstance(value, str)).astype(bool) if kept.dtype.kind == "O" else None
    if is_text is None or not is_text.any():
        return kept, ()
    is_marker = is_text & kept.map(lambda value: str(value).strip().lower() in MISSING_MARKERS).astype(bool)
    others = kept[~is_marker]
    if (
        not is_marker.any()
        or others.empty
        or not (_is_mostly(parse_numbers(others)) or _is_mostly(parse_times(others)))
    ):
        return kept, ()
    return others, tuple(sorted({value.strip() for value in kept[is_marker]}))


def _are_padded(kept: pd.Series) -> bool:
    """Whether texts are digits with leading zeros, such as 00501."""
    if not _are_texts(kept):
        return False
    texts = kept.str.strip()
    padded = float(texts.str.fullmatch(_PADDED).mean())
    if not padded or texts.str.fullmatch(_DIGITS).mean() < 1 - DAMAGED_SHARE:
        return False
    return padded >= _PADDED_SHARE or texts.str.len().nunique() == 1


def _are_mixed_codes(kept: pd.Series, numbers: pd.Series) -> bool:
    """Whether texts are numbers in some rows, and digits with different letters in others, such as 12A and B7."""
    if not _are_texts(kept):
        return False
    others = kept[numbers.isna()].str.strip()
    is_code = bool(others.str.fullmatch(_CODE).all())
    return is_code and others.str.replace(r"[\d.]", "", regex=True).nunique() > 1


def _are_texts(kept: pd.Series) -> bool:
    return kept.dtype.kind == "O" and bool(kept.map(lambda value: isinstance(value, str)).all())


def _is_mostly(read: pd.Series) -> bool:
    return bool(read.isna().mean() <= DAMAGED_SHARE)


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


def _find_ambiguous_time(kept: pd.Series) -> str:
    """A time like 31/12/2024 or 1/2/2024, unless others like 12/31/2024 show that the month comes first."""
    texts = [value for value in kept if isinstance(value, str)]
    found = [match for match in map(_SLASHED.match, texts) if match]
    day_first = [match.string for match in found if int(match[1]) > 12]
    month_first = [match.string for match in found if int(match[2]) > 12]
    if day_first or not month_first:
        return next(iter(day_first or [match.string for match in found]), "")
    return ""
