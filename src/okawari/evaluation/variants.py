"""What 8 bits would bring: the variants of a graph measured and judged, and the same for every candidate of a case.

A training compares its challenger so; `okawari quantize` compares all candidates, in its own process, without a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from okawari.case import Case
from okawari.dataset.windows import cut_windows, split_windows
from okawari.errors import InvalidInput
from okawari.evaluation.candidates import fit_contender
from okawari.graph.quantizer import VariantRow, build_variants, measure_variants, tabulate_variants
from okawari.models.recipe import Progress, Recipe, WindowSet, Workbench
from okawari.policy.decision import Decision, VariantFacts, decide_variant

Watch = Callable[[Recipe], Progress]
"""Gives each candidate's fit its progress."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The variants of one graph: measured rows, fp32 first; the files that may serve; and which of them should."""

    rows: tuple[VariantRow, ...]
    contents: Mapping[str, bytes]
    decision: Decision

    @property
    def table(self) -> list[dict[str, Any]]:
        """The rows with what each loses and saves against fp32."""
        return tabulate_variants(self.rows)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A candidate, its comparison, and how many windows it learned from and was scored on."""

    candidate: str
    comparison: Comparison
    n_train: int
    n_holdout: int


def compare_variants(content: bytes, holdout: WindowSet, case: Case, *, threads: int = 1) -> Comparison:
    """Build, measure and judge the variants of a graph.

    Where no weight is large enough to be worth 8 bits, the variants are measured all the same, so that the table shows
    what they would bring; none of them may serve.
    """
    worth = build_variants(content)
    shown = worth if worth.reason is None else build_variants(content, min_elements=1)
    rows = measure_variants(shown, holdout, case, threads=threads)
    fp32, *eligible = [_to_facts(row) for row in rows if row.variant in worth.contents]
    decision = decide_variant(fp32, eligible, case.gate)
    if worth.reason is not None:
        decision = replace(decision, reason=" ".join([worth.reason, *_tell_sizes(rows)]))
    return Comparison(rows=rows, contents=worth.contents, decision=decision)


def _to_facts(row: VariantRow) -> VariantFacts:
    return VariantFacts(variant=row.variant, bytes=row.n_bytes, latency_ms=row.latency_ms, loss=row.loss)


def _tell_sizes(rows: Sequence[VariantRow]) -> list[str]:
    fp32, *others = rows
    shares = " and ".join(f"{row.variant} takes {row.n_bytes / fp32.n_bytes:.0%}" for row in others)
    return [f"Of its bytes {shares}."] if shares else []


def find_candidates(case: Case, names: Sequence[str]) -> tuple[Recipe, ...]:
    """The named candidates of a case, in the order named; all, if none is named.

    Raises:
        InvalidInput: a name that no candidate of the case has.
    """
    known = {recipe.name: recipe for recipe in case.candidates}
    if unknown := [name for name in names if name not in known]:
        raise InvalidInput(f"Case {case.name} has no candidate {unknown[0]!r}; it has {', '.join(known)}. Name these.")
    return tuple(known[name] for name in names) or case.candidates


def compare_candidates(
    case: Case, recipes: Sequence[Recipe], watch: Watch, *, device: str = "cpu", threads: int = 1
) -> Iterator[Compared]:
    """Fit candidates on the newest readings and compare the variants of each one's graph on those held out."""
    split = split_windows(cut_windows(find_readings(case), case), case)
    for recipe in recipes:
        fitted = fit_contender(recipe, case, split, watch(recipe), Workbench(device=device, threads=threads))
        yield Compared(
            candidate=recipe.name,
            comparison=compare_variants(fitted.graph, split.holdout, case, threads=threads),
            n_train=len(split.train),
            n_holdout=len(split.holdout),
        )


def find_readings(case: Case) -> pd.DataFrame:
    """The newest snapshot's readings or, before the first ingest, what the case's source holds."""
    from okawari.data.validation import check_readings
    from okawari.storage import snapshots

    if snapshots.load_snapshot(case) is not None:
        return snapshots.load_readings(case)
    good = check_readings(case.source.read(), case, datetime.now(UTC)).good
    # Records have no time of their own before they are stored, and nothing here asks for their order.
    return good if case.is_series else good.assign(**{case.time: pd.date_range("2000", periods=len(good), freq="s")})
