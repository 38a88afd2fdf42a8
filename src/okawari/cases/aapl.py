"""Next-day (and five-day) closing price of Apple, with intervals; bundled history 2000-2013, live from Yahoo."""

from okawari.case import AtLeast, Case, Column, Forecast, Gate, LogRatio
from okawari.data.datasets import BundledStock
from okawari.data.yahoo import YahooStock
from okawari.models.boosting import Boosting
from okawari.models.forest import RandomForest
from okawari.models.keras_lstm import KerasLstm
from okawari.models.lstm import Lstm
from okawari.models.price_level_lstm import PriceLevelLstm
from okawari.models.random_walk import RandomWalk
from okawari.models.sarima import Sarima
from okawari.models.seasonal_naive import SeasonalNaive

_ROUNDING = 1e-6

CASE = Case(
    name="aapl",
    title="Apple closing price",
    source=BundledStock("AAPL"),
    live=YahooStock("AAPL"),
    frequency="B",
    holidays="NYSE",  # the steps from 2000 to 2013 are exactly the bundled days; a test compares them
    columns=(
        Column(name="open", unit="USD", above=0, description="first price of the day, adjusted"),
        Column(name="high", unit="USD", above=0, description="highest price of the day, adjusted"),
        Column(name="low", unit="USD", above=0, description="lowest price of the day, adjusted"),
        Column(name="close", unit="USD", above=0, description="last price of the day, adjusted"),
        Column(name="volume", unit="shares", above=0, description="shares traded that day"),
    ),
    rules=(
        AtLeast(greater="high", smaller="low"),
        AtLeast(greater="high", smaller="open", slack_share=_ROUNDING),
        AtLeast(greater="high", smaller="close", slack_share=_ROUNDING),
        AtLeast(greater="open", smaller="low", slack_share=_ROUNDING),
        AtLeast(greater="close", smaller="low", slack_share=_ROUNDING),
    ),
    features=(
        LogRatio(name="log_return", numerator="close", denominator="close", lag=1, description="daily log return"),
        LogRatio(name="log_range", numerator="high", denominator="low", description="log of the day's high over low"),
        LogRatio(name="log_volume_change", numerator="volume", denominator="volume", lag=1),
    ),
    task=Forecast(target="close", history=60, horizon=5, coverage_share=0.9),
    candidates=(
        RandomWalk(),
        SeasonalNaive(season=5),
        Sarima(),
        RandomForest(),
        Boosting(),
        Lstm(),
        # Smaller and with less patience: on a CPU Keras computes an LSTM step by step, at five times the cost.
        KerasLstm(lstm=Lstm(hidden=32, batch_size=256, patience=3)),
        # Ten times the default learning rate: with 0.001 the error was a fifth larger after twice the epochs.
        PriceLevelLstm(lstm=Lstm(hidden=32, batch_size=128, epochs=10, learning_rate=0.01)),
    ),
    # 370 days judge; a third fit of the networks would tell little more. Of prices it is known before that hardly any
    # model beats the last value, so a gain has to be more than probable.
    gate=Gate(origins=2, floor_level=0.05),
)
