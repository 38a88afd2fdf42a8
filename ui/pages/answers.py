"""Numbers and probabilities in the service's answers, by the type of the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

from okawari.clients.wire import AnyPrediction, Estimate, Label, Outlook, Prediction


@dataclass(frozen=True, kw_only=True)
class Probability:
    """The probability of a label; `target` is the name of its target if there are several."""

    target: str = ""
    label: str
    share: float
    is_answer: bool


@singledispatch
def list_numbers(predicted: AnyPrediction) -> Sequence[Prediction | Estimate]:
    """The numbers in an answer, each with its interval."""
    raise NotImplementedError(f"No numbers are defined for {type(predicted).__name__}; register them here.")


@list_numbers.register(Prediction)
@list_numbers.register(Estimate)
def _(predicted: Prediction | Estimate) -> Sequence[Prediction | Estimate]:
    return [predicted]


@list_numbers.register
def _(predicted: Label) -> Sequence[Prediction | Estimate]:
    return []


@list_numbers.register
def _(predicted: Outlook) -> Sequence[Prediction | Estimate]:
    return [number for head in predicted.heads.values() for number in list_numbers(head)]


@singledispatch
def list_probabilities(predicted: AnyPrediction, target: str = "") -> Sequence[Probability]:
    """The labels in an answer with their probabilities, in the order of the answer."""
    raise NotImplementedError(f"No probabilities are defined for {type(predicted).__name__}; register them here.")


@list_probabilities.register(Prediction)
@list_probabilities.register(Estimate)
def _(predicted: Prediction | Estimate, target: str = "") -> Sequence[Probability]:
    return []


@list_probabilities.register
def _(predicted: Label, target: str = "") -> Sequence[Probability]:
    return [
        Probability(target=target, label=label, share=share, is_answer=label == predicted.word)
        for label, share in predicted.probabilities.items()
    ]


@list_probabilities.register
def _(predicted: Outlook, target: str = "") -> Sequence[Probability]:
    return [each for name, head in predicted.heads.items() for each in list_probabilities(head, name)]
