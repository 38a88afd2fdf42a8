"""Decide which precision of a graph serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from okawari.case import Gate
from okawari.formats import format_gain, format_share
from okawari.policy.decision import Decision, Kind, measure_gain


@dataclass(frozen=True, kw_only=True)
class VariantFacts:
    """One precision of a graph as measured on this machine."""

    variant: str
    bytes: int
    latency_ms: float
    loss: float


def decide_variant(fp32: VariantFacts, quantized: Sequence[VariantFacts], gate: Gate) -> Decision:
    """Choose the smallest variant that is equivalent to fp32 and cheaper; fp32 if there is none.

    The loss of an eligible variant is larger by at most `quantized_loss_share`; the variant is slower by at most
    `max_slowdown_share` and saves at least `quantized_saving_share` of size or time.
    """
    verdicts = {each.variant: _judge_variant(fp32, each, gate) for each in quantized}
    passed = [each for each in quantized if verdicts[each.variant] is None]
    chosen = min(passed, key=lambda each: each.bytes, default=fp32)
    refused = [f"{name} {why}" for name, why in verdicts.items() if why is not None]
    if chosen is fp32:
        reason = "; ".join(refused) or "the graph has no weights worth quantizing"
    else:
        loss = format_gain(measure_gain(chosen.loss, fp32.loss), 2, than="fp32's")
        reason = f"{chosen.variant} takes {_describe_cost(fp32, chosen)}; its loss is {loss}"
    return Decision(
        Kind.VARIANT, chosen.variant, reason, {"fp32": asdict(fp32), "quantized": [*map(asdict, quantized)]}
    )


def _judge_variant(fp32: VariantFacts, each: VariantFacts, gate: Gate) -> str | None:
    """Why a variant is refused; None if it passes."""
    gain = measure_gain(each.loss, fp32.loss)
    if not -gain <= gate.quantized_loss_share:  # a loss that is not a number is refused, too
        loss = format_gain(gain, 2, than="fp32's")
        return f"has a loss that is {loss} (at most {format_share(gate.quantized_loss_share, 2)} higher)"
    if each.latency_ms > fp32.latency_ms * (1 + gate.max_slowdown_share):
        return f"takes {each.latency_ms / fp32.latency_ms:.2f} times as long as fp32"
    size_gain, time_gain = measure_gain(each.bytes, fp32.bytes), measure_gain(each.latency_ms, fp32.latency_ms)
    if max(size_gain, time_gain) < gate.quantized_saving_share:
        needed = format_share(gate.quantized_saving_share)
        return f"takes {_describe_cost(fp32, each)}; it must save {needed} of one of them"
    return None


def _describe_cost(fp32: VariantFacts, each: VariantFacts) -> str:
    size, time = format_share(each.bytes / fp32.bytes), format_share(each.latency_ms / fp32.latency_ms)
    return f"{size} of fp32's size and {time} of its time"
