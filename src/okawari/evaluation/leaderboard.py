"""The leaderboard: every candidate's scores, and the significance of its gain over the baseline."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from okawari.evaluation.candidates import Contender
from okawari.evaluation.metrics import skill_share
from okawari.evaluation.scores import Scores
from okawari.evaluation.significance import adjust_holm, measure_worse_p_value
from okawari.policy.promotion import Card

_LOSS = re.compile(r"(?P<head>\w+_)??(?:rmse|log_loss|joint_loss)(?P<step>_step_\d+)?$")
"""Names of losses, of a head or of a step ahead; each is followed by its skill."""


def build_cards(contenders: Sequence[Contender]) -> list[Card]:
    """The cards of all contenders, the baseline first; each other one has the p-value of its gain over it.

    `p_value` is that of a paired test on the rows of the holdout, adjusted for the number of candidates (Holm).
    """
    floor, *others = contenders
    worse = [measure_worse_p_value(floor.scores.row_losses, each.scores.row_losses) for each in others]
    return [floor.card, *(replace(each.card, p_value=p) for each, p in zip(others, adjust_holm(worse), strict=True))]


def build_leaderboard(contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    """One row per candidate, best first; the first contender is the baseline that skill is measured against.

    Of a forecast, columns without a step are of the first step ahead, the others of the last; several heads have their
    columns below their names. Errors are in the target's own unit; `p_value` is that of `build_cards`.
    """
    floor, p_values = contenders[0].scores, {card.candidate: card.p_value for card in build_cards(contenders)}
    ranked = sorted(contenders, key=lambda contender: contender.scores.loss)
    return [{"candidate": (name := each.recipe.name), **_summarise(each, floor, p_values[name])} for each in ranked]


def _summarise(contender: Contender, floor: Scores, p_value: float | None) -> Mapping[str, Any]:
    """All scores, with the skill right after the loss that it is about, and the p-value of the gain."""
    row: dict[str, Any] = {}
    for name, value in contender.scores.numbers.items():
        row[name] = value
        found = _LOSS.match(name)
        if found:
            better_than = floor.numbers[name]
            assert value is not None, "a loss is always measured"
            assert better_than is not None, "of every candidate"
            row[f"{found['head'] or ''}skill_share{found['step'] or ''}"] = skill_share(value, better_than)
    return {**row, "p_value": p_value, "fit_s": contender.fit_s, "graph_bytes": len(contender.graph)}
