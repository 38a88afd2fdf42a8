"""The README's tables of results are those that `python -m benchmarks.readme_tables` prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.readme_tables import TABLES, TITLES, Shown, list_lines, plan_case
from okawari.cases.loader import load_case
from okawari.evaluation.backtest import backtest
from okawari.evaluation.leaderboard import build_leaderboard
from okawari.models.constant import Constant
from okawari.models.fit_context import no_progress
from okawari.models.persistence import Persistence

README = Path(__file__).parents[2] / "README.md"


def _find_tables() -> dict[str, list[list[str]]]:
    """The tables whose first column are candidates, by their first line; the cells of each further line."""
    tables: dict[str, list[list[str]]] = {}
    for block in re.findall(r"(?m)^\| candidate \|(?:.*\n\|)*.*$", README.read_text()):
        heading, _, *rows = block.splitlines()
        tables[heading] = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return tables


def test_each_table_of_candidates_in_the_readme_is_made_by_the_command() -> None:
    assert set(_find_tables()) == {shown.heading for shown in TABLES}


@pytest.mark.parametrize("shown", TABLES, ids=lambda shown: shown.case)
def test_a_table_has_the_candidates_of_its_case(shown: Shown) -> None:
    rows = _find_tables()[shown.heading]
    names = [recipe.name for recipe in load_case(shown.case).candidates]
    assert {row[0] for row in rows} <= {TITLES.get(name, name) for name in names}
    # A combination is left out of a table if fewer than two candidates were good enough.
    assert {TITLES.get(name, name) for name in names if name != "combination"} <= {row[0] for row in rows}
    assert all(len(row) == 1 + len(shown.columns) for row in rows)


def test_the_lines_of_a_table_are_markdown_with_the_scores_of_the_contest() -> None:
    [shown] = [each for each in TABLES if each.case == "cpi"]
    case = load_case("cpi")
    folds = plan_case(case)
    contenders = [backtest(recipe, case, folds, no_progress) for recipe in (Persistence(), Constant())]
    heading, rule, first, second = list_lines(shown, build_leaderboard(contenders))
    assert heading == shown.heading and rule.count("---") == heading.count("|") - 1
    loss = contenders[0].scores.numbers["joint_loss"]
    assert first.startswith(f"| persistence | {loss:.2f} | 0 | ") and first.endswith(" | - |")
    assert second.startswith("| majority | ")
