"""Monthly series from FRED, over the internet; whatever goes wrong far away is one `SourceUnavailable`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari import __version__
from okawari.data import csv_reader
from okawari.data.tabular import keep_until
from okawari.errors import InvalidInput, SourceUnavailable, require
from okawari.schema.columns import NAME

FRED_URL = "https://fred.stlouisfed.org/graph/fredgraph.csv"


_TIMEOUT_S = 30.0


_MONTHS = {"month": 1, "quarter": 3}


@dataclass(frozen=True)
class FredSeries:
    """A monthly series of FRED, the case's name for it, and which figure stands for a period: the last month's or the
    mean of its months.
    """

    id: str
    name: str
    figure: Literal["last", "mean"] = "last"

    def __post_init__(self) -> None:
        require(
            bool(re.fullmatch(r"[A-Z0-9_]+", self.id)),
            f"FredSeries.id is {self.id!r}; FRED's names are of capitals, digits and _, such as CPIAUCSL.",
        )
        require(bool(NAME.match(self.name)), f"FredSeries.name is {self.name!r}; use lower-case letters, digits and _.")
        require(self.figure in ("last", "mean"), f"FredSeries.figure is {self.figure!r}; use last or mean.")


@dataclass(frozen=True, kw_only=True)
class Fred:
    """Monthly series from FRED, the data base of the Federal Reserve Bank of St. Louis; needs the internet, but no key.

    A period is there as soon as every series has its figure: that of its last month, or all months of a mean, but for
    `max_missing_months`: some are never published, as prices and unemployment of October 2025, when nobody asked.
    A later period that lacks a figure all the same is a row without it, for the checks to refuse by name.

    Example:
        >>> Fred(series=(FredSeries("UNRATE", "unemployment", "mean"),), period="quarter").series[0].name
        'unemployment'
    """

    series: tuple[FredSeries, ...]
    period: Literal["month", "quarter"] = "month"
    since: str = "1959-01-01"
    max_missing_months: int = 0

    def __post_init__(self) -> None:
        require(bool(self.series), "Fred.series is empty; name at least one FredSeries.")
        for what in ("id", "name"):
            given = [getattr(each, what) for each in self.series]
            require(len(set(given)) == len(given), f"Fred.series has the {what}s {given}; give each series its own.")
        require(self.period in _MONTHS, f"Fred.period is {self.period!r}; use one of {list(_MONTHS)}.")
        n_months = _MONTHS[self.period]
        require(
            0 <= self.max_missing_months < n_months,
            f"Fred.max_missing_months is {self.max_missing_months}; a {self.period} can do without 0 to "
            f"{n_months - 1} of its months.",
        )
        try:
            date.fromisoformat(self.since)
        except ValueError:
            raise InvalidInput(f"Fred.since is {self.since!r}; write a day such as 1959-01-01.") from None

    def read(self, until: date | None = None) -> pd.DataFrame:
        """Columns date (a period's last day) and one for each series, ascending in time; the newest revision of each.

        Raises:
            SourceUnavailable: no network, a series that FRED does not know or that is not monthly, an answer that does
                not begin as a CSV of these series, or no whole period in it.
            InvalidInput: a line, a time or a figure of the answer cannot be read.
        """
        months = self._parse(self._ask())
        frame = self._join(months[months.index >= pd.Timestamp(self.since)])
        return keep_until(frame, until)

    @property
    def _told(self) -> str:
        return ",".join(each.id for each in self.series)

    def _ask(self) -> str:
        import httpx

        asker = {"User-Agent": f"okawari/{__version__}"}
        try:
            answer = httpx.get(f"{FRED_URL}?id={self._told}", headers=asker, timeout=_TIMEOUT_S, follow_redirects=True)
        except httpx.HTTPError as failed:
            raise SourceUnavailable(
                f"FRED did not answer for {self._told}: {failed or type(failed).__name__}; it is asked at {FRED_URL}. "
                "Check the network or try again later."
            ) from failed
        if answer.status_code in (400, 404):
            raise SourceUnavailable(
                f"FRED knows no series of one of the names {self._told} (HTTP {answer.status_code}); each has a page "
                "https://fred.stlouisfed.org/series/NAME. Correct the name."
            )
        if answer.status_code != httpx.codes.OK:
            raise SourceUnavailable(
                f"FRED answered for {self._told} with HTTP {answer.status_code}, not with figures; try again later."
            )
        return answer.text

    def _parse(self, text: str) -> pd.DataFrame:
        """Figures by month (its first day), a column for each series in our order; what is missing is NaN."""
        names = text.partition("\n")[0].strip().lstrip("\ufeff").split(",")
        ids = [each.id for each in self.series]
        if names[0] not in ("observation_date", "DATE") or sorted(names[1:]) != sorted(ids):
            raise SourceUnavailable(
                f"FRED's answer for {self._told} begins with {text[:60]!r}; a CSV of these series begins with "
                f"observation_date,{self._told}. Check the names at https://fred.stlouisfed.org or try again later."
            )
        try:
            months = _read_figures(text)[ids].sort_index()
        except ValueError as bad:  # of lines, times and numbers alike
            raise InvalidInput(
                f"FRED's answer for {self._told} is no CSV of figures by month: {bad}; try again later."
            ) from bad
        if not (months.index.is_unique and (pd.DatetimeIndex(months.index).day == 1).all()):
            raise SourceUnavailable(
                f"FRED's series {self._told} are not all monthly; others cannot be joined. Choose monthly ones."
            )
        return months

    def _join(self, months: pd.DataFrame) -> pd.DataFrame:
        """The periods from the first to the last one that has every figure."""
        nothing = SourceUnavailable(
            f"FRED has no {self.period} since {self.since} in which all of {self._told} are there; choose monthly "
            "series that overlap, or an earlier day."
        )
        if months.empty:
            raise nothing
        n, of_time = _MONTHS[self.period], pd.DatetimeIndex(months.index).to_period(self.period[0].upper())
        periods = pd.period_range(of_time[0], of_time[-1])
        every = pd.date_range(periods[0].start_time, periods=n * len(periods), freq="MS")
        values_PM = {each: months[each.id].reindex(every).to_numpy().reshape(-1, n) for each in self.series}
        figures = {each.name: self._figure(values, each.figure) for each, values in values_PM.items()}
        frame = pd.DataFrame({"date": periods.to_timestamp(how="end").normalize(), **figures})
        whole = np.flatnonzero(frame.notna().all(axis=1))
        if not whole.size:
            raise nothing
        return frame.iloc[whole[0] : whole[-1] + 1]

    def _figure(self, values_PM: NDArray[np.float64], figure: str) -> NDArray[np.float64]:
        """One number for each of P periods out of those of its M months; NaN where there is none yet."""
        last = values_PM[:, -1]
        if figure == "last":
            return last
        known = ~np.isnan(values_PM)
        n_known = known.sum(axis=1)
        there = known[:, -1] & (n_known >= values_PM.shape[1] - self.max_missing_months)
        total: NDArray[np.float64] = np.where(known, values_PM, 0.0).sum(axis=1)
        return np.where(there, total / np.maximum(n_known, 1), np.nan)


def _read_figures(text: str) -> pd.DataFrame:
    """Figures by time, which is the first column; "." is a missing one.

    Raises:
        ValueError: a line, a time or a number cannot be read. The answer counts as a whole, for a month that is left
            out would look like one that is not published yet.
    """
    table = csv_reader.read_table(text.encode())
    if table.broken:
        number, reason = min(table.broken.items())
        raise ValueError(f"in row {number} {reason}")
    time, *ids = table.frame.columns
    at = pd.to_datetime(table.frame[time], format="%Y-%m-%d")
    return table.frame[ids].replace(".", None).astype("float64").set_axis(at)
