"""Columns that give the target away are named with the reason; strong but honest columns are not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from okawari.data.files import TableFile
from okawari.scaffold.guess import Wish
from okawari.scaffold.infer import guess_case

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _warn(table: pd.DataFrame, target: str) -> tuple[str, ...]:
    written = table.astype(object).where(table.notna(), None).map(lambda value: None if value is None else str(value))
    guess = guess_case(written, TableFile(Path("t.csv"), time=None), Wish(name="mine", target=target), NOW)
    assert all(name in guess.case.column_names for name in table.columns if name != target), "nothing is dropped"
    return guess.warnings


def _draw_churn(n: int = 400, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    fee = random.uniform(5, 80, n).round(2)
    left = random.random(n) < 1 / (1 + np.exp(-(fee - 45) / 8))
    return pd.DataFrame({"fee": fee, "age": random.integers(18, 80, n), "outcome": np.where(left, "left", "stayed")})


def _draw_prices(n: int = 400, explained: float = 0.95, seed: int = 2) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    area, noise = random.normal(size=n), random.normal(size=n)
    price = 100 + 10 * (np.sqrt(explained) * area + np.sqrt(1 - explained) * noise)
    return pd.DataFrame({"area": area.round(4), "rooms": random.integers(1, 6, n), "price": price.round(3)})


def test_a_copy_of_the_target_is_named() -> None:
    table = _draw_prices()
    [said] = _warn(table.assign(taxed=(table["price"] * 1.19).round(2)), "price")
    assert said.startswith("'taxed' may give 'price' away: its rank correlation with the target is 1.0000.")
    [said] = _warn(
        _draw_churn().assign(state=lambda found: found["outcome"].map({"left": "x", "stayed": "y"})), "outcome"
    )
    assert said.startswith("'state' may give 'outcome' away: alone it predicts 100% of held-out rows, where the most")


def test_a_function_of_the_target_without_order_is_named() -> None:
    random = np.random.default_rng(5)
    angle = random.uniform(0, 6.28, 2000)
    found = _warn(
        pd.DataFrame({"angle": angle.round(5), "x": random.normal(size=2000).round(3), "y": np.sin(angle)}), "y"
    )
    assert len(found) == 1 and "alone it explains" in found[0]


def test_a_column_that_is_filled_for_one_value_of_the_target_is_named() -> None:
    table = _draw_churn()
    told = (table["outcome"] == "left") & (np.random.default_rng(3).random(len(table)) < 0.5)
    reason = pd.Series(np.random.default_rng(4).choice(["price", "service"], len(table))).where(told)
    [said] = _warn(table.assign(refund=reason), "outcome")
    assert said.startswith(f"'refund' may give 'outcome' away: it is filled in {told.sum()} rows, all with the")


@pytest.mark.parametrize(("name", "is_named"), [("outcome_code", True), ("final_outcome", True), ("income", False)])
def test_a_name_that_says_so_is_named(name: str, is_named: bool) -> None:
    table = _draw_churn().assign(**{name: np.random.default_rng(6).normal(size=400).round(3)})
    assert bool(_warn(table, "outcome")) is is_named


@pytest.mark.parametrize("seed", range(10))
def test_strong_but_honest_columns_are_not_named(seed: int) -> None:
    assert _warn(_draw_prices(200, 0.95, seed), "price") == ()
    assert _warn(_draw_churn(200, seed), "outcome") == ()
    random = np.random.default_rng(seed)
    holes = _draw_churn(200, seed)
    assert _warn(holes.assign(age=holes["age"].mask(random.random(200) < 0.3)), "outcome") == ()
    place = random.integers(0, 5, 200)
    rent = 100 + place * 300 + random.normal(0, 30, 200)
    rents = pd.DataFrame({"zip": [f"0{each}50{each}" for each in place], "rent": rent.round(2)})
    assert _warn(rents, "rent") == ()
