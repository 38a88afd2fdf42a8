"""Scores of networks and trees on held-out records, over several seeds.

    python -m benchmarks.records

Digits: accuracy of the convolutional network, mean and spread. Blobs: accuracy of the perceptron and of the best
possible rule, on the case's holdout and on many new points. Trees: forest and boosting on diabetes and digits.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from okawari.case import ARRIVED, Case
from okawari.cases.loader import load_case
from okawari.data.datasets import Blobs
from okawari.data.validation import check_readings
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.evaluation.candidates import Contender, fit_contender
from okawari.evaluation.metrics import accuracy
from okawari.graph.inference import Graph
from okawari.models.fit_context import no_progress
from okawari.models.windows import WindowSet

SEEDS = range(1, 6)
TREES = ("random_forest_100", "boosting_3")
N_FRESH = 20_000
"""Fresh points: the standard error of an accuracy of 87% over them is sqrt(0.87 * 0.13 / 20000), 0.24 points."""


def cut_records(frame: pd.DataFrame, case: Case) -> WindowSet:
    """Windows of the records that pass the check, a second apart."""
    good = check_readings(frame, case, datetime.now(UTC)).good
    return cut_windows(good.assign(**{ARRIVED: pd.date_range("2000-01-01", periods=len(good), freq="s")}), case)


def fit_over_seeds(case: Case, name: str, seeds: range) -> Iterator[Contender]:
    """The named candidate, fitted once with each seed on the same split."""
    split = split_windows(cut_records(case.source.read(), case), case)
    [recipe] = [recipe for recipe in case.candidates if recipe.name == name]
    for seed in seeds:
        yield fit_contender(recipe, replace(case, seed=seed), split, no_progress)


def _read(contender: Contender, score: str) -> float:
    value = contender.scores.numbers[score]
    assert value is not None, score
    return value


def print_shares(what: str, shares: list[float]) -> None:
    values = np.array(shares)
    each_share = "  ".join(f"{value:.2%}" for value in values)
    print(f"{what}: mean {values.mean():.2%}, standard deviation {values.std(ddof=1):.2%}, least {values.min():.2%}")
    print(f"    each seed: {each_share}")


def measure_digits(seeds: range) -> None:
    case = load_case("digits")
    found = list(fit_over_seeds(case, "cnn_32", seeds))
    print_shares(f"digits, cnn_32, {case.gate.holdout} held-out pictures", [_read(each, "accuracy") for each in found])
    print(f"    a fit takes {np.mean([each.fit_s for each in found]):.1f} s")


def measure_blobs(seeds: range) -> None:
    case = load_case("blobs")
    assert isinstance(case.source, Blobs)
    fresh = cut_records(replace(case.source, n=N_FRESH, seed=case.source.seed + 1).draw(), case)
    true_B = fresh.r_BH.argmax(axis=1)
    held, drawn = [], []
    for contender in fit_over_seeds(case, "mlp_32_32", seeds):
        held.append(_read(contender, "accuracy"))
        drawn.append(accuracy(true_B, Graph.load(contender.graph).answer(fresh.x_BTF).mean_BH))
    print(f"blobs, no rule exceeds {case.source.bayes_accuracy:.2%}")
    # On a finite sample of points, the best rule scores above or below its expectation by chance.
    east_B, north_B = fresh.x_BTF[:, 0, 0] > 0, fresh.x_BTF[:, 0, 1] > 0
    best_B = np.where(north_B, np.where(east_B, 0, 1), np.where(east_B, 3, 2))
    print(f"blobs, the best rule on the fresh points: {np.mean(best_B == true_B):.2%}")
    print_shares(f"blobs, mlp_32_32, {case.gate.holdout} held-out points", held)
    print_shares(f"blobs, mlp_32_32, {N_FRESH} fresh points", drawn)


def measure_trees(seeds: range) -> None:
    for case_name, score in (("diabetes", "r2"), ("digits", "accuracy"), ("digits", "log_loss")):
        for name in TREES:
            found = list(fit_over_seeds(load_case(case_name), name, seeds))
            values = np.array([_read(each, score) for each in found])
            spread = f"{score} mean {values.mean():.4f}, standard deviation {values.std(ddof=1):.4f}"
            print(f"{case_name}, {name}: {spread}; a fit takes {np.mean([each.fit_s for each in found]):.2f} s")


PARTS = {"digits": measure_digits, "blobs": measure_blobs, "trees": measure_trees}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Networks and trees on records, over several seeds.")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many seeds, at least 2 (%(default)s)")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="which measurements")
    given = parser.parse_args(arguments)
    for part in given.parts:
        PARTS[part](SEEDS[: given.seeds])


if __name__ == "__main__":
    main()
