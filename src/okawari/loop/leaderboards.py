"""The leaderboard of a training: its candidates with their scores, and which of them serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from okawari.errors import NotYet
from okawari.policy.decision import Kind
from okawari.registry import runs, versions
from okawari.registry.versions import Version
from okawari.storage import decision_log

_LOSSES = {"joint_loss": "joint loss", "rmse": "RMSE", "log_loss": "log loss"}
"""Columns by which candidates are compared, and their names; the first of these that a row has is the loss."""
_LOOK_BACK = 50


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One candidate of a training. `gain_share` is how much lower its loss is than the baseline's, over all steps.

    `p_value` is that of the gain; None for the baseline. `coverage_share` and `interval_score` are those of the first
    step or number; None without intervals. `scores` are all recorded columns.
    """

    candidate: str
    loss_name: str
    loss: float
    gain_share: float
    p_value: float | None
    coverage_share: float | None
    interval_score: float | None
    fit_s: float
    champion_version: str | None
    """Number of the champion, where it is this candidate of this training."""
    scores: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """The candidates of a training, best first; `version` is the registered version that it made, if it made one."""

    case: str
    run_id: str
    version: str | None
    champion: str | None
    candidates: tuple[Standing, ...]


def load_board(case_name: str, version: str | None = None) -> Leaderboard:
    """The leaderboard of the newest finished training, or of the training of a version.

    Raises:
        NotYet: the case was not trained yet, or has no such version.
        ServerUnreachable: the registry does not answer.
    """
    champion = versions.load_champion(case_name)
    if version is not None:
        run_id: str | None = versions.load_version(case_name, version).run_id
    else:
        run_id, version = _find_newest(case_name, champion)
    if run_id is None:
        raise NotYet(f"Case {case_name} was not trained yet; train it with: okawari run {case_name}.")
    rows = runs.load_leaderboard(run_id)
    return Leaderboard(
        case=case_name,
        run_id=run_id,
        version=version,
        champion=None if champion is None else champion.version,
        candidates=tuple(_summarise(row, run_id, champion) for row in rows),
    )


def _find_newest(case_name: str, champion: Version | None) -> tuple[str | None, str | None]:
    """Run and version of the newest training that the gate has judged; else those of the champion."""
    for row in decision_log.load_decisions(case_name, _LOOK_BACK, kind=Kind.PROMOTION):
        if row["run_id"] is not None:
            return row["run_id"], row["model_version"]
    return (None, None) if champion is None else (champion.run_id, champion.version)


def _summarise(row: Mapping[str, Any], run_id: str, champion: Version | None) -> Standing:
    loss = next(name for name in _LOSSES if name in row)
    is_champion = champion is not None and (champion.run_id, champion.candidate) == (run_id, row["candidate"])
    return Standing(
        candidate=row["candidate"],
        loss_name=_LOSSES[loss],
        loss=row[loss],
        gain_share=1 - row["relative_loss"] if "relative_loss" in row else row["skill_share"],
        p_value=row.get("p_value"),
        coverage_share=_find_first(row, "coverage_share"),
        interval_score=_find_first(row, "interval_score"),
        fit_s=row["fit_s"],
        champion_version=champion.version if is_champion and champion is not None else None,
        scores={name: value for name, value in row.items() if name != "candidate"},
    )


def _find_first(row: Mapping[str, Any], name: str) -> float | None:
    """The first column of this name; with several targets, it begins with the name of one."""
    return next((row[each] for each in row if each == name or each.endswith(f"_{name}")), None)
