"""Which precision of a graph serves?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from okawari.case import Gate
from okawari.policy.decision import Decision, Kind, measure_gain


@dataclass(frozen=True, kw_only=True)
class VariantFacts:
    """One precision of a graph as measured on this machine."""

    variant: str
    bytes: int
    latency_ms: float
    loss: float


def decide_variant(fp32: VariantFacts, quantized: Sequence[VariantFacts], gate: Gate) -> Decision:
    """Quantize only where it is equivalent and pays: its loss grows by at most `quantized_loss_share`, it is at most
    `max_slowdown_share` slower, and saves `quantized_saving_share` of size or time. The smallest such one wins.
    """
    verdicts = {each.variant: _judge_variant(fp32, each, gate) for each in quantized}
    passed = [each for each in quantized if verdicts[each.variant] is None]
    chosen = min(passed, key=lambda each: each.bytes, default=fp32)
    refused = [f"{name} {why}" for name, why in verdicts.items() if why is not None]
    if chosen is fp32:
        reason = "; ".join(refused) or "the graph has no weights worth quantizing"
    else:
        reason = (
            f"{chosen.variant} is {chosen.bytes / fp32.bytes:.0%} of the size at "
            f"{measure_gain(chosen.loss, fp32.loss):+.2%} gain and "
            f"{chosen.latency_ms / fp32.latency_ms:.2f} of the time"
        )
    return Decision(
        Kind.VARIANT, chosen.variant, reason, {"fp32": asdict(fp32), "quantized": [*map(asdict, quantized)]}
    )


def _judge_variant(fp32: VariantFacts, each: VariantFacts, gate: Gate) -> str | None:
    """Why a variant is refused; None if it passes."""
    loss = -measure_gain(each.loss, fp32.loss)
    if loss > gate.quantized_loss_share:
        return f"loses {loss:.2%} (at most {gate.quantized_loss_share:.2%})"
    if each.latency_ms > fp32.latency_ms * (1 + gate.max_slowdown_share):
        return f"takes {each.latency_ms / fp32.latency_ms:.2f} times as long"
    size_gain, time_gain = measure_gain(each.bytes, fp32.bytes), measure_gain(each.latency_ms, fp32.latency_ms)
    if max(size_gain, time_gain) < gate.quantized_saving_share:
        return f"saves only {size_gain:.0%} of size and {time_gain:.0%} of time"
    return None
