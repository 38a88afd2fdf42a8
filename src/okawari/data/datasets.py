"""Bundled data that works offline: quarterly economic data from statsmodels, two well-known tables of records from
scikit-learn, daily stock prices, and generated points with a known best accuracy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from okawari.data.files import TableFile
from okawari.data.tabular import keep_until
from okawari.errors import SourceUnavailable, require
from okawari.settings import load_settings

PIXELS = tuple(f"pixel_{row}{column}" for row in range(8) for column in range(8))
"""Columns of a digit's picture, row by row from the top left."""


@dataclass(frozen=True)
class BundledMacro:
    """Prices, unemployment and interest in the United States, 203 quarters from 1959 to September 2009.

    Source: statsmodels' data set `macrodata`, which Skipper Seabold put together in December 2009 from FRED (Federal
    Reserve Bank of St. Louis) and, for unemployment, the Bureau of Labor Statistics; in the public domain. These are
    the figures as of that date, while `okawari.data.fred.Fred` returns their latest revision.
    """

    def read(self, until: date | None = None) -> pd.DataFrame:
        """Columns date (a quarter's last day), cpi (consumer prices at its end, 1982-84 = 100, seasonally adjusted),
        unemployment (percent, seasonally adjusted) and bill_rate (3-month Treasury bill, percent a year, its average).
        """
        from statsmodels.datasets import macrodata

        found = macrodata.load_pandas().data
        last_month = pd.to_datetime({"year": found["year"], "month": 3 * found["quarter"], "day": 1})
        dates = last_month + pd.offsets.MonthEnd()
        kept = found[["cpi", "unemp", "tbilrate"]].set_axis(["cpi", "unemployment", "bill_rate"], axis="columns")
        return keep_until(kept.assign(date=dates)[["date", *kept.columns]], until)


@dataclass(frozen=True)
class BundledDiabetes:
    """442 patients: ten measurements and how far diabetes had progressed a year later.

    Source: Efron, Hastie, Johnstone and Tibshirani, Least Angle Regression, 2004.
    """

    def read(self, until: date | None = None) -> pd.DataFrame:
        """Columns age, sex, bmi, bp, s1 to s6 (as measured) and progression; `until` has no effect."""
        from sklearn.datasets import load_diabetes

        found = load_diabetes(as_frame=True, scaled=False)
        frame: pd.DataFrame = found.data.assign(progression=found.target)
        return frame.assign(sex=frame["sex"].map({1.0: "one", 2.0: "two"}))


@dataclass(frozen=True)
class BundledDigits:
    """1797 handwritten digits as pictures of 8 by 8 pixels.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998 (its test part).
    """

    def read(self, until: date | None = None) -> pd.DataFrame:
        """Columns `PIXELS` (darkness from 0 to 16) and digit; `until` has no effect."""
        from sklearn.datasets import load_digits

        found = load_digits()
        return pd.DataFrame(found.data, columns=list(PIXELS)).assign(digit=[str(digit) for digit in found.target])


@dataclass(frozen=True, kw_only=True)
class Blobs:
    """Points around the four corners of a square, each corner with normal noise of unit variance; written as a CSV.

    The corners lie `distance` from both axes, so the best possible rule predicts the point's quadrant. It is right with
    probability `Phi(distance)^2`, because the noise must cross neither axis (Bishop, Pattern Recognition and Machine
    Learning, 2006, section 1.5.1).
    """

    n: int = 3000
    distance: float = 1.5
    seed: int = 5

    def __post_init__(self) -> None:
        require(self.n >= 4, f"Blobs.n is {self.n}; each of the four blobs takes a point, so use 4 or more.")
        require(self.distance > 0, f"Blobs.distance is {self.distance}; it is a length above 0.")

    @property
    def bayes_accuracy(self) -> float:
        """Accuracy of the best possible rule, from 0 to 1."""
        return (0.5 * (1 + math.erf(self.distance / math.sqrt(2)))) ** 2

    def read(self, until: date | None = None) -> pd.DataFrame:
        """Columns x, y and blob, from a CSV that the first call writes; `until` has no effect."""
        file = load_settings().state_dir / "sources" / f"blobs_{self.n}_{self.distance:g}_{self.seed}.csv"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            self.draw().to_csv(file, index=False)
        return TableFile(file, time=None).read(until)

    def draw(self) -> pd.DataFrame:
        """Generate the points; equal seeds give equal points."""
        random = np.random.default_rng(self.seed)
        corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * self.distance
        place = random.integers(0, 4, self.n)
        points = corners[place] + random.normal(size=(self.n, 2))
        names = np.array(["north_east", "north_west", "south_west", "south_east"])
        return pd.DataFrame({"x": points[:, 0], "y": points[:, 1], "blob": names[place]})


PRICES = ["open", "high", "low", "close"]
"""The four prices of a trading day."""


@dataclass(frozen=True)
class BundledStock:
    """Daily prices 2000-2013 of one company, from the `bokeh_sampledata` package; works offline.

    Prices are adjusted for splits and dividends: every price of a day is multiplied by `adj_close / close`.
    Otherwise, the two-for-one splits of June 2000 and February 2005 would look like crashes.
    """

    symbol: str = "AAPL"

    def read(self, until: date | None = None) -> pd.DataFrame:
        """Columns date, open, high, low, close (adjusted US dollars), volume (shares, as traded)."""
        from bokeh_sampledata import stocks

        found = getattr(stocks, self.symbol, None)
        if found is None:
            known = sorted(name for name in vars(stocks) if name.isupper())
            raise SourceUnavailable(
                f"There is no bundled history for {self.symbol!r}; there is one for {known}. Use one of these."
            )
        return keep_until(_adjust(pd.DataFrame(found)), until)


def _adjust(frame: pd.DataFrame) -> pd.DataFrame:
    factor = frame["adj_close"] / frame["close"]
    prices = frame[PRICES].mul(factor, axis=0)
    return prices.assign(date=pd.to_datetime(frame["date"]), volume=frame["volume"])[["date", *PRICES, "volume"]]
