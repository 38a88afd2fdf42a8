"""Make the combinations of a training from its fitted candidates, and record each like a candidate."""

from __future__ import annotations

from collections.abc import Sequence

from okawari.evaluation.candidates import Contender
from okawari.evaluation.combined_contender import combine_contenders
from okawari.evaluation.leaderboard import describe_members
from okawari.models.combination import Combination
from okawari.models.protocols import Recipe
from okawari.registry import runs
from okawari.training.fitting import Training, record_contender
from okawari.training.host import Host


def combine_candidates(
    training: Training, recipes: Sequence[Recipe], contenders: Sequence[Contender], host: Host
) -> list[Contender]:
    """The combinations among the recipes, as contenders; none where fewer than two candidates are worth combining.

    Args:
        training: the data and the folds that all candidates share.
        recipes: all candidates; those with a fit of their own are among the contenders.
        contenders: the fitted candidates, the baseline first.
        host: takes log lines.
    """
    combined = []
    for recipe in recipes:
        if isinstance(recipe, Combination):
            contender = combine_contenders(recipe, contenders, training.folds, training.case)
            combined += [_record(training, contender)] if contender else []
            host.log(f"{training.case.name}: {recipe.name} {_describe(contender)}")
    return combined


def _record(training: Training, contender: Contender) -> Contender:
    """Record a combination in its own child run, with the weights among its settings."""
    weights = {f"weight.{each.contender.recipe.name}": round(each.weight, 4) for each in contender.members}
    settings = {**contender.recipe.describe(), **weights}
    with runs.record_candidate(training.case, training.run_id, contender.recipe.name, settings) as run_id:
        record_contender(training, contender, run_id)
    return contender


def _describe(contender: Contender | None) -> str:
    if contender is None:
        return "is left out, because fewer than two candidates are good enough to be its members"
    card = contender.card
    return f"has {card.loss_name} {card.loss:.4f}; it is the weighted mean of {describe_members(contender)}"
