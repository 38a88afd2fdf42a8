"""The state of a scoring job between two chunks: counts of rows, and the rows that later windows reach back to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import pandas as pd

from okawari.case import Case


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Counts of the rows of a scored file. `early` rows are valid, but too few valid rows precede them."""

    rows: int = 0
    answered: int = 0
    refused: int = 0
    early: int = 0
    first_reason: str = ""
    new_words: Mapping[str, int] = field(default_factory=dict)
    """By column, the answered rows with a word that the model does not know."""
    first_new_words: Mapping[str, str] = field(default_factory=dict)
    """By column, the first of these words."""

    @property
    def reason(self) -> str:
        """The outcome as one sentence with its numbers."""
        counts = f"{self.answered} of {self.rows} rows answered, {self.early} too early for a window"
        refused = f", {self.refused} refused; first: {self.first_reason}" if self.refused else ""
        return counts + refused + self._describe_words()

    def _describe_words(self) -> str:
        found = [
            f"{n:,} {'rows have' if n > 1 else 'row has'} a word of {name} that the model does not know, such as "
            f"{self.first_new_words[name]!r}"
            for name, n in self.new_words.items()
        ]
        return f"; {', '.join(found)}; they are answered as any word that it has not learned" if found else ""

    def add_words(self, found: Mapping[str, Mapping[str, int]]) -> Scored:
        """The counts with further rows of unknown words: by column, each word with its number of rows."""
        counts = {name: self.new_words.get(name, 0) + sum(words.values()) for name, words in found.items()}
        firsts = {name: next(iter(words)) for name, words in found.items()}
        return replace(self, new_words={**self.new_words, **counts}, first_new_words={**firsts, **self.first_new_words})


@dataclass(frozen=True, kw_only=True)
class Progress:
    """State between two chunks: the counts, and the valid rows that later windows reach back to."""

    scored: Scored
    checked_at: datetime
    carried: pd.DataFrame
    last_row: int = 0
    nonce: str = ""
    """Random digits from which the ids of recorded rows are derived."""

    def describe(self, time: str) -> dict[str, Any]:
        """The state as plain JSON values; `time` is the time column."""
        timed = {time: self.carried[time].astype("int64")} if time in self.carried else {}
        carried = self.carried.assign(**timed).to_dict("list")
        return {
            "scored": asdict(self.scored),
            "checked_at": self.checked_at.isoformat(),
            "carried": carried,
            "last_row": self.last_row,
            "nonce": self.nonce,
        }

    @classmethod
    def restore(cls, plain: Mapping[str, Any], time: str) -> Progress:
        """The state from `describe`."""
        is_empty = not any(plain["carried"].values())
        carried = pd.DataFrame(plain["carried"], dtype="float64" if is_empty else None)
        if time in carried:
            carried[time] = pd.to_datetime(carried[time].astype("int64")).astype("datetime64[ns]")
        return cls(
            scored=Scored(**plain["scored"]),
            checked_at=datetime.fromisoformat(plain["checked_at"]),
            carried=carried,
            last_row=plain["last_row"],
            nonce=plain["nonce"],
        )


def empty_rows(case: Case) -> pd.DataFrame:
    """No readings, with the columns of a question."""
    kinds = {"number": "float64", "word": "object", "date": "datetime64[ns]"}
    values = {column.name: pd.Series(dtype=kinds[column.kind]) for column in case.columns}
    times = {name: pd.Series(dtype="datetime64[ns]") for name in case.time_columns}
    return pd.DataFrame({**times, **values})
