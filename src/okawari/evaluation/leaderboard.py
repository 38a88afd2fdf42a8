"""The leaderboard: the scores of every candidate, and the significance of its gain over the baseline."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from okawari.evaluation.candidates import Contender
from okawari.evaluation.metrics import skill_share
from okawari.evaluation.scores import Scores
from okawari.evaluation.significance import adjust_holm, measure_worse_p_value
from okawari.formats import format_share
from okawari.policy.promotion import Card

_LOSS = re.compile(r"(?P<head>\w+_)??(?:rmse|log_loss|joint_loss)(?P<step>_step_\d+)?$")
"""Matches names of losses, of a head or of a step ahead; in a row, the skill follows its loss."""


def build_cards(contenders: Sequence[Contender]) -> list[Card]:
    """The cards of all contenders, the baseline first. The others have the p-value of their gain over the baseline.

    `p_value` comes from a paired test on the rows of the holdout, adjusted for the number of candidates (Holm).
    """
    floor, *others = contenders
    floor_B = floor.scores.losses_BK.mean(axis=1)
    worse = [measure_worse_p_value(floor_B, each.scores.losses_BK.mean(axis=1)) for each in others]
    return [floor.card, *(replace(each.card, p_value=p) for each, p in zip(others, adjust_holm(worse), strict=True))]


def build_leaderboard(contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    """One row per candidate, best first; the first contender is the baseline that skill is measured against.

    For forecasts, columns without a step belong to the first step ahead, the others to the last. With several heads,
    column names start with the name of the head. Errors are in the unit of the target; `p_value` is from `build_cards`.
    Where there is a combination, the column `members` has its weights.
    """
    floor, p_values = contenders[0].scores, {card.candidate: card.p_value for card in build_cards(contenders)}
    ranked = sorted(contenders, key=lambda contender: contender.scores.loss)
    rows = [{"candidate": (name := each.recipe.name), **_summarise(each, floor, p_values[name])} for each in ranked]
    return add_members(rows, contenders)


def add_members(rows: list[dict[str, Any]], contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    """The rows with a column `members`, if there is a combination among the contenders."""
    members = {each.recipe.name: describe_members(each) for each in contenders}
    return [{**row, "members": members[row["candidate"]]} for row in rows] if any(members.values()) else rows


def _summarise(contender: Contender, floor: Scores, p_value: float | None) -> Mapping[str, Any]:
    """All scores, each loss followed by its skill, and the p-value of the gain."""
    row: dict[str, Any] = {}
    for name, value in contender.scores.numbers.items():
        row[name] = value
        found = _LOSS.match(name)
        if found:
            better_than = floor.numbers[name]
            assert value is not None, "a loss is always measured"
            assert better_than is not None, "a loss is measured for every candidate"
            row[f"{found['head'] or ''}skill_share{found['step'] or ''}"] = skill_share(value, better_than)
    return {**row, "p_value": p_value, "fit_s": contender.fit_s, "graph_bytes": len(contender.graph)}


def describe_members(contender: Contender) -> str | None:
    """The members of a combination with their weights, heaviest first: `theta 55%, ets 45%`; None for all others."""
    named = [f"{each.contender.recipe.name} {format_share(each.weight)}" for each in contender.members]
    return ", ".join(named) or None
