"""A combination: several fitted candidates as one, with weights from out-of-sample answers.

Shapes: K members, B windows, H columns of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput, require
from okawari.models.cores import CombinedCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.protocols import Model, Recipe
from okawari.models.windows import Floats, WindowSet
from okawari.schema.heads import Head

FEWEST_MEMBERS = 2
_SMALLEST = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, kw_only=True)
class Combination:
    """Recipe of the weighted mean of the best other candidates of a case, at most `most` of them.

    It has no fit of its own. After the other candidates of a training were fitted at every origin or fold, the best of
    them are combined with weights from their out-of-sample losses (`okawari.evaluation.combination`), and the mean is
    judged like any candidate. The baseline is never a member. If fewer than two candidates are good enough, there is no
    combination in that training.

    Example:
        >>> Combination(most=3).name
        'combination'

    Raises:
        InvalidInput: `most` is below 2.
    """

    most: int = 3

    def __post_init__(self) -> None:
        require(
            self.most >= FEWEST_MEMBERS,
            f"Combination.most is {self.most}; a combination has at least {FEWEST_MEMBERS} members.",
        )

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return "combination"

    def fit(self, data: TrainingData, progress: Progress) -> Model:
        """Always raises `InvalidInput`: a training makes a combination from its other candidates."""
        raise InvalidInput(
            "Combination has no fit of its own: a training makes it from the other candidates of its case. List it in "
            "Case.candidates after at least two others that are not the baseline, and train the case."
        )

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Combination", "most": self.most}


@dataclass(frozen=True, kw_only=True)
class CombinedModel:
    """Fitted members by name with their weights, above 0 and together 1. `heads` name the columns of an answer."""

    members: Mapping[str, Model]
    weights: tuple[float, ...]
    heads: tuple[Head, ...]
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH`: the weighted mean of numbers; for labels, the logarithm of the weighted mean of probabilities."""
        said_KBH = np.stack([member.predict(windows) for member in self.members.values()]).astype(np.float64)
        return mix_predictions(said_KBH, self.weights, self.heads).astype(np.float32)

    def core(self) -> CombinedCore:
        """The cores of all members."""
        return CombinedCore(tuple(member.core() for member in self.members.values()), self.weights)


def mix_predictions(
    said_KBH: NDArray[np.float64], weights: Sequence[float], heads: Sequence[Head]
) -> NDArray[np.float64]:
    """The weighted mean `r_BH` of what members predict, labels as logits; the graph of a combined core computes it.

    Example:
        >>> from okawari.schema.heads import NumberHead
        >>> mix_predictions(np.array([[[1.0]], [[3.0]]]), (0.25, 0.75), (NumberHead(name="y", start=0),))
        array([[2.5]])
    """
    parts = []
    for head in heads:
        answers_KBC = np.stack([head.answer(said_BH[:, head.columns]) for said_BH in said_KBH])
        answer_BC = np.tensordot(np.asarray(weights), answers_KBC, axes=1)
        parts.append(head.to_learnt(answer_BC))
    return np.concatenate(parts, axis=1)


def list_fitted(recipes: Sequence[Recipe]) -> tuple[Recipe, ...]:
    """The recipes with a fit of their own, in this order: all but combinations."""
    return tuple(recipe for recipe in recipes if not isinstance(recipe, Combination))


def describe_recipe(name: str, recipes: Sequence[Recipe]) -> dict[str, Any]:
    """The settings of the recipe of that name; for a combination, with those of all candidates it may be made from."""
    recipe = next(each for each in recipes if each.name == name)
    if isinstance(recipe, Combination):
        return {**recipe.describe(), "of": [each.describe() for each in list_fitted(recipes)[1:]]}
    return recipe.describe()


def require_members(case_name: str, recipes: Sequence[Recipe]) -> None:
    """Check that a combination among the candidates of a case, the baseline first, can have members.

    Raises:
        InvalidInput: a combination is the baseline, or there are fewer than two candidates besides both.
    """
    if not any(isinstance(recipe, Combination) for recipe in recipes):
        return
    others = [recipe.name for recipe in list_fitted(recipes[1:])]
    is_baseline = isinstance(recipes[0], Combination)
    require(
        not is_baseline and len(others) >= FEWEST_MEMBERS,
        f"Case {case_name} has a Combination {'as its baseline' if is_baseline else f'of {others}'}; it is made "
        f"from at least {FEWEST_MEMBERS} candidates that are not the baseline. List them before it, or leave it out.",
    )
