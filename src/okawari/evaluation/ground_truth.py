"""Joins what was predicted to what turned out to be true: one row per day and version that could be checked.

The truth of a series is the first reading after the last known one; a truth sent to `/outcomes` goes before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.case import Case
from okawari.dataset.windows import cut_windows
from okawari.models.windows import WindowSet
from okawari.schema.heads import Head
from okawari.schema.tasks.forecast import Forecast
from okawari.schema.tasks.multi_target import Anticipate
from okawari.schema.tasks.task import Task

COLUMNS = ("as_of", "version", "prediction", "lower", "upper", "level", "truth")
_SAME_LEVEL_SHARE = 1e-4
"""A request that claims a day must also name that day's level, or it is somebody's what-if and proves nothing. What was
answered from our own readings is no such thing, even where they have been revised since."""


@dataclass(frozen=True)
class Matured:
    """The answers of one head with known truth, and its baseline's predictions.

    `pairs` have the columns of `match_truth`, `match_targets` or `match_records`, and `level`, the baseline's answer to
    numbers; `common_share` is how often the most common label came before, 0 to 1.
    """

    head: Head
    pairs: pd.DataFrame
    baseline: str
    common_share: float


def list_matured(
    case: Case, predictions: pd.DataFrame, outcomes: pd.DataFrame, readings: pd.DataFrame, known: pd.DataFrame
) -> list[Matured]:
    """All heads of a case.

    Args:
        case: names the time and the target column.
        predictions: as in `match_truth`.
        outcomes: as in `match_truth`.
        readings: the newest snapshot.
        known: the readings that the champion learned from.
    """
    return _mature(case.task, case, (predictions, outcomes), readings, known)


Logs = tuple[pd.DataFrame, pd.DataFrame]
"""Predictions and outcomes."""


@singledispatch
def _mature(task: Task, case: Case, logs: Logs, readings: pd.DataFrame, known: pd.DataFrame) -> list[Matured]:
    """Records, against the constant baseline."""
    [head] = task.heads
    return [_against_constant(head, match_records(*logs), known[case.target.name].to_numpy(dtype=np.float64))]


@_mature.register
def _mature_forecast(
    task: Forecast, case: Case, logs: Logs, readings: pd.DataFrame, known: pd.DataFrame
) -> list[Matured]:
    """A forecast, against the last known level."""
    return [Matured(task.heads[0], match_truth(case, *logs, readings), "the random walk", 0.0)]


@_mature.register
def _mature_targets(
    task: Anticipate, case: Case, logs: Logs, readings: pd.DataFrame, known: pd.DataFrame
) -> list[Matured]:
    """Several targets, each against the constant baseline."""
    pairs, past_BH = match_targets(case, *logs, readings), cut_windows(known, case).r_BH
    return [_against_constant(head, pairs[head.name], head.decode(past_BH[:, head.columns])) for head in task.heads]


def _against_constant(head: Head, pairs: pd.DataFrame, past_B: NDArray[np.float64]) -> Matured:
    _, counts = np.unique(past_B, return_counts=True)
    return Matured(head, pairs.assign(level=past_B.mean()), "the mean", float(counts.max() / len(past_B)))


def match_truth(case: Case, predictions: pd.DataFrame, outcomes: pd.DataFrame, readings: pd.DataFrame) -> pd.DataFrame:
    """One row per (as_of, version) whose step-1 truth is known, oldest first.

    Args:
        case: names the time and the target column.
        predictions: rows of `okawari.storage.decision_log.load_predictions`.
        outcomes: rows of `okawari.storage.decision_log.load_outcomes`.
        readings: the newest snapshot.

    Returns:
        Columns as_of (datetime64[ns]), version, prediction, lower, upper (NaN without interval), level, truth; all in
        the target's unit.
    """
    dated = predictions.dropna(subset=["as_of"])
    if dated.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    steps = pd.DataFrame(
        {
            "as_of": _read_times(dated["as_of"]),
            "version": dated["version"],
            "prediction": _first_step(dated["mean"]),
            "lower": _first_step(dated["lower"]),
            "upper": _first_step(dated["upper"]),
            "level": dated["level"],
            "source": dated["source"],
            "truth": _told(dated, outcomes),
        }
    )
    joined = steps.merge(_successors(case, readings), on="as_of", how="inner")
    honest = joined[_is_honest(joined)]
    known = honest.assign(truth=honest["truth"].fillna(honest["next_level"])).dropna(subset=["truth"])
    newest = known.drop_duplicates(["as_of", "version"], keep="last").sort_values(["as_of", "version"])
    return newest[list(COLUMNS)].reset_index(drop=True)


def match_targets(
    case: Case, predictions: pd.DataFrame, outcomes: pd.DataFrame, readings: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """For each of several targets, one row per (as_of, version) whose truth is known, oldest first.

    Args:
        case: one of an `Anticipate` task.
        predictions: as in `match_truth`.
        outcomes: as in `match_truth`; their `target` is the target's name.
        readings: the newest snapshot.

    Returns:
        By target the columns that `match_records` gives, and as_of.
    """
    fitting = predictions[predictions["mean"].map(len) == case.task.width].dropna(subset=["as_of"])
    known = pd.DataFrame({"as_of": readings[case.time], "known_level": readings[case.target.name]})
    asked = fitting.assign(as_of=_read_times(fitting["as_of"]))
    joined = asked.merge(known.assign(row=range(len(known))), on="as_of", how="inner")
    found = joined[_is_honest(joined)]
    truth_BH = _find_truth(cut_windows(readings, case), case, found["row"].to_numpy(dtype=np.int64))
    return {
        head.name: _match_head(found, truth_BH[:, head.columns], head, _told(found, outcomes, head.name))
        for head in case.task.heads
    }


def _find_truth(windows: WindowSet, case: Case, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where the targets stand after these readings [B, H]; NaN where that is not known."""
    places, truth_BH = rows - (case.history - 1), np.full((len(rows), case.task.width), np.nan)
    known = (places >= 0) & (places < len(windows))
    truth_BH[known] = windows.r_BH[places[known]]
    return truth_BH


def _match_head(found: pd.DataFrame, truth_BC: NDArray[np.float64], head: Head, told: list[float]) -> pd.DataFrame:
    known_B = np.where(np.isnan(truth_BC[:, 0]), np.nan, head.decode(truth_BC))
    truth_B = np.where(np.isnan(told), known_B, told)
    rows = _lay_out(found, truth_B, head.columns).assign(as_of=found["as_of"].to_numpy())
    newest = rows.dropna(subset=["truth"]).drop_duplicates(["as_of", "version"], keep="last")
    return newest.sort_values(["as_of", "version"]).reset_index(drop=True)


def match_records(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """One row per answered record whose truth was sent, oldest first.

    Returns:
        Columns version, prediction, lower, upper (NaN without interval) and truth in the target's unit, and hit: 1
        where the most probable label is the true one, else 0 (of labels, whose truth is their place).
    """
    told = pd.Series(_told(predictions, outcomes), index=predictions.index, dtype="float64")
    known = predictions[told.notna()]
    return _lay_out(known, told[told.notna()].to_numpy(), slice(0, None))


def _lay_out(answered: pd.DataFrame, truth_B: NDArray[np.float64], columns: slice) -> pd.DataFrame:
    """The answers of these columns, paired with the truth."""
    likeliest_B = np.array([int(np.argmax(mean[columns])) for mean in answered["mean"]], dtype=np.float64)
    return pd.DataFrame(
        {
            "version": answered["version"].to_numpy(),
            "prediction": _first_step(answered["mean"], columns.start),
            "lower": _first_step(answered["lower"], columns.start),
            "upper": _first_step(answered["upper"], columns.start),
            "truth": truth_B,
            "hit": (likeliest_B == truth_B).astype("float64"),
        }
    )


def _is_honest(joined: pd.DataFrame) -> NDArray[np.bool_]:
    same_level = np.isclose(joined["level"], joined["known_level"], rtol=_SAME_LEVEL_SHARE, atol=0)
    honest: NDArray[np.bool_] = same_level | (joined["source"] == "forecast").to_numpy()
    return honest


def _successors(case: Case, readings: pd.DataFrame) -> pd.DataFrame:
    target = readings[case.target.name]
    return pd.DataFrame({"as_of": readings[case.time], "known_level": target, "next_level": target.shift(-1)})


def _read_times(texts: pd.Series) -> pd.Series:
    """Times as clients write them, each in its own way; one that names no time joins no reading."""
    at = pd.to_datetime(texts, errors="coerce", utc=True, format="mixed")
    return at.dt.tz_localize(None).astype("datetime64[ns]")


def _first_step(values: pd.Series, column: int = 0) -> list[float]:
    return [float("nan") if value is None else float(value[column]) for value in values]


def _told(predictions: pd.DataFrame, outcomes: pd.DataFrame, target: str = "") -> list[float]:
    """The truth that was sent for the first step of each answer; NaN where none was."""
    sent = outcomes[(outcomes["step"] == 1) & (outcomes["target"] == target)]
    told = dict(zip(zip(sent["id"], sent["index"], strict=True), sent["value"], strict=True))
    keys = zip(predictions["id"], predictions["index"], strict=True)
    return [float(told.get(key, float("nan"))) for key in keys]
