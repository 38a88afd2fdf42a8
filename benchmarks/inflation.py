"""Scores of every candidate of `cpi` for the next quarter's inflation, over five half-decades and five seeds.

    python -m benchmarks.inflation

For each origin, the candidates are fitted on the data known then. They predict the 20 quarters that end at the origin,
which are in no fit. The joint loss of an uninformed prediction is 1.0.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np

from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.data.validation import check_readings
from okawari.dataset.splits import Split, split_windows
from okawari.dataset.windows import cut_windows
from okawari.evaluation.candidates import Contender, fit_contender
from okawari.models.combination import list_fitted
from okawari.models.fit_context import no_progress

ORIGINS = tuple(date(year, 12, 31) for year in (1989, 1994, 1999, 2004, 2009))
SEEDS = range(1, 6)
HOLDOUT = 20
SHOWN = ("trend_accuracy", "acceleration_rmse", "regime_accuracy", "acceleration_coverage_share")


def split_until(case: Case, origin: date) -> Split:
    """The split of the data known at the origin."""
    good = check_readings(case.source.read(until=origin), case, datetime.now(UTC)).good
    return split_windows(cut_windows(good, case), case)


def fit_all(case: Case, split: Split) -> dict[str, Contender]:
    """Every candidate on the same split."""
    return {recipe.name: fit_contender(recipe, case, split, no_progress) for recipe in list_fitted(case.candidates)}


def measure_origins(case: Case, origins: Sequence[date]) -> None:
    short = replace(case, gate=replace(case.gate, holdout=HOLDOUT))
    found = [fit_all(short, split_until(short, origin)) for origin in origins]
    print(f"joint loss over {HOLDOUT} quarters to the end of {', '.join(str(origin.year) for origin in origins)}; mean")
    for recipe in list_fitted(case.candidates):
        losses = [each[recipe.name].scores.loss for each in found]
        each_loss = "  ".join(f"{loss:.3f}" for loss in losses)
        means = {name: np.mean([each[recipe.name].scores.numbers[name] for each in found]) for name in SHOWN}
        scores = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
        print(f"{recipe.name:18} {each_loss}  {np.mean(losses):.3f}  {scores}")


def measure_seeds(case: Case, seeds: range) -> None:
    split = split_until(case, ORIGINS[-1])
    print(f"joint loss over the newest {case.gate.holdout} quarters, seeds {seeds.start} to {seeds.stop - 1}")
    for recipe in list_fitted(case.candidates):
        fitted = [fit_contender(recipe, replace(case, seed=seed), split, no_progress) for seed in seeds]
        losses = np.array([each.scores.loss for each in fitted])
        fit_s = np.mean([each.fit_s for each in fitted])
        spread = f"standard deviation {losses.std(ddof=1):.3f}; a fit takes {fit_s:.2f} s"
        print(f"{recipe.name:18} mean {losses.mean():.3f}, {spread}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Every candidate of cpi over half-decades and seeds.")
    parser.add_argument("--origins", type=int, default=len(ORIGINS), help="how many of the origins (%(default)s)")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many seeds, at least 2 (%(default)s)")
    parser.add_argument("--candidates", nargs="+", help="names of candidates; all, if left out")
    given = parser.parse_args(arguments)
    case = load_case("cpi")
    if given.candidates:
        case = replace(case, candidates=tuple(each for each in case.candidates if each.name in given.candidates))
    measure_seeds(case, SEEDS[: given.seeds])
    measure_origins(case, ORIGINS[: given.origins])


if __name__ == "__main__":
    main()
