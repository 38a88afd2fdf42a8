"""The rows of a delivery: which of them change something, and which are in a kept delivery already."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.case import Case
from okawari.contract.case_words import apply_words, read_words
from okawari.contract.editions import find_rescaling
from okawari.contract.usual import Counts
from okawari.dataset.changes import Changes, compare_readings, count_filled
from okawari.policy.decision import Verdict
from okawari.storage import delivery_log, quarantine, snapshots
from okawari.storage.contracts import load_contract
from okawari.storage.delivery_log import Delivery, State
from okawari.storage.reading_rows import lay_out


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a delivery comes from, and what its file says about itself.

    `edition` names the source whose edition of the history this is ("source" or "live"); empty for a file.
    `replaces_history` is true if a person declared the delivery to be a new edition.
    """

    source: str
    edition: str = ""
    replaces_history: bool = False
    ends_cut: bool | None = None
    notes: tuple[str, ...] = ()
    """What differs from how the case says that its files are written."""
    remarks: tuple[str, ...] = ()
    """What else a person should know of the columns; it changes the meaning of no value."""
    unused: tuple[str, ...] = ()
    """Columns of the table that the case does not use."""

    @property
    def is_own_source(self) -> bool:
        """Whether it is the case's own source, which may be an older edition than the stored readings."""
        return self.edition == "source"


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """The rows of a delivery that change something: readings with their times, and refused rows with their reasons."""

    changed: pd.DataFrame
    refused: pd.DataFrame
    counts: Counts
    kept_rows: int = 0
    unchanged: int = 0
    """Rows that are stored already: the same readings again, and records that equal stored ones."""
    left_out: int = 0
    """Rows that are in a held, waiting or discarded delivery already."""
    factors: Mapping[str, tuple[float, float]] | None = None
    """The factors by which the whole history was rescaled; None if it was not."""

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return self.changed.empty and self.refused.empty


@dataclass(frozen=True)
class Rows:
    """Rows that arrived, without those that are in a kept delivery."""

    good: pd.DataFrame
    refused: pd.DataFrame
    all_good: pd.DataFrame
    left_out: int


def leave_out(case: Case, good: pd.DataFrame, refused: pd.DataFrame, kept: Sequence[Delivery], origin: Origin) -> Rows:
    """Leave out the rows that are held, wait or were discarded, each as often as it is kept.

    A delivery that corrects a kept one is taken whole: the rows that were right before would be missing otherwise.
    """
    kept = _drop_corrected(case, good, refused, kept, origin)
    if not kept:
        return Rows(good, refused, good, 0)
    known = pd.concat([_read_rows(case, each, good) for each in kept])
    ours, theirs = (_count_keys(_key_rows(case, frame)) for frame in (good, known))
    is_kept = ours.isin(theirs).to_numpy()
    keys = set().union(*(quarantine.list_keys(_read_refused(each)) for each in kept))
    is_known = np.array([key in keys for key in quarantine.list_keys(refused)], dtype=bool)
    n_left_out = int(is_kept.sum() + is_known.sum())
    return Rows(good[~is_kept].reset_index(drop=True), refused[~is_known].reset_index(drop=True), good, n_left_out)


def _drop_corrected(
    case: Case, good: pd.DataFrame, refused: pd.DataFrame, kept: Sequence[Delivery], origin: Origin
) -> list[Delivery]:
    """The kept deliveries that the arrived rows do not correct.

    A series corrects a delivery by other values or other times, where both have readings. Records have no key, so a
    file corrects a discarded delivery by some but not all of its rows. A source may have dropped old records since, so
    it corrects none.
    """
    if not kept:
        return []
    if not case.key_columns:
        arrived = {*_key_rows(case, good), *quarantine.list_keys(refused)}
        may_correct = not origin.edition
        return [
            each
            for each in kept
            if not (may_correct and each.state == State.DISCARDED and _has_some(case, each, arrived, good))
        ]
    stored = snapshots.find_stored(case)
    frames = [_read_rows(case, each, good) for each in kept]
    known = {key for frame in (*frames, *([] if stored is None else [stored])) for key in _key_rows(case, frame)}
    return [each for each, rows in zip(kept, frames, strict=True) if not _has_other_values(case, good, rows, known)]


def _has_some(case: Case, kept: Delivery, arrived: set[Any], good: pd.DataFrame) -> bool:
    theirs = {*_key_rows(case, _read_rows(case, kept, good)), *quarantine.list_keys(_read_refused(kept))}
    return bool(theirs & arrived) and bool(theirs - arrived)


def _has_other_values(case: Case, good: pd.DataFrame, rows: pd.DataFrame, known: set[Any]) -> bool:
    """Whether, where both have readings, some of `rows` did not arrive or some arrived that are not known."""
    if rows.empty or good.empty:
        return False
    first = max(rows[case.time].min(), good[case.time].min())
    last = min(rows[case.time].max(), good[case.time].max())
    ours, theirs = (set(_key_rows(case, each[each[case.time].between(first, last)])) for each in (good, rows))
    return not theirs <= ours or not ours <= known


def _read_rows(case: Case, kept: Delivery, good: pd.DataFrame) -> pd.DataFrame:
    """The valid rows of a kept delivery; none of them, in the columns of `good`, where it has none."""
    names = [*case.time_columns, *case.known_names]
    return (_unpack(case, kept) if kept.content else good.iloc[:0])[names]


def _unpack(case: Case, kept: Delivery) -> pd.DataFrame:
    """The valid rows of a kept delivery in the columns that the case has by now; those it lacked are missing."""
    return lay_out(case, delivery_log.unpack_rows(kept.content or b"", case.time))


def _key_rows(case: Case, rows: pd.DataFrame) -> NDArray[np.uint64]:
    """A hash of each row's values: of a series with its time, of a record without its time of arrival."""
    names = [*case.time_columns, *case.known_names]
    return np.asarray(pd.util.hash_pandas_object(rows[names].reset_index(drop=True), index=False))


def _count_keys(keys: NDArray[np.uint64]) -> pd.Series:
    """Each key with its number among equal ones, so that the second of two equal rows differs from the first."""
    found = pd.Series(keys)
    return found.astype(str) + "/" + found.groupby(found).cumcount().astype(str)


def compare_rows(case: Case, rows: Rows, stored: pd.DataFrame | None, origin: Origin, now: datetime) -> Arrived:
    """What the rows change in the stored readings (None where nothing is stored)."""
    changes = compare_readings(case, rows.good, stored, now, from_source=origin.is_own_source)
    refused = _drop_quarantined(case, rows.refused) if stored is not None else rows.refused
    factors = None if stored is None else find_rescaling(case, stored, rows.all_good)
    return Arrived(
        changed=changes.sort(case.time).reset_index(drop=True),
        refused=refused,
        counts=_count(case, changes, refused, stored),
        kept_rows=changes.kept_rows,
        unchanged=len(rows.good) - len(changes.new) - len(changes.revised) - changes.kept_rows,
        left_out=rows.left_out,
        factors=factors,
    )


def _drop_quarantined(case: Case, refused: pd.DataFrame) -> pd.DataFrame:
    """The refused rows that are not in quarantine yet: a source that is read every night brings the old ones again."""
    if refused.empty:
        return refused
    known = set(quarantine.load_quarantine(case)["row_sha256"])
    is_new = np.array([key not in known for key in quarantine.list_keys(refused)], dtype=bool)
    return refused[is_new].reset_index(drop=True)


def _count(case: Case, changes: Changes, refused: pd.DataFrame, stored: pd.DataFrame | None) -> Counts:
    changed = pd.concat([changes.new, changes.revised])
    whole = refused.drop(columns="reason", errors="ignore").dropna(how="all")  # a broken line has no fields
    missing = {
        name: int(changed[name].isna().sum()) + (int(whole[name].isna().sum()) if name in whole else 0)
        for name in case.known_names
    }
    filled = count_filled(case, changes.revised, stored)
    return Counts(
        rows=len(changed) + len(refused),
        refused=len(refused),
        missing={name: n for name, n in missing.items() if n},
        new_words=_count_new_words(case, changed),
        revised=len(changes.revised) - filled,
        filled=filled,
        stored=0 if stored is None else len(stored),
    )


def _count_new_words(case: Case, rows: pd.DataFrame) -> dict[str, int]:
    """By column, the rows with a word that neither the case nor its contract knows."""
    known = apply_words(case, read_words(load_contract(case.name)))
    found = {name: sum(known.column(name).list_new(rows[name]).values()) for name in case.known_names}
    return {name: n for name, n in found.items() if n}


def unpack_delivery(case: Case, delivery: Delivery, now: datetime) -> Arrived:
    """The rows of a kept delivery, compared with what is stored now."""
    rows = _unpack(case, delivery)
    stored, refused = snapshots.find_stored(case), _read_refused(delivery)
    if delivery.state == State.WAITING and stored is not None:
        rows = _drop_stored(case, rows, stored)
    is_known = rows[case.time].isin(stored[case.time]) if stored is not None else pd.Series(False, index=rows.index)
    changes = Changes(new=rows[~is_known], revised=rows[is_known])
    return Arrived(
        changed=rows, refused=refused, counts=_count(case, changes, refused, stored), factors=delivery.facts["factors"]
    )


def _drop_stored(case: Case, rows: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """The rows of a series that are not stored by now, as they are where the delivery before was accepted.

    If all of them are, a killed call has stored this delivery, and they stay.
    """
    if not case.key_columns:
        return rows
    is_stored = np.isin(_key_rows(case, rows), _key_rows(case, stored))
    return rows if is_stored.all() else rows[~is_stored].reset_index(drop=True)


def _read_refused(delivery: Delivery) -> pd.DataFrame:
    return pd.DataFrame(list(delivery.refused), dtype=object) if delivery.refused else pd.DataFrame({"reason": []})


def read_origin(delivery: Delivery) -> Origin:
    """Where a stored delivery came from."""
    facts = delivery.facts["origin"]
    sentences = {name: tuple(facts.get(name, ())) for name in ("notes", "remarks", "unused")}
    return Origin(**{**facts, **sentences})


def describe_arrival(case: Case, arrived: Arrived, origin: Origin, now: datetime) -> Delivery:
    """The delivery with its rows, not judged yet."""
    content = delivery_log.pack_rows(arrived.changed)
    texts = [{str(name): str(value) for name, value in row.items()} for row in arrived.refused.to_dict("records")]
    known = [*map(str, _key_rows(case, arrived.changed)), *quarantine.list_keys(arrived.refused)]
    facts = {"origin": asdict(origin), "factors": arrived.factors}
    return Delivery(
        source=origin.source,
        state=State.WAITING,
        verdict=Verdict.WAITS,
        reason="",
        rows=arrived.counts.rows,
        digest=hashlib.sha256("|".join(known).encode()).hexdigest(),
        at=now,
        facts=facts,
        content=content,
        refused=texts,
    )
