"""Joins predictions with their true values: one row per time and version whose truth is known.

The truth of a series is the reading at the next step of its calendar; without a calendar, the next reading. Readings
are laid out on the calendar, so a missing step has no truth. A truth sent to `/outcomes` takes precedence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.case import Case
from okawari.dataset.arrays import encode_words
from okawari.dataset.windows import cut_windows
from okawari.models.windows import WindowSet
from okawari.schema.heads import Head
from okawari.schema.tasks.forecast import Forecast
from okawari.schema.tasks.multi_target import Anticipate
from okawari.schema.tasks.task import Task

COLUMNS = ("as_of", "version", "prediction", "lower", "upper", "width_factor", "level", "truth")
_SAME_LEVEL_SHARE = 1e-4
"""Largest relative difference between the level of a request and the stored level of that time. A request with another
level is a what-if question and is not judged. Forecasts from stored readings always count, even after a revision."""
_SCORED = "score"
"""Source of the rows of a scored file. The model may have been trained on them, so stored readings are not their truth:
they are judged only where an outcome was sent."""


@dataclass(frozen=True)
class Matured:
    """The answers of one head with known truth, and the predictions of its baseline.

    `pairs` has the columns of `match_truth`, `match_targets` or `match_records`, and `level`, the prediction of the
    baseline for numbers. `common_share` is the share of the most common label in the past, 0 to 1.
    """

    head: Head
    pairs: pd.DataFrame
    baseline: str
    common_share: float


def list_matured(
    case: Case, predictions: pd.DataFrame, outcomes: pd.DataFrame, readings: pd.DataFrame, known: pd.DataFrame
) -> list[Matured]:
    """The matured answers of each head of a case.

    Args:
        case: defines the time and the target column.
        predictions: as in `match_truth`.
        outcomes: as in `match_truth`.
        readings: the newest snapshot.
        known: the readings that the champion was trained on.
    """
    return _mature(case.task, case, (predictions, outcomes), readings, known)


Logs = tuple[pd.DataFrame, pd.DataFrame]
"""Predictions and outcomes."""


@singledispatch
def _mature(task: Task, case: Case, logs: Logs, readings: pd.DataFrame, known: pd.DataFrame) -> list[Matured]:
    """Records, compared with the constant baseline."""
    [head] = task.heads
    past_B = encode_words(known, case)[case.target.name].to_numpy(dtype=np.float64)
    return [_against_constant(head, match_records(*logs, head), past_B)]


@_mature.register
def _mature_forecast(
    task: Forecast, case: Case, logs: Logs, readings: pd.DataFrame, known: pd.DataFrame
) -> list[Matured]:
    """A forecast, compared with the last known level."""
    return [Matured(task.heads[0], match_truth(case, *logs, readings), "the random walk", 0.0)]


@_mature.register
def _mature_targets(
    task: Anticipate, case: Case, logs: Logs, readings: pd.DataFrame, known: pd.DataFrame
) -> list[Matured]:
    """Several targets, each compared with the constant baseline."""
    pairs, past_BH = match_targets(case, *logs, readings), cut_windows(known, case).r_BH
    return [_against_constant(head, pairs[head.name], head.decode(past_BH[:, head.columns])) for head in task.heads]


def _against_constant(head: Head, pairs: pd.DataFrame, past_B: NDArray[np.float64]) -> Matured:
    _, counts = np.unique(past_B, return_counts=True)
    return Matured(head, pairs.assign(level=past_B.mean()), "the mean", float(counts.max() / len(past_B)))


def match_truth(
    case: Case, predictions: pd.DataFrame, outcomes: pd.DataFrame, readings: pd.DataFrame, *, step: int = 1
) -> pd.DataFrame:
    """One row per (as_of, version) whose truth at a step is known, oldest first.

    Args:
        case: defines the time and the target column.
        predictions: rows of `okawari.storage.decision_log.load_predictions`.
        outcomes: rows of `okawari.storage.decision_log.load_outcomes`.
        readings: the newest snapshot.
        step: the step ahead, from 1; answers with fewer steps are left out.

    Returns:
        Columns as_of (datetime64[ns]), version, prediction, lower, upper (NaN without interval), width_factor (how much
        wider than calibrated that interval was), level, truth; all in the target's unit.
    """
    dated = predictions.dropna(subset=["as_of"])
    dated = dated[[len(mean) >= step for mean in dated["mean"]]]
    if dated.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    steps = pd.DataFrame(
        {
            "as_of": _read_times(dated["as_of"]),
            "version": dated["version"],
            "prediction": _first_step(dated["mean"], step - 1),
            "lower": _first_step(dated["lower"], step - 1),
            "upper": _first_step(dated["upper"], step - 1),
            "width_factor": _list_factors(dated, step - 1),
            "level": dated["level"],
            "source": dated["source"],
            "truth": _find_numbers(dated, outcomes, step=step),
        }
    )
    joined = steps.merge(_successors(case, readings, step), on="as_of", how="left")
    judged = joined[_is_judged(joined)]
    later = judged["next_level"].where(judged["source"] != _SCORED)
    known = judged.assign(truth=judged["truth"].fillna(later)).dropna(subset=["truth"])
    newest = known.drop_duplicates(["as_of", "version"], keep="last").sort_values(["as_of", "version"])
    return newest[list(COLUMNS)].reset_index(drop=True)


def match_targets(
    case: Case, predictions: pd.DataFrame, outcomes: pd.DataFrame, readings: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """For each of several targets, one row per (as_of, version) whose truth is known, oldest first.

    Args:
        case: a case with an `Anticipate` task.
        predictions: as in `match_truth`.
        outcomes: as in `match_truth`; their `target` is the name of the target.
        readings: the newest snapshot.

    Returns:
        For each target, the columns of `match_records` and `as_of`.
    """
    fitting = predictions[predictions["mean"].map(len) == case.task.width].dropna(subset=["as_of"])
    known = pd.DataFrame({"as_of": readings[case.time], "known_level": readings[case.target.name]})
    asked = fitting.assign(as_of=_read_times(fitting["as_of"]))
    joined = asked.merge(known, on="as_of", how="left")
    found = joined[_is_judged(joined)]
    at_B = found["as_of"].where(found["source"] != _SCORED).to_numpy(dtype="datetime64[ns]")
    truth_BH = _find_truth(cut_windows(readings, case), case, at_B)
    return {
        head.name: _match_head(found, truth_BH[:, head.columns], head, _find_places(found, outcomes, head))
        for head in case.task.heads
    }


def _find_truth(windows: WindowSet, case: Case, at_B: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Values of the targets after the readings of these times [B, H]; NaN where they are not known."""
    truth_BH = np.full((len(at_B), case.task.width), np.nan)
    places = np.searchsorted(windows.at_B, at_B).clip(max=len(windows) - 1)
    known = windows.at_B[places] == at_B
    truth_BH[known] = windows.r_BH[places[known]]
    return truth_BH


def _match_head(found: pd.DataFrame, truth_BC: NDArray[np.float64], head: Head, outcomes: list[float]) -> pd.DataFrame:
    known_B = np.where(np.isnan(truth_BC[:, 0]), np.nan, head.decode(truth_BC))
    truth_B = np.where(np.isnan(outcomes), known_B, outcomes)
    rows = _lay_out(found, truth_B, head.columns).assign(as_of=found["as_of"].to_numpy())
    newest = rows.dropna(subset=["truth"]).drop_duplicates(["as_of", "version"], keep="last")
    return newest.sort_values(["as_of", "version"]).reset_index(drop=True)


def match_records(predictions: pd.DataFrame, outcomes: pd.DataFrame, head: Head) -> pd.DataFrame:
    """One row per answered record whose truth was sent, oldest first.

    Args:
        predictions: as in `match_truth`.
        outcomes: as in `match_truth`.
        head: the head of the answers.

    Returns:
        Columns version, prediction, lower, upper (NaN without interval) and truth in the target's unit, and hit: 1
        where the most probable label is the true one, else 0 (for labels, whose truth is their position). Labels are
        compared as words, because each version has its own dictionary.
    """
    truth = pd.Series(_find_places(predictions, outcomes, head, ""), index=predictions.index, dtype="float64")
    known, truth_B = predictions[truth.notna()], truth[truth.notna()].to_numpy()
    words = [head.to_label(*sent) for sent in _find_outcomes(known, outcomes)]
    hits = [float(word is not None and told == word) for told, word in zip(known["label"], words, strict=True)]
    return _lay_out(known, truth_B, slice(0, None)).assign(hit=hits)


def _lay_out(answered: pd.DataFrame, truth_B: NDArray[np.float64], columns: slice) -> pd.DataFrame:
    """The predictions of these columns, paired with the truth."""
    likeliest_B = np.array([int(np.argmax(mean[columns])) for mean in answered["mean"]], dtype=np.float64)
    return pd.DataFrame(
        {
            "version": answered["version"].to_numpy(),
            "prediction": _first_step(answered["mean"], columns.start),
            "lower": _first_step(answered["lower"], columns.start),
            "upper": _first_step(answered["upper"], columns.start),
            "width_factor": _list_factors(answered, columns.start),
            "truth": truth_B,
            "hit": (likeliest_B == truth_B).astype("float64"),
        }
    )


def _is_judged(joined: pd.DataFrame) -> NDArray[np.bool_]:
    same_level = np.isclose(joined["level"], joined["known_level"], rtol=_SAME_LEVEL_SHARE, atol=0)
    of_reading = same_level | ((joined["source"] == "forecast") & joined["known_level"].notna()).to_numpy()
    judged: NDArray[np.bool_] = of_reading | (joined["source"] == _SCORED).to_numpy()
    return judged


def _successors(case: Case, readings: pd.DataFrame, step: int) -> pd.DataFrame:
    target = readings[case.target.name]
    return pd.DataFrame({"as_of": readings[case.time], "known_level": target, "next_level": target.shift(-step)})


def _read_times(texts: pd.Series) -> pd.Series:
    """Parse times in the formats of different clients. An unreadable time becomes NaT and joins no reading."""
    at = pd.to_datetime(texts, errors="coerce", utc=True, format="mixed")
    return at.dt.tz_localize(None).astype("datetime64[ns]")


def _first_step(values: pd.Series, column: int = 0) -> list[float]:
    return [float("nan") if value is None else float(value[column]) for value in values]


def _list_factors(answered: pd.DataFrame, column: int) -> list[float]:
    """The width factor of each answer at a column; 1 for those by calibrated widths."""
    factors = answered.get("width_factor", pd.Series(None, index=answered.index, dtype=object))
    return [float(each[column]) if np.ndim(each) else 1.0 for each in factors]


Sent = tuple[float, str | None]
"""An outcome: its value, or its label."""


def _find_outcomes(predictions: pd.DataFrame, outcomes: pd.DataFrame, target: str = "", step: int = 1) -> list[Sent]:
    """The truth that was sent for a step of each prediction; (NaN, None) if none was sent."""
    sent = outcomes[(outcomes["step"] == step) & (outcomes["target"] == target)]
    truths = zip(sent["value"].astype("float64"), sent["label"], strict=True)
    known = dict(zip(zip(sent["id"], sent["index"], strict=True), truths, strict=True))
    keys = zip(predictions["id"], predictions["index"], strict=True)
    return [known.get(key, (float("nan"), None)) for key in keys]


def _find_numbers(predictions: pd.DataFrame, outcomes: pd.DataFrame, target: str = "", step: int = 1) -> list[float]:
    return [value for value, _ in _find_outcomes(predictions, outcomes, target, step)]


def _find_places(
    predictions: pd.DataFrame, outcomes: pd.DataFrame, head: Head, target: str | None = None
) -> list[float]:
    """The truth as numbers, labels as their places."""
    target = head.name if target is None else target
    return [head.to_place(*sent) for sent in _find_outcomes(predictions, outcomes, target)]
