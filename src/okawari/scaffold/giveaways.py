"""Columns that give the target away: known only with the true value, so a model learns nothing that it can use later.

A column is named for one of three reasons: alone it predicts the target of held-out rows nearly perfectly; it is filled
only where the target has one value; or its name says that it is the target in other words. The user decides: a column
is never dropped for it. A normally distributed feature that explains up to 97 % of the variance was named in none of
900 drawn tables of 100 to 1,000 rows, one that explains 98 % in 11 %, one that explains 99 % in 98 %. Shapes: n rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.data.time_format import parse_times
from okawari.formats import format_share
from okawari.scaffold.column_profiles import Profile
from okawari.scaffold.column_roles import ProfiledTable
from okawari.scaffold.value_kinds import Hints
from okawari.schema.words import spell_label

MAX_RANK_CORRELATION = 0.99
"""Largest rank correlation of a number with a target that is a number. A feature that explains 95 % of the variance of
normally distributed values has 0.97."""
MIN_EXPLAINED_SHARE = 0.99
"""Share of a number's variance that the nearest held-in row explains; noise of a share s leaves 1 - 2 s."""
MIN_EXPLAINED_BY_WORDS = 0.9999
"""The same for words: a place or a product may well set a number's level, and only a copy sets all of it."""
MAX_ERROR_SHARE = 0.02
"""Largest share of wrong labels, relative to the most frequent label's."""
MAX_CHANCE = 1e-6
"""Largest probability that filled fields fall by chance on rows with one value of the target."""
_MIN_ROWS, _MAX_ROWS = 60, 5000
_MIN_FILLED = 15
_REVEALING = {
    "actual", "after", "answer", "bin", "class", "code", "copy", "date", "encoded", "final", "flag", "future", "group",
    "label", "log", "new", "next", "outcome", "reason", "result", "true", "truth", "value",
}  # fmt: skip


def find_giveaways(profiled: ProfiledTable, inputs: Sequence[Profile], *, labelled: bool) -> tuple[str, ...]:
    """One sentence for each input of records that gives the target away, with the reason."""
    target = profiled.target
    table = profiled.table[~_is_empty(profiled.table[target.source_name], target)]
    if len(table) > _MAX_ROWS:
        table = table.sample(_MAX_ROWS, random_state=0)
    hints = profiled.hints
    truth_n = _read(table[target.source_name], target, hints, as_words=labelled)
    table, truth_n = table[~np.isnan(truth_n)], truth_n[~np.isnan(truth_n)]
    found = []
    for column in inputs:
        values = table[column.source_name]
        x_n = _read(values, column, hints, as_words=column.kind == "words")
        reasons = list(_list_reasons(x_n, _is_empty(values, column), column, truth_n, labelled=labelled))
        if _is_named_after(column.name, target.name):
            reasons.append("its name says so")
        if reasons:
            found.append(
                f"{column.source_name!r} may give {target.source_name!r} away: {'; '.join(reasons)}. Remove it from "
                "the columns if it is known only together with the true value."
            )
    return tuple(found)


def _list_reasons(
    x_n: NDArray[np.float64], is_empty: pd.Series, column: Profile, truth_n: NDArray[np.float64], *, labelled: bool
) -> Iterator[str]:
    if len(truth_n) >= _MIN_ROWS:
        measure = _explain_labels if labelled else _explain_numbers
        yield from measure(x_n, truth_n, is_word=column.kind == "words")
        yield from _explain_filled(~is_empty.to_numpy(), truth_n)


def _is_empty(values: pd.Series, column: Profile) -> pd.Series:
    texts = values.map(lambda value: value.strip() if isinstance(value, str) else value)
    return texts.isna() | texts.isin(["", *column.missing_words])


def _read(values: pd.Series, column: Profile, hints: Hints, *, as_words: bool) -> NDArray[np.float64]:
    """Numbers, or a number for each different word; NaN for a missing value."""
    if column.kind == "times":
        times = parse_times(values, column.time_format, hints.zone)
        since = (times - pd.Timestamp(0)) / pd.Timedelta(seconds=1)
        return np.asarray(since, dtype=np.float64)
    if not as_words:
        return hints.read_numbers(values).to_numpy()
    places, _ = pd.factorize(values.mask(_is_empty(values, column)).map(spell_label, na_action="ignore"))
    return np.where(places < 0, np.nan, places.astype(np.float64))


# --- alone --------------------------------------------------------------------------------------------------------


def _explain_labels(x_n: NDArray[np.float64], truth_n: NDArray[np.float64], *, is_word: bool) -> Iterator[str]:
    """The share of held-out labels that the nearest held-in row predicts."""
    known, held_out = _halve(len(truth_n))
    predicted_n = _predict_labels(x_n, truth_n, known, held_out, is_word=is_word)
    wrong = float(np.mean(predicted_n != truth_n[held_out]))
    usual = float(np.mean(_find_most_frequent(truth_n[known]) != truth_n[held_out]))
    if wrong <= MAX_ERROR_SHARE * usual:
        right, often = format_share(1 - wrong), format_share(1 - usual)
        yield f"alone it predicts {right} of held-out rows, where the most frequent label predicts {often}"


def _explain_numbers(x_n: NDArray[np.float64], truth_n: NDArray[np.float64], *, is_word: bool) -> Iterator[str]:
    """The rank correlation, or the share of variance that the nearest held-in row explains."""
    filled = ~np.isnan(x_n)
    x_n, truth_n = x_n[filled], truth_n[filled]
    if len(x_n) < _MIN_ROWS or np.ptp(x_n) == 0 or np.ptp(truth_n) == 0:
        return
    rank = 0.0 if is_word else float(pd.Series(x_n).corr(pd.Series(truth_n), method="spearman"))
    if abs(rank) > MAX_RANK_CORRELATION:
        yield f"its rank correlation with the target is {rank:.4f}"
        return
    known, held_out = _halve(len(truth_n))
    if is_word:
        means = pd.Series(truth_n[known]).groupby(x_n[known]).mean()
        predicted_n = pd.Series(x_n[held_out]).map(means).fillna(truth_n[known].mean()).to_numpy()
    else:
        predicted_n = truth_n[known][_find_nearest(x_n[known], x_n[held_out])]
    error = float(np.mean((truth_n[held_out] - predicted_n) ** 2) / max(float(np.var(truth_n[held_out])), 1e-300))
    if error <= 1 - (MIN_EXPLAINED_BY_WORDS if is_word else MIN_EXPLAINED_SHARE):
        yield f"alone it explains {format_share(1 - error, 2)} of the target's variance in held-out rows"


def _halve(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    shuffled_n = np.random.default_rng(0).permutation(n)
    return shuffled_n[: n // 2], shuffled_n[n // 2 :]


def _predict_labels(
    x_n: NDArray[np.float64],
    truth_n: NDArray[np.float64],
    known: NDArray[np.int64],
    held_out: NDArray[np.int64],
    *,
    is_word: bool,
) -> NDArray[np.float64]:
    """The label of the nearest known number, or the most frequent label of the word; a missing value is a word."""
    filled_n = x_n[~np.isnan(x_n)] if not np.isnan(x_n).all() else np.zeros(1)
    x_n = np.where(np.isnan(x_n), filled_n.min() - np.ptp(filled_n) - 1, x_n)
    if not is_word:
        return truth_n[known][_find_nearest(x_n[known], x_n[held_out])]
    common = {value: _find_most_frequent(truth_n[known][x_n[known] == value]) for value in np.unique(x_n[known])}
    usual = _find_most_frequent(truth_n[known])
    return np.array([common.get(value, usual) for value in x_n[held_out]])


def _find_most_frequent(values_n: NDArray[np.float64]) -> float:
    values, counts = np.unique(values_n, return_counts=True)
    return float(values[counts.argmax()])


def _find_nearest(known_n: NDArray[np.float64], asked_n: NDArray[np.float64]) -> NDArray[np.int64]:
    """The place in `known_n` of the number nearest to each asked one."""
    order = np.argsort(known_n, kind="stable")
    ordered = known_n[order]
    after = np.clip(np.searchsorted(ordered, asked_n), 1, len(ordered) - 1)
    is_before = asked_n - ordered[after - 1] <= ordered[after] - asked_n
    nearest: NDArray[np.int64] = order[np.where(is_before, after - 1, after)]
    return nearest


# --- filled, named ------------------------------------------------------------------------------------------------


def _explain_filled(is_filled_n: NDArray[np.bool_], truth_n: NDArray[np.float64]) -> Iterator[str]:
    """Whether filled fields, or empty ones, all stand beside one value of the target."""
    for which, rows_n in (("filled", is_filled_n), ("empty", ~is_filled_n)):
        n, values = int(rows_n.sum()), np.unique(truth_n[rows_n])
        if n < _MIN_FILLED or len(values) != 1:
            continue
        share = float(np.mean(truth_n == values[0]))
        if share**n < MAX_CHANCE:
            all_rows = format_share(share)
            yield f"it is {which} in {n} rows, all with the same value of the target, which {all_rows} of all rows have"


def _is_named_after(name: str, target: str) -> bool:
    """Whether a name consists of the target's name and words such as `copy` or `final`."""
    own, words = target.split("_"), name.split("_")
    for start in range(len(words) - len(own) + 1):
        others = words[:start] + words[start + len(own) :]
        if words[start : start + len(own)] == own and others and set(others) <= _REVEALING:
            return True
    return False
