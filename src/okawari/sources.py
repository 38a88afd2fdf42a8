"""Readers: where a case's readings come from. A source is immutable settings with one verb, `read`.

Every source returns a frame with a time column and the case's number columns, as found: nothing is checked,
dropped or repaired here (that is `okawari.checks`). Heavy or optional libraries are imported inside `read`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

import pandas as pd

from okawari.errors import InvalidInput

_PRICES = ["open", "high", "low", "close"]


class Source(Protocol):
    """Anything that can be read into a frame of readings."""

    def read(self, until: date | None = None) -> pd.DataFrame:
        """All readings up to and including `until` (all there are, if None)."""
        ...


@dataclass(frozen=True)
class BundledStock:
    """Daily prices 2000-2013 of one company, from the `bokeh_sampledata` package; works offline.

    Prices are adjusted for splits and dividends: every price of a day is multiplied by `adj_close / close`.
    Without that, the two-for-one splits of June 2000 and February 2005 would look like crashes.
    """

    symbol: str = "AAPL"

    def read(self, until: date | None = None) -> pd.DataFrame:
        """Columns date, open, high, low, close (adjusted US dollars), volume (shares, as traded)."""
        from bokeh_sampledata import stocks

        found = getattr(stocks, self.symbol, None)
        if found is None:
            known = sorted(name for name in vars(stocks) if name.isupper())
            raise InvalidInput(f"There is no bundled history for {self.symbol!r}; there is one for {known}.")
        return _up_to(_adjust(pd.DataFrame(found)), until)


@dataclass(frozen=True)
class YahooStock:
    """Daily prices of one company from Yahoo Finance, today's included; needs the extra `live` and the internet."""

    symbol: str
    since: str = "2000-01-01"

    def read(self, until: date | None = None) -> pd.DataFrame:
        """Columns date, open, high, low, close (adjusted), volume.

        Raises:
            InvalidInput: the extra is not installed, or Yahoo knows no such symbol or gives no rows.
        """
        try:
            import yfinance
        except ImportError as missing:
            raise InvalidInput(
                "YahooStock needs the package yfinance, which is not installed; run: pip install 'okawari[live]'."
            ) from missing
        try:
            found = yfinance.Ticker(self.symbol).history(start=self.since, auto_adjust=True, actions=False)
        except (yfinance.exceptions.YFException, OSError, ValueError) as failed:
            # Its own errors, those of the network, and answers that are no JSON.
            raise InvalidInput(f"Yahoo gave no prices for {self.symbol!r}: {failed}; try again later.") from failed
        if found.empty:
            raise InvalidInput(f"Yahoo gave no prices for {self.symbol!r} since {self.since}; check name and network.")
        frame = found.rename(columns=str.lower).rename_axis("date").reset_index()
        frame["date"] = frame["date"].dt.tz_localize(None).dt.normalize()
        return _up_to(frame[["date", *_PRICES, "volume"]], until)


@dataclass(frozen=True)
class TableFile:
    """A CSV or Parquet file on disk, told apart by its ending."""

    path: Path
    time: str | None = "date"

    def read(self, until: date | None = None) -> pd.DataFrame:
        """The file's columns as they are.

        Raises:
            InvalidInput: no such file, an unknown ending, no table inside, no rows, or a column named twice.
        """
        if not self.path.is_file():
            raise InvalidInput(f"There is no file {self.path}; give the path of a .csv or .parquet file.")
        frame = self._parse()
        if frame.empty or len(frame.columns) < 2:
            kinds = "columns" if self.time is None else "a time column, number columns"
            raise InvalidInput(
                f"{self.path} holds {len(frame)} rows of {len(frame.columns)} columns; a table of readings has "
                f"{kinds} and at least one row."
            )
        if self.time is None:
            return frame
        if self.time not in frame.columns:
            raise InvalidInput(f"{self.path} has no column {self.time!r}; it has {list(map(str, frame.columns))}.")
        return _up_to(frame, until, self.time)

    def _parse(self) -> pd.DataFrame:
        import pyarrow as pa

        readers: dict[str, Callable[[Path], pd.DataFrame]] = {".csv": _read_csv, ".parquet": _read_parquet}
        reader = readers.get(self.path.suffix.lower())
        if reader is None:
            raise InvalidInput(f"{self.path} ends in {self.path.suffix!r}; Okawari reads .csv and .parquet.")
        try:
            frame = reader(self.path)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, pa.ArrowException, OSError) as bad:
            kind = self.path.suffix.lower().lstrip(".")
            raise InvalidInput(f"{self.path} is not a {kind} table: {bad}. Nothing was ingested.") from bad
        twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
        if twice:
            raise InvalidInput(f"{self.path} names the columns {twice} more than once; give each column its own name.")
        return frame


def _read_csv(path: Path) -> pd.DataFrame:
    # Read as a line like all others, the names also count the fields; else a longer line would shift every column.
    lines = pd.read_csv(path, header=None, dtype=object, encoding="utf-8")
    return lines.iloc[1:].set_axis([str(name) for name in lines.iloc[0]], axis="columns")


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow import parquet

    # What pandas wrote beside the columns is left aside: it would make an index of the time column.
    frame: pd.DataFrame = parquet.ParquetFile(path).read().replace_schema_metadata(None).to_pandas()
    return frame


def _adjust(frame: pd.DataFrame) -> pd.DataFrame:
    factor = frame["adj_close"] / frame["close"]
    prices = frame[_PRICES].mul(factor, axis=0)
    return prices.assign(date=pd.to_datetime(frame["date"]), volume=frame["volume"])[["date", *_PRICES, "volume"]]


def _up_to(frame: pd.DataFrame, until: date | None, time: str = "date") -> pd.DataFrame:
    if until is None:
        return frame.reset_index(drop=True)
    # An unreadable time stays in: the checks will refuse it with a reason instead of losing it here.
    at = pd.to_datetime(frame[time], errors="coerce", utc=True, format="mixed")
    return frame[at.isna() | (at < pd.Timestamp(until, tz="UTC") + pd.Timedelta(days=1))].reset_index(drop=True)
