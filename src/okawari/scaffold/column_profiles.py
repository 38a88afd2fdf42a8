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
_SLASHED = re.compile(r"^\s*(\d{1,2})[./-](\d{1,2})[./-](?:\d{4}|\d{2})\b")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One column. `source_name` is its name in the table, `name` its name in a case; `words` are its first different
    words, sorted, at most `MAX_WORDS + 1`. `n_damaged` values, missing ones included, are not of its kind; `example` is
    one of them. `ambiguous_time` is a time that can be read in two ways.
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
    ambiguous_time: str = ""
    example: str = ""

    @property
    def is_constant(self) -> bool:
        """Whether it has fewer than two different values."""
        return self.n_different < 2

    @property
    def is_row_number(self) -> bool:
        """Whether it looks like a row number: whole numbers without repeat or gap."""
        counted = self.n_rows - self.n_damaged
        return self.is_whole and self.n_different == counted > 2 and self.high - self.low == counted - 1


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
    counts: dict[str, Any] = {"n_rows": len(values), "n_missing": len(values) - len(kept)}
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
    if _is_mostly(numbers):
        return "numbers", numbers, _summarize_numbers(numbers.dropna())
    format = find_time_format(kept)
    times = parse_times(kept, format)
    if _is_mostly(times):
        return "times", times, {"n_different": int(times.nunique()), "ambiguous_time": _find_ambiguous_time(kept)}
    return _classify_words(kept, numbers)


def find_time_format(values: pd.Series) -> str:
    """The format of some times; the first one, if they read in two ways, and ISO 8601 if none fits."""
    found = recognise_times(values)
    return found.format or next(iter(found.two_ways), ISO)


def _drop_missing(values: pd.Series) -> pd.Series:
    kept = values[values.notna()]
    if kept.dtype.kind != "O":
        return kept
    return kept[~kept.map(lambda value: isinstance(value, str) and not value.strip()).astype(bool)]


def _is_mostly(read: pd.Series) -> bool:
    return bool(read.isna().mean() <= DAMAGED_SHARE)


def _summarize_numbers(numbers: pd.Series) -> dict[str, Any]:
    return {
        "n_different": int(numbers.nunique()),
        "low": float(numbers.min()),
        "high": float(numbers.max()),
        "n_not_positive": int((numbers <= 0).sum()),
        "is_whole": bool((numbers % 1 == 0).all()),
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
