"""Tables of the kinds that people bring, drawn from a seed: gaps, holes, codes, dialects, skew, short series.

Each function returns the table as it stands in the file, times as texts. `write_text` writes it in another dialect.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

WEEK = np.array([100.0, 110, 125, 140, 120, 80, 60])
"""Mean visits of each weekday, Monday first."""
LEAVES = {"plus": 0.1, "pro": 0.85, "basic": 0.2, "family": 0.9, "trial": 0.5}
"""Share of the customers with each plan who leave."""


def write_text(
    table: pd.DataFrame, path: Path, *, separator: str = ",", decimal: str = ".", encoding: str = "utf-8"
) -> Path:
    """Write a table as text and return its path."""
    table.to_csv(path, index=False, sep=separator, decimal=decimal, encoding=encoding)
    return path


def draw_visits(n: int = 500, *, start: str = "2022-01-03", seed: int = 40) -> pd.DataFrame:
    """Daily visits around a mean of each weekday, with a standard deviation of 1."""
    days = pd.date_range(start, periods=n)
    visits = WEEK[days.dayofweek] + np.random.default_rng(seed).normal(0, 1, n)
    return pd.DataFrame({"day": days.strftime("%Y-%m-%d"), "visits": visits.round(2)})


def list_missing_days(n: int = 500, n_missing: int = 68, seed: int = 41) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Places of days that are missing, neither the first nor one of the last fourteen."""
    return np.sort(np.random.default_rng(seed).choice(np.arange(1, n - 14), n_missing, replace=False))


def draw_dated(n: int = 300, start: str = "2023-01-01", form: str = "%Y-%m-%d", level: float = 190.0) -> pd.DataFrame:
    """A daily number that moves little, with days in the given form."""
    days = pd.date_range(start, periods=n)
    values = level + np.cumsum(np.random.default_rng(35).normal(0, 0.3, n))
    return pd.DataFrame({"day": days.strftime(form), "units": values.round(2)})


def draw_months(n: int, freq: str, form: str = "%Y-%m-%d", start: str = "2012-01-01") -> pd.DataFrame:
    """A yearly pattern over months or quarters, multiplied by a slow growth."""
    times = pd.date_range(start, periods=n, freq=freq)
    season = 1 + 0.2 * np.sin(2 * np.pi * times.month.to_numpy() / 12)
    sales = 200 * 1.002 ** np.arange(n) * season * np.exp(np.random.default_rng(3).normal(0, 0.01, n))
    written = times.to_period("Q").astype(str) if form == "quarter" else times.strftime(form)
    return pd.DataFrame({"month": written, "sales": sales.round(2)})


def draw_meter(n: int = 400) -> pd.DataFrame:
    """A counter near 1.2e9 that grows by about 10 a day."""
    growth = np.random.default_rng(7).normal(10, 1, n).cumsum()
    days = pd.date_range("2023-01-01", periods=n).strftime("%Y-%m-%d")
    return pd.DataFrame({"day": days, "meter_kwh": (1_204_000_000 + growth).round(1)})


def draw_customers(n: int, plans: tuple[str, ...] = ("basic", "plus", "pro"), seed: int = 5) -> pd.DataFrame:
    """Customers whose plan decides whether they leave."""
    random = np.random.default_rng(seed)
    plan = random.choice(plans, n)
    leaves = random.random(n) < np.array([LEAVES[each] for each in plan])
    return pd.DataFrame(
        {
            "plan": plan,
            "age": random.integers(18, 80, n),
            "monthly_fee": random.uniform(0, 80, n).round(2),
            "is_active": random.random(n) < 0.6,
            "outcome": np.where(leaves, "left", "stayed"),
        }
    )


def draw_severities(n: int = 500) -> pd.DataFrame:
    """Records with the labels None, Mild and Severe, by the level of x."""
    random = np.random.default_rng(12)
    x, z = random.normal(size=n), random.normal(size=n)
    level = np.digitize(x + random.normal(0, 0.2, n), [-0.5, 0.7])
    return pd.DataFrame({"x": x.round(3), "z": z.round(3), "severity": np.array(["None", "Mild", "Severe"])[level]})


def draw_rents(n: int = 500) -> pd.DataFrame:
    """Rents by zip code and size; some codes begin with zeros."""
    random = np.random.default_rng(13)
    codes = np.array(["00501", "02134", "07310", "90210"])
    place, size = random.integers(0, 4, n), random.uniform(5, 15, n)
    rent = np.array([300, 20, 700, 150])[place] + 20 * size + random.normal(0, 5, n)
    return pd.DataFrame({"zip": codes[place], "size": size.round(2), "rent": rent.round(1)})


def draw_spending(n: int = 500) -> pd.DataFrame:
    """Spending by country; Namibia's code is NA."""
    random = np.random.default_rng(14)
    place, size = random.integers(0, 4, n), random.uniform(8, 14, n)
    spend = np.array([70, 40, 10, 100])[place] + size + random.normal(0, 1, n)
    countries = np.array(["ZA", "NA", "BW", "LS"])
    return pd.DataFrame({"country": countries[place], "size": size.round(2), "spend": spend.round(2)})


def draw_grades(n: int = 500) -> pd.DataFrame:
    """Records with the labels 01, 02 and 03, by the level of w."""
    random = np.random.default_rng(15)
    w, h = random.uniform(0, 8, n), random.normal(0, 1.5, n)
    grade = np.digitize(w + random.normal(0, 0.3, n), [3, 5.5]) + 1
    return pd.DataFrame({"w": w.round(3), "h": h.round(3), "grade": [f"{each:02d}" for each in grade]})


def draw_revenues(n: int = 800) -> pd.DataFrame:
    """Revenues exp(4 + visits + budget / 2 + noise), with noise of standard deviation 0.5, in logarithms of inputs."""
    random = np.random.default_rng(9)
    visits, budget = random.normal(size=n), random.normal(size=n)
    revenue = np.exp(4 + visits + 0.5 * budget + random.normal(0, 0.5, n))
    return pd.DataFrame({"visits_log": visits.round(4), "budget_log": budget.round(4), "revenue": revenue.round(2)})


def draw_sensors(n: int = 900, share: float = 0.04) -> pd.DataFrame:
    """Twelve sensors, of which each is empty in a share of the rows, and a number that follows from six of them."""
    random = np.random.default_rng(16)
    values = random.normal(size=(n, 12))
    y = values[:, :6] @ np.array([2.0, -1.5, 1, 1, -0.5, 0.5]) + random.normal(0, 0.3, n)
    table = pd.DataFrame(values.round(3), columns=[f"s{place}" for place in range(12)])
    return table.mask(random.random((n, 12)) < share).assign(y=y.round(3))


def draw_houses(n: int = 300) -> pd.DataFrame:
    """Areas, lots and prices above a thousand."""
    random = np.random.default_rng(6)
    area, lot = random.integers(40, 250, n), random.uniform(200, 3000, n)
    price = 3000 * area + 20 * lot + random.normal(0, 20_000, n)
    return pd.DataFrame({"area_m2": area, "lot": lot.round(1), "price": price.round(2)})
