"""Skill of the tree models against the random walk at the end of every half-year, not only on one holdout.

    python -m benchmarks.rolling_origins

Prints the skill of both tree models at each origin and its mean, then the effect of the seed at one origin.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.evaluation.candidates import fit_contender
from okawari.evaluation.leaderboard import build_leaderboard
from okawari.models.boosting import Boosting
from okawari.models.fit_context import no_progress
from okawari.models.forest import RandomForest
from okawari.models.protocols import Recipe
from okawari.models.random_walk import RandomWalk

ORIGINS = tuple(date(year, month, 30) for year in range(2003, 2013) for month in (6, 12))
SEEDED_ORIGIN = date(2007, 12, 31)
SEEDS = range(5)
TREES: tuple[Recipe, ...] = (RandomForest(), Boosting())


def measure_skill(case: Case, origin: date, recipes: tuple[Recipe, ...]) -> list[tuple[float, float]]:
    """Skill of each recipe at the first and the last step, on the holdout before the origin."""
    split = split_windows(cut_windows(case.source.read(origin), case), case)
    contenders = [fit_contender(recipe, case, split, no_progress) for recipe in (RandomWalk(), *recipes)]
    rows = {row["candidate"]: row for row in build_leaderboard(contenders)}
    last = f"skill_share_step_{case.task.width}"
    return [(rows[recipe.name]["skill_share"], rows[recipe.name][last]) for recipe in recipes]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Skill of trees over many origins and seeds.")
    parser.add_argument("--origins", type=int, default=len(ORIGINS), help="how many of the origins (%(default)s)")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many seeds (%(default)s)")
    given = parser.parse_args(arguments)
    case = load_case("aapl")
    found = []
    for origin in ORIGINS[: given.origins]:
        found.append(measure_skill(case, origin, TREES))
        skills = (f"{tree.name} {first:+.1%} {last:+.1%}" for tree, (first, last) in zip(TREES, found[-1], strict=True))
        print(origin, *skills, sep="   ")
    skill = np.array(found)
    error = skill.std(axis=0, ddof=1) / np.sqrt(len(skill))
    for tree, means, errors in zip(TREES, skill.mean(axis=0), error, strict=True):
        texts = [f"{mean:+.2%} (standard error {spread:.2%})" for mean, spread in zip(means, errors, strict=True)]
        print(f"mean of {tree.name}: {texts[0]} and {texts[1]}")
    for seed in SEEDS[: given.seeds]:
        [(first, last)] = measure_skill(replace(case, seed=seed), SEEDED_ORIGIN, TREES[:1])
        print(f"{SEEDED_ORIGIN} seed {seed}: {TREES[0].name} {first:+.1%} {last:+.1%}")


if __name__ == "__main__":
    main()
