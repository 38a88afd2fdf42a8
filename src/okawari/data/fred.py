"""Monthly series from FRED, over the internet; failures of network and server raise `SourceUnavailable`."""

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
    """A monthly series of FRED, its name in the case, and the figure of a period: that of its last month, or the mean
    of its months.
    """

    id: str
    name: str
    figure: Literal["last", "mean"] = "last"

    def __post_init__(self) -> None:
        require(
            bool(re.fullmatch(r"[A-Z0-9_]+", self.id)),
            f"FredSeries.id is {self.id!r}; FRED's ids have capitals, digits and _, such as CPIAUCSL. Correct it.",
        )
        require(bool(NAME.match(self.name)), f"FredSeries.name is {self.name!r}; use lower-case letters, digits and _.")
        require(self.figure in ("last", "mean"), f"FredSeries.figure is {self.figure!r}; use last or mean.")


@dataclass(frozen=True, kw_only=True)
class Fred:
    """Monthly series from FRED, the database of the Federal Reserve Bank of St. Louis; needs the internet, but no key.

    The result goes from the first to the last complete period, in which every series has its figure. That needs the
    last month and, for a mean, all other months but `max_missing_months`: some are never published, such as prices and
    unemployment of October 2025, when no survey took place. An incomplete period in between is a row with a missing
    figure, which the checks refuse by column name.

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
            f"Fred.max_missing_months is {self.max_missing_months}; a {self.period} may lack 0 to "
            f"{n_months - 1} of its months. Use one of these numbers.",
        )
        try:
            date.fromisoformat(self.since)
        except ValueError:
            raise InvalidInput(f"Fred.since is {self.since!r}; write a day such as 1959-01-01.") from None

    def read(self, until: date | None = None) -> pd.DataFrame:
        """Columns date (a period's last day) and one for each series, ascending in time; the newest revision of each.

        Raises:
            SourceUnavailable: there is no network, FRED does not have a series, a series is not monthly, the answer
                does not begin like a CSV of these series, or it holds no complete period.
            InvalidInput: a line, a time or a figure of the answer cannot be read.
        """
        months = self._parse(self._request())
        frame = self._join(months[months.index >= pd.Timestamp(self.since)])
        return keep_until(frame, until)

    @property
    def _ids(self) -> str:
        return ",".join(each.id for each in self.series)

    def _request(self) -> str:
        import httpx

        headers = {"User-Agent": f"okawari/{__version__}"}
        try:
            answer = httpx.get(f"{FRED_URL}?id={self._ids}", headers=headers, timeout=_TIMEOUT_S, follow_redirects=True)
        except httpx.HTTPError as failed:
            raise SourceUnavailable(
                f"FRED did not answer for {self._ids}: {failed or type(failed).__name__} ({FRED_URL}). "
                "Check the network or try again later."
            ) from failed
        if answer.status_code in (400, 404):
            raise SourceUnavailable(
                f"FRED has no series for one of the ids {self._ids} (HTTP {answer.status_code}); each series has "
                "a page https://fred.stlouisfed.org/series/ID. Correct the id."
            )
        if answer.status_code != httpx.codes.OK:
            raise SourceUnavailable(
                f"FRED answered for {self._ids} with HTTP {answer.status_code}, not with figures; try again later."
            )
        return answer.text

    def _parse(self, text: str) -> pd.DataFrame:
        """Figures by month (its first day), a column per series in the order of `series`; a missing figure is NaN."""
        names = text.partition("\n")[0].strip().lstrip("\ufeff").split(",")
        ids = [each.id for each in self.series]
        if names[0] not in ("observation_date", "DATE") or sorted(names[1:]) != sorted(ids):
            raise SourceUnavailable(
                f"FRED's answer for {self._ids} begins with {text[:60]!r}; a CSV of these series begins with "
                f"observation_date,{self._ids}. Check the ids at https://fred.stlouisfed.org or try again later."
            )
        try:
            months = _read_figures(text)[ids].sort_index()
        except ValueError as bad:  # from lines, times or numbers
            raise InvalidInput(
                f"FRED's answer for {self._ids} is not a CSV of monthly figures: {bad}; try again later."
            ) from bad
        if not (months.index.is_unique and (pd.DatetimeIndex(months.index).day == 1).all()):
            raise SourceUnavailable(
                f"FRED's series {self._ids} are not all monthly; others cannot be joined. Choose monthly series."
            )
        return months

    def _join(self, months: pd.DataFrame) -> pd.DataFrame:
        """The periods from the first to the last one with every figure."""
        nothing = SourceUnavailable(
            f"FRED has no {self.period} since {self.since} in which all of {self._ids} have a figure; choose monthly "
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
        """One number for each of P periods from those of its M months; NaN where too many are missing."""
        last = values_PM[:, -1]
        if figure == "last":
            return last
        known = ~np.isnan(values_PM)
        n_known = known.sum(axis=1)
        complete = known[:, -1] & (n_known >= values_PM.shape[1] - self.max_missing_months)
        total: NDArray[np.float64] = np.where(known, values_PM, 0.0).sum(axis=1)
        return np.where(complete, total / np.maximum(n_known, 1), np.nan)


def _read_figures(text: str) -> pd.DataFrame:
    """Figures by time, which is the first column; "." is a missing one.

    Raises:
        ValueError: a line, a time or a number cannot be read. The whole answer is refused, because a month that is left
            out would look like an unpublished one.
    """
    table = csv_reader.read_table(text.encode())
    if table.broken:
        number, reason = min(table.broken.items())
        raise ValueError(f"in row {number} {reason}")
    time, *ids = table.frame.columns
    at = pd.to_datetime(table.frame[time], format="%Y-%m-%d")
    return table.frame[ids].replace(".", None).astype("float64").set_axis(at)
