"""A combination as a contender: made from the other contenders of a training, judged on the same windows as they are.

Shapes: M candidates, J judged windows, H columns of an answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from okawari.case import Case
from okawari.dataset.folds import Folds
from okawari.evaluation.backtest import judge_predictions
from okawari.evaluation.candidates import Contender, Member
from okawari.evaluation.combination import Judged, choose_weights, is_preferred, plan_blocks, predict_out_of_sample
from okawari.models.combination import FEWEST_MEMBERS, Combination, CombinedModel
from okawari.models.protocols import Model


def combine_contenders(
    recipe: Combination, contenders: Sequence[Contender], folds: Folds, case: Case
) -> Contender | None:
    """The weighted mean of the best contenders as a contender; None if fewer than two are good enough.

    Nothing is fitted. Its predictions of the judged windows are out of sample, too: the weights of each block come from
    other blocks. The weights that it would serve with come from all of them.

    Args:
        recipe: the most members.
        contenders: all candidates of the training, the baseline first; the baseline is never a member.
        folds: what the contenders were judged on.
        case: the case of the training.
    """
    started = time.perf_counter()
    others = [each for each in contenders[1:] if each.r_JH is not None and np.isfinite(each.r_JH).all()]
    if len(others) < FEWEST_MEMBERS:
        return None
    judged = _gather(contenders[0], others, folds, case)
    weight_M = choose_weights(judged, recipe.most)
    chosen = [place for place in np.argsort(-weight_M, kind="stable") if weight_M[place] > 0]
    if not chosen:
        return None
    blocks = list(plan_blocks(folds))
    mixed_JH = predict_out_of_sample(judged, blocks, recipe.most)
    members = tuple(Member(others[place], float(weight_M[place])) for place in chosen)
    model = join_models({each.contender.recipe.name: each.contender.model for each in members}, members, case)
    seconds = time.perf_counter() - started
    combined = judge_predictions(recipe, model, mixed_JH.astype(np.float32), case, folds, fit_s=seconds)
    return replace(combined, members=members, is_preferred=is_preferred(judged, mixed_JH, blocks))


def _gather(floor: Contender, others: Sequence[Contender], folds: Folds, case: Case) -> Judged:
    assert floor.r_JH is not None, "every contender of a training was judged on its folds"
    said_MJH = np.stack([each.r_JH for each in others if each.r_JH is not None]).astype(np.float64)
    true_JH, floor_JH = folds.judged.r_BH.astype(np.float64), floor.r_JH.astype(np.float64)
    return Judged(said_MJH=said_MJH, floor_JH=floor_JH, true_JH=true_JH, heads=case.task.heads)


def join_models(models: Mapping[str, Model], members: Sequence[Member], case: Case) -> CombinedModel:
    """The combination of these models, by the names of the members: those of a fold, or those of a refit."""
    weights = {each.contender.recipe.name: each.weight for each in members}
    own = {name: models[name] for name in weights}
    return CombinedModel(members=own, weights=tuple(weights.values()), heads=case.task.heads)
