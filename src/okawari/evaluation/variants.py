"""Measures the variants of a graph and decides which one serves; also for every candidate of a case.

A training compares the variants of its challenger. `okawari quantize` compares those of all candidates, in its own
process and without a server.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.dataset.splits import split_windows
from okawari.dataset.steps import lay_out_steps
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.evaluation.candidates import fit_contender
from okawari.evaluation.scores import score_answer
from okawari.formats import format_share
from okawari.graph.inference import Answer, Graph
from okawari.graph.quantizer import Variants, build_variants
from okawari.models.combination import list_fitted
from okawari.models.fit_context import Progress, Workbench
from okawari.models.protocols import Recipe
from okawari.models.windows import Values, WindowSet
from okawari.policy.decision import Decision
from okawari.policy.quantization import VariantFacts, decide_variant
from okawari.schema.heads import Head

Watch = Callable[[Recipe], Progress]
"""Returns the progress callback for the fit of a candidate."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The variants of one graph: measured rows (fp32 first), the files that may serve, and the decision."""

    rows: tuple[VariantRow, ...]
    contents: Mapping[str, bytes]
    decision: Decision

    @property
    def table(self) -> list[dict[str, Any]]:
        """The rows as a table, with the differences from fp32."""
        return tabulate_variants(self.rows)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A candidate, its comparison, and the number of windows that it was fitted and scored on."""

    candidate: str
    comparison: Comparison
    n_train: int
    n_holdout: int


def compare_variants(
    content: bytes, windows: WindowSet, case: Case, *, threads: int = 1, judged: bytes | None = None
) -> Comparison:
    """Build and measure the variants of a graph, and decide which one serves.

    Sizes, times and differences are those of the graph itself. Losses are those of `judged`, a graph of the same recipe
    that has not learned `windows`; the graph itself, if it has not learned them either.

    If no weight is large enough for 8 bits to save anything, the variants are measured for the table only, and fp32
    serves.
    """
    worth = build_variants(content)
    least = {} if worth.reason is None else {"min_elements": 1}
    shown = worth if worth.reason is None else build_variants(content, **least)
    scored = shown if judged in (None, content) else build_variants(judged, **least)
    rows = measure_variants(shown, windows, case, threads=threads, scored=scored)
    fp32, *eligible = [_to_facts(row) for row in rows if row.variant in worth.contents]
    decision = decide_variant(fp32, eligible, case.gate)
    if worth.reason is not None:
        decision = replace(decision, reason=" ".join([worth.reason, *_describe_sizes(rows)]))
    return Comparison(rows=rows, contents=worth.contents, decision=decision)


def _to_facts(row: VariantRow) -> VariantFacts:
    return VariantFacts(variant=row.variant, bytes=row.n_bytes, latency_ms=row.latency_ms, loss=row.loss)


def _describe_sizes(rows: Sequence[VariantRow]) -> list[str]:
    fp32, *others = rows
    shares = " and ".join(f"{row.variant} takes {format_share(row.n_bytes / fp32.n_bytes)}" for row in others)
    return [f"{shares} of the size of fp32."] if shares else []


def find_candidates(case: Case, names: Sequence[str]) -> tuple[Recipe, ...]:
    """The named candidates of a case, in the order of the names; all if no name is given.

    Raises:
        InvalidInput: a name that no candidate of the case has.
    """
    known = {recipe.name: recipe for recipe in case.candidates}
    if unknown := [name for name in names if name not in known]:
        raise InvalidInput(
            f"Case {case.name} has no candidate {unknown[0]!r}; it has {', '.join(known)}. Choose from these."
        )
    return tuple(known[name] for name in names) or case.candidates


def compare_candidates(
    case: Case, recipes: Sequence[Recipe], watch: Watch, *, device: str = "cpu", threads: int = 1
) -> Iterator[Compared]:
    """Fit candidates on the newest readings and compare the variants of each graph on the held-out windows.

    Combinations are left out; a training compares the variants of one that won.
    """
    from okawari.storage.contracts import know_case

    readings = find_readings(case)
    case = know_case(case, readings)
    split = split_windows(cut_windows(readings, case), case)
    for recipe in list_fitted(recipes):
        fitted = fit_contender(recipe, case, split, watch(recipe), Workbench(device=device, threads=threads))
        yield Compared(
            candidate=recipe.name,
            comparison=compare_variants(fitted.graph, split.holdout, case, threads=threads),
            n_train=len(split.train),
            n_holdout=len(split.holdout),
        )


def find_readings(case: Case) -> pd.DataFrame:
    """The readings of the newest snapshot or, before the first ingest, those of the source of the case."""
    from okawari.data.validation import check_readings
    from okawari.storage import snapshots

    if snapshots.load_snapshot(case) is not None:
        return snapshots.load_readings(case)
    good = check_readings(case.source.read(), case, datetime.now(UTC)).good
    return lay_out_steps(case.layout.stamp_records(good, case.time), case)


@dataclass(frozen=True, kw_only=True)
class VariantRow:
    """One row of the comparison. Times are medians on this machine; errors are over all windows and steps."""

    variant: str
    n_bytes: int
    sha256: str
    load_ms: float
    latency_ms: float
    """One window at a time, interleaved with the other variants."""
    loss_name: str
    loss: float
    """RMSE in the unit of the target, log loss of labels, or joint loss of several heads."""
    accuracy: float | None
    """Share of correct labels; None for numbers and for several heads."""
    r2: float | None
    """Share of the variance explained, for numbers of records; None for labels and forecasts."""
    mse: float | None
    """The squared loss of numbers; None for labels."""
    max_abs_diff_share: float
    """Largest |mean - mean of fp32|: of numbers as a share of the largest |mean| of fp32, of labels in probability."""
    flips_share: float | None
    """Share of windows whose label differs from that of fp32, in any head; None for numbers."""
    mean_weight_error: float | None
    """As in `Variants`; 0 for fp32, None for int8, which another quantizer builds."""


def measure_variants(
    variants: Variants,
    windows: WindowSet,
    case: Case,
    *,
    threads: int = 1,
    rounds: int = 200,
    scored: Variants | None = None,
) -> tuple[VariantRow, ...]:
    """Size, speed and error of every variant on the same windows, in the order of `variants.contents`.

    The losses are those of the variants in `scored` with the same names; by default of the same variants.
    """
    graphs = {name: Graph.load(content, threads=threads) for name, content in variants.contents.items()}
    loads = _measure_loads(variants.contents, threads)
    latencies = _measure_latencies(graphs, windows, rounds)
    answers = {name: graph.answer(windows.x_BTF) for name, graph in graphs.items()}
    judged = answers if scored is None or scored is variants else _answer_all(scored, variants, windows, threads)
    full_BH, heads = answers["fp32"].mean_BH, case.task.heads
    weight_errors = {"fp32": 0.0, "uint8": variants.mean_weight_error}
    return tuple(
        VariantRow(
            variant=name,
            n_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            load_ms=loads[name],
            latency_ms=latencies[name],
            **_score(judged[name], windows, case),
            max_abs_diff_share=max(
                each.measure_difference(answers[name].mean_BH[:, each.columns], full_BH[:, each.columns])
                for each in heads
            ),
            flips_share=_count_flips(answers[name].mean_BH, full_BH, heads),
            mean_weight_error=weight_errors.get(name),
        )
        for name, content in variants.contents.items()
    )


def _answer_all(scored: Variants, variants: Variants, windows: WindowSet, threads: int) -> dict[str, Answer]:
    """The answers of the scored graphs; a variant that the scored graph does not have is scored as fp32."""
    contents = {name: scored.contents.get(name, scored.contents["fp32"]) for name in variants.contents}
    return {name: Graph.load(content, threads=threads).answer(windows.x_BTF) for name, content in contents.items()}


def _score(answer: Answer, windows: WindowSet, case: Case) -> dict[str, Any]:
    scores = score_answer(answer, windows, case)
    return {
        "loss_name": scores.loss_name,
        "loss": scores.loss,
        "accuracy": scores.numbers.get("accuracy"),
        "r2": scores.numbers.get("r2"),
        "mse": scores.loss**2 if scores.loss_name == "RMSE" else None,
    }


def tabulate_variants(rows: Sequence[VariantRow]) -> list[dict[str, Any]]:
    """The comparison as a table, fp32 first: every number of its rows, and the differences from fp32.

    `parameters` is the type of the stored large weights. Columns without a value for this target are left out.
    """
    full = rows[0]
    table = []
    for row in rows:
        line: dict[str, Any] = {"variant": row.variant}
        line["parameters"] = "float32" if row.variant == "fp32" else row.variant
        line |= {"n_bytes": row.n_bytes, "size_share": row.n_bytes / full.n_bytes}
        line |= {name: getattr(row, name) for name in ("load_ms", "latency_ms", "loss_name", "loss")}
        for score in ("accuracy", "r2"):
            line |= {score: getattr(row, score), f"{score}_lost": _subtract(getattr(full, score), getattr(row, score))}
        line |= {name: getattr(row, name) for name in ("mse", "flips_share", "max_abs_diff_share", "mean_weight_error")}
        table.append(line | {"sha256": row.sha256})
    shown = [name for name in table[0] if any(line[name] is not None for line in table)]
    return [{name: line[name] for name in shown} for line in table]


def _subtract(full: float | None, value: float | None) -> float | None:
    return None if full is None or value is None else full - value


def _count_flips(mean_BH: Values, full_BH: Values, heads: Sequence[Head]) -> float | None:
    """Share of windows in which any label changes; None if there are no labels."""
    flips_KB = [
        flips_B for head in heads for flips_B in head.find_flips(mean_BH[:, head.columns], full_BH[:, head.columns])
    ]
    return float(np.mean(np.any(flips_KB, axis=0))) if flips_KB else None


def _measure_loads(contents: Mapping[str, bytes], threads: int, rounds: int = 5) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in contents}
    for _ in range(rounds):
        for name, content in contents.items():
            started = time.perf_counter()
            Graph.load(content, threads=threads)
            times[name].append(time.perf_counter() - started)
    return {name: 1e3 * median(values) for name, values in times.items()}


def _measure_latencies(graphs: Mapping[str, Graph], windows: WindowSet, rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in graphs}
    for round_ in range(rounds):
        row = round_ % len(windows)
        x_1TF = windows.x_BTF[row : row + 1]
        for name, graph in graphs.items():
            started = time.perf_counter()
            graph.answer(x_1TF)
            times[name].append(time.perf_counter() - started)
    return {name: 1e3 * median(values) for name, values in times.items()}
