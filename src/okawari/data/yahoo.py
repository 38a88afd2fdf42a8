"""Daily prices from Yahoo Finance. Only home of yfinance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd

from okawari.data.datasets import PRICES
from okawari.data.tabular import keep_until
from okawari.errors import SourceUnavailable


@dataclass(frozen=True)
class YahooStock:
    """Daily prices of one company from Yahoo Finance, today's included; needs the extra `live` and the internet."""

    symbol: str
    since: str = "2000-01-01"

    def read(self, until: date | None = None) -> pd.DataFrame:
        """Columns date, open, high, low, close (adjusted), volume.

        Raises:
            SourceUnavailable: the extra is not installed, or Yahoo has no such symbol or returns no rows.
        """
        try:
            import yfinance
        except ImportError as missing:
            raise SourceUnavailable(
                "YahooStock needs the package yfinance, which is not installed; run: pip install 'okawari[live]'."
            ) from missing
        try:
            found = yfinance.Ticker(self.symbol).history(start=self.since, auto_adjust=True, actions=False)
        except (yfinance.exceptions.YFException, OSError, ValueError) as failed:
            # Errors of yfinance and of the network, and answers that are not JSON.
            raise SourceUnavailable(
                f"Yahoo returned no prices for {self.symbol!r}: {failed}; try again later."
            ) from failed
        if found.empty:
            raise SourceUnavailable(
                f"Yahoo returned no prices for {self.symbol!r} since {self.since}; check symbol and network."
            )
        frame = found.rename(columns=str.lower).rename_axis("date").reset_index()
        frame["date"] = frame["date"].dt.tz_localize(None).dt.normalize()
        return keep_until(frame[["date", *PRICES, "volume"]], until)
