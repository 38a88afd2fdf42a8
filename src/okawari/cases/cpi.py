"""US inflation in the next quarter, three targets at once: its trend, its acceleration and its regime.

With the price index p of quarter t, all growth in percent and continuously compounded:

    four-quarter inflation     g[t] = 100 log(p[t] / p[t - 4])
    quarterly inflation        q[t] = 400 log(p[t] / p[t - 1]), a year
    trend                      g[t + 1] - g[t]: below -0.25 falling, from 0.25 on rising, between them stable
    acceleration               q[t + 1] - q[t], in percentage points
    regime                     g[t + 1]: low, moderate or high

Bounds are constants from the years of the first training, so no later quarter influences them. Those of the regime are
the terciles of g from 1960 to 1984; 0.25 is close to the terciles of its quarterly change.
"""

from __future__ import annotations

from okawari.case import Anticipate, Case, Change, Column, Drift, Gate, Growth, LogRatio, Retrain
from okawari.data.datasets import BundledMacro
from okawari.data.fred import Fred, FredSeries
from okawari.models.combination import Combination
from okawari.models.constant import Constant
from okawari.models.forest import RandomForest
from okawari.models.linear import Linear
from okawari.models.lstm import Lstm
from okawari.models.persistence import Persistence

TREND = Growth(
    name="trend",
    lag=4,
    change=True,
    bounds=(-0.25, 0.25),
    labels=("falling", "stable", "rising"),
    description="Where four-quarter inflation goes from this quarter to the next.",
)
ACCELERATION = Growth(
    name="acceleration",
    lag=1,
    factor=400.0,
    change=True,
    unit="pp",
    description="Change of quarterly inflation, a rate a year, from this quarter to the next, in percentage points.",
)
REGIME = Growth(
    name="regime",
    lag=4,
    bounds=(3.1, 5.9),
    labels=("low", "moderate", "high"),
    description="How high four-quarter inflation is in the next quarter.",
)

CASE = Case(
    name="cpi",
    title="US inflation, next quarter",
    source=BundledMacro(),
    live=Fred(
        series=(
            FredSeries("CPIAUCSL", "cpi", "last"),
            FredSeries("UNRATE", "unemployment", "mean"),
            FredSeries("TB3MS", "bill_rate", "mean"),
        ),
        period="quarter",
        max_missing_months=1,  # prices and unemployment of October 2025 were never published
    ),
    frequency="QE",
    columns=(
        Column(name="cpi", unit="1982-84 = 100", above=0, description="Consumer prices at the quarter's end."),
        Column(name="unemployment", unit="%", minimum=0, maximum=100, description="Unemployment, the quarter's mean."),
        Column(name="bill_rate", unit="%", minimum=-5, maximum=50, description="Rate of 3-month Treasury bills."),
    ),
    features=(
        LogRatio(name="inflation", numerator="cpi", denominator="cpi", lag=1, description="Growth of prices."),
        Change(name="unemployment_change", column="unemployment", description="Change of unemployment."),
        Change(name="rate_change", column="bill_rate", description="Change of the bill rate."),
    ),
    task=Anticipate(column="cpi", targets=(TREND, ACCELERATION, REGIME), history=9, coverage_share=0.9),
    candidates=(
        Persistence(),
        Constant(),
        Linear(penalty=1.0),
        RandomForest(n_trees=200, min_leaf=4, lags=8),
        Lstm(hidden=32, layers=1, fc=16, epochs=200, patience=20, batch_size=16),
        Combination(),
    ),
    # 203 quarters: 70 judge the candidates, of which 30 only set intervals. Two new quarters allow another training.
    gate=Gate(holdout=40, calibration=30, origins=3),
    drift=Drift(reference=120, current=12, min_current=8),
    retrain=Retrain(cooldown_readings=2, min_outcomes=12),
)
