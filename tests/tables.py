"""Tables as people have them, drawn anew for a test: daily sales, and things with a size and a price."""

from __future__ import annotations

import numpy as np
import pandas as pd

from okawari.schema.calendar import Calendar


def draw_sales(n: int) -> pd.DataFrame:
    """A series with a week in it: date, units, Unit Price, promo (0 or 1) and a note that differs in every row."""
    random = np.random.default_rng(3)
    days = np.arange(n)
    return pd.DataFrame(
        {
            "date": pd.date_range("2022-01-03", periods=n).strftime("%Y-%m-%d"),
            "units": np.round(np.exp(3 + 0.4 * np.sin(days * 2 * np.pi / 7) + random.normal(0, 0.05, n)), 1),
            "Unit Price": np.round(random.uniform(1, 2, n), 2),
            "promo": days % 5 // 4,
            "note": [f"note {day}" for day in days],
        }
    )


def draw_counts(n: int, seed: int = 6) -> pd.DataFrame:
    """Days with a week in them and none at its end: day, units (whole, often 0), Price and balance (of either sign)."""
    random = np.random.default_rng(seed)
    week = np.array([0.6, 0.5, 0.7, 0.9, 1.4, 2.2, 0.0])
    return pd.DataFrame(
        {
            "day": pd.date_range("2023-01-02", periods=n).strftime("%Y-%m-%d"),
            "units": random.poisson(6 * week[np.arange(n) % 7]),
            "Price": random.normal(5, 0.1, n).round(2),
            "balance": random.normal(0, 3, n).round(1),
        }
    )


def draw_things(n: int) -> pd.DataFrame:
    """Records: id, width, colour (three words), price (a number that follows from both) and size (big or small)."""
    random = np.random.default_rng(4)
    width, colour = random.normal(size=n), np.array(["red", "green", "blue"])[np.arange(n) % 3]
    return pd.DataFrame(
        {
            "id": [f"thing {place}" for place in range(n)],
            "width": width.round(4),
            "colour": colour,
            "price": (3 * width + (colour == "red") + random.normal(0, 0.1, n)).round(4),
            "size": np.where(width + random.normal(0, 0.1, n) > 0, "big", "small"),
        }
    )


_LAST_DAY = np.datetime64("2013-03-01")


def draw_stormy_days(n: int) -> pd.DataFrame:
    """Prices of a stock after 1 March 2013 that move by 10 % a day: date, open, high, low, close, volume."""
    random = np.random.default_rng(7)
    close = 56 * np.exp(np.cumsum(random.normal(0, 0.1, n)))
    opened = close * np.exp(random.normal(0, 0.03, n))
    low, high = np.minimum(opened, close) * 0.9, np.maximum(opened, close) * 1.1
    return pd.DataFrame(
        {
            "date": [str(day)[:10] for day in Calendar(frequency="B", holidays="NYSE").steps_after(_LAST_DAY, n)],
            "open": opened.round(2),
            "high": high.round(2),
            "low": low.round(2),
            "close": close.round(2),
            "volume": random.integers(10**7, 10**8, n),
        }
    )
