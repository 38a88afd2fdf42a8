"""The leaderboard: the scores of every candidate, and its comparison with the baseline."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from okawari.evaluation.candidates import Contender
from okawari.evaluation.evidence import Design, Origins, compare
from okawari.evaluation.metrics import skill_share
from okawari.evaluation.scores import Scores
from okawari.formats import format_share
from okawari.policy.promotion import Card

_LOSS = re.compile(r"(?P<head>\w+_)??(?:rmse|log_loss|joint_loss)(?P<step>_step_\d+)?$")
"""Matches names of losses, of a head or of a step ahead; in a row, the skill follows its loss."""


def build_cards(contenders: Sequence[Contender], design: Design | None = None) -> list[Card]:
    """The cards of all contenders, the baseline first. The others have their comparison with the baseline.

    `design` says how the judged rows came about (`describe_design`); if left out, they count as origins of a series
    with overlapping horizons, which claims least.
    """
    floor, *others = contenders
    losses = [each.scores.losses_BK for each in others]
    made = design or Origins(overlap=floor.scores.losses_BK.shape[1] - 1)
    found = compare(floor.scores.losses_BK, losses, made, loss_name=floor.scores.loss_name)
    return [floor.card, *(replace(each.card, over_floor=one) for each, one in zip(others, found, strict=True))]


def build_leaderboard(contenders: Sequence[Contender], design: Design | None = None) -> list[dict[str, Any]]:
    """One row per candidate, best first; the first contender is the baseline that skill is measured against.

    Candidates are ranked by `relative_loss`, the loss of the whole horizon in units of the baseline's. For forecasts,
    columns without a step belong to the first step ahead, the others to the last. With several heads, column names
    start with the name of the head. Errors are in the unit of the target; `p_value` is from `build_cards`.
    Where there is a combination, the column `members` has its weights.
    """
    floor, cards = contenders[0].scores, build_cards(contenders, design)
    rows = [
        {"candidate": card.candidate, **_summarise(each, floor, card)}
        for each, card in zip(contenders, cards, strict=True)
    ]
    return add_members(sorted(rows, key=lambda row: row["relative_loss"]), contenders)


def add_members(rows: list[dict[str, Any]], contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    """The rows with a column `members`, if there is a combination among the contenders."""
    members = {each.recipe.name: describe_members(each) for each in contenders}
    return [{**row, "members": members[row["candidate"]]} for row in rows] if any(members.values()) else rows


def _summarise(contender: Contender, floor: Scores, card: Card) -> Mapping[str, Any]:
    """All scores, each loss followed by its skill, and the comparison with the baseline."""
    row: dict[str, Any] = {}
    for name, value in contender.scores.numbers.items():
        row[name] = value
        found = _LOSS.match(name)
        if found:
            better_than = floor.numbers[name]
            assert value is not None, "a loss is always measured"
            assert better_than is not None, "a loss is measured for every candidate"
            row[f"{found['head'] or ''}skill_share{found['step'] or ''}"] = skill_share(value, better_than)
    compared = {"relative_loss": 1.0 if card.relative_loss is None else card.relative_loss, "p_value": card.p_value}
    return {**row, **compared, "fit_s": contender.fit_s, "graph_bytes": len(contender.graph)}


def describe_members(contender: Contender) -> str | None:
    """The members of a combination with their weights, heaviest first: `theta 55%, ets 45%`; None for all others."""
    named = [f"{each.contender.recipe.name} {format_share(each.weight)}" for each in contender.members]
    return ", ".join(named) or None
