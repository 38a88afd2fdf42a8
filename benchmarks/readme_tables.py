"""The README's tables of results, made from contests of the bundled cases in memory.

    python -m benchmarks.readme_tables
    python -m benchmarks.readme_tables cpi

Prints each table in Markdown, as it stands in the README, and under it the candidate that wins and the number of judged
windows. Candidates are fitted and judged as in a training of `okawari up`, with one thread, and nothing is recorded.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.data.validation import check_readings
from okawari.dataset.folds import Folds, plan_folds
from okawari.dataset.steps import lay_out_steps
from okawari.dataset.windows import cut_windows
from okawari.evaluation.contest import hold_contest
from okawari.evaluation.evidence import describe_design
from okawari.evaluation.leaderboard import build_leaderboard
from okawari.formats import format_share

Cell = Callable[[Mapping[str, Any]], str]
TITLES: Mapping[str, str] = {
    "random_walk": "random walk",
    "seasonal_naive_5": "last week's day",
    "sarima_211_1005": "SARIMA (statsmodels)",
    "random_forest_100": "random forest (scikit-learn)",
    "random_forest_200": "random forest",
    "boosting_3": "boosted trees (XGBoost)",
    "lstm_2x64": "LSTM (PyTorch)",
    "keras_lstm_2x32": "LSTM (Keras 3 on torch)",
    "price_level_lstm_2x32": "LSTM on price levels",
    "linear_1": "logistic and ridge",
    "lstm_1x32": "LSTM with three heads",
    "constant": "majority",
    "drift_walk": "random walk with drift",
}
"""What the README calls the candidates; others are called by their names."""


@dataclass(frozen=True)
class Shown:
    """A table of the README: the columns after the candidate, each with the text of its cell."""

    case: str
    columns: Mapping[str, Cell]

    @property
    def heading(self) -> str:
        """The first line of the table."""
        return _join_cells(("candidate", *self.columns))


def _number(name: str, digits: int) -> Cell:
    return lambda row: f"{row[name]:.{digits}f}"


def _share(name: str, digits: int = 0, *, signed: bool = False) -> Cell:
    def show(row: Mapping[str, Any]) -> str:
        value = row[name]
        if value is None or math.isnan(value):
            return "-"
        text = format_share(value, digits, signed=signed)
        return "0" if text == "0%" and signed else text

    return show


def _p_value(row: Mapping[str, Any]) -> str:
    return "-" if row["p_value"] is None else f"{row['p_value']:.2f}"


def _size(row: Mapping[str, Any]) -> str:
    return f"{max(1, round(row['graph_bytes'] / 1000))}"


TABLES: tuple[Shown, ...] = (
    Shown(
        "cpi",
        {
            "joint loss": _number("joint_loss", 2),
            "gain": _share("skill_share", signed=True),
            "trend right": _share("trend_accuracy"),
            "acceleration RMSE, pp": _number("acceleration_rmse", 1),
            "regime right": _share("regime_accuracy"),
            "p": _p_value,
        },
    ),
    Shown(
        "aapl",
        {
            "RMSE, $": _number("rmse", 2),
            "skill": _share("skill_share", 1, signed=True),
            "RMSE in 5 days, $": _number("rmse_step_5", 2),
            "skill in 5 days": _share("skill_share_step_5", 1, signed=True),
            "direction right": _share("directional_accuracy"),
            "graph, kB": _size,
        },
    ),
)


def plan_case(case: Case) -> Folds:
    """The folds of a case's bundled data, as a training cuts them."""
    good = check_readings(case.source.read(None), case, datetime.now(UTC)).good
    return plan_folds(cut_windows(lay_out_steps(case.layout.stamp_records(good, case.time), case), case), case)


def list_lines(shown: Shown, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The lines of the table from the rows of a leaderboard, best candidate first."""
    yield shown.heading
    yield "|" + "---|" * (1 + len(shown.columns))
    for row in rows:
        name = str(row["candidate"])
        yield _join_cells((TITLES.get(name, name), *(show(row) for show in shown.columns.values())))


def _join_cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The README's tables of results.")
    names = [shown.case for shown in TABLES]
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of {', '.join(names)}; all, if left out")
    parser.add_argument("--candidates", nargs="+", help="names of candidates besides the baseline; all, if left out")
    given = parser.parse_args(arguments)
    if unknown := set(given.cases) - set(names):
        parser.error(f"the README has no table of {', '.join(sorted(unknown))}; it has those of {', '.join(names)}")
    for shown in TABLES:
        if not given.cases or shown.case in given.cases:
            print_table(shown, choose(load_case(shown.case), given.candidates))


def choose(case: Case, names: Sequence[str] | None) -> Case:
    """The case with its baseline and the named candidates; with all, if no name is given."""
    kept = [each for each in case.candidates if not names or each is case.baseline or each.name in names]
    return replace(case, candidates=tuple(kept))


def print_table(shown: Shown, case: Case) -> None:
    """Hold the contest of a case, and print its table."""
    folds = plan_case(case)
    contest = hold_contest(case, folds)
    rows = build_leaderboard(contest.contenders, describe_design(folds))
    print(*list_lines(shown, rows), sep="\n")
    fits = f"{folds.n_fits} fit" + "s" * (folds.n_fits > 1)
    print(f"\n{case.name}: {contest.challenger.recipe.name} wins; {len(folds.judged)} windows judged by {fits} of each")
    for row in rows:
        if row.get("members"):
            print(f"{row['candidate']} is the weighted mean of {row['members']}")
    print()


if __name__ == "__main__":
    main()
